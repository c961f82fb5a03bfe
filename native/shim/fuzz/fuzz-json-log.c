/*
 * json-file entries: whatever is read in whatever pieces, the log holds one JSON object per line
 * whose texts, unescaped, are the input (compared for input that is ASCII; other bytes may have
 * become U+FFFD).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim/json-log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 50000

static struct json_log LOG;
static char TEXT[INPUT_MAX * 8 + 100000];
static uint8_t BACK[INPUT_MAX * 3 + 16];

static unsigned hex_value(const char *at)
{
	char digits[5] = {at[0], at[1], at[2], at[3], 0};
	return (unsigned)strtoul(digits, NULL, 16);
}

/* Unescapes the text of one entry; returns the end of it. */
static const char *unescape(const char *at, size_t *used)
{
	while (*at != '"') {
		unsigned char c = (unsigned char)*at;
		if (c < 0x20) {
			abort();
		}
		if (c != '\\') {
			BACK[(*used)++] = c;
			at++;
			continue;
		}
		unsigned code = at[1] == 'n'   ? '\n'
				: at[1] == 'r' ? '\r'
				: at[1] == 'u' ? hex_value(at + 2)
					       : (unsigned char)at[1];
		at += at[1] == 'u' ? 6 : 2;
		BACK[(*used)++] = code < 0x80 ? (uint8_t)code : '?';
	}
	return at;
}

static void check(const uint8_t *data, size_t size)
{
	static const char PREFIX[] = "{\"log\":\"";
	static const char SUFFIX[] =
		"\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00Z\"}\n";
	size_t used = 0;
	for (const char *at = TEXT; *at != 0;) {
		if (strncmp(at, PREFIX, sizeof(PREFIX) - 1) != 0) {
			abort();
		}
		at = unescape(at + sizeof(PREFIX) - 1, &used);
		if (strncmp(at, SUFFIX, sizeof(SUFFIX) - 1) != 0) {
			abort();
		}
		at += sizeof(SUFFIX) - 1;
	}
	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 0x80) {
			return;
		}
	}
	if (used != size || memcmp(BACK, data, size) != 0) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > INPUT_MAX) {
		return 0;
	}
	size_t step = (size_t)data[0] * data[1] + 1;
	data += 2;
	size -= 2;
	if (LOG.file.fd <= 0) {
		memset(&LOG, 0, sizeof(LOG));
		LOG.file.dir_fd = -1;
		LOG.file.max_files = 1;
		LOG.file.fd = memfd_create("log", MFD_CLOEXEC);
	}
	if (ftruncate(LOG.file.fd, 0) != 0 || lseek(LOG.file.fd, 0, SEEK_SET) != 0) {
		abort();
	}
	LOG.file.size = 0;
	for (size_t at = 0; at < size; at += step) {
		json_log_write(&LOG, 0, data + at, size - at < step ? size - at : step, 0);
	}
	json_log_end(&LOG, 0, 0);
	ssize_t length = pread(LOG.file.fd, TEXT, sizeof(TEXT) - 1, 0);
	if (length < 0 || (size_t)length != LOG.file.size) {
		abort();
	}
	TEXT[length] = 0;
	check(data, size);
	return 0;
}
