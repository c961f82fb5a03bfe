#include "layer/json.h"

static void put_string(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text != 0; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\') {
			putc('\\', out);
			putc(c, out);
		} else if (c < 0x20) {
			fprintf(out, "\\u%04x", c);
		} else {
			putc(c, out);
		}
	}
	putc('"', out);
}

static void put_name(struct json *json, const char *name)
{
	if (json->has_fields) {
		putc(',', json->out);
	}
	json->has_fields = 1;
	put_string(json->out, name);
	putc(':', json->out);
}

void json_begin(struct json *json, FILE *out)
{
	json->out = out;
	json->has_fields = 0;
	putc('{', out);
}

void json_text(struct json *json, const char *name, const char *value)
{
	put_name(json, name);
	put_string(json->out, value);
}

void json_number(struct json *json, const char *name, int64_t value)
{
	put_name(json, name);
	fprintf(json->out, "%lld", (long long)value);
}

void json_big(struct json *json, const char *name, int64_t value)
{
	put_name(json, name);
	fprintf(json->out, "\"%lld\"", (long long)value);
}

void json_bool(struct json *json, const char *name, int value)
{
	put_name(json, name);
	fputs(value ? "true" : "false", json->out);
}

void json_end(struct json *json)
{
	fputs("}\n", json->out);
	fflush(json->out);
}
