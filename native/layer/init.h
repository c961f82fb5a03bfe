/*
 * What every container finds in its root although no image has it: mount points of the engine's own
 * files and file systems. Made once per image, so that they are no changes of the container.
 */
#ifndef GANTRY_LAYER_INIT_H
#define GANTRY_LAYER_INIT_H

#include "common/err.h"

#include <sys/stat.h>

/* Makes in `target` what is missing in `base` (merged tree below; -1 = empty). Both borrowed. */
int init_make(int target, int base, struct err *err);
/* True for an untouched one of these (or a directory leading to one). */
int init_has(const char *path, const struct stat *st);

#endif
