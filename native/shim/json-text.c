#include "shim/json-text.h"

#include <stdbool.h>
#include <string.h>

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

static const char HEX[] = "0123456789abcdef";

/* True when all 16 bytes stand for themselves: printable ASCII other than `"`, `\`, `<`, `>`, `&`.
 */
static inline bool is_plain16(bytes16 v)
{
	bytes16 bad = (bytes16)(v < 0x20) | (bytes16)(v >= 0x80) | (bytes16)(v == '"') |
		      (bytes16)(v == '\\') | (bytes16)(v == '<') | (bytes16)(v == '>') |
		      (bytes16)(v == '&');
	words2 words = (words2)bad;
	return (words[0] | words[1]) == 0;
}

/* Length of the valid UTF-8 sequence of 2 to 4 bytes at `from`, 0 when it is none (as Go decides).
 */
static size_t utf8_length(const uint8_t *from, size_t left)
{
	uint8_t lead = from[0];
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t length = 0;
	if (lead >= 0xc2 && lead <= 0xdf) {
		length = 2;
	} else if (lead >= 0xe0 && lead <= 0xef) {
		length = 3;
		low = lead == 0xe0 ? 0xa0 : 0x80;
		high = lead == 0xed ? 0x9f : 0xbf; /* no surrogates */
	} else if (lead >= 0xf0 && lead <= 0xf4) {
		length = 4;
		low = lead == 0xf0 ? 0x90 : 0x80;
		high = lead == 0xf4 ? 0x8f : 0xbf; /* up to U+10FFFF */
	}
	if (length == 0 || left < length || from[1] < low || from[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < length; i++) {
		if (from[i] < 0x80 || from[i] > 0xbf) {
			return 0;
		}
	}
	return length;
}

static char *put_unicode(char *to, unsigned code)
{
	to[0] = '\\';
	to[1] = 'u';
	to[2] = HEX[(code >> 12) & 15];
	to[3] = HEX[(code >> 8) & 15];
	to[4] = HEX[(code >> 4) & 15];
	to[5] = HEX[code & 15];
	return to + 6;
}

static char *put_short(char *to, char letter)
{
	to[0] = '\\';
	to[1] = letter;
	return to + 2;
}

static char *put_ascii(char *to, uint8_t c)
{
	switch (c) {
	case '"':
	case '\\':
		return put_short(to, (char)c);
	case '\n':
		return put_short(to, 'n');
	case '\r':
		return put_short(to, 'r');
	case '<':
	case '>':
	case '&':
		return put_unicode(to, c);
	default:
		if (c < 0x20) {
			return put_unicode(to, c);
		}
		*to = (char)c;
		return to + 1;
	}
}

size_t json_escape(char *to, const uint8_t *from, size_t size)
{
	char *start = to;
	const uint8_t *end = from + size;
	while (from < end) {
		while (end - from >= 16) {
			bytes16 v;
			memcpy(&v, from, 16);
			if (!is_plain16(v)) {
				break;
			}
			memcpy(to, &v, 16);
			from += 16;
			to += 16;
		}
		/* One vector's worth one by one, then the fast way is tried again. */
		const uint8_t *stop = end - from > 16 ? from + 16 : end;
		while (from < stop) {
			if (*from < 0x80) {
				to = put_ascii(to, *from++);
				continue;
			}
			size_t length = utf8_length(from, (size_t)(end - from));
			if (length == 0) {
				to = put_unicode(to, 0xdc00U | *from);
				from++;
			} else if (length == 3 && from[0] == 0xe2 && from[1] == 0x80 &&
				   (from[2] == 0xa8 || from[2] == 0xa9)) {
				to = put_unicode(to, 0x2000U + (from[2] & 0x3fU));
				from += 3;
			} else {
				memcpy(to, from, length);
				to += length;
				from += length;
			}
		}
	}
	return (size_t)(to - start);
}

static char *put_digits(char *to, uint64_t value, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		to[i] = (char)('0' + value % 10);
		value /= 10;
	}
	return to + digits;
}

size_t rfc3339_nano(char to[RFC3339_NANO_MAX], uint64_t ns_since_epoch)
{
	uint64_t seconds = ns_since_epoch / 1000000000U;
	uint64_t fraction = ns_since_epoch % 1000000000U;
	uint64_t day_seconds = seconds % 86400U;
	/* Days to civil date: years begin in March, eras have 400 years. */
	uint64_t days = seconds / 86400U + 719468U;
	uint64_t era = days / 146097U;
	uint64_t day_of_era = days % 146097U;
	uint64_t year_of_era =
		(day_of_era - day_of_era / 1460U + day_of_era / 36524U - day_of_era / 146096U) /
		365U;
	uint64_t day_of_year =
		day_of_era - (365U * year_of_era + year_of_era / 4U - year_of_era / 100U);
	uint64_t month_from_march = (5U * day_of_year + 2U) / 153U;
	uint64_t day = day_of_year - (153U * month_from_march + 2U) / 5U + 1U;
	uint64_t month = month_from_march < 10U ? month_from_march + 3U : month_from_march - 9U;
	uint64_t year = year_of_era + era * 400U + (month <= 2U ? 1U : 0U);

	char *at = put_digits(to, year, 4);
	*at++ = '-';
	at = put_digits(at, month, 2);
	*at++ = '-';
	at = put_digits(at, day, 2);
	*at++ = 'T';
	at = put_digits(at, day_seconds / 3600U, 2);
	*at++ = ':';
	at = put_digits(at, day_seconds / 60U % 60U, 2);
	*at++ = ':';
	at = put_digits(at, day_seconds % 60U, 2);
	if (fraction != 0) {
		*at++ = '.';
		at = put_digits(at, fraction, 9);
		while (at[-1] == '0') {
			at--;
		}
	}
	*at++ = 'Z';
	return (size_t)(at - to);
}
