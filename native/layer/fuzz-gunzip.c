/* The gzip decoder on arbitrary bytes. */
#include "layer/inflate.h"

#include <errno.h>
#include <string.h>

/* Enough for the window to move; a bomb would only cost time. */
#define OUTPUT_MAX (2 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size, step, written;
};

static ssize_t read_input(void *context, uint8_t *buffer, size_t size, struct err *err)
{
	(void)err;
	struct input *input = context;
	size_t part = input->size < size ? input->size : size;
	if (input->step > 0 && part > input->step) {
		part = input->step;
	}
	memcpy(buffer, input->data, part);
	input->data += part;
	input->size -= part;
	return (ssize_t)part;
}

static int take_output(void *context, const uint8_t *data, size_t size, struct err *err)
{
	(void)data;
	(void)err;
	struct input *input = context;
	input->written += size;
	return input->written > OUTPUT_MAX ? -EFBIG : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t whole[1 << 20];
	static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
	if (size < 1 || size > sizeof(whole) - sizeof(header)) {
		return 0;
	}
	/* With a header put before it most inputs reach the decoder. */
	memcpy(whole, header, sizeof(header));
	memcpy(whole + sizeof(header), data + 1, size - 1);
	struct input input = {.data = whole, .size = sizeof(header) + size - 1, .step = data[0]};
	struct gunzip_io io = {.context = &input, .read = read_input, .write = take_output};
	struct err err = {0};
	gunzip(&io, &err);
	return 0;
}
