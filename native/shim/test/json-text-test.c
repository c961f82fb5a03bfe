#include "shim/json-text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/test.h"

static bool escapes_to(const char *from, size_t size, const char *expected)
{
	char to[1024];
	size_t length = json_escape(to, (const uint8_t *)from, size);
	return length == strlen(expected) && memcmp(to, expected, length) == 0;
}

#define ESCAPES(from, expected) CHECK(escapes_to(from, sizeof(from) - 1, expected))

static void plain_text_stays(void)
{
	ESCAPES("", "");
	ESCAPES("hello world, 0123456789 ~!@#$%^*()_+", "hello world, 0123456789 ~!@#$%^*()_+");
	ESCAPES("a/b'c\x7f", "a/b'c\x7f");
}

static void special_characters(void)
{
	ESCAPES("a\"b\\c", "a\\\"b\\\\c");
	ESCAPES("\n\r\t\b\f", "\\n\\r\\u0009\\u0008\\u000c");
	ESCAPES("\x01\x1f", "\\u0001\\u001f");
	ESCAPES("a\0b", "a\\u0000b");
	ESCAPES("<a>&", "\\u003ca\\u003e\\u0026");
}

static void valid_utf8_stays(void)
{
	ESCAPES("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
	ESCAPES("\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80",
		"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80");
}

static void line_separators_are_escaped(void)
{
	ESCAPES("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xa7", "\\u2028\\u2029\xe2\x80\xa7");
}

static void each_invalid_byte_is_replaced(void)
{
	ESCAPES("\x80\xff", "\\udc80\\udcff");
	ESCAPES("\xc0\xaf", "\\udcc0\\udcaf");		  /* overlong */
	ESCAPES("\xe0\x80\x80", "\\udce0\\udc80\\udc80"); /* overlong */
	ESCAPES("\xed\xa0\x80", "\\udced\\udca0\\udc80"); /* surrogate */
	ESCAPES("\xf4\x90\x80\x80", "\\udcf4\\udc90\\udc80\\udc80");
	ESCAPES("\xe2\x82", "\\udce2\\udc82"); /* cut */
	ESCAPES("\xc3(", "\\udcc3(");
}

/* The vector path and the byte path must agree wherever the special byte lies. */
static void position_does_not_matter(void)
{
	for (size_t size = 1; size < 80; size++) {
		for (size_t at = 0; at < size; at++) {
			uint8_t from[80];
			char to[80 * JSON_ESCAPE_WORST + 16];
			memset(from, 'x', size);
			from[at] = '<';
			size_t length = json_escape(to, from, size);
			bool is_right = length == size + 5 && memcmp(to + at, "\\u003c", 6) == 0;
			for (size_t i = 0; is_right && i < at; i++) {
				is_right = to[i] == 'x';
			}
			for (size_t i = at + 6; is_right && i < length; i++) {
				is_right = to[i] == 'x';
			}
			if (!is_right) {
				CHECK(is_right);
				return;
			}
		}
	}
}

static void worst_case_is_the_stated_one(void)
{
	uint8_t from[1000];
	char *to = malloc(sizeof(from) * JSON_ESCAPE_WORST + 16);
	memset(from, 0xff, sizeof(from));
	CHECK(json_escape(to, from, sizeof(from)) == sizeof(from) * JSON_ESCAPE_WORST);
	free(to);
}

static bool is_time(uint64_t ns, const char *expected)
{
	char text[RFC3339_NANO_MAX];
	size_t size = rfc3339_nano(text, ns);
	return size == strlen(expected) && memcmp(text, expected, size) == 0;
}

static void times_are_like_go_writes_them(void)
{
	CHECK(is_time(0, "1970-01-01T00:00:00Z"));
	CHECK(is_time(1, "1970-01-01T00:00:00.000000001Z"));
	CHECK(is_time(951782399123456789U, "2000-02-28T23:59:59.123456789Z"));
	CHECK(is_time(951782400000000000U, "2000-02-29T00:00:00Z"));
	CHECK(is_time(1709164800500000000U, "2024-02-29T00:00:00.5Z"));
	CHECK(is_time(1735689599999999990U, "2024-12-31T23:59:59.99999999Z"));
	CHECK(is_time(4102444800000000000U, "2100-01-01T00:00:00Z"));
}

int main(void)
{
	RUN("json text: plain text stays", plain_text_stays);
	RUN("json text: special characters are escaped", special_characters);
	RUN("json text: valid UTF-8 stays", valid_utf8_stays);
	RUN("json text: line separators are escaped", line_separators_are_escaped);
	RUN("json text: each invalid byte is replaced", each_invalid_byte_is_replaced);
	RUN("json text: the position of a special byte does not matter", position_does_not_matter);
	RUN("json text: the worst case is the stated one", worst_case_is_the_stated_one);
	RUN("json text: times are RFC 3339 without trailing zeros", times_are_like_go_writes_them);
	return TEST_RESULT();
}
