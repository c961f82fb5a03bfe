/* The tar reader on arbitrary bytes: an answer, bounded memory, no crash. */
#include "layer/tar-number.h"
#include "layer/tar-reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2) {
		return 0;
	}
	/* The first byte chooses the pieces; check sums are put right, or nothing would get far. */
	size_t piece = data[0];
	size--;
	uint8_t *copy = malloc(size);
	if (copy == NULL) {
		return 0;
	}
	memcpy(copy, data + 1, size);
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		if (copy[at + 257] == 'u') {
			tar_put_checksum(copy + at);
		}
	}
	struct err err = {0};
	struct memory_source source;
	memory_source_init(&source, copy, size, piece);
	struct tar_reader *reader;
	if (tar_reader_new(&reader, &source.base, &err) == 0) {
		const struct tar_entry *entry;
		while (tar_reader_next(reader, &entry, &err) > 0) {
			const uint8_t *bytes;
			while (tar_reader_data(reader, &bytes, &err) > 0) {
			}
		}
		tar_reader_free(reader);
	}
	free(copy);
	return 0;
}
