/* Huffman decoding tables of DEFLATE (RFC 1951): one direct table plus subtables for long codes. */
#ifndef GANTRY_LAYER_INFLATE_TABLE_H
#define GANTRY_LAYER_INFLATE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decoding table entries: value << 16 | kind and extra bits << 8 | bits to drop.
 * A literal's value is the byte, a length's or distance's its base, a subtable's its index.
 */
#define LITERAL 0x8000U
#define END_OF_BLOCK 0x4000U
#define SUBTABLE 0x2000U
#define INVALID 0x1000U

#define LENGTH_BITS 11
#define DISTANCE_BITS 9
#define CODE_BITS_MAX 15
/* Upper bounds for complete codes (288 symbols at 11 bits: 2342, 32 at 9 bits: 594), with room. */
#define LENGTH_TABLE_SIZE 4096
#define DISTANCE_TABLE_SIZE 2048

/*
 * Builds a decoding table from code lengths. `entry_of[symbol]` is the entry without the bits to
 * drop. Incomplete codes are allowed only when at most one symbol has a code, of one bit.
 * Returns 0 or -EBADMSG.
 */
int inflate_table_build(const uint8_t *lengths, unsigned count, const uint32_t *entry_of,
			unsigned primary_bits, uint32_t *table, size_t table_size);

/* Entries of the literal and length symbols, and of the distance symbols. */
void inflate_length_entries(uint32_t entry_of[288]);
void inflate_distance_entries(uint32_t entry_of[32]);

#endif
