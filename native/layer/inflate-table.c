#include "layer/inflate-table.h"

#include <errno.h>

static uint32_t reverse_bits(uint32_t code, unsigned length)
{
	uint32_t reversed = 0;
	for (unsigned i = 0; i < length; i++) {
		reversed = (reversed << 1) | ((code >> i) & 1);
	}
	return reversed;
}

int inflate_table_build(const uint8_t *lengths, unsigned count, const uint32_t *entry_of,
			unsigned primary_bits, uint32_t *table, size_t table_size)
{
	unsigned per_length[CODE_BITS_MAX + 1] = {0};
	for (unsigned i = 0; i < count; i++) {
		per_length[lengths[i]]++;
	}
	unsigned used = count - per_length[0];
	int64_t left = 1;
	uint32_t next_code[CODE_BITS_MAX + 2] = {0};
	uint32_t code = 0;
	for (unsigned length = 1; length <= CODE_BITS_MAX; length++) {
		left = 2 * left - (int64_t)per_length[length];
		if (left < 0) {
			return -EBADMSG;
		}
		next_code[length] = code;
		code = (code + per_length[length]) << 1;
	}
	if (left > 0 && (used > 1 || (used == 1 && per_length[1] != 1))) {
		return -EBADMSG;
	}
	size_t primary_size = (size_t)1 << primary_bits;
	for (size_t i = 0; i < primary_size; i++) {
		table[i] = INVALID;
	}
	uint8_t sub_bits[1 << LENGTH_BITS] = {0};
	uint32_t codes[288];
	for (unsigned symbol = 0; symbol < count; symbol++) {
		unsigned length = lengths[symbol];
		if (length == 0) {
			continue;
		}
		uint32_t reversed = reverse_bits(next_code[length]++, length);
		codes[symbol] = reversed;
		if (length > primary_bits) {
			uint8_t *widest = &sub_bits[reversed & (primary_size - 1)];
			if (length - primary_bits > *widest) {
				*widest = (uint8_t)(length - primary_bits);
			}
		}
	}
	size_t next_free = primary_size;
	for (size_t i = 0; i < primary_size; i++) {
		if (sub_bits[i] > 0) {
			if (next_free + ((size_t)1 << sub_bits[i]) > table_size) {
				return -EBADMSG;
			}
			table[i] = (uint32_t)next_free << 16 | SUBTABLE |
				   (uint32_t)sub_bits[i] << 8 | primary_bits;
			for (size_t k = 0; k < (size_t)1 << sub_bits[i]; k++) {
				table[next_free + k] = INVALID;
			}
			next_free += (size_t)1 << sub_bits[i];
		}
	}
	for (unsigned symbol = 0; symbol < count; symbol++) {
		unsigned length = lengths[symbol];
		if (length == 0) {
			continue;
		}
		size_t base = 0, size = primary_size, start = codes[symbol], step;
		uint32_t entry;
		if (length <= primary_bits) {
			step = (size_t)1 << length;
			entry = entry_of[symbol] | length;
		} else {
			uint32_t link = table[start & (primary_size - 1)];
			base = link >> 16;
			size = (size_t)1 << ((link >> 8) & 15);
			start >>= primary_bits;
			step = (size_t)1 << (length - primary_bits);
			entry = entry_of[symbol] | (length - primary_bits);
		}
		for (size_t i = start; i < size; i += step) {
			table[base + i] = entry;
		}
	}
	return 0;
}

void inflate_length_entries(uint32_t entry_of[288])
{
	static const uint16_t base[29] = {3,  4,  5,  6,   7,	8,   9,	  10,  11, 13,
					  15, 17, 19, 23,  27,	31,  35,  43,  51, 59,
					  67, 83, 99, 115, 131, 163, 195, 227, 258};
	static const uint8_t extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
					  2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
	for (uint32_t i = 0; i < 256; i++) {
		entry_of[i] = i << 16 | LITERAL;
	}
	entry_of[256] = END_OF_BLOCK;
	for (uint32_t i = 0; i < 29; i++) {
		entry_of[257 + i] = (uint32_t)base[i] << 16 | (uint32_t)extra[i] << 8;
	}
	entry_of[286] = entry_of[287] = INVALID;
}

void inflate_distance_entries(uint32_t entry_of[32])
{
	uint32_t base = 1;
	for (uint32_t i = 0; i < 30; i++) {
		uint32_t extra = i < 4 ? 0 : i / 2 - 1;
		entry_of[i] = base << 16 | extra << 8;
		base += 1U << extra;
	}
	entry_of[30] = entry_of[31] = INVALID;
}
