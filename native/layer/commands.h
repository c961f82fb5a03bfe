/*
 * The subcommands. Each reads its options, does its work and writes its answer to standard output;
 * README.md describes them. They return 0 or a negative errno with `err` filled, and may change
 * root, working directory and mount namespace: a process runs one and ends.
 */
#ifndef GANTRY_LAYER_COMMANDS_H
#define GANTRY_LAYER_COMMANDS_H

#include "common/err.h"

typedef int (*command_function)(int argc, char **argv, struct err *err);

int command_apply(int argc, char **argv, struct err *err);
int command_commit(int argc, char **argv, struct err *err);
int command_diff(int argc, char **argv, struct err *err);
int command_changes(int argc, char **argv, struct err *err);
int command_init(int argc, char **argv, struct err *err);
int command_read(int argc, char **argv, struct err *err);
int command_write(int argc, char **argv, struct err *err);
int command_stat(int argc, char **argv, struct err *err);
int command_du(int argc, char **argv, struct err *err);
int command_copy(int argc, char **argv, struct err *err);
int command_remove(int argc, char **argv, struct err *err);
int command_mount(int argc, char **argv, struct err *err);
int command_unmount(int argc, char **argv, struct err *err);
int command_probe(int argc, char **argv, struct err *err);
int command_sync(int argc, char **argv, struct err *err);
int command_serve(int argc, char **argv, struct err *err);

/* Runs `name`; -EINVAL when there is no such command. */
int command_run(const char *name, int argc, char **argv, struct err *err);
/* Exit status for what a command returned. */
int command_exit_status(int result);

/* Opens a directory named on the command line. */
int open_directory(const char *path, struct err *err);

#endif
