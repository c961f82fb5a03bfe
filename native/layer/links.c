#include "layer/links.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct link_item *find_slot(struct link_item *items, size_t capacity, dev_t device,
				   ino_t inode)
{
	uint64_t hash = ((uint64_t)inode ^ ((uint64_t)device << 32)) * 0x9e3779b97f4a7c15ULL;
	size_t at = (size_t)(hash >> 20) & (capacity - 1);
	while (items[at].name != NULL && (items[at].inode != inode || items[at].device != device)) {
		at = (at + 1) & (capacity - 1);
	}
	return &items[at];
}

static int grow(struct link_table *table)
{
	size_t capacity = table->capacity == 0 ? 256 : 2 * table->capacity;
	struct link_item *items = calloc(capacity, sizeof(*items));
	if (items == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < table->capacity; i++) {
		struct link_item *old = &table->items[i];
		if (old->name != NULL) {
			*find_slot(items, capacity, old->device, old->inode) = *old;
		}
	}
	free(table->items);
	table->items = items;
	table->capacity = capacity;
	return 0;
}

int link_table_find(struct link_table *table, const struct stat *st, const char *name,
		    const char **first)
{
	if (2 * (table->count + 1) > table->capacity && grow(table) < 0) {
		return -ENOMEM;
	}
	struct link_item *slot = find_slot(table->items, table->capacity, st->st_dev, st->st_ino);
	if (slot->name != NULL) {
		*first = slot->name;
		return 0;
	}
	char *copy = strdup(name);
	if (copy == NULL) {
		return -ENOMEM;
	}
	slot->device = st->st_dev;
	slot->inode = st->st_ino;
	slot->name = copy;
	table->count++;
	*first = NULL;
	return 0;
}

void link_table_free(struct link_table *table)
{
	for (size_t i = 0; i < table->capacity; i++) {
		free(table->items[i].name);
	}
	free(table->items);
	memset(table, 0, sizeof(*table));
}
