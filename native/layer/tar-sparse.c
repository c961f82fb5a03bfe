#include "layer/tar-sparse.h"

#include "layer/pax.h"
#include "layer/source.h"
#include "layer/tar-number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int malformed(struct err *err)
{
	return err_refuse(err, LAYER_REFUSED, "malformed sparse file");
}

static int add(struct sparse_map *map, int64_t offset, int64_t length, struct err *err)
{
	int64_t end;
	if (offset < 0 || length < 0 || __builtin_add_overflow(offset, length, &end)) {
		return malformed(err);
	}
	if (map->count >= TAR_SEGMENTS_MAX) {
		return err_refuse(err, LAYER_REFUSED, "a sparse file has too many pieces");
	}
	if (map->count == map->capacity) {
		size_t capacity = map->capacity == 0 ? 64 : 2 * map->capacity;
		struct tar_segment *segments = realloc(map->segments, capacity * sizeof(*segments));
		if (segments == NULL) {
			return err_set(err, ENOMEM, "read the archive");
		}
		map->segments = segments;
		map->capacity = capacity;
	}
	map->segments[map->count++] = (struct tar_segment){.offset = offset, .length = length};
	return 0;
}

static int add_fields(struct sparse_map *map, const uint8_t *at, int count, struct err *err)
{
	for (int i = 0; i < count; i++, at += 24) {
		int64_t offset, length;
		if (at[0] == 0 && at[12] == 0) {
			continue;
		}
		if (tar_number(at, 12, &offset) < 0 || tar_number(at + 12, 12, &length) < 0) {
			return malformed(err);
		}
		int result = add(map, offset, length, err);
		if (result < 0) {
			return result;
		}
	}
	return 0;
}

static int read_old(struct sparse_map *map, struct tar_entry *entry, const uint8_t *block,
		    const struct sparse_input *input, struct err *err)
{
	if (tar_number(block + 483, 12, &entry->size) < 0) {
		return malformed(err);
	}
	int result = add_fields(map, block + 386, 4, err);
	uint8_t extension[TAR_BLOCK];
	for (int is_extended = block[482] != 0; result == 0 && is_extended;
	     is_extended = extension[504] != 0) {
		result = input->read_block(input->context, extension, sizeof(extension), err);
		if (result == 0) {
			result = add_fields(map, extension, 21, err);
		}
	}
	return result;
}

/* A decimal number and newline of a 1.0 map; `*used` counts the bytes read. */
static int read_line(const struct sparse_input *input, int64_t *value, size_t *used,
		     struct err *err)
{
	char digits[24];
	struct pax_record record = {.value = digits};
	for (;;) {
		char c;
		int result = input->read_member(input->context, &c, 1, err);
		if (result < 0) {
			return result;
		}
		++*used;
		if (c == '\n') {
			return pax_integer(&record, value) < 0 ? malformed(err) : 0;
		}
		if (record.value_size == sizeof(digits)) {
			return malformed(err);
		}
		digits[record.value_size++] = c;
	}
}

static int read_v1(struct sparse_map *map, const struct sparse_input *input, struct err *err)
{
	size_t used = 0;
	int64_t count, offset = 0, length = 0;
	int result = read_line(input, &count, &used, err);
	for (int64_t i = 0; result == 0 && i < count; i++) {
		if ((result = read_line(input, &offset, &used, err)) == 0 &&
		    (result = read_line(input, &length, &used, err)) == 0) {
			result = add(map, offset, length, err);
		}
	}
	if (result == 0 && used % TAR_BLOCK != 0) {
		uint8_t padding[TAR_BLOCK];
		result = input->read_member(input->context, padding, TAR_BLOCK - used % TAR_BLOCK,
					    err);
	}
	return result;
}

/* "offset,length,offset,length..." */
static int read_v01(struct sparse_map *map, const struct pax_record *list, struct err *err)
{
	const char *at = list->value, *end = at + list->value_size;
	int64_t numbers[2];
	for (int i = 0; at < end; i ^= 1) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma != NULL ? comma : end;
		struct pax_record number = {.value = at, .value_size = (size_t)(stop - at)};
		if (pax_integer(&number, &numbers[i]) < 0 || (i == 0 && comma == NULL)) {
			return malformed(err);
		}
		int result = i == 1 ? add(map, numbers[0], numbers[1], err) : 0;
		if (result < 0) {
			return result;
		}
		at = comma != NULL ? comma + 1 : end;
	}
	return 0;
}

