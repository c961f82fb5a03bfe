/* mount, unmount, probe, sync: the file systems themselves. */
#include "layer/commands.h"

#include "common/cleanup.h"
#include "layer/args.h"
#include "layer/json.h"
#include "layer/overlay-mount.h"

#include <fcntl.h>
#include <unistd.h>

int command_mount(int argc, char **argv, struct err *err)
{
	const char *folder = NULL, *target = NULL;
	static struct arg_list lowers;
	struct overlay_options options = {.lowers = lowers.items};
	const struct arg args[] = {
		{"cwd", ARG_TEXT, &folder, 1},		{"lower", ARG_LIST, &lowers, 0},
		{"upper", ARG_TEXT, &options.upper, 0}, {"work", ARG_TEXT, &options.work, 0},
		{"target", ARG_TEXT, &target, 1},
	};
	int result = args_parse(argc, argv, args, sizeof(args) / sizeof(args[0]), err);
	if (result < 0) {
		return result;
	}
	if (lowers.count == 0 || (options.upper == NULL) != (options.work == NULL)) {
		return err_refuse(err, ARGS_WRONG,
				  "--lower, or one of --upper and --work, is missing");
	}
	if (chdir(folder) < 0) {
		return err_set(err, errno, "enter %s", folder);
	}
	options.lower_count = lowers.count;
	int is_mounted = is_mount_point(target);
	if (is_mounted < 0) {
		return err_set(err, -is_mounted, "look at %s", target);
	}
	if (!is_mounted && (result = overlay_mount(&options, target, err)) < 0) {
		return result;
	}
	struct json json;
	json_begin(&json, stdout);
	json_bool(&json, "wasMounted", is_mounted);
	json_end(&json);
	return 0;
}

int command_unmount(int argc, char **argv, struct err *err)
{
	const char *target = NULL;
	const struct arg args[] = {{"target", ARG_TEXT, &target, 1}};
	int result = args_parse(argc, argv, args, 1, err);
	return result < 0 ? result : overlay_unmount(target, err);
}

int command_probe(int argc, char **argv, struct err *err)
{
	const char *path = NULL;
	const struct arg args[] = {{"path", ARG_TEXT, &path, 1}};
	int result = args_parse(argc, argv, args, 1, err);
	cleanup_close int fd = result < 0 ? -1 : open_directory(path, err);
	return result < 0 ? result : fd < 0 ? fd : overlay_probe(fd, err);
}

int command_sync(int argc, char **argv, struct err *err)
{
	const char *path = NULL;
	const struct arg args[] = {{"path", ARG_TEXT, &path, 1}};
	int result = args_parse(argc, argv, args, 1, err);
	cleanup_close int fd = result < 0 ? -1 : open_directory(path, err);
	if (fd < 0) {
		return result < 0 ? result : fd;
	}
	return syncfs(fd) < 0 ? err_set(err, errno, "sync %s", path) : 0;
}
