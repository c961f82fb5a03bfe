#include "layer/overlay-mount.h"

#include "common/cleanup.h"
#include "layer/extract-state.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

/* <sys/mount.h> has these, and cannot be included beside <linux/mount.h>. */
#define DETACH 2	  /* MNT_DETACH */
#define DONT_FOLLOW_END 8 /* UMOUNT_NOFOLLOW */

/* mount(2) copies one page of options. */
#define OPTIONS_SIZE 4096

/*
 * Fixed, whatever the kernel was built with: a directory is renamed by copying (EXDEV), and upper
 * directories stay readable on their own, which commits and sizes rely on.
 */
static const char *const FIXED_OPTIONS[][2] = {
	{"index", "off"}, {"redirect_dir", "off"}, {"metacopy", "off"}};

static int configure(int fs, unsigned command, const char *key, const char *value)
{
	return syscall(SYS_fsconfig, fs, command, key, value, 0) < 0 ? -errno : 0;
}

/* What the kernel says about a failed mount, or "". */
static void read_reason(int fs, char *reason, size_t size)
{
	ssize_t got = read(fs, reason, size - 1);
	reason[got > 0 ? got : 0] = 0;
	char *newline = strchr(reason, '\n');
	if (newline != NULL) {
		*newline = 0;
	}
}

/* A mount that is nowhere yet; -EOPNOTSUPP where this kernel wants mount(2). */
static int create_detached(const struct overlay_options *options, struct err *err)
{
	cleanup_close int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	if (fs < 0) {
		return errno == ENOSYS ? -EOPNOTSUPP : err_set(err, errno, "use overlayfs");
	}
	int result = 0;
	for (size_t i = 0; result == 0 && i < options->lower_count; i++) {
		result = configure(fs, FSCONFIG_SET_STRING, "lowerdir+", options->lowers[i]);
		if (result == -EINVAL && i == 0) {
			return -EOPNOTSUPP;
		}
	}
	if (result == 0 && options->upper != NULL) {
		result = configure(fs, FSCONFIG_SET_STRING, "upperdir", options->upper);
		if (result == 0) {
			result = configure(fs, FSCONFIG_SET_STRING, "workdir", options->work);
		}
	}
	for (size_t i = 0; result == 0 && i < sizeof(FIXED_OPTIONS) / sizeof(FIXED_OPTIONS[0]);
	     i++) {
		result = configure(fs, FSCONFIG_SET_STRING, FIXED_OPTIONS[i][0],
				   FIXED_OPTIONS[i][1]);
	}
	if (result == 0) {
		result = configure(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	}
	if (result < 0) {
		char reason[256];
		read_reason(fs, reason, sizeof(reason));
		return err_set(err, -result, "mount the overlay%s%s", reason[0] == 0 ? "" : ": ",
			       reason);
	}
	unsigned attributes = options->upper == NULL ? MOUNT_ATTR_RDONLY : 0;
	int fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
	return fd < 0 ? err_set(err, errno, "mount the overlay") : fd;
}

static int append(char *text, size_t *used, const char *part)
{
	size_t size = strlen(part);
	if (*used + size + 1 > OPTIONS_SIZE) {
		return -E2BIG;
	}
	memcpy(text + *used, part, size + 1);
	*used += size;
	return 0;
}

/* Directory names go in as they are: the store makes them without commas and colons. */
static int mount_classic(const struct overlay_options *options, const char *target, struct err *err)
{
	char text[OPTIONS_SIZE];
	size_t used = 0;
	int result = append(text, &used, "lowerdir=");
	for (size_t i = 0; result == 0 && i < options->lower_count; i++) {
		result = i > 0 ? append(text, &used, ":") : 0;
		result = result == 0 ? append(text, &used, options->lowers[i]) : result;
	}
	const char *parts[] = {",upperdir=", options->upper, ",workdir=", options->work};
	for (size_t i = 0; result == 0 && options->upper != NULL && i < 4; i++) {
		result = append(text, &used, parts[i]);
	}
	for (size_t i = 0; result == 0 && i < sizeof(FIXED_OPTIONS) / sizeof(FIXED_OPTIONS[0]);
	     i++) {
		char option[64];
		snprintf(option, sizeof(option), ",%s=%s", FIXED_OPTIONS[i][0],
			 FIXED_OPTIONS[i][1]);
		result = append(text, &used, option);
	}
	if (result < 0) {
		return err_refuse(err, E2BIG, "the image has too many layers for this kernel");
	}
	unsigned long flags = options->upper == NULL ? MS_RDONLY : 0;
	if (syscall(SYS_mount, "overlay", target, "overlay", flags, text) < 0) {
		return err_set(err, errno, "mount the overlay");
	}
	return 0;
}

int overlay_mount(const struct overlay_options *options, const char *target, struct err *err)
{
	cleanup_close int fd = create_detached(options, err);
	if (fd == -EOPNOTSUPP) {
		return mount_classic(options, target, err);
	}
	if (fd < 0) {
		return fd;
	}
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
		return err_set(err, errno, "mount on %s", target);
	}
	return 0;
}

