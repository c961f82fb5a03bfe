#include "layer/extract-state.h"

#include "common/cleanup.h"
#include "layer/pax.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* overlayfs's own marks: an archive must not speak to the driver. */
#define OVERLAY_XATTR_PREFIX "trusted.overlay."

static int full_path(const struct extraction *state, const char *path, char out[TAR_NAME_SIZE],
		     struct err *err)
{
	const char *prefix = state->options->prefix != NULL ? state->options->prefix : "";
	const char *separator = prefix[0] == 0 || path[0] == 0 ? "" : "/";
	int size = snprintf(out, TAR_NAME_SIZE, "%s%s%s", prefix, separator, path);
	if (size < 0 || size >= TAR_NAME_SIZE) {
		return err_refuse(err, LAYER_REFUSED, "a name in the archive is too long");
	}
	return 0;
}

int extraction_parent(struct extraction *state, const char *path, const char **name,
		      struct err *err)
{
	char full[TAR_NAME_SIZE];
	int result = full_path(state, path, full, err);
	if (result < 0) {
		return result;
	}
	const char *slash = strrchr(path, '/');
	const char *last;
	result = tree_open_parent(&state->tree, full, &last, err);
	if (result >= 0) {
		*name = slash != NULL ? slash + 1 : path;
	}
	return result;
}

static int is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static mode_t mode_of(const struct extraction *state, const struct tar_entry *entry)
{
	return state->options->has_mode ? state->options->mode : entry->mode;
}

static int set_owner(struct extraction *state, const struct tar_entry *entry, int fd, int parent,
		     const char *name, struct err *err)
{
	uid_t uid = state->options->has_owner ? state->options->uid : entry->uid;
	gid_t gid = state->options->has_owner ? state->options->gid : entry->gid;
	int failed = fd >= 0 ? fchown(fd, uid, gid)
			     : fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
	return failed < 0 ? err_set(err, errno, "set the owner of \"%.200s\"", name) : 0;
}

static int set_xattr(const char *name, const struct pax_record *record, int fd, const char *path)
{
	return fd >= 0 ? fsetxattr(fd, name, record->value, record->value_size, 0)
		       : lsetxattr(path, name, record->value, record->value_size, 0);
}

int extract_xattrs(struct extraction *state, const struct tar_entry *entry, int fd, int parent,
		   const char *name, struct err *err)
{
	static const size_t prefix = sizeof(PAX_XATTR_PREFIX) - 1;
	if (entry->pax_size == 0) {
		return 0;
	}
	struct pax_cursor cursor = {.at = entry->pax, .end = entry->pax + entry->pax_size};
	struct pax_record record;
	int has_moved = 0, result = 0;
	while ((result = pax_next(&cursor, &record, err)) > 0) {
		char key[256];
		if (record.key_size <= prefix || record.key_size - prefix >= sizeof(key) ||
		    memcmp(record.key, PAX_XATTR_PREFIX, prefix) != 0) {
			continue;
		}
		memcpy(key, record.key + prefix, record.key_size - prefix);
		key[record.key_size - prefix] = 0;
		if (strncmp(key, OVERLAY_XATTR_PREFIX, strlen(OVERLAY_XATTR_PREFIX)) == 0) {
			continue;
		}
		/* There is no lsetxattrat: the working directory stands in, set once per member. */
		if (fd < 0 && !has_moved && fchdir(parent) < 0) {
			return err_set(err, errno, "enter the folder of \"%.200s\"", name);
		}
		has_moved = 1;
		if (set_xattr(key, &record, fd, name) == 0) {
			state->has_default_acl |= strcmp(key, "system.posix_acl_default") == 0;
		} else if (errno == EOPNOTSUPP || errno == EPERM || errno == EINVAL) {
			state->result->skipped_xattrs++;
		} else {
			return err_set(err, errno, "set %s of \"%.200s\"", key, name);
		}
	}
	return result;
}

static int set_times(const struct tar_entry *entry, int fd, int parent, const char *name,
		     struct err *err)
{
	struct timespec times[2] = {
		{.tv_sec = entry->mtime_sec, .tv_nsec = entry->mtime_nsec},
		{.tv_sec = entry->mtime_sec, .tv_nsec = entry->mtime_nsec},
	};
	int failed =
		fd >= 0 ? futimens(fd, times) : utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW);
	return failed < 0 ? err_set(err, errno, "set the time of \"%.200s\"", name) : 0;
}

