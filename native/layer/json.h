/* Smallest JSON output: one flat object on one line. */
#ifndef GANTRY_LAYER_JSON_H
#define GANTRY_LAYER_JSON_H

#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out; /* borrowed */
	int has_fields;
};

void json_begin(struct json *json, FILE *out);
/* Bytes that are no UTF-8 are passed on as they are. */
void json_text(struct json *json, const char *name, const char *value);
void json_number(struct json *json, const char *name, int64_t value);
/* A number as text, for values that JavaScript's numbers cannot hold. */
void json_big(struct json *json, const char *name, int64_t value);
void json_bool(struct json *json, const char *name, int value);
void json_end(struct json *json);

#endif
