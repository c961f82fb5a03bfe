/* shim.conf (README.md): a sequence of NUL-ended `key=value` texts. */
#ifndef GANTRY_SHIM_CONFIG_H
#define GANTRY_SHIM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define CONFIG_SIZE_MAX 65536
#define RUNTIME_ARGS_MAX 24
#define CGROUP_DIRS_MAX 32

/* Every text points into the buffer given to config_parse, which must outlive this. */
struct shim_config {
	const char *id;
	const char *bundle;
	const char *runtime;
	const char *runtime_args[RUNTIME_ARGS_MAX];
	size_t runtime_arg_count;
	bool only_create;
	bool hold;
	bool tty;
	uint16_t columns; /* 0 = not given */
	uint16_t rows;
	bool stdin_open;
	bool stdin_once;
	const char *log_path;  /* NULL = no log */
	uint64_t log_max_size; /* 0 = never rotate */
	uint32_t log_max_files;
	const char *log_attrs; /* JSON object or NULL; at most LOG_ATTRS_MAX bytes */
	const char *exit_record;
	const char *oom_file; /* or NULL */
	const char *cgroup_dirs[CGROUP_DIRS_MAX];
	size_t cgroup_dir_count;
	const char *state_dir; /* or NULL */
};

/* Longest `attrs` object, so that the worst entry fits the log's buffer. */
#define LOG_ATTRS_MAX 16384

/* Returns 0, or -EINVAL with the offending key named. `text` is only read. */
int config_parse(struct shim_config *config, const char *text, size_t size, struct err *err);

#endif
