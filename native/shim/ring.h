/* Byte queue of fixed capacity over a buffer the caller owns. Empties from index 0, so that few
 * pages are touched. */
#ifndef GANTRY_SHIM_RING_H
#define GANTRY_SHIM_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ring {
	uint8_t *data; /* borrowed */
	size_t capacity;
	size_t head; /* index of the oldest byte */
	size_t size; /* bytes held */
};

void ring_init(struct ring *ring, uint8_t *data, size_t capacity);

/* Bytes that can be put. */
size_t ring_room(const struct ring *ring);

/* Appends `size` bytes; the caller has checked the room. */
void ring_put(struct ring *ring, const uint8_t *from, size_t size);

/* Points `parts` at what is held, oldest first; returns how many parts (0 to 2). */
int ring_peek(const struct ring *ring, struct iovec parts[2]);

/* Forgets the `size` oldest bytes. */
void ring_drop(struct ring *ring, size_t size);

#endif
