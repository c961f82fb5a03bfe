/* Small archives for tests: headers by hand, right check sums, nothing else checked. */
#ifndef GANTRY_LAYER_TAR_BUILD_H
#define GANTRY_LAYER_TAR_BUILD_H

#include "layer/pax.h"
#include "layer/tar-entry.h"
#include "layer/tar-number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tar_build {
	uint8_t data[256 * 1024];
	size_t size;
};

struct member {
	const char *name, *link, *content;
	char type;
	uint32_t mode, uid, gid;
	size_t size; /* when `content` holds NULs; 0 = its length */
};

static inline uint8_t *build_header(struct tar_build *tar, const struct member *m)
{
	uint8_t *block = tar->data + tar->size;
	size_t size = m->content == NULL ? 0 : m->size > 0 ? m->size : strlen(m->content);
	size_t name_size = strlen(m->name);
	memset(block, 0, TAR_BLOCK);
	memcpy(block, m->name, name_size > 100 ? 100 : name_size);
	tar_put_number(block + 100, 8, m->mode != 0 ? m->mode : 0644);
	tar_put_number(block + 108, 8, m->uid);
	tar_put_number(block + 116, 8, m->gid);
	tar_put_number(block + 124, 12, (int64_t)size);
	tar_put_number(block + 136, 12, 1700000000);
	block[156] = (uint8_t)(m->type != 0 ? m->type : '0');
	if (m->link != NULL) {
		memcpy(block + 157, m->link, strlen(m->link));
	}
	memcpy(block + 257, "ustar\00000", 8);
	tar_put_checksum(block);
	tar->size += TAR_BLOCK;
	return block;
}

static inline void build_data(struct tar_build *tar, const void *data, size_t size)
{
	memset(tar->data + tar->size, 0, (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK);
	memcpy(tar->data + tar->size, data, size);
	tar->size += (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

static inline void build_member(struct tar_build *tar, const struct member *m)
{
	build_header(tar, m);
	if (m->content != NULL) {
		build_data(tar, m->content, m->size > 0 ? m->size : strlen(m->content));
	}
}

/* A PAX header; `lines` are "KEY=VALUE\n", lengths are put before them. */
static inline void build_pax(struct tar_build *tar, char type, const char *lines)
{
	struct pax_buffer records = {0};
	while (*lines != 0) {
		char key[128];
		size_t size = strcspn(lines, "\n");
		size_t key_size = strcspn(lines, "=");
		memcpy(key, lines, key_size);
		key[key_size] = 0;
		pax_append(&records, key, lines + key_size + 1, size - key_size - 1);
		lines += size + 1;
	}
	build_member(tar, &(struct member){.name = "pax",
					   .type = type,
					   .content = records.data,
					   .size = records.size});
	free(records.data);
}

static inline void build_end(struct tar_build *tar)
{
	memset(tar->data + tar->size, 0, 2 * TAR_BLOCK);
	tar->size += 2 * TAR_BLOCK;
}

#endif
