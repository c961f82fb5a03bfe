/*
 * Streaming tar writer: ustar headers, with PAX records where a field does not fit (long names,
 * nanoseconds, attributes). The same members give the same bytes.
 */
#ifndef GANTRY_LAYER_TAR_WRITER_H
#define GANTRY_LAYER_TAR_WRITER_H

#include "common/err.h"
#include "layer/pax.h"
#include "layer/tar-entry.h"

#define TAR_WRITER_BUFFER_SIZE (256 * 1024)

struct tar_writer {
	int fd; /* borrowed */
	size_t used;
	uint64_t data_left, padding; /* of the member being written */
	struct pax_buffer pax;	     /* records of the next member besides those of its fields */
	uint8_t buffer[TAR_WRITER_BUFFER_SIZE];
};

int tar_writer_new(struct tar_writer **out, int fd, struct err *err);
void tar_writer_free(struct tar_writer *writer);

/* Adds an extended attribute to the next member. */
int tar_writer_xattr(struct tar_writer *writer, const char *name, const void *value, size_t size,
		     struct err *err);
/* Starts a member; of `entry` the PAX and sparse fields are ignored. `size` bytes of data follow.
 */
int tar_writer_member(struct tar_writer *writer, const struct tar_entry *entry, struct err *err);
/* Copies the member's data from a file; a file that got shorter is filled up with zeros. */
int tar_writer_copy(struct tar_writer *writer, int from, struct err *err);
/* The end mark; everything is written out. */
int tar_writer_end(struct tar_writer *writer, struct err *err);

#endif