int overlay_open(const struct overlay_options *options, struct err *err)
{
	/* One directory alone is its own view, and overlayfs refuses it. */
	if (options->lower_count == 1) {
		int fd = open(options->lowers[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? err_set(err, errno, "open %s", options->lowers[0]) : fd;
	}
	int fd = create_detached(options, err);
	if (fd != -EOPNOTSUPP) {
		return fd;
	}
	if (unshare(CLONE_NEWNS) < 0 ||
	    syscall(SYS_mount, "none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		return err_set(err, errno, "leave the mount namespace");
	}
	const char *target = options->lowers[0];
	int result = mount_classic(options, target, err);
	if (result < 0) {
		return result;
	}
	fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(err, errno, "open the merged tree") : fd;
}

int is_mount_point(const char *path)
{
	/* musl has no statx(). */
	struct statx st;
	if (syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO, &st) < 0) {
		return -errno;
	}
	if ((st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0) {
		return (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
	}
	/* Before Linux 5.8: an overlay is a device of its own. */
	char above[4096];
	struct statx parent;
	snprintf(above, sizeof(above), "%s/..", path);
	if (syscall(SYS_statx, AT_FDCWD, above, 0, STATX_INO, &parent) < 0) {
		return -errno;
	}
	return st.stx_dev_major != parent.stx_dev_major || st.stx_dev_minor != parent.stx_dev_minor;
}

int overlay_unmount(const char *path, struct err *err)
{
	for (;;) {
		if (syscall(SYS_umount2, path, DETACH | DONT_FOLLOW_END) < 0) {
			/* EINVAL: nothing is mounted there. */
			return errno == EINVAL || errno == ENOENT
				       ? 0
				       : err_set(err, errno, "unmount %s", path);
		}
	}
}

/* A file below is deleted in the merged view: the upper directory must get a whiteout. */
static int try_whiteout(int merged, int directory, struct err *err)
{
	struct stat st;
	if (unlinkat(merged, "file", 0) < 0) {
		return err_set(err, errno, "delete a file in an overlay");
	}
	if (fstatat(directory, "upper/file", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISCHR(st.st_mode)) {
		return err_refuse(err, EOPNOTSUPP, "overlayfs leaves no whiteout here");
	}
	cleanup_close int upper = openat(directory, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (upper < 0 || fsetxattr(upper, OPAQUE_XATTR, "y", 1, 0) < 0) {
		return err_set(err, errno, "set trusted attributes");
	}
	return 0;
}

int overlay_probe(int directory, struct err *err)
{
	static const char *const folders[] = {"lower", "second", "upper", "work"};
	if (fchdir(directory) < 0) {
		return err_set(err, errno, "enter the folder");
	}
	for (size_t i = 0; i < 4; i++) {
		if (mkdir(folders[i], 0700) < 0) {
			return err_set(err, errno, "make a folder");
		}
	}
	cleanup_close int file = open("lower/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	const char *lowers[] = {"second", "lower"};
	struct overlay_options options = {
		.lowers = lowers, .lower_count = 2, .upper = "upper", .work = "work"};
	cleanup_close int merged = create_detached(&options, err);
	if (merged == -EOPNOTSUPP) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    syscall(SYS_mount, "none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
			return err_set(err, errno, "leave the mount namespace");
		}
		int result = mount_classic(&options, "second", err);
		if (result < 0) {
			return result;
		}
		merged = open("second", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return merged < 0 ? -err->code : try_whiteout(merged, directory, err);
}
