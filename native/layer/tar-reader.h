/*
 * Streaming tar reader: ustar, GNU (long names, base-256 numbers, old sparse files), PAX (local and
 * global records, sparse 0.0, 0.1 and 1.0). Memory is bounded by the limits of tar-entry.h.
 */
#ifndef GANTRY_LAYER_TAR_READER_H
#define GANTRY_LAYER_TAR_READER_H

#include "layer/source.h"
#include "layer/tar-entry.h"

struct tar_reader;

/* `source` is borrowed. */
int tar_reader_new(struct tar_reader **out, struct source *source, struct err *err);
void tar_reader_free(struct tar_reader *reader);

/*
 * Goes to the next member, skipping what is left of the one before. Returns 1 with `*entry` valid
 * until the next call; 0 at the end, when the source has been read to its end as well.
 * A malformed archive is refused with EBADMSG.
 */
int tar_reader_next(struct tar_reader *reader, const struct tar_entry **entry, struct err *err);

/*
 * Next piece of the member's stored data (of a sparse file: its segments one after another).
 * `*data` is valid until the next call. Returns its size, 0 at the end.
 */
ssize_t tar_reader_data(struct tar_reader *reader, const uint8_t **data, struct err *err);

#endif
