#include "shim/ring.h"

#include <string.h>

void ring_init(struct ring *ring, uint8_t *data, size_t capacity)
{
	*ring = (struct ring){.data = data, .capacity = capacity};
}

size_t ring_room(const struct ring *ring)
{
	return ring->capacity - ring->size;
}

void ring_put(struct ring *ring, const uint8_t *from, size_t size)
{
	if (size == 0) {
		return;
	}
	size_t tail = (ring->head + ring->size) % ring->capacity;
	size_t first = ring->capacity - tail;
	if (first > size) {
		first = size;
	}
	memcpy(ring->data + tail, from, first);
	memcpy(ring->data, from + first, size - first);
	ring->size += size;
}

int ring_peek(const struct ring *ring, struct iovec parts[2])
{
	if (ring->size == 0) {
		return 0;
	}
	size_t first = ring->capacity - ring->head;
	if (first >= ring->size) {
		parts[0] = (struct iovec){ring->data + ring->head, ring->size};
		return 1;
	}
	parts[0] = (struct iovec){ring->data + ring->head, first};
	parts[1] = (struct iovec){ring->data, ring->size - first};
	return 2;
}

void ring_drop(struct ring *ring, size_t size)
{
	ring->size -= size;
	ring->head = ring->size == 0 ? 0 : (ring->head + size) % ring->capacity;
}
