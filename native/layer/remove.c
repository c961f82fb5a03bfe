#include "layer/tree.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/*
 * A container can make trees deeper than there are descriptors or path characters. Below this
 * depth a directory is moved up beside the one being removed and is removed from there.
 */
#define DEPTH_MAX 128
/* A directory that fills again while it is being removed is emptied this often. */
#define REFILL_MAX 1000

struct removal {
	int top; /* directory that deep trees are moved into */
	dev_t device;
	unsigned moved;
	struct err *err;
};

static int remove_below(struct removal *removal, int directory, int depth);

/*
 * Empties directory `fd` and removes it. A program that is just being killed may still put a file
 * there: then again.
 */
static int remove_emptied(struct removal *removal, int fd, int parent, const char *name, int depth)
{
	for (int i = 0;; i++) {
		int result = remove_below(removal, fd, depth);
		if (result < 0) {
			return result;
		}
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
			return 0;
		}
		if ((errno != ENOTEMPTY && errno != EEXIST) || i >= REFILL_MAX) {
			return err_set(removal->err, errno, "remove \"%s\"", name);
		}
	}
}

static int is_dot(const char *name)
{
	return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

static int remove_directory(struct removal *removal, int parent, const char *name, int depth)
{
	cleanup_close int fd =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		return errno == ENOENT ? 0 : err_set(removal->err, errno, "remove \"%s\"", name);
	}
	if (st.st_dev != removal->device) {
		return err_set(removal->err, EBUSY, "remove \"%s\": something is mounted there",
			       name);
	}
	return remove_emptied(removal, fd, parent, name, depth + 1);
}

static int remove_one(struct removal *removal, int parent, const char *name, int depth)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
		return 0;
	}
	if (errno != EISDIR && errno != EPERM) {
		return err_set(removal->err, errno, "remove \"%s\"", name);
	}
	if (depth < DEPTH_MAX) {
		return remove_directory(removal, parent, name, depth);
	}
	char moved[40];
	snprintf(moved, sizeof(moved), ".gantry-removal-%u", removal->moved++);
	if (renameat(parent, name, removal->top, moved) < 0) {
		return err_set(removal->err, errno, "remove \"%s\"", name);
	}
	return 0;
}

/* Passes until nothing is left: deep trees come back to the top while it goes on. */
static int remove_below(struct removal *removal, int directory, int depth)
{
	for (;;) {
		int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *stream = copy < 0 ? NULL : fdopendir(copy);
		if (stream == NULL) {
			return err_set(removal->err, errno, "list a folder");
		}
		int found = 0, result = 0;
		for (const struct dirent *item; result == 0 && (item = readdir(stream)) != NULL;) {
			if (!is_dot(item->d_name)) {
				found = 1;
				result = remove_one(removal, directory, item->d_name, depth);
			}
		}
		closedir(stream);
		if (result < 0 || !found) {
			return result;
		}
	}
}

int tree_remove(int parent, const char *name, struct err *err)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
		return 0;
	}
	if (errno != EISDIR && errno != EPERM) {
		return err_set(err, errno, "remove \"%s\"", name);
	}
	cleanup_close int fd =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st, above;
	if (fd < 0 || fstat(fd, &st) < 0 || fstatat(parent, "", &above, AT_EMPTY_PATH) < 0) {
		return errno == ENOENT ? 0 : err_set(err, errno, "remove \"%s\"", name);
	}
	if (st.st_dev != above.st_dev) {
		return err_set(err, EBUSY, "remove \"%s\": something is mounted there", name);
	}
	struct removal removal = {.top = fd, .device = st.st_dev, .err = err};
	return remove_emptied(&removal, fd, parent, name, 0);
}
