/* What the parts of extraction share; not for other modules. */
#ifndef GANTRY_LAYER_EXTRACT_STATE_H
#define GANTRY_LAYER_EXTRACT_STATE_H

#include "layer/extract.h"
#include "layer/spool.h"
#include "layer/tree.h"

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_META_PREFIX ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define OPAQUE_XATTR "trusted.overlay.opaque"

/* Hashes of the paths that this layer has written; only the plain format needs them. */
struct path_set {
	uint64_t *slots; /* 0 = free */
	size_t capacity, count;
};

struct extraction {
	const struct extract_options *options;
	struct extract_result *result;
	struct tree tree;
	struct spool times;
	struct path_set ours;
	int has_default_acl; /* modes of new files may be masked: always set them */
};

int path_set_add(struct path_set *set, const char *path, struct err *err);
/* The path and every folder leading to it. */
int path_set_add_all(struct path_set *set, const char *path, struct err *err);
int path_set_has(const struct path_set *set, const char *path);

/* Opens the parent of `path`, relative to the prefix; see tree_open_parent. */
int extraction_parent(struct extraction *state, const char *path, const char **name,
		      struct err *err);

/* Deals with a member named `.wh.*`: 1 when it was one, 0 when the member is an ordinary one. */
int extract_whiteout(struct extraction *state, const char *path, struct err *err);

/* Marks a directory as hiding what lower layers have in it. */
int extract_mark_opaque(int parent, const char *name, struct err *err);

/* The member's extended attributes, on a descriptor or (`fd` < 0) on `name` in `parent`. */
int extract_xattrs(struct extraction *state, const struct tar_entry *entry, int fd, int parent,
		   const char *name, struct err *err);

#endif
