#include "layer/compare.h"

#include "common/cleanup.h"
#include "layer/init.h"
#include "layer/names.h"
#include "layer/pack.h"
#include "layer/tar-entry.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

/* A directory on the way down; visited late, when something in it turns out to differ. */
struct frame {
	struct frame *above;
	int parent;
	const char *name;
	const struct stat *st;
	size_t path_length;
	enum change_kind kind;
	int is_visited;
};

struct comparison {
	const struct compare_options *options;
	struct err *err;
	char path[TAR_NAME_SIZE];
	size_t length;
};

static int compare_directory(struct comparison *c, struct frame *frame, int upper, int base,
			     int is_opaque);

static int visit(struct comparison *c, enum change_kind kind, int parent, const char *name,
		 const struct stat *st)
{
	struct change change = {
		.kind = kind, .path = c->path, .parent = parent, .name = name, .st = st};
	return c->options->visit(c->options->context, &change, c->err);
}

static int visit_frame(struct comparison *c, struct frame *frame)
{
	if (frame->is_visited) {
		return 0;
	}
	/* In a compared tree every folder on the way counts; in an overlay only the nearest. */
	if (frame->above != NULL && (!c->options->is_overlay || frame->kind == CHANGE_ADDED)) {
		int result = visit_frame(c, frame->above);
		if (result < 0) {
			return result;
		}
	}
	char held = c->path[frame->path_length];
	c->path[frame->path_length] = 0;
	int result = visit(c, frame->kind, frame->parent, frame->name, frame->st);
	c->path[frame->path_length] = held;
	frame->is_visited = 1;
	return result;
}

static int report(struct comparison *c, struct frame *frame, enum change_kind kind, int parent,
		  const char *name, const struct stat *st)
{
	if (!c->options->is_overlay || kind != CHANGE_MODIFIED) {
		int result = visit_frame(c, frame);
		if (result < 0) {
			return result;
		}
	}
	return visit(c, kind, parent, name, st);
}

static int stat_base(int base, const char *name, struct stat *st)
{
	return base >= 0 && fstatat(base, name, st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !is_overlay_whiteout(st);
}

static int same_capability(int a, int b, const char *name)
{
	char text[2][64];
	ssize_t size[2] = {-1, -1};
	int directories[2] = {a, b};
	for (int i = 0; i < 2; i++) {
		cleanup_close int fd =
			openat(directories[i], name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0) {
			size[i] = fgetxattr(fd, "security.capability", text[i], sizeof(text[i]));
		}
	}
	return size[0] == size[1] &&
	       (size[0] <= 0 || memcmp(text[0], text[1], (size_t)size[0]) == 0);
}

static int same_attributes(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid;
}

static int same_time(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int same_file(const struct comparison *c, int upper, int base, const char *name,
		     const struct stat *a, const struct stat *b)
{
	if (c->options->is_overlay) {
		return 0;
	}
	return same_attributes(a, b) && a->st_rdev == b->st_rdev && same_time(a, b) &&
	       a->st_size == b->st_size &&
	       (!S_ISREG(a->st_mode) || same_capability(upper, base, name));
}

static int descend(struct comparison *c, struct frame *above, int upper, int base, const char *name,
		   const struct stat *st, const struct stat *below)
{
	cleanup_close int fd = openat(upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_set(c->err, errno, "open \"%.200s\"", c->path);
	}
	cleanup_close int base_fd = -1;
	if (below != NULL) {
		base_fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (base_fd < 0) {
			return err_set(c->err, errno, "open \"%.200s\" below", c->path);
		}
	}
	struct frame frame = {
		.above = above,
		.parent = upper,
		.name = name,
		.st = st,
		.path_length = c->length,
		.kind = below == NULL ? CHANGE_ADDED : CHANGE_MODIFIED,
	};
	int is_opaque = c->options->is_overlay && is_overlay_opaque(fd);
	int is_different = below == NULL || is_opaque || !same_attributes(st, below) ||
			   (c->options->is_overlay && !same_time(st, below));
	int is_hidden = c->options->hides_init && below == NULL && init_has(c->path, st);
	int result = 0;
	if (is_different && !is_hidden) {
		if (frame.kind == CHANGE_ADDED || !c->options->is_overlay) {
			result = visit_frame(c, above);
		}
		if (result == 0) {
			frame.is_visited = 1;
			result = visit(c, frame.kind, upper, name, st);
		}
	}
	return result < 0 ? result : compare_directory(c, &frame, fd, base_fd, is_opaque);
}

static int compare_one(struct comparison *c, struct frame *frame, int upper, int base,
		       const char *name)
{
	struct stat st, below;
	if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return errno == ENOENT ? 0 : err_set(c->err, errno, "look at \"%.200s\"", name);
	}
	int is_below = stat_base(base, name, &below);
	if (c->options->is_overlay && is_overlay_whiteout(&st)) {
		return is_below ? report(c, frame, CHANGE_DELETED, -1, name, NULL) : 0;
	}
	if (S_ISDIR(st.st_mode)) {
		const struct stat *same = is_below && S_ISDIR(below.st_mode) ? &below : NULL;
		return descend(c, frame, upper, base, name, &st, same);
	}
	if (!is_below) {
		return c->options->hides_init && init_has(c->path, &st)
			       ? 0
			       : report(c, frame, CHANGE_ADDED, upper, name, &st);
	}
	return same_file(c, upper, base, name, &st, &below)
		       ? 0
		       : report(c, frame, CHANGE_MODIFIED, upper, name, &st);
}

static int compare_directory(struct comparison *c, struct frame *frame, int upper, int base,
			     int is_opaque)
{
	cleanup_names struct names here = {0};
	cleanup_names struct names below = {0};
	int result = names_read(&here, upper, c->err);
	/* In an overlay what is not here shows through, unless the directory is opaque. */
	int shows_deletions = base >= 0 && (!c->options->is_overlay || is_opaque);
	if (result == 0 && shows_deletions) {
		result = names_read(&below, base, c->err);
	}
	size_t before = c->length;
	for (size_t i = 0, k = 0; result == 0 && (i < here.count || k < below.count);) {
		int order = i == here.count    ? 1
			    : k == below.count ? -1
					       : strcmp(here.list[i], below.list[k]);
		const char *name = order > 0 ? below.list[k] : here.list[i];
		struct stat st;
		result = path_push(c->path, sizeof(c->path), &c->length, name, c->err);
		if (result == 0 && order <= 0) {
			result = compare_one(c, frame, upper, base, name);
		} else if (result == 0 && stat_base(base, name, &st)) {
			result = report(c, frame, CHANGE_DELETED, -1, name, NULL);
		}
		c->length = before;
		c->path[before] = 0;
		i += order <= 0;
		k += order >= 0;
	}
	return result;
}

int compare_trees(const struct compare_options *options, struct err *err)
{
	struct comparison *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		return err_set(err, ENOMEM, "compare");
	}
	c->options = options;
	c->err = err;
	struct frame root = {.is_visited = 1};
	int result = compare_directory(c, &root, options->upper, options->base, 0);
	free(c);
	return result;
}
