#include "common/err.h"

#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	if (err != NULL) {
		va_list args;
		va_start(args, format);
		int used = vsnprintf(err->message, sizeof(err->message), format, args);
		va_end(args);
		if (used >= 0 && (size_t)used < sizeof(err->message)) {
			snprintf(err->message + used, sizeof(err->message) - (size_t)used, ": %s",
				 strerror(code));
		}
		err->code = code;
	}
	return -code;
}

int err_refuse(struct err *err, int code, const char *format, ...)
{
	if (err != NULL) {
		va_list args;
		va_start(args, format);
		vsnprintf(err->message, sizeof(err->message), format, args);
		va_end(args);
		err->code = code;
	}
	return -code;
}

int err_wrap(struct err *err, const char *format, ...)
{
	if (err == NULL) {
		return -1;
	}
	char inner[ERR_MESSAGE_MAX];
	memcpy(inner, err->message, sizeof(inner));
	va_list args;
	va_start(args, format);
	int used = vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	if (used >= 0 && (size_t)used + 3 < sizeof(err->message)) {
		int room = (int)(sizeof(err->message) - (size_t)used - 3);
		snprintf(err->message + used, sizeof(err->message) - (size_t)used, ": %.*s", room,
			 inner);
	}
	return -err->code;
}
