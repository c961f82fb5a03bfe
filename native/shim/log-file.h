/*
 * Append-only log file with Docker's rotation: `NAME`, `NAME.1` (newer) ... `NAME.(files-1)`
 * (oldest). Holds only whole entries: a write that fails is cut back to the last newline and the
 * rest counted as lost. Never synced.
 */
#ifndef GANTRY_SHIM_LOG_FILE_H
#define GANTRY_SHIM_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct log_file {
	int dir_fd; /* owned */
	int fd;	    /* owned; -1 after a failed reopen: everything is lost and counted */
	const char *name;
	uint64_t max_size; /* 0 = never rotates */
	uint32_t max_files;
	uint64_t rotate_at; /* size at which the next rotation is due */
	uint64_t size;
	uint64_t inode;
	uint32_t generation;
	uint64_t lost; /* bytes of entries that could not be written */
};

/* Opens or creates the file. `path` is absolute and outlives the log. Release with log_file_close.
 */
int log_file_open(struct log_file *log, const char *path, uint64_t max_size, uint32_t max_files,
		  struct err *err);

/* Appends whole entries (each ends in a newline). Failure is counted in `lost`, not returned. */
void log_file_write(struct log_file *log, const char *entries, size_t size);

/* True when an entry after `pending` unwritten bytes belongs into the next file. */
bool log_file_is_full(const struct log_file *log, size_t pending);

/* Makes the next file the current one; with max_files 1 empties the file. Stays with the old one on
 * failure. */
int log_file_rotate(struct log_file *log, struct err *err);

/* Opens the path again, creating it. */
int log_file_reopen(struct log_file *log, struct err *err);

/* Empties the current file and removes the rotated ones. */
int log_file_truncate(struct log_file *log, struct err *err);

void log_file_close(struct log_file *log);

#endif
