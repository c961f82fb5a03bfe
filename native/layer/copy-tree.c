#include "layer/copy-tree.h"

#include "common/cleanup.h"
#include "layer/links.h"
#include "layer/names.h"
#include "layer/tar-entry.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define XATTR_SIZE_MAX 65536
#define COPY_BUFFER_SIZE (256 * 1024)

struct copy {
	struct err *err;
	int to_root;
	struct link_table links;
	char path[TAR_NAME_SIZE];
	size_t length;
	char names[XATTR_SIZE_MAX], value[XATTR_SIZE_MAX];
	char buffer[COPY_BUFFER_SIZE];
};

static int failed(struct copy *copy, const char *what)
{
	return err_set(copy->err, errno, "%s \"%.200s\"", what, copy->path);
}

/* What `listxattr` or `getxattr` need, on a descriptor or on a name in the working directory. */
static int copy_xattrs(struct copy *copy, int from, const char *name, int to_directory,
		       const char *to_name)
{
	if (fchdir(from) < 0) {
		return failed(copy, "enter the folder of");
	}
	ssize_t size = llistxattr(name, copy->names, sizeof(copy->names));
	for (const char *at = copy->names; size > 0 && at < copy->names + size;
	     at += strlen(at) + 1) {
		if (fchdir(from) < 0) {
			return failed(copy, "enter the folder of");
		}
		ssize_t value_size = lgetxattr(name, at, copy->value, sizeof(copy->value));
		if (value_size < 0) {
			continue;
		}
		if (fchdir(to_directory) < 0) {
			return failed(copy, "enter the folder of");
		}
		if (lsetxattr(to_name, at, copy->value, (size_t)value_size, 0) < 0 &&
		    errno != EOPNOTSUPP && errno != EPERM) {
			return failed(copy, "set an attribute of");
		}
	}
	return 0;
}

static int copy_range(struct copy *copy, int from, int to, off_t offset, off_t end)
{
	off_t out = offset;
	while (offset < end) {
		ssize_t got = copy_file_range(from, &offset, to, &out, (size_t)(end - offset), 0);
		if (got > 0) {
			continue;
		}
		/* Not between these file systems, or not for this file. */
		size_t part = sizeof(copy->buffer);
		part = (off_t)part < end - offset ? part : (size_t)(end - offset);
		got = RETRY(pread(from, copy->buffer, part, offset));
		if (got <= 0) {
			return got == 0 ? 0 : failed(copy, "read");
		}
		for (ssize_t done = 0; done < got;) {
			ssize_t wrote = RETRY(pwrite(to, copy->buffer + done, (size_t)(got - done),
						     offset + done));
			if (wrote < 0) {
				return failed(copy, "write");
			}
			done += wrote;
		}
		offset += got;
		out = offset;
	}
	return 0;
}

static int copy_data(struct copy *copy, int from, int to, off_t size)
{
	if (size == 0 || ioctl(to, FICLONE, from) == 0) {
		return 0;
	}
	for (off_t at = 0; at < size;) {
		off_t data = lseek(from, at, SEEK_DATA);
		off_t end = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
		if (data < 0 && errno == ENXIO) {
			break;
		}
		if (data < 0 || end < 0) {
			data = at;
			end = size;
		}
		int result = copy_range(copy, from, to, data, end);
		if (result < 0) {
			return result;
		}
		at = end;
	}
	return ftruncate(to, size) < 0 ? failed(copy, "write") : 0;
}

static int copy_file(struct copy *copy, int from, int to, const char *name, const struct stat *st)
{
	cleanup_close int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	cleanup_close int out =
		openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (in < 0 || out < 0) {
		return failed(copy, "copy");
	}
	return copy_data(copy, in, out, st->st_size);
}

static int copy_symlink(struct copy *copy, int from, int to, const char *name)
{
	char target[TAR_NAME_SIZE];
	ssize_t size = readlinkat(from, name, target, sizeof(target) - 1);
	if (size < 0) {
		return failed(copy, "read the link");
	}
	target[size] = 0;
	return symlinkat(target, to, name) < 0 ? failed(copy, "copy") : 0;
}

static int copy_attributes(struct copy *copy, int from, int to, const char *name,
			   const struct stat *st)
{
	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0) {
		return failed(copy, "set the owner of");
	}
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0) {
		return failed(copy, "set the mode of");
	}
	int result = copy_xattrs(copy, from, name, to, name);
	struct timespec times[2] = {st->st_mtim, st->st_mtim};
	if (result == 0 && utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0) {
		return failed(copy, "set the time of");
	}
	return result;
}

static int copy_directory(struct copy *copy, int from, int to);

static int copy_subdirectory(struct copy *copy, int from, int to, const char *name)
{
	if (mkdirat(to, name, 0700) < 0) {
		return failed(copy, "make folder");
	}
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	cleanup_close int from_fd = openat(from, name, flags);
	cleanup_close int to_fd = openat(to, name, flags);
	if (from_fd < 0 || to_fd < 0) {
		return failed(copy, "open folder");
	}
	return copy_directory(copy, from_fd, to_fd);
}

static int copy_one(struct copy *copy, int from, int to, const char *name)
{
	struct stat st;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return errno == ENOENT ? 0 : failed(copy, "look at");
	}
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
		const char *first;
		int result = link_table_find(&copy->links, &st, copy->path, &first);
		if (result < 0) {
			return err_set(copy->err, -result, "copy");
		}
		if (first != NULL) {
			return linkat(copy->to_root, first, to, name, 0) < 0 ? failed(copy, "link")
									     : 0;
		}
	}
	int result = 0;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		result = copy_file(copy, from, to, name, &st);
		break;
	case S_IFDIR:
		result = copy_subdirectory(copy, from, to, name);
		break;
	case S_IFLNK:
		result = copy_symlink(copy, from, to, name);
		break;
	case S_IFSOCK:
		return 0;
	default:
		result = mknodat(to, name, st.st_mode & S_IFMT, st.st_rdev) < 0
				 ? failed(copy, "copy")
				 : 0;
	}
	return result < 0 ? result : copy_attributes(copy, from, to, name, &st);
}

static int copy_directory(struct copy *copy, int from, int to)
{
	cleanup_names struct names names = {0};
	int result = names_read(&names, from, copy->err);
	size_t before = copy->length;
	for (size_t i = 0; result == 0 && i < names.count; i++) {
		result = path_push(copy->path, sizeof(copy->path), &copy->length, names.list[i],
				   copy->err);
		if (result == 0) {
			result = copy_one(copy, from, to, names.list[i]);
		}
		copy->length = before;
		copy->path[before] = 0;
	}
	return result;
}

int copy_tree(int from, int to, struct err *err)
{
	struct copy *copy = calloc(1, sizeof(*copy));
	struct stat st;
	if (copy == NULL) {
		return err_set(err, ENOMEM, "copy");
	}
	copy->err = err;
	copy->to_root = to;
	mode_t mask = umask(0);
	int result = copy_directory(copy, from, to);
	if (result == 0) {
		result = fstat(from, &st) < 0 ? failed(copy, "look at")
					      : copy_attributes(copy, from, to, ".", &st);
	}
	umask(mask);
	link_table_free(&copy->links);
	free(copy);
	return result;
}
