/*
 * Where the bytes of a tar come from: a descriptor, plain or gzip, read, decompressed and hashed by
 * a thread of its own so that it overlaps with writing files; or memory, for tests.
 */
#ifndef GANTRY_LAYER_SOURCE_H
#define GANTRY_LAYER_SOURCE_H

#include "common/err.h"
#include "layer/sha256.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Refusal of malformed or hostile input; main answers it with exit status 1. */
#define LAYER_REFUSED EBADMSG
/* A path inside a root that is not there; main answers it with exit status 3. */
#define LAYER_MISSING ESRCH

/* A pull source. `next` gives the following piece, valid until the next call; 0 at the end. */
struct source {
	ssize_t (*next)(struct source *source, const uint8_t **data, struct err *err);
};

struct memory_source {
	struct source base;
	const uint8_t *data;
	size_t size;
	size_t piece; /* bytes given at once; 0 = all */
};

/* `data` is borrowed. */
void memory_source_init(struct memory_source *source, const void *data, size_t size, size_t piece);

struct stream;

struct stream_options {
	int fd;		    /* borrowed */
	int is_gzip;	    /* decompress */
	uint64_t max_bytes; /* refuse more plain bytes than this; 0 = no limit */
	int wants_hash;
};

/* Starts the reading thread. Free with stream_free (which waits for the thread). */
int stream_open(struct stream **out, const struct stream_options *options, struct err *err);
void stream_free(struct stream *stream);
/* The stream as a source; single consumer. */
struct source *stream_source(struct stream *stream);
/* Bytes read from the descriptor so far; any thread. */
uint64_t stream_bytes_read(struct stream *stream);
/* After `next` gave 0: number and SHA-256 of the plain bytes. `hex` may be NULL. */
uint64_t stream_result(struct stream *stream, char hex[SHA256_HEX_SIZE]);

#endif
