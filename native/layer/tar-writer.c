#include "layer/tar-writer.h"

#include "common/cleanup.h"
#include "layer/tar-number.h"

#include <stdio.h>
#include <string.h>

#define NAME_FIELD 100
/* Largest octal numbers of the 8- and 12-byte fields. */
#define SMALL_NUMBER_MAX 07777777
#define LARGE_NUMBER_MAX 077777777777LL

int tar_writer_new(struct tar_writer **out, int fd, struct err *err)
{
	struct tar_writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL) {
		return err_set(err, ENOMEM, "write the archive");
	}
	writer->fd = fd;
	*out = writer;
	return 0;
}

void tar_writer_free(struct tar_writer *writer)
{
	if (writer != NULL) {
		free(writer->pax.data);
		free(writer);
	}
}

static int flush(struct tar_writer *writer, struct err *err)
{
	for (size_t done = 0; done < writer->used;) {
		ssize_t wrote =
			RETRY(write(writer->fd, writer->buffer + done, writer->used - done));
		if (wrote < 0) {
			return err_set(err, errno, "write the archive");
		}
		done += (size_t)wrote;
	}
	writer->used = 0;
	return 0;
}

/* `data` NULL writes zeros. */
static int put(struct tar_writer *writer, const void *data, uint64_t size, struct err *err)
{
	const uint8_t *from = data;
	while (size > 0) {
		size_t room = sizeof(writer->buffer) - writer->used;
		size_t part = size < room ? (size_t)size : room;
		if (from != NULL) {
			memcpy(writer->buffer + writer->used, from, part);
			from += part;
		} else {
			memset(writer->buffer + writer->used, 0, part);
		}
		writer->used += part;
		size -= part;
		int result = writer->used == sizeof(writer->buffer) ? flush(writer, err) : 0;
		if (result < 0) {
			return result;
		}
	}
	return 0;
}