/* What the member's PAX records say about holes. */
struct pax_sparse {
	int64_t major, size;
	int has_list;
	struct pax_record list, name;
};

static int read_records(struct sparse_map *map, const struct tar_entry *entry,
			struct pax_sparse *facts, struct err *err)
{
	struct pax_cursor cursor = {.at = entry->pax, .end = entry->pax + entry->pax_size};
	struct pax_record record;
	int result = 0;
	int64_t offset = -1, length;
	while ((result = pax_next(&cursor, &record, err)) > 0) {
		if (record.key_size < 11 || memcmp(record.key, "GNU.sparse.", 11) != 0) {
			continue;
		}
		if (pax_key_is(&record, "GNU.sparse.major")) {
			result = pax_integer(&record, &facts->major);
		} else if (pax_key_is(&record, "GNU.sparse.size") ||
			   pax_key_is(&record, "GNU.sparse.realsize")) {
			result = pax_integer(&record, &facts->size);
		} else if (pax_key_is(&record, "GNU.sparse.name")) {
			facts->name = record;
		} else if (pax_key_is(&record, "GNU.sparse.map")) {
			facts->list = record;
			facts->has_list = 1;
		} else if (pax_key_is(&record, "GNU.sparse.offset")) {
			result = pax_integer(&record, &offset);
		} else if (pax_key_is(&record, "GNU.sparse.numbytes")) {
			result = pax_integer(&record, &length);
			if (result == 0 && (result = add(map, offset, length, err)) < 0) {
				return result;
			}
		}
		if (result < 0) {
			return malformed(err);
		}
	}
	return result;
}

static int read_pax_sparse(struct sparse_map *map, struct tar_entry *entry,
			   const struct sparse_input *input, struct err *err)
{
	struct pax_sparse facts = {.size = -1};
	int result = read_records(map, entry, &facts, err);
	if (result < 0 || facts.size < 0) {
		return result;
	}
	entry->is_sparse = 1;
	entry->size = facts.size;
	if (facts.name.value_size > 0) {
		if (facts.name.value_size >= TAR_NAME_SIZE ||
		    memchr(facts.name.value, 0, facts.name.value_size) != NULL) {
			return malformed(err);
		}
		memcpy(entry->name, facts.name.value, facts.name.value_size);
		entry->name[facts.name.value_size] = 0;
	}
	if (facts.major == 1) {
		map->count = 0;
		return read_v1(map, input, err);
	}
	if (facts.has_list) {
		map->count = 0;
		return read_v01(map, &facts.list, err);
	}
	return 0;
}

static int check(const struct sparse_map *map, int64_t size, int64_t stored, struct err *err)
{
	int64_t reached = 0, total = 0;
	for (size_t i = 0; i < map->count; i++) {
		const struct tar_segment *segment = &map->segments[i];
		if (segment->offset < reached) {
			return malformed(err);
		}
		reached = segment->offset + segment->length;
		total += segment->length;
	}
	return reached > size || total != stored ? malformed(err) : 0;
}

int sparse_read(struct sparse_map *map, struct tar_entry *entry, const uint8_t *block,
		const struct sparse_input *input, struct err *err)
{
	int is_old = entry->type == (enum tar_type)'S';
	map->count = 0;
	if (!is_old && (entry->type != TAR_FILE || entry->pax_size == 0)) {
		return 0;
	}
	int result = is_old ? read_old(map, entry, block, input, err)
			    : read_pax_sparse(map, entry, input, err);
	if (result < 0) {
		return result;
	}
	entry->is_sparse |= is_old;
	if (!entry->is_sparse) {
		return 0;
	}
	entry->segments = map->segments;
	entry->segment_count = map->count;
	entry->stored_size = (int64_t)*input->data_left;
	return check(map, entry->size, entry->stored_size, err);
}
