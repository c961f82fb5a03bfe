#include "layer/tar-reader.h"

#include "common/cleanup.h"
#include "layer/pax.h"
#include "layer/tar-number.h"
#include "layer/tar-sparse.h"

#include <string.h>

struct tar_reader {
	struct source *source;
	const uint8_t *at; /* unread bytes of the source's last piece */
	size_t left;
	uint64_t data_left; /* stored bytes of the member not yet read, without padding */
	uint64_t padding;
	struct pax_buffer pax, global_pax;
	int has_long_name, has_long_link; /* GNU 'L' and 'K' headers seen for the next member */
	struct sparse_map sparse;
	uint8_t block[TAR_BLOCK];
	struct tar_entry entry;
};

int tar_reader_new(struct tar_reader **out, struct source *source, struct err *err)
{
	struct tar_reader *reader = calloc(1, sizeof(*reader));
	if (reader == NULL) {
		return err_set(err, ENOMEM, "read the archive");
	}
	reader->source = source;
	*out = reader;
	return 0;
}

void tar_reader_free(struct tar_reader *reader)
{
	if (reader != NULL) {
		free(reader->pax.data);
		free(reader->global_pax.data);
		free(reader->sparse.segments);
		free(reader);
	}
}

/* Makes at least one byte available: 1, 0 at the end, negative errno. */
static int fill(struct tar_reader *reader, struct err *err)
{
	while (reader->left == 0) {
		ssize_t got = reader->source->next(reader->source, &reader->at, err);
		if (got <= 0) {
			return (int)got;
		}
		reader->left = (size_t)got;
	}
	return 1;
}

static int truncated(struct err *err)
{
	return err_refuse(err, LAYER_REFUSED, "the archive is cut short");
}

/* Copies or skips (`buffer` NULL) exactly `size` bytes; 1, or 0 when nothing at all is left. */
static int read_exact(struct tar_reader *reader, void *buffer, uint64_t size, struct err *err)
{
	uint8_t *to = buffer;
	for (uint64_t done = 0; done < size;) {
		int result = fill(reader, err);
		if (result < 0) {
			return result;
		}
		if (result == 0) {
			return done == 0 ? 0 : truncated(err);
		}
		size_t part = reader->left < size - done ? reader->left : (size_t)(size - done);
		if (to != NULL) {
			memcpy(to + done, reader->at, part);
		}
		reader->at += part;
		reader->left -= part;
		done += part;
	}
	return 1;
}

static int must_read(struct tar_reader *reader, void *buffer, uint64_t size, struct err *err)
{
	if (size == 0) {
		return 0;
	}
	int result = read_exact(reader, buffer, size, err);
	return result == 0 ? truncated(err) : result < 0 ? result : 0;
}

/* Bytes of the member's data, for sparse maps that lie in it. */
static int read_member(void *context, void *buffer, size_t size, struct err *err)
{
	struct tar_reader *reader = context;
	if (size > reader->data_left) {
		return err_refuse(err, LAYER_REFUSED, "malformed sparse file");
	}
	int result = must_read(reader, buffer, size, err);
	if (result == 0) {
		reader->data_left -= size;
	}
	return result;
}

static int read_block(void *context, void *buffer, size_t size, struct err *err)
{
	return must_read(context, buffer, size, err);
}

static int skip_member(struct tar_reader *reader, struct err *err)
{
	int result = must_read(reader, NULL, reader->data_left, err);
	if (result == 0) {
		result = must_read(reader, NULL, reader->padding, err);
	}
	reader->data_left = reader->padding = 0;
	return result;
}

static int is_zero_block(const uint8_t *block)
{
	static const uint8_t zero[TAR_BLOCK];
	return memcmp(block, zero, TAR_BLOCK) == 0;
}

