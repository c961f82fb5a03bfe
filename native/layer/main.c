/* gantry-layer: file trees of images and containers. README.md lists the commands. */
#include "layer/commands.h"

#include "layer/source.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct {
	const char *name;
	command_function run;
} COMMANDS[] = {
	{"apply", command_apply},     {"commit", command_commit}, {"diff", command_diff},
	{"changes", command_changes}, {"init", command_init},	  {"read", command_read},
	{"write", command_write},     {"stat", command_stat},	  {"du", command_du},
	{"copy", command_copy},	      {"remove", command_remove}, {"mount", command_mount},
	{"unmount", command_unmount}, {"probe", command_probe},	  {"sync", command_sync},
	{"serve", command_serve},
};

int command_run(const char *name, int argc, char **argv, struct err *err)
{
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		if (strcmp(COMMANDS[i].name, name) == 0) {
			return COMMANDS[i].run(argc, argv, err);
		}
	}
	return err_refuse(err, EINVAL, "unknown command \"%.100s\"", name);
}

int command_exit_status(int result)
{
	switch (-result) {
	case 0:
		return 0;
	case LAYER_REFUSED:
	case ENAMETOOLONG:
	case ELOOP:
	case ENOTDIR:
		return 1;
	case LAYER_MISSING:
		return 3;
	default:
		return 2;
	}
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: gantry-layer COMMAND [OPTIONS]\n");
		return 2;
	}
	/* Trees are walked with a descriptor per level. */
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* What a killed engine began must not go on while the next one tidies up. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A reader that leaves ends the work. */
	signal(SIGPIPE, SIG_DFL);
	struct err err = {0};
	int result = command_run(argv[1], argc - 2, argv + 2, &err);
	if (result < 0) {
		fprintf(stderr, "%s\n", err.message);
	}
	return command_exit_status(result);
}
