/*
 * Modification times of directories, kept until everything in them has been written. A small
 * buffer that spills to an unnamed file, so that memory stays the same for any number of them.
 */
#ifndef GANTRY_LAYER_SPOOL_H
#define GANTRY_LAYER_SPOOL_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#define SPOOL_BUFFER_SIZE (64 * 1024)

struct spool {
	int directory; /* borrowed: where the file goes; -1 = in memory */
	int fd;	       /* -1 until it spills */
	size_t used;
	size_t read_at;
	uint8_t buffer[SPOOL_BUFFER_SIZE];
};

struct spool_item {
	int64_t sec;
	uint32_t nsec;
	char path[4096];
};

void spool_init(struct spool *spool, int directory);
void spool_close(struct spool *spool);
int spool_add(struct spool *spool, const char *path, int64_t sec, uint32_t nsec, struct err *err);
/* Ends adding and goes to the first item. */
int spool_rewind(struct spool *spool, struct err *err);
/* Items in the order in which they were added: 1, 0 at the end. */
int spool_next(struct spool *spool, struct spool_item *item, struct err *err);

#endif
