/* shim.conf: any bytes are either refused with a sentence or parsed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/config.h"
#include "shim/shim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shim_config config;
	struct err err = {0};
	/* The fuzzer likes newlines better than NUL bytes. */
	char *text = malloc(size + 1);
	if (text == NULL) {
		return 0;
	}
	for (size_t i = 0; i < size; i++) {
		text[i] = data[i] == '\n' ? 0 : (char)data[i];
	}
	text[size] = 0;
	if (config_parse(&config, text, size + 1, &err) != 0 && err.message[0] == 0) {
		abort();
	}
	oom_parse((const char *)data, size);
	free(text);
	return 0;
}
