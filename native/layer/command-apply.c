/* apply, commit, write: archives into trees. */
#include "layer/commands.h"

#include "common/cleanup.h"
#include "layer/args.h"
#include "layer/compare.h"
#include "layer/extract.h"
#include "layer/json.h"
#include "layer/pack.h"
#include "layer/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

/* How far a stream has been read is told in steps of at least this many bytes. */
#define PROGRESS_STEP (1024 * 1024)

struct progress {
	struct stream *stream;
	uint64_t told;
};

static void tell_progress(void *context)
{
	struct progress *progress = context;
	uint64_t now = stream_bytes_read(progress->stream);
	if (now - progress->told >= PROGRESS_STEP) {
		progress->told = now;
		struct json json;
		json_begin(&json, stdout);
		json_number(&json, "read", (int64_t)now);
		json_end(&json);
	}
}

struct unpack {
	struct stream_options stream;
	struct extract_options extract;
	int wants_progress;
};

/* Unpacks the stream and reports on standard output. The process is chrooted already. */
static int unpack(struct unpack *options, struct err *err)
{
	struct stream *stream;
	struct tar_reader *reader;
	struct extract_result done;
	int result = stream_open(&stream, &options->stream, err);
	if (result < 0) {
		return result;
	}
	struct progress progress = {.stream = stream};
	if (options->wants_progress) {
		options->extract.progress = tell_progress;
		options->extract.progress_context = &progress;
	}
	result = tar_reader_new(&reader, stream_source(stream), err);
	if (result == 0) {
		result = extract(reader, &options->extract, &done, err);
		tar_reader_free(reader);
	}
	if (result < 0) {
		/* The reading thread may wait for input that never comes: the process ends instead.
		 */
		return result;
	}
	char hex[SHA256_HEX_SIZE];
	char digest[SHA256_HEX_SIZE + 8] = "sha256:";
	uint64_t bytes = stream_result(stream, options->stream.wants_hash ? hex : NULL);
	struct json json;
	json_begin(&json, stdout);
	if (options->stream.wants_hash) {
		memcpy(digest + 7, hex, sizeof(hex));
		json_text(&json, "diffId", digest);
	}
	json_number(&json, "size", (int64_t)done.size);
	json_number(&json, "tarSize", (int64_t)bytes);
	json_number(&json, "entries", (int64_t)done.entries);
	json_number(&json, "skippedXattrs", (int64_t)done.skipped_xattrs);
	json_end(&json);
	stream_free(stream);
	return 0;
}

static int parse_format(const char *text, enum extract_format *format, struct err *err)
{
	if (strcmp(text, "overlay") == 0) {
		*format = EXTRACT_OVERLAY;
	} else if (strcmp(text, "plain") == 0) {
		*format = EXTRACT_PLAIN;
	} else {
		return err_refuse(err, ARGS_WRONG, "--format is \"overlay\" or \"plain\"");
	}
	return 0;
}