/* Mode, owner, time and attributes of a directory that the archive implies, from a layer below. */
static int borrow_attributes(struct extraction *state, int fd, const char *path, struct err *err)
{
	for (size_t i = 0; i < state->options->lower_count; i++) {
		cleanup_close int lower = tree_open(state->options->lowers[i], path,
						    O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
		struct stat st;
		if (lower < 0 || fstat(lower, &st) < 0) {
			continue;
		}
		if (!S_ISDIR(st.st_mode)) {
			break;
		}
		if (fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0) {
			return err_set(err, errno, "copy the mode of \"%.200s\"", path);
		}
		return spool_add(&state->times, path, st.st_mtim.tv_sec,
				 (uint32_t)st.st_mtim.tv_nsec, err);
	}
	if (state->options->has_owner && fchown(fd, state->options->uid, state->options->gid) < 0) {
		return err_set(err, errno, "set the owner of \"%.200s\"", path);
	}
	return 0;
}

static int make_implied(void *context, int parent, const char *name, const char *path,
			struct err *err)
{
	struct extraction *state = context;
	int was_whiteout = 0;
	while (mkdirat(parent, name, 0755) < 0) {
		struct stat st;
		if (errno != EEXIST) {
			return err_set(err, errno, "make folder \"%.200s\"", path);
		}
		if (state->options->format != EXTRACT_OVERLAY ||
		    fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !is_whiteout(&st)) {
			return -EEXIST;
		}
		was_whiteout = 1;
		if (unlinkat(parent, name, 0) < 0) {
			return err_set(err, errno, "replace \"%.200s\"", path);
		}
	}
	if (was_whiteout) {
		return extract_mark_opaque(parent, name, err);
	}
	if (state->options->format == EXTRACT_PLAIN) {
		return path_set_add(&state->ours, path, err);
	}
	cleanup_close int fd =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_set(err, errno, "open \"%.200s\"", path)
		      : borrow_attributes(state, fd, path, err);
}

/* Something is at the member's place: removes it. `*was_whiteout` tells what it was. */
static int make_room(struct extraction *state, const struct tar_entry *entry, int parent,
		     const char *name, int *was_whiteout, struct err *err)
{
	struct stat st;
	*was_whiteout = 0;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return errno == ENOENT ? 0 : err_set(err, errno, "look at \"%.200s\"", name);
	}
	int is_directory = entry->type == TAR_DIRECTORY;
	if (state->options->keeps_kind && S_ISDIR(st.st_mode) != is_directory) {
		return err_refuse(err, LAYER_REFUSED,
				  is_directory ? "cannot overwrite non-directory \"%.200s\" with "
						 "directory"
					       : "cannot overwrite directory \"%.200s\" with "
						 "non-directory",
				  name);
	}
	*was_whiteout = state->options->format == EXTRACT_OVERLAY && is_whiteout(&st);
	int result = tree_remove(parent, name, err);
	/* A cached descriptor may be of what is gone; `parent` itself stays. */
	return result;
}

static int write_all(int fd, const uint8_t *data, size_t size, int64_t offset, int is_sparse)
{
	while (size > 0) {
		ssize_t wrote = is_sparse ? RETRY(pwrite(fd, data, size, offset))
					  : RETRY(write(fd, data, size));
		if (wrote < 0) {
			return -errno;
		}
		data += wrote;
		size -= (size_t)wrote;
		offset += wrote;
	}
	return 0;
}

