/* Command lines of the form `--name value`. */
#ifndef GANTRY_LAYER_ARGS_H
#define GANTRY_LAYER_ARGS_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/* Most layers of an image, twice over. */
#define ARGS_LIST_MAX 256

struct arg_list {
	const char *items[ARGS_LIST_MAX];
	size_t count;
};

enum arg_kind { ARG_TEXT, ARG_LIST, ARG_FLAG, ARG_NUMBER };

/* `to` is const char *, struct arg_list, int or uint64_t, by kind; texts are borrowed from argv. */
struct arg {
	const char *name;
	enum arg_kind kind;
	void *to;
	int is_required;
};

/* Exit status of a wrong command line. */
#define ARGS_WRONG EINVAL

int args_parse(int argc, char **argv, const struct arg *args, size_t count, struct err *err);

#endif
