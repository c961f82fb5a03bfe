/* The names in a directory, sorted by their bytes. */
#ifndef GANTRY_LAYER_NAMES_H
#define GANTRY_LAYER_NAMES_H

#include "common/err.h"

#include <stddef.h>

/* Zero-initialise; owned, free with names_free. */
struct names {
	char **list;
	size_t count;
	char *text;
};

/* Lists an open directory (any kind of descriptor but its offset is not touched). */
int names_read(struct names *names, int directory, struct err *err);
void names_free(struct names *names);

/* Appends "/name" (or "name" to an empty path); -ENAMETOOLONG. `*length` is the path's length. */
int path_push(char *path, size_t size, size_t *length, const char *name, struct err *err);

#define cleanup_names __attribute__((cleanup(names_free)))

#endif
