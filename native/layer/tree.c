#include "layer/tree.h"

#include "common/cleanup.h"
#include "layer/source.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* Dangling links that lead to dangling links. */
#define LINK_DEPTH_MAX 16
/* A path resolution that races with renames in a running container is repeated this often. */
#define RACE_RETRIES 64

int tree_enter(int root, struct err *err)
{
	if (fchdir(root) < 0 || chroot(".") < 0 || chdir("/") < 0) {
		return err_set(err, errno, "enter the root");
	}
	return 0;
}

void tree_init(struct tree *tree, int root)
{
	memset(tree, 0, sizeof(*tree));
	tree->root = root;
	tree->cached = -1;
}

void tree_forget(struct tree *tree)
{
	if (tree->cached >= 0) {
		close(tree->cached);
		tree->cached = -1;
	}
}

void tree_close(struct tree *tree)
{
	tree_forget(tree);
}

int tree_clean_name(const char *name, enum tree_names rule, char out[TAR_NAME_SIZE],
		    struct err *err)
{
	char clean[TAR_NAME_SIZE];
	size_t used = 0;
	for (const char *at = name; *at != 0;) {
		size_t length = strcspn(at, "/");
		int is_up = length == 2 && at[0] == '.' && at[1] == '.';
		if (is_up &&
		    (rule < TREE_NAMES_LEXICAL || (used == 0 && rule != TREE_NAMES_CLAMPED))) {
			return err_refuse(err, LAYER_REFUSED,
					  "member \"%.200s\" climbs out with \"..\"", name);
		}
		if (is_up) {
			while (used > 0 && clean[--used] != '/') {
			}
		} else if (length > 0 && !(length == 1 && at[0] == '.')) {
			if (used + length + 2 > sizeof(clean)) {
				return err_refuse(err, LAYER_REFUSED,
						  "a name in the archive is too long");
			}
			if (used > 0) {
				clean[used++] = '/';
			}
			memcpy(clean + used, at, length);
			used += length;
		}
		at += length;
		at += strspn(at, "/");
	}
	if (name[0] == '/' && used > 0 && rule == TREE_NAMES_STRICT) {
		return err_refuse(err, LAYER_REFUSED, "member \"%.200s\" has an absolute name",
				  name);
	}
	memcpy(out, clean, used);
	out[used] = 0;
	return 0;
}

int tree_open(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	for (int i = 0;; i++) {
		long fd = syscall(SYS_openat2, root, path[0] == 0 ? "." : path, &how, sizeof(how));
		if (fd >= 0) {
			return (int)fd;
		}
		if ((errno != EAGAIN && errno != EINTR) || i >= RACE_RETRIES) {
			return -errno;
		}
	}
}

/* Joins the target of a dangling link with what follows it, ".." taken lexically (the root stays).
 */
static int join_link(const char *directory, const char *target, const char *rest,
		     char out[TAR_NAME_SIZE])
{
	const char *parts[3] = {target[0] == '/' ? "" : directory, target, rest};
	size_t used = 0;
	for (int i = 0; i < 3; i++) {
		for (const char *at = parts[i]; *at != 0;) {
			size_t length = strcspn(at, "/");
			if (length == 2 && at[0] == '.' && at[1] == '.') {
				while (used > 0 && out[--used] != '/') {
				}
			} else if (length > 0 && !(length == 1 && at[0] == '.')) {
				if (used + length + 2 > TAR_NAME_SIZE) {
					return -ENAMETOOLONG;
				}
				if (used > 0) {
					out[used++] = '/';
				}
				memcpy(out + used, at, length);
				used += length;
			}
			at += length;
			at += strspn(at, "/");
		}
	}
	out[used] = 0;
	return 0;
}

void tree_join(const char *directory, const char *target, char *out, size_t size)
{
	char joined[TAR_NAME_SIZE];
	out[0] = 0;
	if (join_link(directory, target, "", joined) == 0 && strlen(joined) + 2 <= size) {
		out[0] = '/';
		strcpy(out + 1, joined);
	}
}

