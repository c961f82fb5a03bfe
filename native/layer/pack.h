/* Writes file trees as tar: whole ones, and overlay or plain trees as image layers. */
#ifndef GANTRY_LAYER_PACK_H
#define GANTRY_LAYER_PACK_H

#include "layer/tar-writer.h"

#include <sys/stat.h>

struct packer;

/* `fd` is borrowed. */
int packer_new(struct packer **out, int fd, struct err *err);
void packer_free(struct packer *packer);
int packer_end(struct packer *packer, struct err *err);

/* One member: `name` in `parent`, called `archive_name`. Sockets are left out. */
int packer_add(struct packer *packer, int parent, const char *name, const struct stat *st,
	       const char *archive_name, struct err *err);
/* An empty file that marks a whiteout, with fixed owner and time. */
int packer_add_marker(struct packer *packer, const char *archive_name, struct err *err);

/*
 * `name` in `parent` with everything below it, in byte order of the names. Members begin with
 * `archive_name`; "" leaves the directory itself out and gives bare names.
 */
int pack_tree(struct packer *packer, int parent, const char *name, const char *archive_name,
	      struct err *err);

/* The upper directory of an overlay, with whiteouts in archive form; its root is no member. */
int pack_overlay(struct packer *packer, int upper, struct err *err);

/* True for a whiteout device; true for a directory that hides what is below it. */
int is_overlay_whiteout(const struct stat *st);
int is_overlay_opaque(int directory);

#endif