/* Opens the layers below; their number is bounded by the command line. */
static int open_lowers(const struct arg_list *names, int *fds, struct err *err)
{
	for (size_t i = 0; i < names->count; i++) {
		fds[i] = open(names->items[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[i] < 0) {
			return err_set(err, errno, "open %s", names->items[i]);
		}
	}
	return 0;
}

int command_apply(int argc, char **argv, struct err *err)
{
	const char *target = NULL, *format = NULL;
	static struct arg_list lowers;
	static int lower_fds[ARGS_LIST_MAX];
	struct unpack options = {.stream = {.fd = 0, .wants_hash = 1}};
	const struct arg args[] = {
		{"target", ARG_TEXT, &target, 1},
		{"format", ARG_TEXT, &format, 1},
		{"lower", ARG_LIST, &lowers, 0},
		{"gzip", ARG_FLAG, &options.stream.is_gzip, 0},
		{"progress", ARG_FLAG, &options.wants_progress, 0},
		{"max-bytes", ARG_NUMBER, &options.stream.max_bytes, 0},
		{"max-entries", ARG_NUMBER, &options.extract.max_entries, 0},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	if (result < 0 || (result = parse_format(format, &options.extract.format, err)) < 0 ||
	    (result = open_lowers(&lowers, lower_fds, err)) < 0) {
		return result;
	}
	cleanup_close int root = open_directory(target, err);
	if (root < 0 || (result = tree_enter(root, err)) < 0) {
		return root < 0 ? root : result;
	}
	options.extract.root = root;
	options.extract.lowers = lower_fds;
	options.extract.lower_count = lowers.count;
	return unpack(&options, err);
}

/* Resolves a directory inside the root; the process is chrooted there. */
static int check_prefix(int root, const char *prefix, struct err *err)
{
	cleanup_close int fd = tree_open(root, prefix, O_PATH);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		return fd == -ENOENT || fd == -ENOTDIR
			       ? err_refuse(err, LAYER_MISSING, "no such folder: /%s", prefix)
			       : err_set(err, fd < 0 ? -fd : errno, "open /%s", prefix);
	}
	return S_ISDIR(st.st_mode) ? 0 : err_refuse(err, LAYER_REFUSED, "/%s is no folder", prefix);
}

static int parse_owner(const char *text, struct extract_options *options, struct err *err)
{
	char *end;
	unsigned long uid = strtoul(text, &end, 10);
	unsigned long gid = *end == ':' ? strtoul(end + 1, &end, 10) : UINT32_MAX;
	if (*end != 0 || uid >= UINT32_MAX || gid >= UINT32_MAX) {
		return err_refuse(err, ARGS_WRONG, "--owner is UID:GID");
	}
	options->has_owner = 1;
	options->uid = (uint32_t)uid;
	options->gid = (uint32_t)gid;
	return 0;
}

static int parse_mode(const char *text, struct extract_options *options, struct err *err)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);
	if (end == text || *end != 0 || mode > 07777) {
		return err_refuse(err, ARGS_WRONG, "--mode is an octal number");
	}
	options->has_mode = 1;
	options->mode = (uint32_t)mode;
	return 0;
}

