/* Files with several names that a walk has met, with the name it met first. */
#ifndef GANTRY_LAYER_LINKS_H
#define GANTRY_LAYER_LINKS_H

#include <stddef.h>
#include <sys/stat.h>

struct link_item {
	dev_t device;
	ino_t inode;
	char *name; /* NULL = free slot */
};

/* Open addressing, capacity a power of two. Zero-initialise. */
struct link_table {
	struct link_item *items;
	size_t capacity, count;
};

/* Sets `*first` to the name met before (the table's), or to NULL and remembers `name`. -ENOMEM. */
int link_table_find(struct link_table *table, const struct stat *st, const char *name,
		    const char **first);
void link_table_free(struct link_table *table);

#endif
