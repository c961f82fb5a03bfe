/*
 * Paths inside a root that they cannot leave: every resolution is done by the kernel with
 * openat2(RESOLVE_IN_ROOT) relative to a descriptor, in a process that is chrooted there as well.
 * Symbolic links in the middle of a path are followed inside the root; a last component never is.
 */
#ifndef GANTRY_LAYER_TREE_H
#define GANTRY_LAYER_TREE_H

#include "common/err.h"
#include "layer/tar-entry.h"

#include <sys/stat.h>

/* Makes a directory that an archive implies but does not name. 0 or negative errno. */
typedef int (*tree_make_directory)(void *context, int parent, const char *name, const char *path,
				   struct err *err);

struct tree {
	int root; /* borrowed */
	tree_make_directory make_directory;
	void *context;
	int cached; /* descriptor (O_PATH) of directory `cached_path`, or -1 */
	char cached_path[TAR_NAME_SIZE];
};

/* Makes the directory the root of this process and its working directory. */
int tree_enter(int root, struct err *err);

void tree_init(struct tree *tree, int root);
void tree_close(struct tree *tree);

/*
 * Normal form of a member's name: no leading "./", no empty components, no trailing slash; the root
 * itself is "". "/" alone always passes.
 */
enum tree_names {
	TREE_NAMES_STRICT,   /* refuses ".." and a leading slash */
	TREE_NAMES_ABSOLUTE, /* refuses ".." */
	TREE_NAMES_LEXICAL,  /* ".." takes the component before it; refuses climbing out */
	TREE_NAMES_CLAMPED,  /* the same, but ".." of the root is the root */
};

int tree_clean_name(const char *name, enum tree_names rule, char out[TAR_NAME_SIZE],
		    struct err *err);

/* openat2 inside `root`; `path` "" is the root. Returns a descriptor or negative errno (no `err`).
 */
int tree_open(int root, const char *path, int flags);

/*
 * Opens the directory that holds `path` (normal form, not "") and points `*name` at the last
 * component. Missing directories are made when `make_directory` is set. The descriptor is the
 * tree's own, valid until the next call.
 */
int tree_open_parent(struct tree *tree, const char *path, const char **name, struct err *err);

/* To be called when a directory or symbolic link has been removed or replaced. */
void tree_forget(struct tree *tree);

/*
 * Absolute path that link text `target` in `directory` means, ".." taken by the text alone (the
 * root stays). `out` is "" when it is too long.
 */
void tree_join(const char *directory, const char *target, char *out, size_t size);

/*
 * Removes `name` with everything below it, never across a mount; a missing one is no error.
 * `parent` is a real descriptor, not AT_FDCWD.
 */
int tree_remove(int parent, const char *name, struct err *err);

#endif
