/*
 * The one error rule of native/: a function that can fail returns 0 (or a count) on success and a
 * negative errno on failure, fills `struct err *` with a sentence, and leaves outputs untouched on
 * failure. Only main() exits. Messages are lower-case phrases without a final period.
 */
#ifndef GANTRY_COMMON_ERR_H
#define GANTRY_COMMON_ERR_H

#include <stdarg.h>

/* Enough for a path and a sentence; longer text is cut. */
#define ERR_MESSAGE_MAX 512

struct err {
	int code; /* positive errno, 0 = no error */
	char message[ERR_MESSAGE_MAX];
};

/* Fills `err` (may be NULL) with the message and `: strerror(code)`; returns -code. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Fills `err` (may be NULL) with the message alone, for refusals that no errno explains. */
int err_refuse(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts `context: ` before the message of an error already set; returns -err->code. */
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
