/*
 * gzip (RFC 1952) decoder that pulls compressed bytes and pushes plain ones; fixed memory of about
 * 300 KB. Several members one after another are one stream; zero padding after the last is ignored.
 */
#ifndef GANTRY_LAYER_INFLATE_H
#define GANTRY_LAYER_INFLATE_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gunzip_io {
	void *context;
	/* Fills at most `size` bytes; 0 at the end, negative errno with `err` filled on failure. */
	ssize_t (*read)(void *context, uint8_t *buffer, size_t size, struct err *err);
	/* Takes `size` plain bytes, valid only during the call; 0 or negative errno. */
	int (*write)(void *context, const uint8_t *data, size_t size, struct err *err);
};

/* Decodes to the end of the input. Malformed input is refused with EBADMSG. */
int gunzip(const struct gunzip_io *io, struct err *err);

#endif
