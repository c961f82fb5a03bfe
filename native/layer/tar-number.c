#include "layer/tar-number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHECKSUM_OFFSET 148
#define CHECKSUM_SIZE 8

static int base256(const uint8_t *field, size_t size, int64_t *value)
{
	/* Two's complement, big-endian; bit 7 of the first byte is the mark, bit 6 the sign. */
	int is_negative = (field[0] & 0x40) != 0;
	uint8_t fill = is_negative ? 0xff : 0;
	uint64_t result = is_negative ? ~0ULL : 0;
	for (size_t i = 0; i < size; i++) {
		uint8_t byte = field[i];
		if (i == 0) {
			byte = (uint8_t)((byte & 0x7f) | (fill & 0x80));
		}
		if (size - i > 8 && byte != fill) {
			return -EBADMSG;
		}
		result = result << 8 | byte;
	}
	if ((result >> 63) != (uint64_t)is_negative) {
		return -EBADMSG;
	}
	*value = (int64_t)result;
	return 0;
}

int tar_number(const uint8_t *field, size_t size, int64_t *value)
{
	if ((field[0] & 0x80) != 0) {
		return base256(field, size, value);
	}
	size_t i = 0;
	while (i < size && (field[i] == ' ' || field[i] == 0)) {
		i++;
	}
	int64_t result = 0;
	for (; i < size && field[i] != ' ' && field[i] != 0; i++) {
		if (field[i] < '0' || field[i] > '7') {
			return -EBADMSG;
		}
		result = result * 8 + (field[i] - '0');
	}
	for (; i < size; i++) {
		if (field[i] != ' ' && field[i] != 0) {
			return -EBADMSG;
		}
	}
	*value = result;
	return 0;
}

static void sums(const uint8_t *block, int64_t *as_unsigned, int64_t *as_signed)
{
	*as_unsigned = *as_signed = 0;
	for (size_t i = 0; i < 512; i++) {
		uint8_t byte = i >= CHECKSUM_OFFSET && i < CHECKSUM_OFFSET + CHECKSUM_SIZE
				       ? ' '
				       : block[i];
		*as_unsigned += byte;
		*as_signed += (int8_t)byte;
	}
}

int tar_checksum_is_right(const uint8_t *block)
{
	/* Ancient programs summed signed characters. */
	int64_t stored, as_unsigned, as_signed;
	sums(block, &as_unsigned, &as_signed);
	return tar_number(block + CHECKSUM_OFFSET, CHECKSUM_SIZE, &stored) == 0 &&
	       (stored == as_unsigned || stored == as_signed);
}

void tar_put_number(uint8_t *field, size_t size, int64_t value)
{
	if (value >= 0 && value >> (3 * (size - 1)) == 0) {
		for (size_t i = size - 1; i-- > 0; value >>= 3) {
			field[i] = (uint8_t)('0' + (value & 7));
		}
		field[size - 1] = 0;
		return;
	}
	uint64_t rest = (uint64_t)value;
	uint8_t fill = value < 0 ? 0xff : 0;
	for (size_t i = size; i-- > 0;) {
		field[i] = size - i > 8 ? fill : (uint8_t)rest;
		rest >>= 8;
	}
	field[0] |= 0x80;
}

void tar_put_checksum(uint8_t *block)
{
	int64_t sum, ignored;
	sums(block, &sum, &ignored);
	char text[CHECKSUM_SIZE];
	snprintf(text, sizeof(text), "%06o", (unsigned)sum);
	memcpy(block + CHECKSUM_OFFSET, text, 7);
	block[CHECKSUM_OFFSET + 7] = ' ';
}