static uint64_t padding_of(uint64_t size)
{
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

/* Copies a field that ends at NUL or at its size. */
static void copy_field(char *to, const uint8_t *field, size_t size)
{
	size_t length = strnlen((const char *)field, size);
	memcpy(to, field, length);
	to[length] = 0;
}

static void read_names(struct tar_reader *reader)
{
	const uint8_t *block = reader->block;
	struct tar_entry *entry = &reader->entry;
	if (!reader->has_long_link) {
		copy_field(entry->link, block + 157, 100);
	}
	if (reader->has_long_name) {
		return;
	}
	/* Only POSIX archives have a prefix; GNU keeps times there. star's is shorter. */
	size_t used = 0;
	if (memcmp(block + 257, "ustar\0", 6) == 0 && block[345] != 0) {
		size_t prefix_size = memcmp(block + 508, "tar\0", 4) == 0 ? 131 : 155;
		copy_field(entry->name, block + 345, prefix_size);
		used = strlen(entry->name);
		entry->name[used++] = '/';
	}
	copy_field(entry->name + used, block, 100);
}

static int read_owner(const uint8_t *field, uint32_t *out, struct err *err)
{
	int64_t value;
	if (tar_number(field, 8, &value) < 0 || value < 0 || value >= UINT32_MAX) {
		return err_refuse(err, LAYER_REFUSED, "malformed header: owner number");
	}
	*out = (uint32_t)value;
	return 0;
}

/* The member's fixed fields; the header block has a right check sum. */
static int read_header(struct tar_reader *reader, struct err *err)
{
	const uint8_t *block = reader->block;
	struct tar_entry *entry = &reader->entry;
	int64_t size, mode, sec, device = 0;
	if (tar_number(block + 124, 12, &size) < 0 || size < 0 || size > INT64_MAX - TAR_BLOCK) {
		return err_refuse(err, LAYER_REFUSED, "malformed header: size");
	}
	if (tar_number(block + 100, 8, &mode) < 0 || tar_number(block + 136, 12, &sec) < 0) {
		return err_refuse(err, LAYER_REFUSED, "malformed header: mode or time");
	}
	int result = read_owner(block + 108, &entry->uid, err);
	if (result < 0 || (result = read_owner(block + 116, &entry->gid, err)) < 0) {
		return result;
	}
	entry->type = block[156] == 0 || block[156] == '7' ? TAR_FILE : (enum tar_type)block[156];
	entry->size = entry->stored_size = size;
	entry->mode = (uint32_t)mode & 07777;
	entry->mtime_sec = sec;
	entry->mtime_nsec = 0;
	entry->device_major = entry->device_minor = 0;
	if (entry->type == TAR_CHAR_DEVICE || entry->type == TAR_BLOCK_DEVICE) {
		if (tar_number(block + 329, 8, &device) < 0 || device < 0 || device > 0xfff) {
			return err_refuse(err, LAYER_REFUSED, "malformed header: device number");
		}
		entry->device_major = (uint32_t)device;
		if (tar_number(block + 337, 8, &device) < 0 || device < 0 || device > 0xfffff) {
			return err_refuse(err, LAYER_REFUSED, "malformed header: device number");
		}
		entry->device_minor = (uint32_t)device;
	}
	entry->is_sparse = 0;
	entry->segment_count = 0;
	return 0;
}

static int take_name(char *to, const struct pax_record *record, struct err *err)
{
	if (record->value_size >= TAR_NAME_SIZE) {
		return err_refuse(err, LAYER_REFUSED, "a name in the archive is too long");
	}
	if (memchr(record->value, 0, record->value_size) != NULL) {
		return err_refuse(err, LAYER_REFUSED, "a name in the archive holds a NUL");
	}
	memcpy(to, record->value, record->value_size);
	to[record->value_size] = 0;
	return 0;
}

static int take_owner(uint32_t *to, const struct pax_record *record, struct err *err)
{
	int64_t value;
	if (pax_integer(record, &value) < 0 || value >= UINT32_MAX) {
		return err_refuse(err, LAYER_REFUSED, "malformed extended header: owner number");
	}
	*to = (uint32_t)value;
	return 0;
}

static int apply_record(struct tar_reader *reader, const struct pax_record *record, struct err *err)
{
	struct tar_entry *entry = &reader->entry;
	if (pax_key_is(record, "size")) {
		int64_t size;
		if (pax_integer(record, &size) < 0 || size > INT64_MAX - TAR_BLOCK) {
			return err_refuse(err, LAYER_REFUSED, "malformed extended header: size");
		}
		entry->size = entry->stored_size = size;
		return 0;
	}
	/* An empty value takes a global record back. */
	if (record->value_size == 0) {
		return 0;
	}
	if (pax_key_is(record, "path")) {
		return take_name(entry->name, record, err);
	}
	if (pax_key_is(record, "linkpath")) {
		return take_name(entry->link, record, err);
	}
	if (pax_key_is(record, "uid")) {
		return take_owner(&entry->uid, record, err);
	}
	if (pax_key_is(record, "gid")) {
		return take_owner(&entry->gid, record, err);
	}
	if (pax_key_is(record, "mtime") &&
	    pax_time(record, &entry->mtime_sec, &entry->mtime_nsec) < 0) {
		return err_refuse(err, LAYER_REFUSED, "malformed extended header: time");
	}
	return 0;
}

static int apply_pax(struct tar_reader *reader, const struct pax_buffer *pax, struct err *err)
{
	if (pax->size == 0) {
		return 0;
	}
	struct pax_cursor cursor = {.at = pax->data, .end = pax->data + pax->size};
	struct pax_record record;
	int result;
	while ((result = pax_next(&cursor, &record, err)) > 0) {
		if ((result = apply_record(reader, &record, err)) < 0) {
			return result;
		}
	}
	return result;
}

/* Appends a whole extended header ('x', 'g') to `pax`. */
static int read_pax(struct tar_reader *reader, struct pax_buffer *pax, struct err *err)
{
	uint64_t size = reader->data_left;
	if (size > TAR_PAX_MAX || pax->size + size > TAR_PAX_MAX) {
		return err_refuse(err, LAYER_REFUSED, "an extended header is too large");
	}
	size_t before = pax->size;
	if (pax->capacity < before + size) {
		char *data = realloc(pax->data, before + (size_t)size);
		if (data == NULL) {
			return err_set(err, ENOMEM, "read the archive");
		}
		pax->data = data;
		pax->capacity = before + (size_t)size;
	}
	if (size > 0) {
		int result = must_read(reader, pax->data + before, size, err);
		if (result < 0) {
			return result;
		}
	}
	pax->size += (size_t)size;
	reader->data_left = 0;
	return skip_member(reader, err);
}

static int read_long_name(struct tar_reader *reader, char *to, struct err *err)
{
	uint64_t size = reader->data_left;
	if (size > TAR_NAME_SIZE) {
		return err_refuse(err, LAYER_REFUSED, "a name in the archive is too long");
	}
	char name[TAR_NAME_SIZE + 1];
	int result = must_read(reader, name, size, err);
	if (result < 0) {
		return result;
	}
	name[size] = 0;
	size_t length = strlen(name);
	if (length >= TAR_NAME_SIZE) {
		return err_refuse(err, LAYER_REFUSED, "a name in the archive is too long");
	}
	memcpy(to, name, length + 1);
	reader->data_left = 0;
	return skip_member(reader, err);
}

/* After the end mark: the rest belongs to the digest but holds no members. */
static int drain(struct tar_reader *reader, struct err *err)
{
	int result;
	reader->left = 0;
	while ((result = fill(reader, err)) > 0) {
		reader->left = 0;
	}
	return result;
}

/* Reads a header block with a right check sum: 1, 0 at the end of the archive. */
static int read_header_block(struct tar_reader *reader, struct err *err)
{
	int result = read_exact(reader, reader->block, TAR_BLOCK, err);
	if (result <= 0) {
		return result;
	}
	if (is_zero_block(reader->block)) {
		result = read_exact(reader, reader->block, TAR_BLOCK, err);
		if (result < 0) {
			return result;
		}
		if (result > 0 && !is_zero_block(reader->block)) {
			return err_refuse(err, LAYER_REFUSED, "malformed header: lone zero block");
		}
		return drain(reader, err);
	}
	if (!tar_checksum_is_right(reader->block)) {
		return err_refuse(err, LAYER_REFUSED,
				  "this is not a tar archive, or it is damaged (check sum)");
	}
	return 1;
}

static int finish_entry(struct tar_reader *reader, struct err *err)
{
	struct tar_entry *entry = &reader->entry;
	int is_old_sparse = entry->type == (enum tar_type)'S';
	int result = apply_pax(reader, &reader->global_pax, err);
	if (result < 0 || (result = apply_pax(reader, &reader->pax, err)) < 0) {
		return result;
	}
	entry->global_pax = reader->global_pax.data;
	entry->global_pax_size = reader->global_pax.size;
	entry->pax = reader->pax.data;
	entry->pax_size = reader->pax.size;
	size_t length = strlen(entry->name);
	if (entry->type == TAR_FILE && length > 0 && entry->name[length - 1] == '/') {
		entry->type = TAR_DIRECTORY;
	}
	if (entry->type >= TAR_HARD_LINK && entry->type <= TAR_FIFO) {
		entry->size = entry->stored_size = 0;
	} else if (entry->type != TAR_FILE && !is_old_sparse) {
		return err_refuse(err, LAYER_REFUSED, "member \"%.200s\" has the unknown type %d",
				  entry->name, (int)entry->type);
	}
	reader->data_left = (uint64_t)entry->stored_size;
	reader->padding = padding_of(reader->data_left);
	struct sparse_input input = {.context = reader,
				     .read_block = read_block,
				     .read_member = read_member,
				     .data_left = &reader->data_left};
	result = sparse_read(&reader->sparse, entry, reader->block, &input, err);
	if (result < 0) {
		return result;
	}
	if (entry->is_sparse) {
		entry->type = TAR_FILE;
	}
	return 1;
}

int tar_reader_next(struct tar_reader *reader, const struct tar_entry **entry, struct err *err)
{
	int result = skip_member(reader, err);
	if (result < 0) {
		return result;
	}
	reader->pax.size = 0;
	reader->has_long_name = reader->has_long_link = 0;
	for (int has_prelude = 0;;) {
		result = read_header_block(reader, err);
		if (result == 0 && has_prelude) {
			return truncated(err);
		}
		if (result <= 0) {
			return result;
		}
		uint8_t type = reader->block[156];
		if (type == 'x' || type == 'X' || type == 'g' || type == 'L' || type == 'K') {
			int64_t size;
			if (tar_number(reader->block + 124, 12, &size) < 0 || size < 0) {
				return err_refuse(err, LAYER_REFUSED, "malformed header: size");
			}
			reader->data_left = (uint64_t)size;
			reader->padding = padding_of(reader->data_left);
		}
		if (type == 'x' || type == 'X') {
			result = read_pax(reader, &reader->pax, err);
		} else if (type == 'g') {
			result = read_pax(reader, &reader->global_pax, err);
		} else if (type == 'L') {
			reader->has_long_name = 1;
			result = read_long_name(reader, reader->entry.name, err);
		} else if (type == 'K') {
			reader->has_long_link = 1;
			result = read_long_name(reader, reader->entry.link, err);
		} else {
			break;
		}
		if (result < 0) {
			return result;
		}
		has_prelude |= type != 'g';
	}
	read_names(reader);
	if ((result = read_header(reader, err)) < 0) {
		return result;
	}
	result = finish_entry(reader, err);
	if (result > 0) {
		*entry = &reader->entry;
	}
	return result;
}

ssize_t tar_reader_data(struct tar_reader *reader, const uint8_t **data, struct err *err)
{
	if (reader->data_left == 0) {
		return 0;
	}
	int result = fill(reader, err);
	if (result <= 0) {
		return result < 0 ? result : truncated(err);
	}
	size_t part = reader->left < reader->data_left ? reader->left : (size_t)reader->data_left;
	*data = reader->at;
	reader->at += part;
	reader->left -= part;
	reader->data_left -= part;
	return (ssize_t)part;
}
