#include "layer/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int take(const struct arg *arg, const char *value, struct err *err)
{
	if (arg->kind == ARG_TEXT) {
		*(const char **)arg->to = value;
		return 0;
	}
	if (arg->kind == ARG_LIST) {
		struct arg_list *list = arg->to;
		if (list->count == ARGS_LIST_MAX) {
			return err_refuse(err, ARGS_WRONG, "too many --%s", arg->name);
		}
		list->items[list->count++] = value;
		return 0;
	}
	char *end;
	errno = 0;
	unsigned long long number = strtoull(value, &end, 10);
	if (errno != 0 || end == value || *end != 0 || value[0] == '-') {
		return err_refuse(err, ARGS_WRONG, "--%s wants a number", arg->name);
	}
	*(uint64_t *)arg->to = number;
	return 0;
}

int args_parse(int argc, char **argv, const struct arg *args, size_t count, struct err *err)
{
	uint64_t seen = 0;
	for (int i = 0; i < argc; i++) {
		size_t k = 0;
		while (k < count &&
		       (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i] + 2, args[k].name) != 0)) {
			k++;
		}
		if (k == count) {
			return err_refuse(err, ARGS_WRONG, "unknown option \"%.100s\"", argv[i]);
		}
		seen |= 1ULL << k;
		if (args[k].kind == ARG_FLAG) {
			*(int *)args[k].to = 1;
			continue;
		}
		if (i + 1 == argc) {
			return err_refuse(err, ARGS_WRONG, "--%s wants a value", args[k].name);
		}
		int result = take(&args[k], argv[++i], err);
		if (result < 0) {
			return result;
		}
	}
	for (size_t k = 0; k < count; k++) {
		if (args[k].is_required && (seen & (1ULL << k)) == 0) {
			return err_refuse(err, ARGS_WRONG, "--%s is missing", args[k].name);
		}
	}
	return 0;
}
