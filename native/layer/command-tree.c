/* changes, init, read, stat, du, copy, remove: work inside trees. */
#include "layer/commands.h"

#include "common/cleanup.h"
#include "layer/args.h"
#include "layer/compare.h"
#include "layer/copy-tree.h"
#include "layer/init.h"
#include "layer/json.h"
#include "layer/links.h"
#include "layer/names.h"
#include "layer/overlay-mount.h"
#include "layer/pack.h"
#include "layer/source.h"
#include "layer/tree.h"

#include <fcntl.h>
#include <string.h>

int open_directory(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int code = errno == ENOENT ? LAYER_MISSING : errno;
		return err_refuse(err, code, "open %s: %s", path, strerror(errno));
	}
	return fd;
}

/* The merged tree below: one directory, or overlay layers; -1 when there is none. */
static int open_base(const char *base_path, const struct arg_list *lowers, int *base,
		     struct err *err)
{
	*base = -1;
	if (base_path != NULL) {
		*base = open_directory(base_path, err);
		return *base < 0 ? *base : 0;
	}
	if (lowers->count == 0) {
		return 0;
	}
	struct overlay_options options = {.lowers = lowers->items, .lower_count = lowers->count};
	*base = overlay_open(&options, err);
	return *base < 0 ? *base : 0;
}

static int enter_folder(const char *path, struct err *err)
{
	return path != NULL && chdir(path) < 0 ? err_set(err, errno, "enter %s", path) : 0;
}

/* One record: digit of the kind, absolute path, NUL. */
static int print_change(void *context, const struct change *change, struct err *err)
{
	FILE *out = context;
	if (fprintf(out, "%d/%s", (int)change->kind, change->path) < 0 || putc(0, out) == EOF) {
		return err_set(err, errno, "write the list");
	}
	return 0;
}

