#include "layer/pax.h"

#include "layer/tar-entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pax_next(struct pax_cursor *cursor, struct pax_record *record, struct err *err)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	if (left == 0) {
		return 0;
	}
	size_t length = 0, digits = 0;
	while (digits < left && digits < 8 && cursor->at[digits] >= '0' &&
	       cursor->at[digits] <= '9') {
		length = 10 * length + (size_t)(cursor->at[digits++] - '0');
	}
	if (digits == 0 || digits >= left || cursor->at[digits] != ' ' || length > left ||
	    length < digits + 3 || cursor->at[length - 1] != '\n') {
		return err_refuse(err, EBADMSG, "malformed extended header");
	}
	const char *key = cursor->at + digits + 1;
	size_t rest = length - digits - 2;
	const char *equals = memchr(key, '=', rest);
	if (equals == NULL || equals == key || memchr(key, 0, (size_t)(equals - key)) != NULL) {
		return err_refuse(err, EBADMSG, "malformed extended header");
	}
	record->key = key;
	record->key_size = (size_t)(equals - key);
	record->value = equals + 1;
	record->value_size = rest - record->key_size - 1;
	cursor->at += length;
	return 1;
}

int pax_key_is(const struct pax_record *record, const char *key)
{
	return record->key_size == strlen(key) && memcmp(record->key, key, record->key_size) == 0;
}

int pax_integer(const struct pax_record *record, int64_t *value)
{
	int64_t result = 0;
	if (record->value_size == 0) {
		return -EBADMSG;
	}
	for (size_t i = 0; i < record->value_size; i++) {
		char c = record->value[i];
		if (c < '0' || c > '9' || __builtin_mul_overflow(result, 10, &result) ||
		    __builtin_add_overflow(result, c - '0', &result)) {
			return -EBADMSG;
		}
	}
	*value = result;
	return 0;
}

int pax_time(const struct pax_record *record, int64_t *sec, uint32_t *nsec)
{
	struct pax_record whole = *record;
	int is_negative = whole.value_size > 0 && whole.value[0] == '-';
	if (is_negative) {
		whole.value++;
		whole.value_size--;
	}
	const char *dot = memchr(whole.value, '.', whole.value_size);
	uint32_t fraction = 0;
	if (dot != NULL) {
		const char *end = whole.value + whole.value_size;
		uint32_t unit = 100000000;
		for (const char *c = dot + 1; c < end; c++) {
			if (*c < '0' || *c > '9') {
				return -EBADMSG;
			}
			fraction += (uint32_t)(*c - '0') * unit;
			unit /= 10;
		}
		whole.value_size = (size_t)(dot - whole.value);
	}
	int64_t seconds = 0;
	if ((whole.value_size > 0 || dot == NULL) && pax_integer(&whole, &seconds) < 0) {
		return -EBADMSG;
	}
	if (is_negative) {
		seconds = -seconds;
		if (fraction > 0) {
			seconds--;
			fraction = 1000000000 - fraction;
		}
	}
	*sec = seconds;
	*nsec = fraction;
	return 0;
}

int pax_append(struct pax_buffer *buffer, const char *key, const void *value, size_t value_size)
{
	size_t key_size = strlen(key);
	size_t body = key_size + value_size + 3; /* space, '=', newline */
	size_t length = body + 1;
	char digits[24];
	/* The length counts its own digits. */
	for (;;) {
		size_t width = (size_t)snprintf(digits, sizeof(digits), "%zu", length);
		if (length == body + width) {
			break;
		}
		length = body + width;
	}
	if (buffer->size + length > TAR_PAX_MAX) {
		return -EBADMSG;
	}
	if (buffer->size + length > buffer->capacity) {
		size_t capacity = 2 * (buffer->size + length) + 256;
		char *data = realloc(buffer->data, capacity);
		if (data == NULL) {
			return -ENOMEM;
		}
		buffer->data = data;
		buffer->capacity = capacity;
	}
	char *at = buffer->data + buffer->size;
	at += sprintf(at, "%s %s=", digits, key);
	memcpy(at, value, value_size);
	at[value_size] = '\n';
	buffer->size += length;
	return 0;
}
