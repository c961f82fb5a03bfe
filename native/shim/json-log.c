#include "shim/json-log.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char PREFIX[] = "{\"log\":\"";

int json_log_open(struct json_log *log, const struct shim_config *config, struct err *err)
{
	int result = log_file_open(&log->file, config->log_path, config->log_max_size,
				   config->log_max_files, err);
	if (result != 0) {
		return result;
	}
	log->attrs = config->log_attrs;
	log->attrs_size = config->log_attrs == NULL ? 0 : strlen(config->log_attrs);
	log->partial_size[0] = 0;
	log->partial_size[1] = 0;
	log->out_size = 0;
	return 0;
}

static char *put(char *to, const char *text, size_t size)
{
	memcpy(to, text, size);
	return to + size;
}

/* Everything after the text of an entry, the same for a whole batch. Returns its size. */
static size_t make_suffix(struct json_log *log, int stream, uint64_t now_ns)
{
	static const char *const NAMES[2] = {"\",\"stream\":\"stdout\"",
					     "\",\"stream\":\"stderr\""};
	char *at = put(log->suffix, NAMES[stream], strlen(NAMES[stream]));
	if (log->attrs != NULL) {
		at = put(at, ",\"attrs\":", 9);
		at = put(at, log->attrs, log->attrs_size);
	}
	at = put(at, ",\"time\":\"", 9);
	at += rfc3339_nano(at, now_ns);
	at = put(at, "\"}\n", 3);
	return (size_t)(at - log->suffix);
}

static void flush(struct json_log *log)
{
	if (log->out_size > 0) {
		log_file_write(&log->file, log->out, log->out_size);
		log->out_size = 0;
	}
}

/* Adds an entry, with a newline when the line is complete. */
static void add_entry(struct json_log *log, const uint8_t *text, size_t text_size, bool is_whole,
		      size_t suffix_size)
{
	if (log_file_is_full(&log->file, log->out_size)) {
		flush(log);
		/* A failure leaves the entry in the old file, which then is longer than it should
		 * be. */
		log_file_rotate(&log->file, NULL);
	}
	size_t worst = text_size * JSON_ESCAPE_WORST + suffix_size + 64;
	if (log->out_size + worst > LOG_OUT_MAX) {
		flush(log);
	}
	char *at = put(log->out + log->out_size, PREFIX, sizeof(PREFIX) - 1);
	at += json_escape(at, text, text_size);
	if (is_whole) {
		at = put(at, "\\n", 2);
	}
	at = put(at, log->suffix, suffix_size);
	log->out_size = (size_t)(at - log->out);
}

void json_log_write(struct json_log *log, int stream, const uint8_t *data, size_t size,
		    uint64_t now_ns)
{
	size_t suffix_size = make_suffix(log, stream, now_ns);
	uint8_t *partial = log->partial[stream];
	uint32_t held = log->partial_size[stream];
	while (size > 0) {
		size_t room = LOG_LINE_MAX - held;
		/* A newline right after 16 KiB is not looked for: the piece goes first, as Docker
		 * does. */
		size_t window = size < room ? size : room;
		const uint8_t *newline = memchr(data, '\n', window);
		if (newline == NULL && window < room) {
			memcpy(partial + held, data, size);
			held += (uint32_t)size;
			break;
		}
		size_t length = newline == NULL ? window : (size_t)(newline - data);
		if (held > 0) {
			/* In one piece, so that a character that came in two reads is still one. */
			memcpy(partial + held, data, length);
			add_entry(log, partial, held + length, newline != NULL, suffix_size);
			held = 0;
		} else {
			add_entry(log, data, length, newline != NULL, suffix_size);
		}
		size_t used = newline == NULL ? length : length + 1;
		data += used;
		size -= used;
	}
	log->partial_size[stream] = held;
	flush(log);
}

void json_log_end(struct json_log *log, int stream, uint64_t now_ns)
{
	uint32_t held = log->partial_size[stream];
	if (held > 0) {
		size_t suffix_size = make_suffix(log, stream, now_ns);
		add_entry(log, log->partial[stream], held, false, suffix_size);
		log->partial_size[stream] = 0;
		flush(log);
	}
}

struct log_position json_log_position(const struct json_log *log)
{
	return (struct log_position){
		.generation = log->file.generation,
		.inode = log->file.inode,
		.offset = log->file.size,
		.skip = {log->partial_size[0], log->partial_size[1]},
	};
}

void json_log_trim(struct json_log *log)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = ((uintptr_t)log->out + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)log->out + sizeof(log->out)) & ~(page - 1);
	if (start < end) {
		madvise((void *)start, end - start, MADV_DONTNEED);
	}
}

void json_log_close(struct json_log *log)
{
	log_file_close(&log->file);
}