static int put_padded(struct tar_writer *writer, const void *data, size_t size, struct err *err)
{
	int result = put(writer, data, size, err);
	return result < 0 ? result
			  : put(writer, NULL, (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK, err);
}

static int append(struct tar_writer *writer, const char *key, const void *value, size_t size,
		  struct err *err)
{
	int result = pax_append(&writer->pax, key, value, size);
	return result < 0 ? err_refuse(err, -result, "the attributes of a file are too large") : 0;
}

int tar_writer_xattr(struct tar_writer *writer, const char *name, const void *value, size_t size,
		     struct err *err)
{
	char key[300];
	snprintf(key, sizeof(key), PAX_XATTR_PREFIX "%s", name);
	return append(writer, key, value, size, err);
}

static int append_number(struct tar_writer *writer, const char *key, int64_t value, struct err *err)
{
	char text[32];
	int size = snprintf(text, sizeof(text), "%lld", (long long)value);
	return append(writer, key, text, (size_t)size, err);
}

static int append_time(struct tar_writer *writer, const struct tar_entry *entry, struct err *err)
{
	/* A negative time with a fraction counts down from the next second. */
	int64_t sec = entry->mtime_sec;
	uint32_t nsec = entry->mtime_nsec;
	int is_negative = sec < 0;
	if (is_negative && nsec > 0) {
		sec++;
		nsec = 1000000000 - nsec;
	}
	char text[48];
	int size = snprintf(text, sizeof(text), "%s%lld.%09u", is_negative ? "-" : "",
			    (long long)(sec < 0 ? -sec : sec), nsec);
	if (nsec == 0) {
		size -= 10;
	}
	while (nsec != 0 && text[size - 1] == '0') {
		size--;
	}
	return append(writer, "mtime", text, (size_t)size, err);
}

static int append_fields(struct tar_writer *writer, const struct tar_entry *entry, struct err *err)
{
	int result = 0;
	if (strlen(entry->name) > NAME_FIELD) {
		result = append(writer, "path", entry->name, strlen(entry->name), err);
	}
	if (result == 0 && strlen(entry->link) > NAME_FIELD) {
		result = append(writer, "linkpath", entry->link, strlen(entry->link), err);
	}
	if (result == 0 && entry->size > LARGE_NUMBER_MAX) {
		result = append_number(writer, "size", entry->size, err);
	}
	if (result == 0 && entry->uid > SMALL_NUMBER_MAX) {
		result = append_number(writer, "uid", entry->uid, err);
	}
	if (result == 0 && entry->gid > SMALL_NUMBER_MAX) {
		result = append_number(writer, "gid", entry->gid, err);
	}
	if (result == 0 && (entry->mtime_nsec != 0 || entry->mtime_sec < 0 ||
			    entry->mtime_sec > LARGE_NUMBER_MAX)) {
		result = append_time(writer, entry, err);
	}
	return result;
}

static void put_text(uint8_t *field, size_t size, const char *text)
{
	size_t length = strlen(text);
	memcpy(field, text, length < size ? length : size);
}

static int64_t at_most(int64_t value, int64_t limit)
{
	return value < 0 || value > limit ? 0 : value;
}

static void fill_header(uint8_t *block, const struct tar_entry *entry, char type)
{
	memset(block, 0, TAR_BLOCK);
	put_text(block, NAME_FIELD, entry->name);
	tar_put_number(block + 100, 8, entry->mode);
	tar_put_number(block + 108, 8, at_most(entry->uid, SMALL_NUMBER_MAX));
	tar_put_number(block + 116, 8, at_most(entry->gid, SMALL_NUMBER_MAX));
	tar_put_number(block + 124, 12, at_most(entry->size, LARGE_NUMBER_MAX));
	tar_put_number(block + 136, 12, at_most(entry->mtime_sec, LARGE_NUMBER_MAX));
	block[156] = (uint8_t)type;
	put_text(block + 157, NAME_FIELD, entry->link);
	memcpy(block + 257, "ustar\00000", 8);
	tar_put_number(block + 329, 8, entry->device_major);
	tar_put_number(block + 337, 8, entry->device_minor);
	tar_put_checksum(block);
}

static int put_pax(struct tar_writer *writer, const struct tar_entry *entry, struct err *err)
{
	struct tar_entry *header = calloc(1, sizeof(*header));
	if (header == NULL) {
		return err_set(err, ENOMEM, "write the archive");
	}
	const char *slash = strrchr(entry->name, '/');
	const char *last = slash != NULL && slash[1] != 0 ? slash + 1 : entry->name;
	snprintf(header->name, NAME_FIELD, "PaxHeaders.0/%.80s", last);
	header->mode = 0644;
	header->size = (int64_t)writer->pax.size;
	uint8_t block[TAR_BLOCK];
	fill_header(block, header, 'x');
	free(header);
	int result = put(writer, block, sizeof(block), err);
	if (result == 0) {
		result = put_padded(writer, writer->pax.data, writer->pax.size, err);
	}
	writer->pax.size = 0;
	return result;
}

static int end_member(struct tar_writer *writer, struct err *err)
{
	int result = put(writer, NULL, writer->data_left + writer->padding, err);
	writer->data_left = writer->padding = 0;
	return result;
}

int tar_writer_member(struct tar_writer *writer, const struct tar_entry *entry, struct err *err)
{
	int result = end_member(writer, err);
	if (result < 0 || (result = append_fields(writer, entry, err)) < 0) {
		return result;
	}
	if (writer->pax.size > 0 && (result = put_pax(writer, entry, err)) < 0) {
		return result;
	}
	uint8_t block[TAR_BLOCK];
	fill_header(block, entry, (char)entry->type);
	writer->data_left = (uint64_t)entry->size;
	writer->padding = (TAR_BLOCK - writer->data_left % TAR_BLOCK) % TAR_BLOCK;
	return put(writer, block, sizeof(block), err);
}

int tar_writer_copy(struct tar_writer *writer, int from, struct err *err)
{
	while (writer->data_left > 0) {
		if (writer->used == sizeof(writer->buffer)) {
			int result = flush(writer, err);
			if (result < 0) {
				return result;
			}
		}
		size_t room = sizeof(writer->buffer) - writer->used;
		size_t part = writer->data_left < room ? (size_t)writer->data_left : room;
		ssize_t got = RETRY(read(from, writer->buffer + writer->used, part));
		if (got < 0) {
			return err_set(err, errno, "read a file");
		}
		if (got == 0) {
			break;
		}
		writer->used += (size_t)got;
		writer->data_left -= (uint64_t)got;
	}
	return 0;
}

int tar_writer_end(struct tar_writer *writer, struct err *err)
{
	int result = end_member(writer, err);
	if (result == 0 && (result = put(writer, NULL, 2 * TAR_BLOCK, err)) == 0) {
		result = flush(writer, err);
	}
	return result;
}
