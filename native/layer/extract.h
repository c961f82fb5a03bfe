/*
 * Writes the members of a tar into a directory tree. Used for image layers (with whiteouts) and for
 * ordinary archives (docker cp, ADD, import).
 */
#ifndef GANTRY_LAYER_EXTRACT_H
#define GANTRY_LAYER_EXTRACT_H

#include "layer/tar-reader.h"

#include <stddef.h>
#include <stdint.h>

enum extract_format {
	EXTRACT_ORDINARY, /* ".wh." names mean nothing */
	EXTRACT_OVERLAY,  /* whiteouts become overlayfs's: device 0/0, trusted.overlay.opaque */
	EXTRACT_PLAIN,	  /* the tree holds the layers below; whiteouts remove from it */
};

struct extract_options {
	enum extract_format format;
	int root;	    /* borrowed; the process should be chrooted there */
	const char *prefix; /* directory below the root that members go into, normal form */
	const int *lowers;  /* borrowed: layers below, topmost first; their directories lend */
	size_t lower_count; /*   mode, owner and time to those that the archive only implies */
	int has_owner;	    /* every member gets `uid` and `gid` */
	uint32_t uid, gid;
	int has_mode; /* every member but links gets `mode` */
	uint32_t mode;
	int keeps_kind;	      /* refuse replacing a directory by something else and the reverse */
	uint64_t max_entries; /* 0 = no limit */
	/* Called after every member; may be NULL. */
	void (*progress)(void *context);
	void *progress_context;
};

struct extract_result {
	uint64_t entries;
	uint64_t size;		 /* bytes of regular files, hard links once */
	uint64_t skipped_xattrs; /* that the file system does not take */
};

/* Reads the archive to its end. A hostile or malformed one is refused with LAYER_REFUSED. */
int extract(struct tar_reader *reader, const struct extract_options *options,
	    struct extract_result *result, struct err *err);

#endif