static int write_data(struct tar_reader *reader, const struct tar_entry *entry, int fd,
		      struct err *err)
{
	const uint8_t *data;
	ssize_t got;
	size_t segment = 0;
	int64_t in_segment = 0;
	while ((got = tar_reader_data(reader, &data, err)) > 0) {
		if (!entry->is_sparse) {
			int result = write_all(fd, data, (size_t)got, 0, 0);
			if (result < 0) {
				return err_set(err, -result, "write \"%.200s\"", entry->name);
			}
			continue;
		}
		while (got > 0) {
			const struct tar_segment *place = &entry->segments[segment];
			int64_t part = place->length - in_segment;
			part = part < got ? part : got;
			int result =
				write_all(fd, data, (size_t)part, place->offset + in_segment, 1);
			if (result < 0) {
				return err_set(err, -result, "write \"%.200s\"", entry->name);
			}
			data += part;
			got -= (ssize_t)part;
			in_segment += part;
			if (in_segment == place->length) {
				segment++;
				in_segment = 0;
			}
		}
	}
	if (got == 0 && entry->is_sparse && ftruncate(fd, entry->size) < 0) {
		return err_set(err, errno, "write \"%.200s\"", entry->name);
	}
	return (int)got;
}

static int extract_file(struct extraction *state, struct tar_reader *reader,
			const struct tar_entry *entry, int parent, const char *name,
			struct err *err)
{
	/* Always a new file: nothing is ever written through what was there before. */
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	cleanup_close int fd = openat(parent, name, flags, entry->mode & 0777);
	if (fd < 0 && errno == EEXIST) {
		int ignored;
		int result = make_room(state, entry, parent, name, &ignored, err);
		if (result < 0) {
			return result;
		}
		fd = openat(parent, name, flags, entry->mode & 0777);
	}
	if (fd < 0) {
		return err_set(err, errno, "create \"%.200s\"", entry->name);
	}
	int result = write_data(reader, entry, fd, err);
	if (result < 0 || (result = set_owner(state, entry, fd, parent, name, err)) < 0 ||
	    (result = extract_xattrs(state, entry, fd, parent, name, err)) < 0) {
		return result;
	}
	/* After the owner, which clears set-id bits; the plain bits are already there. */
	int needs_mode = (entry->mode & 07000) != 0 || state->has_default_acl ||
			 state->options->format == EXTRACT_ORDINARY;
	if (needs_mode && fchmod(fd, mode_of(state, entry)) < 0) {
		return err_set(err, errno, "set the mode of \"%.200s\"", entry->name);
	}
	state->result->size += (uint64_t)entry->size;
	return set_times(entry, fd, parent, name, err);
}

static int extract_directory(struct extraction *state, const struct tar_entry *entry, int parent,
			     const char *name, const char *path, struct err *err)
{
	int was_whiteout = 0;
	struct stat st;
	int exists = mkdirat(parent, name, 0700) < 0;
	if (exists && errno != EEXIST) {
		return err_set(err, errno, "make folder \"%.200s\"", entry->name);
	}
	if (exists &&
	    (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))) {
		int result = make_room(state, entry, parent, name, &was_whiteout, err);
		if (result < 0) {
			return result;
		}
		if (mkdirat(parent, name, 0700) < 0) {
			return err_set(err, errno, "make folder \"%.200s\"", entry->name);
		}
	}
	cleanup_close int fd =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		return err_set(err, errno, "open folder \"%.200s\"", entry->name);
	}
	int result = was_whiteout ? extract_mark_opaque(parent, name, err) : 0;
	if (result < 0 || (result = set_owner(state, entry, fd, parent, name, err)) < 0 ||
	    (result = extract_xattrs(state, entry, fd, parent, name, err)) < 0) {
		return result;
	}
	if (fchmod(fd, mode_of(state, entry)) < 0) {
		return err_set(err, errno, "set the mode of \"%.200s\"", entry->name);
	}
	return spool_add(&state->times, path, entry->mtime_sec, entry->mtime_nsec, err);
}

/* Layers are held to `layer_rule`; ordinary archives are read as inside a chroot. */
static enum tree_names name_rule(const struct extraction *state, enum tree_names layer_rule)
{
	const struct extract_options *options = state->options;
	if (options->format != EXTRACT_ORDINARY) {
		return layer_rule;
	}
	return options->prefix == NULL || options->prefix[0] == 0 ? TREE_NAMES_CLAMPED
								  : TREE_NAMES_LEXICAL;
}