static int open_or_make(struct tree *tree, const char *path, int depth, struct err *err);

/* `path[0..length)` could not be opened as a directory: makes it, or what it dangles to. */
static int make_missing(struct tree *tree, const char *path, size_t length, int depth,
			struct err *err)
{
	char prefix[TAR_NAME_SIZE];
	memcpy(prefix, path, length);
	prefix[length] = 0;
	char *slash = strrchr(prefix, '/');
	const char *name = slash != NULL ? slash + 1 : prefix;
	cleanup_close int parent = -1;
	if (slash != NULL) {
		*slash = 0;
		parent = tree_open(tree->root, prefix, O_PATH | O_DIRECTORY);
		*slash = '/';
	} else {
		parent = tree_open(tree->root, "", O_PATH | O_DIRECTORY);
	}
	if (parent < 0) {
		return err_set(err, -parent, "open the folder of \"%.200s\"", prefix);
	}
	int result = tree->make_directory(tree->context, parent, name, prefix, err);
	if (result != -EEXIST) {
		return result;
	}
	char target[TAR_NAME_SIZE];
	ssize_t size = readlinkat(parent, name, target, sizeof(target) - 1);
	if (size < 0) {
		return err_refuse(err, LAYER_REFUSED, "\"%.200s\" is no directory", prefix);
	}
	target[size] = 0;
	char joined[TAR_NAME_SIZE];
	if (slash != NULL) {
		*slash = 0;
	}
	if (depth >= LINK_DEPTH_MAX ||
	    join_link(slash != NULL ? prefix : "", target, "", joined) < 0) {
		return err_refuse(err, LAYER_REFUSED, "too many links in \"%.200s\"", path);
	}
	int fd = open_or_make(tree, joined, depth + 1, err);
	if (fd >= 0) {
		close(fd);
	}
	return fd < 0 ? fd : 0;
}

static int open_or_make(struct tree *tree, const char *path, int depth, struct err *err)
{
	int fd = tree_open(tree->root, path, O_PATH | O_DIRECTORY);
	if (fd == -ENOTDIR) {
		return err_refuse(err, LAYER_REFUSED, "\"%.200s\" is no directory", path);
	}
	if (fd >= 0 || fd != -ENOENT || tree->make_directory == NULL) {
		return fd >= 0 ? fd : err_set(err, -fd, "open \"%.200s\"", path);
	}
	for (size_t length = 0; path[length] != 0;) {
		length += path[length] == '/';
		length += strcspn(path + length, "/");
		char prefix[TAR_NAME_SIZE];
		memcpy(prefix, path, length);
		prefix[length] = 0;
		fd = tree_open(tree->root, prefix, O_PATH | O_DIRECTORY);
		if (fd == -ENOENT) {
			int result = make_missing(tree, path, length, depth, err);
			if (result < 0) {
				return result;
			}
		} else if (fd < 0) {
			return err_refuse(err, LAYER_REFUSED, "\"%.200s\" is no directory", prefix);
		} else {
			close(fd);
		}
	}
	fd = tree_open(tree->root, path, O_PATH | O_DIRECTORY);
	return fd >= 0 ? fd : err_set(err, -fd, "open \"%.200s\"", path);
}

int tree_open_parent(struct tree *tree, const char *path, const char **name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash != NULL ? (size_t)(slash - path) : 0;
	*name = slash != NULL ? slash + 1 : path;
	if (tree->cached >= 0 && strncmp(tree->cached_path, path, length) == 0 &&
	    tree->cached_path[length] == 0) {
		return tree->cached;
	}
	tree_forget(tree);
	memcpy(tree->cached_path, path, length);
	tree->cached_path[length] = 0;
	tree->cached = open_or_make(tree, tree->cached_path, 0, err);
	int result = tree->cached;
	if (result < 0) {
		tree->cached = -1;
	}
	return result;
}
