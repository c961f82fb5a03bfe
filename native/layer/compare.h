/*
 * Differences of a writable tree to what is below it, as `docker diff` and commits need them.
 * A directory counts as modified when its own mode, owner or (overlay) time differ, or when
 * something in it was added or removed; one that was merely copied up does not.
 */
#ifndef GANTRY_LAYER_COMPARE_H
#define GANTRY_LAYER_COMPARE_H

#include "common/err.h"

#include <sys/stat.h>

/* Numbers of the Docker API. */
enum change_kind { CHANGE_MODIFIED = 0, CHANGE_ADDED = 1, CHANGE_DELETED = 2 };

struct change {
	enum change_kind kind;
	const char *path; /* relative to the root, no leading slash */
	int parent;	  /* directory in the upper tree; -1 when deleted */
	const char *name;
	const struct stat *st; /* NULL when deleted */
};

struct compare_options {
	int upper;	/* overlay upper directory, or the whole writable tree; borrowed */
	int base;	/* merged tree below; -1 = empty; borrowed */
	int is_overlay; /* how deletions show in `upper` */
	int hides_init; /* leave out what every container is given (see init.h), when untouched */
	/* Called in path order, a directory before what is in it. */
	int (*visit)(void *context, const struct change *change, struct err *err);
	void *context;
};

int compare_trees(const struct compare_options *options, struct err *err);

#endif
