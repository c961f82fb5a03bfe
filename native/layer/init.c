#include "layer/init.h"

#include "common/cleanup.h"
#include "layer/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

struct init_item {
	const char *path;
	mode_t kind;
	const char *link;
};

static const struct init_item ITEMS[] = {
	{"dev", S_IFDIR, NULL},		{"dev/pts", S_IFDIR, NULL},
	{"dev/shm", S_IFDIR, NULL},	{"proc", S_IFDIR, NULL},
	{"sys", S_IFDIR, NULL},		{"etc", S_IFDIR, NULL},
	{".dockerenv", S_IFREG, NULL},	{"etc/resolv.conf", S_IFREG, NULL},
	{"etc/hosts", S_IFREG, NULL},	{"etc/hostname", S_IFREG, NULL},
	{"dev/console", S_IFREG, NULL}, {"etc/mtab", S_IFLNK, "/proc/mounts"},
};
#define ITEM_COUNT (sizeof(ITEMS) / sizeof(ITEMS[0]))

int init_has(const char *path, const struct stat *st)
{
	for (size_t i = 0; i < ITEM_COUNT; i++) {
		if (strcmp(ITEMS[i].path, path) == 0) {
			return (st->st_mode & S_IFMT) == ITEMS[i].kind &&
			       (!S_ISREG(st->st_mode) || st->st_size == 0);
		}
	}
	return 0;
}

static int make_item(const struct init_item *item, int parent, const char *name)
{
	switch (item->kind) {
	case S_IFDIR:
		return mkdirat(parent, name, 0755);
	case S_IFLNK:
		return symlinkat(item->link, parent, name);
	default: {
		int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
		return fd < 0 ? -1 : close(fd);
	}
	}
}

/* The directory looks as it did below, although something was put into it. */
static int copy_attributes(int target, int base, const char *path, struct err *err)
{
	struct stat st;
	cleanup_close int fd = tree_open(target, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0 || base < 0 || fstatat(base, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return 0;
	}
	struct timespec times[2] = {st.st_mtim, st.st_mtim};
	if (fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0 ||
	    futimens(fd, times) < 0) {
		return err_set(err, errno, "prepare /%s", path);
	}
	return 0;
}

/* Whether `path` is to be made: its folder is a directory (or missing) below, and it is not there.
 */
static int is_wanted(int base, const char *path)
{
	struct stat st;
	if (base < 0) {
		return 1;
	}
	char folder[64] = "";
	const char *slash = strchr(path, '/');
	if (slash != NULL) {
		memcpy(folder, path, (size_t)(slash - path));
		folder[slash - path] = 0;
		if (fstatat(base, folder, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
			return 0;
		}
	}
	return fstatat(base, path, &st, AT_SYMLINK_NOFOLLOW) < 0;
}

int init_make(int target, int base, struct err *err)
{
	mode_t mask = umask(0);
	int result = 0;
	for (size_t i = 0; result == 0 && i < ITEM_COUNT; i++) {
		const struct init_item *item = &ITEMS[i];
		if (!is_wanted(base, item->path)) {
			continue;
		}
		char folder[64] = "";
		const char *slash = strchr(item->path, '/');
		cleanup_close int parent = -1;
		if (slash != NULL) {
			memcpy(folder, item->path, (size_t)(slash - item->path));
			folder[slash - item->path] = 0;
			if (mkdirat(target, folder, 0755) < 0 && errno != EEXIST) {
				result = err_set(err, errno, "prepare /%s", folder);
				break;
			}
		}
		parent = tree_open(target, folder, O_PATH | O_DIRECTORY);
		if (parent < 0) {
			result = err_set(err, -parent, "prepare /%s", folder);
		} else if (make_item(item, parent, slash != NULL ? slash + 1 : item->path) < 0 &&
			   errno != EEXIST) {
			result = err_set(err, errno, "prepare /%s", item->path);
		}
	}
	static const char *const folders[] = {"dev", "etc"};
	for (size_t i = 0; result == 0 && i < 2; i++) {
		result = copy_attributes(target, base, folders[i], err);
	}
	umask(mask);
	return result;
}
