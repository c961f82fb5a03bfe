/* One member of a tar archive, as the reader gives it and the writer takes it. */
#ifndef GANTRY_LAYER_TAR_ENTRY_H
#define GANTRY_LAYER_TAR_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK 512
/* Longest member or link name with its NUL: what Linux takes as one path. */
#define TAR_NAME_SIZE 4096
/* Most bytes of extended headers (PAX) per member, and of global ones. */
#define TAR_PAX_MAX (1024 * 1024)
/* Most data segments of a sparse file. */
#define TAR_SEGMENTS_MAX 65536

enum tar_type {
	TAR_FILE = '0',
	TAR_HARD_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR_DEVICE = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
};

/* Data of a sparse file between holes; bytes. */
struct tar_segment {
	int64_t offset;
	int64_t length;
};

/* Extended attributes are records "LENGTH SCHILY.xattr.NAME=VALUE\n"; see pax.h. */
struct tar_entry {
	enum tar_type type;
	char name[TAR_NAME_SIZE];
	char link[TAR_NAME_SIZE]; /* target of a link, else "" */
	int64_t stored_size;	  /* bytes of data in the archive */
	int64_t size;		  /* bytes of the file, holes included */
	uint32_t mode;		  /* permission bits, 07777 */
	uint32_t uid, gid;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	uint32_t device_major, device_minor;
	const char *global_pax, *pax; /* records of the archive and of this member */
	size_t global_pax_size, pax_size;
	int is_sparse;
	const struct tar_segment *segments;
	size_t segment_count;
};

#endif