int command_changes(int argc, char **argv, struct err *err)
{
	const char *upper = NULL, *base_path = NULL, *folder = NULL;
	static struct arg_list lowers;
	struct compare_options options = {.visit = print_change, .context = stdout};
	const struct arg args[] = {
		{"cwd", ARG_TEXT, &folder, 0},
		{"upper", ARG_TEXT, &upper, 1},
		{"lower", ARG_LIST, &lowers, 0},
		{"base", ARG_TEXT, &base_path, 0},
		{"plain", ARG_FLAG, &options.hides_init, 0},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	if (result < 0 || (result = enter_folder(folder, err)) < 0) {
		return result;
	}
	cleanup_close int upper_fd = open_directory(upper, err);
	cleanup_close int base = -1;
	if (upper_fd < 0 || (result = open_base(base_path, &lowers, &base, err)) < 0) {
		return upper_fd < 0 ? upper_fd : result;
	}
	options.is_overlay = !options.hides_init;
	options.upper = upper_fd;
	options.base = base;
	result = compare_trees(&options, err);
	if (result == 0 && fflush(stdout) != 0) {
		return err_set(err, errno, "write the list");
	}
	return result;
}

int command_init(int argc, char **argv, struct err *err)
{
	const char *target = NULL, *base_path = NULL, *folder = NULL;
	static struct arg_list lowers;
	const struct arg args[] = {
		{"cwd", ARG_TEXT, &folder, 0},
		{"target", ARG_TEXT, &target, 1},
		{"lower", ARG_LIST, &lowers, 0},
		{"base", ARG_TEXT, &base_path, 0},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	if (result < 0 || (result = enter_folder(folder, err)) < 0) {
		return result;
	}
	cleanup_close int root = open_directory(target, err);
	cleanup_close int base = -1;
	if (root < 0 || (result = open_base(base_path, &lowers, &base, err)) < 0) {
		return root < 0 ? root : result;
	}
	return init_make(root, base, err);
}

/*
 * Splits a path inside a root into its folder (opened) and last component. A trailing slash or "/."
 * follows a link at the end: then `*name` is ".".
 */
static int resolve(int root, const char *path, char *name, size_t name_size, struct err *err)
{
	char folder[TAR_NAME_SIZE];
	size_t length = strlen(path);
	if (length >= sizeof(folder)) {
		return err_refuse(err, LAYER_MISSING, "the path is too long");
	}
	strcpy(folder, path);
	char *slash = strrchr(folder, '/');
	const char *last = slash != NULL ? slash + 1 : folder;
	if (last[0] == 0 || strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
		last = ".";
	} else if (slash != NULL) {
		*slash = 0;
	}
	if (strlen(last) >= name_size) {
		return err_refuse(err, LAYER_MISSING, "no such path: %.300s", path);
	}
	strcpy(name, last);
	const char *relative = slash == NULL && strcmp(last, ".") != 0 ? "" : folder;
	relative += strspn(relative, "/");
	int fd = tree_open(root, relative, O_PATH | O_DIRECTORY);
	struct stat st;
	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int code = fd < 0 ? -fd : errno;
		if (fd >= 0) {
			close(fd);
		}
		return code == ENOENT || code == ENOTDIR || code == ELOOP
			       ? err_refuse(err, LAYER_MISSING, "no such path: %.300s", path)
			       : err_set(err, code, "open %.300s", path);
	}
	return fd;
}

int command_read(int argc, char **argv, struct err *err)
{
	const char *root_path = NULL, *path = NULL, *archive_name = NULL;
	const struct arg args[] = {
		{"root", ARG_TEXT, &root_path, 1},
		{"path", ARG_TEXT, &path, 1},
		{"name", ARG_TEXT, &archive_name, 0},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	cleanup_close int root = result < 0 ? -1 : open_directory(root_path, err);
	if (root < 0 || (result = tree_enter(root, err)) < 0) {
		return root < 0 && result == 0 ? root : result;
	}
	char name[256];
	cleanup_close int parent = resolve(root, path, name, sizeof(name), err);
	struct packer *packer;
	if (parent < 0 || (result = packer_new(&packer, 1, err)) < 0) {
		return parent < 0 ? parent : result;
	}
	result = pack_tree(packer, parent, name, archive_name != NULL ? archive_name : name, err);
	if (result == 0) {
		result = packer_end(packer, err);
	}
	packer_free(packer);
	return result;
}

/* Where the link leads inside the root, links followed; where nothing is there, by its text. */
static void link_target(int root, int proc_fds, const char *path, char *out, size_t size)
{
	const char *relative = path + strspn(path, "/");
	cleanup_close int fd = tree_open(root, relative, O_PATH);
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	ssize_t length = fd < 0 || proc_fds < 0 ? -1 : readlinkat(proc_fds, number, out, size - 1);
	if (length > 0) {
		out[length] = 0;
		return;
	}
	char folder[TAR_NAME_SIZE], target[TAR_NAME_SIZE];
	snprintf(folder, sizeof(folder), "%s", relative);
	char *slash = strrchr(folder, '/');
	const char *name = slash != NULL ? slash + 1 : relative;
	folder[slash != NULL ? slash - folder : 0] = 0;
	cleanup_close int parent = tree_open(root, folder, O_PATH | O_DIRECTORY);
	length = parent < 0 ? -1 : readlinkat(parent, name, target, sizeof(target) - 1);
	out[0] = 0;
	if (length > 0) {
		target[length] = 0;
		tree_join(folder, target, out, size);
	}
}

int command_stat(int argc, char **argv, struct err *err)
{
	const char *root_path = NULL, *path = NULL;
	const struct arg args[] = {
		{"root", ARG_TEXT, &root_path, 1},
		{"path", ARG_TEXT, &path, 1},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	cleanup_close int root = result < 0 ? -1 : open_directory(root_path, err);
	/* The root may have no /proc; this one shows names as they are inside it. */
	cleanup_close int proc_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || (result = tree_enter(root, err)) < 0) {
		return root < 0 && result == 0 ? root : result;
	}
	char name[256];
	cleanup_close int parent = resolve(root, path, name, sizeof(name), err);
	struct stat st;
	if (parent < 0) {
		return parent;
	}
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return err_set(err, errno, "look at %.300s", path);
	}
	char target[TAR_NAME_SIZE] = "";
	if (S_ISLNK(st.st_mode)) {
		link_target(root, proc_fds, path, target, sizeof(target));
	}
	struct json json;
	json_begin(&json, stdout);
	json_text(&json, "name", name);
	json_number(&json, "size", st.st_size);
	json_number(&json, "mode", st.st_mode);
	json_big(&json, "mtimeSec", st.st_mtim.tv_sec);
	json_number(&json, "mtimeNsec", st.st_mtim.tv_nsec);
	json_text(&json, "linkTarget", target);
	json_end(&json);
	return 0;
}

struct usage {
	struct link_table links;
	uint64_t bytes, files;
	int depth;
	struct err *err;
};

/* Deeper trees are counted down to here: the depth is the container's choice, the memory ours. */
#define USAGE_DEPTH_MAX 1024

static int add_usage(struct usage *usage, int directory)
{
	cleanup_names struct names names = {0};
	int result = names_read(&names, directory, usage->err);
	for (size_t i = 0; result == 0 && i < names.count; i++) {
		struct stat st;
		if (fstatat(directory, names.list[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			cleanup_close int fd =
				openat(directory, names.list[i],
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (fd >= 0 && usage->depth < USAGE_DEPTH_MAX) {
				usage->depth++;
				result = add_usage(usage, fd);
				usage->depth--;
			}
			continue;
		}
		const char *first = NULL;
		if (st.st_nlink > 1 && st.st_size > 0) {
			int found = link_table_find(&usage->links, &st, "x", &first);
			result = found < 0 ? err_set(usage->err, -found, "count") : 0;
		}
		if (first == NULL) {
			usage->bytes += (uint64_t)st.st_size;
			usage->files++;
		}
	}
	return result;
}

static int add_change(void *context, const struct change *change, struct err *err)
{
	struct usage *usage = context;
	const struct stat *st = change->st;
	const char *first = NULL;
	if (st == NULL || S_ISDIR(st->st_mode)) {
		return 0;
	}
	if (st->st_nlink > 1 && link_table_find(&usage->links, st, "x", &first) < 0) {
		return err_set(err, ENOMEM, "count");
	}
	if (first == NULL) {
		usage->bytes += (uint64_t)st->st_size;
		usage->files++;
	}
	return 0;
}

int command_du(int argc, char **argv, struct err *err)
{
	const char *path = NULL, *base_path = NULL;
	const struct arg args[] = {{"path", ARG_TEXT, &path, 1}, {"base", ARG_TEXT, &base_path, 0}};
	int result = args_parse(argc, argv, args, 2, err);
	cleanup_close int fd = result < 0 ? -1 : open_directory(path, err);
	cleanup_close int base = fd < 0 || base_path == NULL ? -1 : open_directory(base_path, err);
	if (fd < 0 || (base_path != NULL && base < 0)) {
		return result < 0 ? result : -err->code;
	}
	struct usage usage = {.err = err};
	struct compare_options options = {
		.upper = fd, .base = base, .hides_init = 1, .visit = add_change, .context = &usage};
	result = base < 0 ? add_usage(&usage, fd) : compare_trees(&options, err);
	link_table_free(&usage.links);
	if (result == 0) {
		struct json json;
		json_begin(&json, stdout);
		json_number(&json, "bytes", (int64_t)usage.bytes);
		json_number(&json, "files", (int64_t)usage.files);
		json_end(&json);
	}
	return result;
}

int command_copy(int argc, char **argv, struct err *err)
{
	const char *from = NULL, *to = NULL;
	const struct arg args[] = {{"from", ARG_TEXT, &from, 1}, {"to", ARG_TEXT, &to, 1}};
	int result = args_parse(argc, argv, args, 2, err);
	cleanup_close int from_fd = result < 0 ? -1 : open_directory(from, err);
	cleanup_close int to_fd = from_fd < 0 ? -1 : open_directory(to, err);
	return result < 0 ? result : to_fd < 0 ? -err->code : copy_tree(from_fd, to_fd, err);
}

int command_remove(int argc, char **argv, struct err *err)
{
	const char *path = NULL;
	const struct arg args[] = {{"path", ARG_TEXT, &path, 1}};
	int result = args_parse(argc, argv, args, 1, err);
	char folder[TAR_NAME_SIZE];
	if (result < 0 || strlen(path) >= sizeof(folder)) {
		return result < 0 ? result : err_set(err, ENAMETOOLONG, "remove");
	}
	strcpy(folder, path);
	char *slash = strrchr(folder, '/');
	if (slash == NULL || slash[1] == 0) {
		return err_refuse(err, ARGS_WRONG,
				  "--path is absolute, without a slash at its end");
	}
	slash[slash == folder] = 0;
	cleanup_close int parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0) {
		return errno == ENOENT ? 0 : err_set(err, errno, "open %s", folder);
	}
	return tree_remove(parent, strrchr(path, '/') + 1, err);
}
