#include "shim/config.h"

#include <errno.h>
#include <string.h>

static int parse_number(const char *key, const char *text, uint64_t max, uint64_t *value,
			struct err *err)
{
	uint64_t sum = 0;
	if (*text == 0) {
		return err_refuse(err, EINVAL, "%s is not a number", key);
	}
	for (const char *at = text; *at != 0; at++) {
		if (*at < '0' || *at > '9') {
			return err_refuse(err, EINVAL, "%s is not a number", key);
		}
		uint64_t digit = (uint64_t)(*at - '0');
		if (sum > (max - digit) / 10) {
			return err_refuse(err, EINVAL, "%s is too large", key);
		}
		sum = sum * 10 + digit;
	}
	*value = sum;
	return 0;
}

static int parse_path(const char *key, const char *text, const char **value, struct err *err)
{
	if (text[0] != '/') {
		return err_refuse(err, EINVAL, "%s is not an absolute path", key);
	}
	*value = text;
	return 0;
}

static int parse_flag(const char *key, const char *text, bool *value, struct err *err)
{
	if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0) {
		return err_refuse(err, EINVAL, "%s is neither 0 nor 1", key);
	}
	*value = text[0] == '1';
	return 0;
}

static int parse_size(const char *key, const char *text, uint16_t *value, struct err *err)
{
	uint64_t number = 0;
	int result = parse_number(key, text, UINT16_MAX, &number, err);
	if (result == 0) {
		*value = (uint16_t)number;
	}
	return result;
}

static int add_text(const char *key, const char *text, const char **list, size_t *count, size_t max,
		    struct err *err)
{
	if (*count == max) {
		return err_refuse(err, EINVAL, "%s is given too often", key);
	}
	list[(*count)++] = text;
	return 0;
}

static int parse_log_key(struct shim_config *out, const char *key, const char *value,
			 struct err *err)
{
	uint64_t number = 0;
	int result = 0;
	if (strcmp(key, "log-path") == 0) {
		return parse_path(key, value, &out->log_path, err);
	}
	if (strcmp(key, "log-max-size") == 0) {
		return parse_number(key, value, INT64_MAX, &out->log_max_size, err);
	}
	if (strcmp(key, "log-max-files") == 0) {
		result = parse_number(key, value, 1000, &number, err);
		out->log_max_files = (uint32_t)number;
		return result;
	}
	if (strcmp(key, "log-attrs") == 0) {
		size_t size = strlen(value);
		if (size < 2 || size > LOG_ATTRS_MAX || value[0] != '{' || value[size - 1] != '}') {
			return err_refuse(err, EINVAL,
					  "log-attrs is no JSON object of up to 16 KiB");
		}
		out->log_attrs = value;
		return 0;
	}
	return err_refuse(err, EINVAL, "unknown key %.64s", key);
}

static int parse_switch(struct shim_config *out, const char *key, const char *value,
			struct err *err)
{
	if (strcmp(key, "tty") == 0) {
		return parse_flag(key, value, &out->tty, err);
	}
	if (strcmp(key, "stdin") == 0) {
		return parse_flag(key, value, &out->stdin_open, err);
	}
	if (strcmp(key, "stdin-once") == 0) {
		return parse_flag(key, value, &out->stdin_once, err);
	}
	if (strcmp(key, "hold") == 0) {
		return parse_flag(key, value, &out->hold, err);
	}
	if (strcmp(key, "columns") == 0) {
		return parse_size(key, value, &out->columns, err);
	}
	if (strcmp(key, "rows") == 0) {
		return parse_size(key, value, &out->rows, err);
	}
	if (strcmp(key, "version") == 0) {
		return strcmp(value, "1") == 0 ? 0 : err_refuse(err, EINVAL, "version is not 1");
	}
	if (strcmp(key, "mode") == 0) {
		out->only_create = strcmp(value, "create") == 0;
		bool is_known = out->only_create || strcmp(value, "run") == 0;
		return is_known ? 0 : err_refuse(err, EINVAL, "mode is neither run nor create");
	}
	return parse_log_key(out, key, value, err);
}

static int parse_key(struct shim_config *out, const char *key, const char *value, struct err *err)
{
	if (strcmp(key, "id") == 0) {
		bool is_bad = *value == 0 || *value == '-' || strlen(value) > 128;
		out->id = value;
		return is_bad ? err_refuse(err, EINVAL, "id is not usable") : 0;
	}
	if (strcmp(key, "bundle") == 0) {
		return parse_path(key, value, &out->bundle, err);
	}
	if (strcmp(key, "runtime") == 0) {
		return parse_path(key, value, &out->runtime, err);
	}
	if (strcmp(key, "exit-record") == 0) {
		return parse_path(key, value, &out->exit_record, err);
	}
	if (strcmp(key, "oom-file") == 0) {
		return parse_path(key, value, &out->oom_file, err);
	}
	if (strcmp(key, "state-dir") == 0) {
		return parse_path(key, value, &out->state_dir, err);
	}
	if (strcmp(key, "runtime-arg") == 0) {
		return add_text(key, value, out->runtime_args, &out->runtime_arg_count,
				RUNTIME_ARGS_MAX, err);
	}
	if (strcmp(key, "cgroup-dir") == 0) {
		const char *path = NULL;
		int result = parse_path(key, value, &path, err);
		return result != 0 ? result
				   : add_text(key, path, out->cgroup_dirs, &out->cgroup_dir_count,
					      CGROUP_DIRS_MAX, err);
	}
	return parse_switch(out, key, value, err);
}

static int check_whole(const struct shim_config *config, struct err *err)
{
	if (config->id == NULL || config->bundle == NULL || config->runtime == NULL ||
	    config->exit_record == NULL) {
		return err_refuse(err, EINVAL, "id, bundle, runtime and exit-record are needed");
	}
	if (config->log_max_files == 0) {
		return err_refuse(err, EINVAL, "log-max-files is 0");
	}
	return 0;
}

int config_parse(struct shim_config *config, const char *text, size_t size, struct err *err)
{
	struct shim_config out = {.log_max_files = 1};
	if (size == 0 || size > CONFIG_SIZE_MAX || text[size - 1] != 0) {
		return err_refuse(err, EINVAL, "not a list of NUL-ended texts of up to 64 KiB");
	}
	for (const char *at = text; at < text + size; at += strlen(at) + 1) {
		const char *equals = strchr(at, '=');
		char key[32];
		if (equals == NULL || (size_t)(equals - at) >= sizeof(key)) {
			return err_refuse(err, EINVAL, "no key in %.64s", at);
		}
		memcpy(key, at, (size_t)(equals - at));
		key[equals - at] = 0;
		int result = parse_key(&out, key, equals + 1, err);
		if (result != 0) {
			return result;
		}
	}
	int result = check_whole(&out, err);
	if (result == 0) {
		*config = out;
	}
	return result;
}