int command_write(int argc, char **argv, struct err *err)
{
	const char *root_path = NULL, *path = NULL, *owner = NULL, *mode = NULL;
	char prefix[TAR_NAME_SIZE];
	struct unpack options = {.stream = {.fd = 0}};
	const struct arg args[] = {
		{"root", ARG_TEXT, &root_path, 1},
		{"path", ARG_TEXT, &path, 1},
		{"owner", ARG_TEXT, &owner, 0},
		{"mode", ARG_TEXT, &mode, 0},
		{"gzip", ARG_FLAG, &options.stream.is_gzip, 0},
		{"keep-kinds", ARG_FLAG, &options.extract.keeps_kind, 0},
		{"max-bytes", ARG_NUMBER, &options.stream.max_bytes, 0},
		{"max-entries", ARG_NUMBER, &options.extract.max_entries, 0},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	if (result < 0 ||
	    (owner != NULL && (result = parse_owner(owner, &options.extract, err)) < 0) ||
	    (mode != NULL && (result = parse_mode(mode, &options.extract, err)) < 0)) {
		return result;
	}
	cleanup_close int root = open_directory(root_path, err);
	/* ".." is left to the kernel, which keeps it inside the root. */
	size_t length = strlen(path);
	if (root < 0 || length >= sizeof(prefix)) {
		return root < 0 ? root : err_set(err, ENAMETOOLONG, "open the folder");
	}
	path += strspn(path, "/");
	strcpy(prefix, path);
	for (length = strlen(prefix); length > 0 && prefix[length - 1] == '/'; length--) {
		prefix[length - 1] = 0;
	}
	if ((result = tree_enter(root, err)) < 0 ||
	    (result = check_prefix(root, prefix, err)) < 0) {
		return result;
	}
	options.extract.format = EXTRACT_ORDINARY;
	options.extract.root = root;
	options.extract.prefix = prefix;
	return unpack(&options, err);
}

struct commit {
	struct packer *packer;
};

static int pack_change(void *context, const struct change *change, struct err *err)
{
	struct commit *commit = context;
	if (change->kind != CHANGE_DELETED) {
		return strncmp(change->name, ".wh.", 4) == 0
			       ? 0
			       : packer_add(commit->packer, change->parent, change->name,
					    change->st, change->path, err);
	}
	char marker[TAR_NAME_SIZE + 8];
	size_t folder = strlen(change->path) - strlen(change->name);
	snprintf(marker, sizeof(marker), "%.*s.wh.%s", (int)folder, change->path, change->name);
	return packer_add_marker(commit->packer, marker, err);
}

/* Writes the layer of a writable tree: `base` -1 for an overlay's upper directory. */
static int write_layer(int upper, int base, int hides_init, int fd, struct err *err)
{
	struct commit commit;
	int result = packer_new(&commit.packer, fd, err);
	if (result < 0) {
		return result;
	}
	if (base < 0) {
		result = pack_overlay(commit.packer, upper, err);
	} else {
		struct compare_options options = {
			.upper = upper,
			.base = base,
			.hides_init = hides_init,
			.visit = pack_change,
			.context = &commit,
		};
		result = compare_trees(&options, err);
	}
	if (result == 0) {
		result = packer_end(commit.packer, err);
	}
	packer_free(commit.packer);
	return result;
}

int command_diff(int argc, char **argv, struct err *err)
{
	const char *upper_path = NULL, *base_path = NULL;
	int hides_init = 0;
	const struct arg args[] = {
		{"upper", ARG_TEXT, &upper_path, 1},
		{"base", ARG_TEXT, &base_path, 0},
		{"hide-init", ARG_FLAG, &hides_init, 0},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	if (result < 0) {
		return result;
	}
	cleanup_close int upper = open_directory(upper_path, err);
	cleanup_close int base =
		base_path != NULL && upper >= 0 ? open_directory(base_path, err) : -1;
	if (upper < 0 || (base_path != NULL && base < 0)) {
		return upper < 0 ? upper : base;
	}
	return write_layer(upper, base, hides_init, 1, err);
}

int command_commit(int argc, char **argv, struct err *err)
{
	const char *upper_path = NULL, *base_path = NULL, *target = NULL;
	int hides_init = 0;
	const struct arg args[] = {
		{"upper", ARG_TEXT, &upper_path, 1},
		{"base", ARG_TEXT, &base_path, 0},
		{"hide-init", ARG_FLAG, &hides_init, 0},
		{"target", ARG_TEXT, &target, 1},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	if (result < 0) {
		return result;
	}
	cleanup_close int upper = open_directory(upper_path, err);
	cleanup_close int base =
		base_path != NULL && upper >= 0 ? open_directory(base_path, err) : -1;
	cleanup_close int root = open_directory(target, err);
	int ends[2];
	if (upper < 0 || root < 0 || (base_path != NULL && base < 0)) {
		return -err->code;
	}
	if (pipe2(ends, O_CLOEXEC) < 0) {
		return err_set(err, errno, "make a pipe");
	}
	pid_t child = fork();
	if (child == 0) {
		struct err failure = {0};
		close(ends[0]);
		result = write_layer(upper, base, hides_init, ends[1], &failure);
		if (result < 0) {
			fprintf(stderr, "gantry-layer: %s\n", failure.message);
		}
		_exit(result < 0 ? 1 : 0);
	}
	close(ends[1]);
	if (child < 0 || (result = tree_enter(root, err)) < 0) {
		return child < 0 ? err_set(err, errno, "fork") : result;
	}
	struct unpack options = {.stream = {.fd = ends[0], .wants_hash = 1}};
	options.extract.format = base_path != NULL ? EXTRACT_PLAIN : EXTRACT_OVERLAY;
	options.extract.root = root;
	result = unpack(&options, err);
	close(ends[0]);
	int status;
	if (RETRY(waitpid(child, &status, 0)) < 0 || status != 0) {
		return result < 0 ? result : err_refuse(err, EIO, "the changes cannot be read");
	}
	return result;
}
