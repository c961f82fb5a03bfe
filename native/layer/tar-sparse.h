/* Maps of sparse members: GNU's old header form and PAX 0.0, 0.1 and 1.0. */
#ifndef GANTRY_LAYER_TAR_SPARSE_H
#define GANTRY_LAYER_TAR_SPARSE_H

#include "common/err.h"
#include "layer/tar-entry.h"

/* Storage that one reader reuses; free `segments`. */
struct sparse_map {
	struct tar_segment *segments;
	size_t count, capacity;
};

/* How the map's own bytes are read: extension headers, and bytes of the member's data. */
struct sparse_input {
	void *context;
	int (*read_block)(void *context, void *buffer, size_t size, struct err *err);
	int (*read_member)(void *context, void *buffer, size_t size, struct err *err);
	const uint64_t *data_left; /* bytes of the member not yet read */
};

/*
 * When the member is sparse: reads its map, sets `is_sparse`, `segments`, `size`, `stored_size`
 * (a map that lies in the data is no data) and (PAX) the name.
 * `block` is the member's header. The map is checked: ascending, within the size, and as long as
 * the stored data.
 */
int sparse_read(struct sparse_map *map, struct tar_entry *entry, const uint8_t *block,
		const struct sparse_input *input, struct err *err);

#endif
