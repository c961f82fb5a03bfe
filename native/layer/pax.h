/* Records of PAX extended headers: "LENGTH KEY=VALUE\n", where LENGTH counts the whole record. */
#ifndef GANTRY_LAYER_PAX_H
#define GANTRY_LAYER_PAX_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/* Key prefix of extended attributes (star's convention, kept by every container tool). */
#define PAX_XATTR_PREFIX "SCHILY.xattr."

/* A borrowed piece of a header; neither key nor value is NUL-terminated. */
struct pax_record {
	const char *key, *value;
	size_t key_size, value_size;
};

struct pax_cursor {
	const char *at, *end;
};

/* Next record: 1, 0 at the end, negative errno (EBADMSG) when malformed. */
int pax_next(struct pax_cursor *cursor, struct pax_record *record, struct err *err);
int pax_key_is(const struct pax_record *record, const char *key);

/* Decimal numbers; the whole value must be one. -EBADMSG otherwise. */
int pax_integer(const struct pax_record *record, int64_t *value);
/* Seconds with an optional fraction and sign, as nanosecond time; digits past the ninth are cut. */
int pax_time(const struct pax_record *record, int64_t *sec, uint32_t *nsec);

/* A growing header. Zero-initialise; free `data`. */
struct pax_buffer {
	char *data;
	size_t size, capacity;
};

/* Appends a record; -ENOMEM or -EBADMSG (larger than TAR_PAX_MAX). */
int pax_append(struct pax_buffer *buffer, const char *key, const void *value, size_t value_size);

#endif
