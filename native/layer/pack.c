#include "layer/pack.h"

#include "common/cleanup.h"
#include "layer/extract-state.h"
#include "layer/links.h"
#include "layer/names.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Attributes of a file: what Linux allows for names and for one value. */
#define XATTR_LIST_SIZE_MAX 65536
#define XATTR_VALUE_SIZE_MAX 65536
/* More than one file has in earnest; the rest is left out. */
#define XATTR_COUNT_MAX 256

struct packer {
	struct tar_writer *writer;
	struct link_table links;
	char xattr_names[XATTR_LIST_SIZE_MAX];
	char xattr_value[XATTR_VALUE_SIZE_MAX];
	struct tar_entry entry;
	char path[TAR_NAME_SIZE];
};

int packer_new(struct packer **out, int fd, struct err *err)
{
	struct packer *packer = calloc(1, sizeof(*packer));
	if (packer == NULL) {
		return err_set(err, ENOMEM, "write the archive");
	}
	int result = tar_writer_new(&packer->writer, fd, err);
	if (result < 0) {
		free(packer);
		return result;
	}
	*out = packer;
	return 0;
}

void packer_free(struct packer *packer)
{
	if (packer == NULL) {
		return;
	}
	link_table_free(&packer->links);
	tar_writer_free(packer->writer);
	free(packer);
}

int packer_end(struct packer *packer, struct err *err)
{
	return tar_writer_end(packer->writer, err);
}

/* What belongs to the file, not to this machine's policy or driver. */
static int is_portable_xattr(const char *name)
{
	if (strncmp(name, "trusted.", 8) == 0) {
		return strncmp(name, "trusted.overlay.", 16) != 0;
	}
	return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
	       strncmp(name, "system.posix_acl_", 17) == 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_xattrs(struct packer *packer, int parent, const char *name, struct err *err)
{
	/* There is no llistxattrat: the working directory stands in. */
	if (fchdir(parent) < 0) {
		return err_set(err, errno, "enter the folder of \"%.200s\"", name);
	}
	ssize_t size = llistxattr(name, packer->xattr_names, sizeof(packer->xattr_names));
	if (size < 0) {
		/* No support, or gone meanwhile. */
		return 0;
	}
	const char *sorted[XATTR_COUNT_MAX];
	size_t count = 0;
	for (const char *at = packer->xattr_names;
	     at < packer->xattr_names + size && count < XATTR_COUNT_MAX; at += strlen(at) + 1) {
		if (is_portable_xattr(at)) {
			sorted[count++] = at;
		}
	}
	qsort(sorted, count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < count; i++) {
		ssize_t value_size = lgetxattr(name, sorted[i], packer->xattr_value,
					       sizeof(packer->xattr_value));
		int result = value_size < 0 ? 0
					    : tar_writer_xattr(packer->writer, sorted[i],
							       packer->xattr_value,
							       (size_t)value_size, err);
		if (result < 0) {
			return result;
		}
	}
	return 0;
}

static int type_of(const struct stat *st, enum tar_type *type)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		*type = TAR_FILE;
		return 1;
	case S_IFDIR:
		*type = TAR_DIRECTORY;
		return 1;
	case S_IFLNK:
		*type = TAR_SYMLINK;
		return 1;
	case S_IFCHR:
		*type = TAR_CHAR_DEVICE;
		return 1;
	case S_IFBLK:
		*type = TAR_BLOCK_DEVICE;
		return 1;
	case S_IFIFO:
		*type = TAR_FIFO;
		return 1;
	default:
		return 0;
	}
}

/* Everything but the data's size and the link. */
static int fill_entry(struct tar_entry *entry, const struct stat *st, const char *archive_name,
		      struct err *err)
{
	size_t length = strlen(archive_name);
	int has_slash = length > 0 && archive_name[length - 1] == '/';
	const char *slash = entry->type == TAR_DIRECTORY && !has_slash ? "/" : "";
	int size = snprintf(entry->name, sizeof(entry->name), "%s%s", archive_name, slash);
	if (size < 0 || (size_t)size >= sizeof(entry->name)) {
		return err_set(err, ENAMETOOLONG, "\"%.200s...\"", archive_name);
	}
	entry->link[0] = 0;
	entry->size = 0;
	entry->mode = st->st_mode & 07777;
	entry->uid = st->st_uid;
	entry->gid = st->st_gid;
	entry->mtime_sec = st->st_mtim.tv_sec;
	entry->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
	entry->device_major = entry->device_minor = 0;
	if (entry->type == TAR_CHAR_DEVICE || entry->type == TAR_BLOCK_DEVICE) {
		entry->device_major = major(st->st_rdev);
		entry->device_minor = minor(st->st_rdev);
	}
	return 0;
}

