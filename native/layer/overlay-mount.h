/*
 * overlayfs mounts. New kernels take one lower directory per call, so that neither their number nor
 * the length of their names is limited by a page of options; older ones get mount(2).
 */
#ifndef GANTRY_LAYER_OVERLAY_MOUNT_H
#define GANTRY_LAYER_OVERLAY_MOUNT_H

#include "common/err.h"

#include <stddef.h>

struct overlay_options {
	const char *const *lowers; /* topmost first; relative names keep mount(2)'s options short */
	size_t lower_count;
	const char *upper, *work; /* both NULL = read-only */
};

/* Mounts on directory `target`. */
int overlay_mount(const struct overlay_options *options, const char *target, struct err *err);

/*
 * Opens the merged view of the lowers as a directory without mounting it anywhere others see.
 * Returns a descriptor. May move this process to a mount namespace of its own.
 */
int overlay_open(const struct overlay_options *options, struct err *err);

/* 1 when something is mounted exactly there, 0 when not, negative errno. */
int is_mount_point(const char *path);

/* Unmounts everything that is mounted on `path`; nothing there is no error. */
int overlay_unmount(const char *path, struct err *err);

/* Whether overlayfs works on the file system of the (empty, writable) directory; fills `err` if
 * not. */
int overlay_probe(int directory, struct err *err);

#endif
