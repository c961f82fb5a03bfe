/* Requests: any bytes are either refused or decoded into views inside them. */
#include <stdint.h>
#include <stdlib.h>

#include "shim/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct view view, const uint8_t *data, size_t size)
{
	if (view.size > 0 && (view.data < data || view.data + view.size > data + size)) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request request;
	struct err err;
	if (size < FRAME_HEADER_SIZE) {
		return 0;
	}
	struct frame_header header = frame_get_header(data);
	header.length = (uint32_t)(size - FRAME_HEADER_SIZE);
	header.type = (uint16_t)(header.type % 17U);
	if (request_decode(&request, header, data + FRAME_HEADER_SIZE, &err) == 0) {
		check_inside(request.id, data, size);
		check_inside(request.path, data, size);
		check_inside(request.data, data, size);
		if (request.id.size > ID_MAX) {
			abort();
		}
	}
	return 0;
}
