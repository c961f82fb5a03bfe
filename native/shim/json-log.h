/*
 * Turns the bytes of two streams into json-file entries: one per line, pieces of 16 KiB without a
 * newline for longer lines, and at the end of a stream the begun line. What is not yet a whole
 * entry is kept (`partial`) and not in the file.
 */
#ifndef GANTRY_SHIM_JSON_LOG_H
#define GANTRY_SHIM_JSON_LOG_H

#include "common/err.h"
#include "shim/config.h"
#include "shim/json-text.h"
#include "shim/log-file.h"
#include "shim/protocol.h"

/* Docker's buffer size: clients rely on it to glue pieces together. */
#define LOG_LINE_MAX 16384
/* Around the text of an entry: names, stream, time, attributes. */
#define LOG_ENTRY_EXTRA (LOG_ATTRS_MAX + 128)
#define LOG_ENTRY_MAX (LOG_LINE_MAX * JSON_ESCAPE_WORST + LOG_ENTRY_EXTRA + 16)
#define LOG_OUT_MAX (LOG_ENTRY_MAX + 16384)

struct json_log {
	struct log_file file;
	const char *attrs; /* borrowed JSON object or NULL */
	size_t attrs_size;
	uint32_t partial_size[2];
	size_t out_size;
	uint8_t partial[2][LOG_LINE_MAX];
	char suffix[LOG_ENTRY_EXTRA];
	char out[LOG_OUT_MAX];
};

/* Opens the log of `config` (log_path is not NULL). Release with json_log_close. */
int json_log_open(struct json_log *log, const struct shim_config *config, struct err *err);

/* Logs bytes of stream 0 (stdout) or 1 (stderr), read at `now_ns`. On return all whole entries are
 * in the file. */
void json_log_write(struct json_log *log, int stream, const uint8_t *data, size_t size,
		    uint64_t now_ns);

/* Logs the begun line of a stream that has ended. */
void json_log_end(struct json_log *log, int stream, uint64_t now_ns);

/* Position of the next byte that will be read from either stream. */
struct log_position json_log_position(const struct json_log *log);

/* Gives back memory that only a burst of output needs. */
void json_log_trim(struct json_log *log);

void json_log_close(struct json_log *log);

#endif