static int extract_hard_link(struct extraction *state, const struct tar_entry *entry, int parent,
			     const char *name, struct err *err)
{
	char target[TAR_NAME_SIZE];
	int result =
		tree_clean_name(entry->link, name_rule(state, TREE_NAMES_ABSOLUTE), target, err);
	if (result < 0) {
		return result;
	}
	if (target[0] == 0) {
		return err_refuse(err, LAYER_REFUSED, "hard link \"%.200s\" names no file",
				  entry->name);
	}
	/* Looking the target up moves the cached parent: keep ours. */
	cleanup_close int to = fcntl(parent, F_DUPFD_CLOEXEC, 3);
	if (to < 0) {
		return err_set(err, errno, "link \"%.200s\"", entry->name);
	}
	state->tree.make_directory = NULL;
	const char *target_name;
	int from = extraction_parent(state, target, &target_name, err);
	state->tree.make_directory = make_implied;
	if (from < 0) {
		return err_refuse(err, LAYER_REFUSED,
				  "hard link \"%.200s\" to \"%.200s\", which is not there",
				  entry->name, entry->link);
	}
	struct stat a, b;
	if (fstatat(from, target_name, &a, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(a.st_mode)) {
		return err_refuse(err, LAYER_REFUSED,
				  "hard link \"%.200s\" to \"%.200s\", which is not a file here",
				  entry->name, entry->link);
	}
	if (fstatat(to, name, &b, AT_SYMLINK_NOFOLLOW) == 0) {
		if (a.st_ino == b.st_ino && a.st_dev == b.st_dev) {
			return 0;
		}
		int ignored;
		if ((result = make_room(state, entry, to, name, &ignored, err)) < 0) {
			return result;
		}
	}
	if (linkat(from, target_name, to, name, 0) < 0) {
		return err_set(err, errno, "link \"%.200s\"", entry->name);
	}
	return 0;
}

static int create_node(const struct tar_entry *entry, int parent, const char *name)
{
	switch (entry->type) {
	case TAR_SYMLINK:
		return symlinkat(entry->link, parent, name);
	case TAR_CHAR_DEVICE:
		return mknodat(parent, name, S_IFCHR | entry->mode,
			       makedev(entry->device_major, entry->device_minor));
	case TAR_BLOCK_DEVICE:
		return mknodat(parent, name, S_IFBLK | entry->mode,
			       makedev(entry->device_major, entry->device_minor));
	default:
		return mknodat(parent, name, S_IFIFO | entry->mode, 0);
	}
}

/* Symbolic links, devices and fifos. */
static int extract_node(struct extraction *state, const struct tar_entry *entry, int parent,
			const char *name, struct err *err)
{
	if (entry->type == TAR_SYMLINK && entry->link[0] == 0) {
		return err_refuse(err, LAYER_REFUSED, "symbolic link \"%.200s\" names no file",
				  entry->name);
	}
	if (create_node(entry, parent, name) < 0) {
		int ignored;
		int result = errno == EEXIST
				     ? make_room(state, entry, parent, name, &ignored, err)
				     : err_set(err, errno, "create \"%.200s\"", entry->name);
		if (result < 0) {
			return result;
		}
		if (create_node(entry, parent, name) < 0) {
			return err_set(err, errno, "create \"%.200s\"", entry->name);
		}
	}
	int result = set_owner(state, entry, -1, parent, name, err);
	if (result < 0 || (result = extract_xattrs(state, entry, -1, parent, name, err)) < 0) {
		return result;
	}
	/* A container may swap the node for a link meanwhile: it leads nowhere but into the root.
	 */
	if (entry->type != TAR_SYMLINK && fchmodat(parent, name, mode_of(state, entry), 0) < 0) {
		return err_set(err, errno, "set the mode of \"%.200s\"", entry->name);
	}
	return set_times(entry, -1, parent, name, err);
}

/* The member "./": attributes of the target directory itself. */
static int extract_root(struct extraction *state, const struct tar_entry *entry, struct err *err)
{
	if (entry->type != TAR_DIRECTORY) {
		return err_refuse(err, LAYER_REFUSED, "the archive replaces its own root");
	}
	char full[TAR_NAME_SIZE];
	int result = full_path(state, "", full, err);
	if (result < 0) {
		return result;
	}
	/* An ordinary archive goes into a directory that is somebody's already. */
	if (state->options->format == EXTRACT_ORDINARY) {
		return 0;
	}
	cleanup_close int fd = tree_open(state->tree.root, full, O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		return err_set(err, -fd, "open the root");
	}
	if ((result = set_owner(state, entry, fd, -1, ".", err)) < 0 ||
	    (result = extract_xattrs(state, entry, fd, -1, ".", err)) < 0) {
		return result;
	}
	if (fchmod(fd, mode_of(state, entry)) < 0) {
		return err_set(err, errno, "set the mode of the root");
	}
	return spool_add(&state->times, "", entry->mtime_sec, entry->mtime_nsec, err);
}

static int extract_member(struct extraction *state, struct tar_reader *reader,
			  const struct tar_entry *entry, struct err *err)
{
	char path[TAR_NAME_SIZE];
	int result = tree_clean_name(entry->name, name_rule(state, TREE_NAMES_STRICT), path, err);
	if (result < 0) {
		return result;
	}
	if (path[0] == 0) {
		return extract_root(state, entry, err);
	}
	result = extract_whiteout(state, path, err);
	if (result != 0) {
		return result < 0 ? result : 0;
	}
	const char *name;
	int parent = extraction_parent(state, path, &name, err);
	if (parent < 0) {
		return parent;
	}
	switch (entry->type) {
	case TAR_FILE:
		result = extract_file(state, reader, entry, parent, name, err);
		break;
	case TAR_DIRECTORY:
		result = extract_directory(state, entry, parent, name, path, err);
		break;
	case TAR_HARD_LINK:
		result = extract_hard_link(state, entry, parent, name, err);
		break;
	default:
		result = extract_node(state, entry, parent, name, err);
	}
	/* Replacing a directory or a link changes what paths mean. */
	if (entry->type != TAR_FILE && entry->type != TAR_DIRECTORY) {
		tree_forget(&state->tree);
	}
	if (result == 0 && state->options->format == EXTRACT_PLAIN) {
		result = path_set_add_all(&state->ours, path, err);
	}
	return result;
}

/* Last of all, since every file written into a directory changes its time. */
static int apply_directory_times(struct extraction *state, struct err *err)
{
	struct spool_item *item = malloc(sizeof(*item));
	int result = item == NULL ? err_set(err, ENOMEM, "set directory times")
				  : spool_rewind(&state->times, err);
	state->tree.make_directory = NULL;
	while (result == 0 && (result = spool_next(&state->times, item, err)) > 0) {
		char full[TAR_NAME_SIZE];
		if ((result = full_path(state, item->path, full, err)) < 0) {
			break;
		}
		struct timespec times[2] = {{.tv_sec = item->sec, .tv_nsec = item->nsec},
					    {.tv_sec = item->sec, .tv_nsec = item->nsec}};
		/* What is no directory any more has the time of what replaced it. */
		cleanup_close int fd =
			tree_open(state->tree.root, full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (fd >= 0 && futimens(fd, times) < 0) {
			result = err_set(err, errno, "set the time of \"%.200s\"", full);
		}
	}
	free(item);
	return result;
}

int extract(struct tar_reader *reader, const struct extract_options *options,
	    struct extract_result *result, struct err *err)
{
	struct extraction *state = calloc(1, sizeof(*state));
	if (state == NULL) {
		return err_set(err, ENOMEM, "unpack");
	}
	memset(result, 0, sizeof(*result));
	state->options = options;
	state->result = result;
	tree_init(&state->tree, options->root);
	state->tree.make_directory = make_implied;
	state->tree.context = state;
	spool_init(&state->times, options->format == EXTRACT_ORDINARY ? -1 : options->root);
	mode_t mask = umask(0);
	const struct tar_entry *entry;
	int status;
	while ((status = tar_reader_next(reader, &entry, err)) > 0) {
		result->entries++;
		if (options->max_entries > 0 && result->entries > options->max_entries) {
			status = err_refuse(err, LAYER_REFUSED,
					    "the archive has more than %llu members",
					    (unsigned long long)options->max_entries);
		} else {
			status = extract_member(state, reader, entry, err);
		}
		if (status < 0) {
			break;
		}
		if (options->progress != NULL) {
			options->progress(options->progress_context);
		}
	}
	if (status == 0) {
		status = apply_directory_times(state, err);
	}
	umask(mask);
	spool_close(&state->times);
	tree_close(&state->tree);
	free(state->ours.slots);
	free(state);
	return status;
}