int packer_add(struct packer *packer, int parent, const char *name, const struct stat *st,
	       const char *archive_name, struct err *err)
{
	struct tar_entry *entry = &packer->entry;
	if (!type_of(st, &entry->type)) {
		return 0;
	}
	int result = fill_entry(entry, st, archive_name, err);
	if (result < 0) {
		return result;
	}
	if (entry->type == TAR_SYMLINK) {
		ssize_t size = readlinkat(parent, name, entry->link, sizeof(entry->link) - 1);
		if (size < 0) {
			return errno == ENOENT ? 0 : err_set(err, errno, "read a link");
		}
		entry->link[size] = 0;
	}
	if (entry->type != TAR_DIRECTORY && st->st_nlink > 1) {
		const char *first;
		result = link_table_find(&packer->links, st, archive_name, &first);
		if (result < 0) {
			return err_set(err, -result, "write the archive");
		}
		if (first != NULL) {
			entry->type = TAR_HARD_LINK;
			snprintf(entry->link, sizeof(entry->link), "%s", first);
			return tar_writer_member(packer->writer, entry, err);
		}
	}
	cleanup_close int fd = -1;
	if (entry->type == TAR_FILE) {
		fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		struct stat now;
		if (fd < 0) {
			return errno == ENOENT || errno == ELOOP
				       ? 0
				       : err_set(err, errno, "open \"%.200s\"", archive_name);
		}
		/* A container may have put something else there meanwhile. */
		if (fstat(fd, &now) < 0 || !S_ISREG(now.st_mode)) {
			return 0;
		}
		entry->size = now.st_size;
	}
	if ((result = add_xattrs(packer, parent, name, err)) < 0 ||
	    (result = tar_writer_member(packer->writer, entry, err)) < 0) {
		return result;
	}
	result = fd < 0 ? 0 : tar_writer_copy(packer->writer, fd, err);
	return result < 0 ? err_wrap(err, "\"%.200s\"", archive_name) : 0;
}

int packer_add_marker(struct packer *packer, const char *archive_name, struct err *err)
{
	struct tar_entry *entry = &packer->entry;
	struct stat st = {.st_mode = S_IFREG};
	entry->type = TAR_FILE;
	int result = fill_entry(entry, &st, archive_name, err);
	return result < 0 ? result : tar_writer_member(packer->writer, entry, err);
}

int is_overlay_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

int is_overlay_opaque(int directory)
{
	char value;
	return fgetxattr(directory, OPAQUE_XATTR, &value, 1) == 1 && value == 'y';
}

/* How the walk treats what it finds. */
enum walk_kind { WALK_TREE, WALK_OVERLAY };

static int walk_directory(struct packer *packer, int directory, size_t length, enum walk_kind kind,
			  struct err *err);

static int walk_one(struct packer *packer, int parent, const char *name, size_t length,
		    enum walk_kind kind, struct err *err)
{
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return errno == ENOENT ? 0 : err_set(err, errno, "look at \"%.200s\"", name);
	}
	size_t before = length;
	int result;
	if (kind == WALK_OVERLAY && strncmp(name, WHITEOUT_PREFIX, 4) == 0) {
		/* In an archive this name would hide another file. */
		return 0;
	}
	if (kind == WALK_OVERLAY && is_overlay_whiteout(&st)) {
		char marker[NAME_MAX + 8];
		snprintf(marker, sizeof(marker), WHITEOUT_PREFIX "%s", name);
		result = path_push(packer->path, sizeof(packer->path), &length, marker, err);
		if (result == 0) {
			result = packer_add_marker(packer, packer->path, err);
		}
		packer->path[before] = 0;
		return result;
	}
	result = path_push(packer->path, sizeof(packer->path), &length, name, err);
	if (result == 0) {
		result = packer_add(packer, parent, name, &st, packer->path, err);
	}
	if (result == 0 && S_ISDIR(st.st_mode)) {
		cleanup_close int fd =
			openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0) {
			result = walk_directory(packer, fd, length, kind, err);
		} else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
			result = err_set(err, errno, "open \"%.200s\"", packer->path);
		}
	}
	packer->path[before] = 0;
	return result;
}

static int walk_directory(struct packer *packer, int directory, size_t length, enum walk_kind kind,
			  struct err *err)
{
	cleanup_names struct names names = {0};
	int result = names_read(&names, directory, err);
	if (result == 0 && kind == WALK_OVERLAY && is_overlay_opaque(directory)) {
		size_t with_marker = length;
		result = path_push(packer->path, sizeof(packer->path), &with_marker,
				   WHITEOUT_OPAQUE, err);
		if (result == 0) {
			result = packer_add_marker(packer, packer->path, err);
		}
		packer->path[length] = 0;
	}
	for (size_t i = 0; result == 0 && i < names.count; i++) {
		result = walk_one(packer, directory, names.list[i], length, kind, err);
	}
	return result;
}

int pack_tree(struct packer *packer, int parent, const char *name, const char *archive_name,
	      struct err *err)
{
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0) {
		return err_set(err, errno, "look at \"%.200s\"", name);
	}
	size_t length = 0;
	packer->path[0] = 0;
	int result = 0;
	if (archive_name[0] != 0) {
		result = path_push(packer->path, sizeof(packer->path), &length, archive_name, err);
		if (result == 0) {
			result = packer_add(packer, parent, name, &st, packer->path, err);
		}
	}
	if (result == 0 && S_ISDIR(st.st_mode)) {
		cleanup_close int fd =
			openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		result = fd < 0 ? err_set(err, errno, "open \"%.200s\"", name)
				: walk_directory(packer, fd, length, WALK_TREE, err);
	}
	return result;
}

int pack_overlay(struct packer *packer, int upper, struct err *err)
{
	packer->path[0] = 0;
	return walk_directory(packer, upper, 0, WALK_OVERLAY, err);
}
