#include "layer/extract-state.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static uint64_t hash_of(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	for (; *path != 0; path++) {
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3ULL;
	}
	hash ^= hash >> 29;
	return hash == 0 ? 1 : hash;
}

static void insert(struct path_set *set, uint64_t hash)
{
	size_t at = (size_t)hash & (set->capacity - 1);
	while (set->slots[at] != 0 && set->slots[at] != hash) {
		at = (at + 1) & (set->capacity - 1);
	}
	set->count += set->slots[at] == 0;
	set->slots[at] = hash;
}

int path_set_add(struct path_set *set, const char *path, struct err *err)
{
	if (2 * (set->count + 1) > set->capacity) {
		struct path_set larger = {.capacity =
						  set->capacity == 0 ? 1024 : 2 * set->capacity};
		larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
		if (larger.slots == NULL) {
			return err_set(err, ENOMEM, "keep names");
		}
		for (size_t i = 0; i < set->capacity; i++) {
			if (set->slots[i] != 0) {
				insert(&larger, set->slots[i]);
			}
		}
		free(set->slots);
		*set = larger;
	}
	insert(set, hash_of(path));
	return 0;
}

int path_set_add_all(struct path_set *set, const char *path, struct err *err)
{
	char folder[TAR_NAME_SIZE];
	int result = path_set_add(set, path, err);
	for (size_t i = 0; result == 0 && path[i] != 0; i++) {
		folder[i] = path[i];
		if (path[i + 1] == '/') {
			folder[i + 1] = 0;
			result = path_set_add(set, folder, err);
		}
	}
	return result;
}

int path_set_has(const struct path_set *set, const char *path)
{
	if (set->capacity == 0) {
		return 0;
	}
	uint64_t hash = hash_of(path);
	size_t at = (size_t)hash & (set->capacity - 1);
	while (set->slots[at] != 0 && set->slots[at] != hash) {
		at = (at + 1) & (set->capacity - 1);
	}
	return set->slots[at] == hash;
}

int extract_mark_opaque(int parent, const char *name, struct err *err)
{
	cleanup_close int fd =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0) {
		return err_set(err, errno, "mark \"%.200s\" as opaque", name);
	}
	return 0;
}

static int hide_overlay(int parent, const char *name, struct err *err)
{
	if (mknodat(parent, name, S_IFCHR, makedev(0, 0)) == 0) {
		return 0;
	}
	/* What this layer itself put there hides the lower one already, but a directory merges. */
	struct stat st;
	if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return err_set(err, errno, "hide \"%.200s\"", name);
	}
	return S_ISDIR(st.st_mode) ? extract_mark_opaque(parent, name, err) : 0;
}

static int remove_foreign(struct extraction *state, int parent, const char *name, const char *path,
			  struct err *err);

static int remove_foreign_below(struct extraction *state, int parent, const char *name,
				const char *path, struct err *err)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_dir DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (stream == NULL) {
		return errno == ENOTDIR || errno == ELOOP ? 0
							  : err_set(err, errno, "list a folder");
	}
	for (const struct dirent *item; (item = readdir(stream)) != NULL;) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) {
			continue;
		}
		char below[TAR_NAME_SIZE];
		int size = snprintf(below, sizeof(below), "%s%s%s", path, path[0] == 0 ? "" : "/",
				    item->d_name);
		if (size < 0 || (size_t)size >= sizeof(below)) {
			return err_set(err, ENAMETOOLONG, "remove \"%.200s\"", path);
		}
		int result = remove_foreign(state, fd, item->d_name, below, err);
		if (result < 0) {
			return result;
		}
	}
	return 0;
}

/* Removes what this layer did not write. */
static int remove_foreign(struct extraction *state, int parent, const char *name, const char *path,
			  struct err *err)
{
	if (!path_set_has(&state->ours, path)) {
		return tree_remove(parent, name, err);
	}
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)) {
		return 0;
	}
	return remove_foreign_below(state, parent, name, path, err);
}

static int hide_below(struct extraction *state, const char *path, struct err *err)
{
	/* `path` is that of the marker; its folder is made when the archive only implies it. */
	const char *marker;
	int folder = extraction_parent(state, path, &marker, err);
	if (folder < 0) {
		return folder;
	}
	if (state->options->format == EXTRACT_OVERLAY) {
		return extract_mark_opaque(folder, ".", err);
	}
	char directory[TAR_NAME_SIZE];
	size_t length = (size_t)(marker - path);
	memcpy(directory, path, length);
	directory[length > 0 ? length - 1 : 0] = 0;
	cleanup_close int held = fcntl(folder, F_DUPFD_CLOEXEC, 3);
	tree_forget(&state->tree);
	if (held < 0) {
		return err_set(err, errno, "remove below \"%.200s\"", directory);
	}
	return remove_foreign_below(state, held, ".", directory, err);
}

int extract_whiteout(struct extraction *state, const char *path, struct err *err)
{
	if (state->options->format == EXTRACT_ORDINARY) {
		return 0;
	}
	/* Inside folders of union file systems long gone (".wh..wh.plnk") nothing is meant. */
	const char *last = path;
	for (const char *at = path; at != NULL; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, WHITEOUT_META_PREFIX, strlen(WHITEOUT_META_PREFIX)) == 0 &&
		    strcmp(at, WHITEOUT_OPAQUE) != 0) {
			return 1;
		}
		last = at;
	}
	if (strcmp(last, WHITEOUT_OPAQUE) == 0) {
		int result = hide_below(state, path, err);
		return result < 0 ? result : 1;
	}
	if (strncmp(last, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) != 0) {
		return 0;
	}
	const char *hidden = last + strlen(WHITEOUT_PREFIX);
	if (hidden[0] == 0 || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0) {
		return err_refuse(err, LAYER_REFUSED, "the whiteout \"%.200s\" names no file",
				  path);
	}
	const char *name;
	int parent = extraction_parent(state, path, &name, err);
	if (parent < 0) {
		return parent;
	}
	int result;
	if (state->options->format == EXTRACT_OVERLAY) {
		result = hide_overlay(parent, hidden, err);
	} else {
		char target[TAR_NAME_SIZE];
		size_t length = (size_t)(last - path);
		memcpy(target, path, length);
		strcpy(target + length, hidden);
		result = remove_foreign(state, parent, hidden, target, err);
	}
	tree_forget(&state->tree);
	return result < 0 ? result : 1;
}
