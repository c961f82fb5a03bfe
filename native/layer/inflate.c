#include "layer/inflate.h"

#include "common/cleanup.h"
#include "layer/crc32.h"
#include "layer/inflate-table.h"

#include <errno.h>
#include <string.h>

#define WINDOW 32768
#define OUTPUT_SIZE (256 * 1024)
/* Longest match plus the over-copy of the wide loop. */
#define OUTPUT_SLACK (258 + 16)
#define INPUT_SIZE (128 * 1024)

struct inflater {
	const struct gunzip_io *io;
	struct err *err;
	uint64_t bits; /* next bits of the input, lowest first */
	unsigned bit_count;
	const uint8_t *in, *in_end;
	int is_input_over;
	uint8_t *out, *out_flushed; /* next byte to write; first byte not yet handed on */
	uint64_t total;		    /* bytes of this member handed on */
	uint32_t crc;
	uint32_t lengths[LENGTH_TABLE_SIZE];
	uint32_t distances[DISTANCE_TABLE_SIZE];
	uint8_t input[INPUT_SIZE];
	uint8_t output[WINDOW + OUTPUT_SIZE + OUTPUT_SLACK];
};

static inline uint64_t le64(const uint8_t *p)
{
	uint64_t value;
	memcpy(&value, p, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap64(value);
#endif
	return value;
}

static int bad(struct inflater *s, const char *what)
{
	return err_refuse(s->err, EBADMSG, "malformed gzip data: %s", what);
}

/* Makes input bytes available; 0 when there are some, 1 at the end. */
static int fill_input(struct inflater *s)
{
	if (s->in < s->in_end) {
		return 0;
	}
	if (s->is_input_over) {
		return 1;
	}
	ssize_t got = s->io->read(s->io->context, s->input, sizeof(s->input), s->err);
	if (got < 0) {
		return (int)got;
	}
	s->in = s->input;
	s->in_end = s->input + got;
	s->is_input_over = got == 0;
	return got == 0 ? 1 : 0;
}

/* Has at least `count` (<= 32) bits ready. */
static int need(struct inflater *s, unsigned count)
{
	while (s->bit_count < count) {
		int result = fill_input(s);
		if (result != 0) {
			return result < 0 ? result : bad(s, "it ends too early");
		}
		s->bits |= (uint64_t)*s->in++ << s->bit_count;
		s->bit_count += 8;
	}
	return 0;
}

/* Has `count` (<= 56) bits ready, or all that are left. */
static int top_up(struct inflater *s, unsigned count)
{
	while (s->bit_count < count) {
		int result = fill_input(s);
		if (result != 0) {
			return result < 0 ? result : 0;
		}
		s->bits |= (uint64_t)*s->in++ << s->bit_count;
		s->bit_count += 8;
	}
	return 0;
}

static inline uint32_t take(struct inflater *s, unsigned count)
{
	uint32_t value = (uint32_t)(s->bits & ((1ULL << count) - 1));
	s->bits >>= count;
	s->bit_count -= count;
	return value;
}

/* Hands on what is decoded and moves the window to the front. */
static int flush_output(struct inflater *s)
{
	size_t size = (size_t)(s->out - s->out_flushed);
	s->crc = crc32_update(s->crc, s->out_flushed, size);
	s->total += size;
	int result = size == 0 ? 0 : s->io->write(s->io->context, s->out_flushed, size, s->err);
	if (result < 0) {
		return result;
	}
	size_t held = (size_t)(s->out - s->output);
	if (held > WINDOW) {
		memmove(s->output, s->out - WINDOW, WINDOW);
		s->out = s->output + WINDOW;
	}
	s->out_flushed = s->out;
	return 0;
}

static inline size_t room(const struct inflater *s)
{
	return (size_t)(s->output + WINDOW + OUTPUT_SIZE - s->out);
}

static int read_dynamic_lengths(struct inflater *s, uint8_t lengths[320], unsigned *literals,
				unsigned *distances)
{
	static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
					  11, 4,  12, 3, 13, 2, 14, 1, 15};
	int result = need(s, 14);
	if (result < 0) {
		return result;
	}
	*literals = take(s, 5) + 257;
	*distances = take(s, 5) + 1;
	unsigned code_count = take(s, 4) + 4;
	if (*literals > 286 || *distances > 30) {
		return bad(s, "too many codes");
	}
	uint8_t code_lengths[19] = {0};
	for (unsigned i = 0; i < code_count; i++) {
		if ((result = need(s, 3)) < 0) {
			return result;
		}
		code_lengths[order[i]] = (uint8_t)take(s, 3);
	}
	uint32_t entry_of[19];
	for (uint32_t i = 0; i < 19; i++) {
		entry_of[i] = i << 16 | LITERAL;
	}
	uint32_t table[1 << 7];
	if (inflate_table_build(code_lengths, 19, entry_of, 7, table, 1 << 7) < 0) {
		return bad(s, "impossible code lengths");
	}
	unsigned total = *literals + *distances;
	for (unsigned i = 0; i < total;) {
		if ((result = top_up(s, 7)) < 0) {
			return result;
		}
		uint32_t entry = table[s->bits & 127];
		unsigned drop = entry & 255;
		if ((entry & INVALID) != 0 || drop > s->bit_count) {
			return bad(s, "impossible code");
		}
		take(s, drop);
		unsigned symbol = entry >> 16;
		if (symbol < 16) {
			lengths[i++] = (uint8_t)symbol;
			continue;
		}
		unsigned extra = symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
		if ((result = need(s, extra)) < 0) {
			return result;
		}
		unsigned repeat = take(s, extra) + (symbol == 18 ? 11 : 3);
		if ((symbol == 16 && i == 0) || i + repeat > total) {
			return bad(s, "impossible repeat");
		}
		memset(lengths + i, symbol == 16 ? lengths[i - 1] : 0, repeat);
		i += repeat;
	}
	return lengths[256] == 0 ? bad(s, "no end code") : 0;
}

static int prepare_tables(struct inflater *s, int is_dynamic)
{
	uint8_t lengths[320] = {0};
	unsigned literals = 288, distances = 32;
	if (is_dynamic) {
		int result = read_dynamic_lengths(s, lengths, &literals, &distances);
		if (result < 0) {
			return result;
		}
	} else {
		memset(lengths, 8, 144);
		memset(lengths + 144, 9, 112);
		memset(lengths + 256, 7, 24);
		memset(lengths + 280, 8, 8);
		memset(lengths + 288, 5, 32);
	}
	uint32_t entry_of[288];
	inflate_length_entries(entry_of);
	if (inflate_table_build(lengths, literals, entry_of, LENGTH_BITS, s->lengths,
				LENGTH_TABLE_SIZE) < 0) {
		return bad(s, "impossible literal codes");
	}
	inflate_distance_entries(entry_of);
	if (inflate_table_build(lengths + literals, distances, entry_of, DISTANCE_BITS,
				s->distances, DISTANCE_TABLE_SIZE) < 0) {
		return bad(s, "impossible distance codes");
	}
	return 0;
}

/* Looks the next code up without a bound on what is behind it; the caller checks the bits. */
static inline uint32_t look_up(const uint32_t *table, unsigned primary_bits, uint64_t *bits,
			       unsigned *used)
{
	uint32_t entry = table[*bits & ((1U << primary_bits) - 1)];
	if ((entry & SUBTABLE) != 0) {
		*bits >>= primary_bits;
		*used += primary_bits;
		entry = table[(entry >> 16) + (*bits & ((1U << ((entry >> 8) & 15)) - 1))];
	}
	unsigned drop = entry & 255;
	*bits >>= drop;
	*used += drop;
	return entry;
}

static inline void copy_match(uint8_t *out, size_t distance, size_t length)
{
	const uint8_t *from = out - distance;
	uint8_t *end = out + length;
	if (distance >= 8) {
		do {
			memcpy(out, from, 8);
			out += 8;
			from += 8;
		} while (out < end);
	} else if (distance == 1) {
		memset(out, *from, length);
	} else {
		do {
			*out++ = *from++;
		} while (out < end);
	}
}

/*
 * One symbol (or match) near the end of the input, where whole words cannot be read.
 * Returns 1 at the end of the block.
 */
static int decode_one(struct inflater *s)
{
	/* 48 bits are the longest length and distance codes with their extra bits. */
	int result = top_up(s, 48);
	if (result < 0) {
		return result;
	}
	uint64_t bits = s->bits;
	unsigned used = 0;
	uint32_t entry = look_up(s->lengths, LENGTH_BITS, &bits, &used);
	if ((entry & INVALID) != 0) {
		return bad(s, "impossible code");
	}
	size_t length = 0, distance = 0;
	if ((entry & (LITERAL | END_OF_BLOCK)) == 0) {
		unsigned extra = (entry >> 8) & 15;
		length = (entry >> 16) + (size_t)(bits & ((1U << extra) - 1));
		bits >>= extra;
		used += extra;
		uint32_t far = look_up(s->distances, DISTANCE_BITS, &bits, &used);
		if ((far & INVALID) != 0) {
			return bad(s, "impossible distance code");
		}
		extra = (far >> 8) & 15;
		distance = (far >> 16) + (size_t)(bits & ((1U << extra) - 1));
		bits >>= extra;
		used += extra;
	}
	if (used > s->bit_count) {
		return bad(s, "it ends too early");
	}
	s->bits = bits;
	s->bit_count -= used;
	if ((entry & END_OF_BLOCK) != 0) {
		return 1;
	}
	if ((entry & LITERAL) != 0) {
		*s->out++ = (uint8_t)(entry >> 16);
		return 0;
	}
	if (distance > (size_t)(s->out - s->output)) {
		return bad(s, "a distance reaches before the start");
	}
	copy_match(s->out, distance, length);
	s->out += length;
	return 0;
}

/* The wide loop: runs while whole words can be read and a longest match fits. 1 at block end. */
static int decode_fast(struct inflater *s)
{
	const uint8_t *in = s->in, *in_limit = s->in_end - 16;
	uint8_t *out = s->out, *out_limit = s->output + WINDOW + OUTPUT_SIZE - 258;
	uint64_t bits = s->bits;
	unsigned count = s->bit_count;
	int result = 0;

	while (in < in_limit && out < out_limit) {
		/* Tops up to 56..63 bits; the bytes already counted are read again harmlessly. */
		bits |= le64(in) << count;
		in += (63 - count) >> 3;
		count |= 56;

		unsigned used = 0;
		uint32_t entry = look_up(s->lengths, LENGTH_BITS, &bits, &used);
		if ((entry & LITERAL) != 0) {
			*out++ = (uint8_t)(entry >> 16);
			entry = look_up(s->lengths, LENGTH_BITS, &bits, &used);
			if ((entry & LITERAL) != 0) {
				*out++ = (uint8_t)(entry >> 16);
				count -= used;
				continue;
			}
			count -= used;
			used = 0;
			bits |= le64(in) << count;
			in += (63 - count) >> 3;
			count |= 56;
		}
		if ((entry & (END_OF_BLOCK | INVALID)) != 0) {
			count -= used;
			result = (entry & INVALID) != 0 ? -EBADMSG : 1;
			break;
		}
		unsigned extra = (entry >> 8) & 15;
		size_t length = (entry >> 16) + (size_t)(bits & ((1U << extra) - 1));
		bits >>= extra;
		used += extra;
		uint32_t far = look_up(s->distances, DISTANCE_BITS, &bits, &used);
		extra = (far >> 8) & 15;
		size_t distance = (far >> 16) + (size_t)(bits & ((1U << extra) - 1));
		bits >>= extra;
		used += extra;
		count -= used;
		if ((far & INVALID) != 0 || distance > (size_t)(out - s->output)) {
			result = -EBADMSG;
			break;
		}
		copy_match(out, distance, length);
		out += length;
	}
	/* Bits above `count` are bytes that are read again. */
	s->bits = count == 0 ? 0 : bits & (~0ULL >> (64 - count));
	s->bit_count = count;
	s->in = in;
	s->out = out;
	return result == -EBADMSG ? bad(s, "impossible code or distance") : result;
}

static int inflate_codes(struct inflater *s)
{
	for (;;) {
		if (room(s) <= 258) {
			int flushed = flush_output(s);
			if (flushed < 0) {
				return flushed;
			}
		}
		int result = s->in_end - s->in > 16 ? decode_fast(s) : decode_one(s);
		if (result != 0) {
			return result < 0 ? result : 0;
		}
	}
}

static int inflate_stored(struct inflater *s)
{
	take(s, s->bit_count & 7);
	int result = need(s, 32);
	if (result < 0) {
		return result;
	}
	size_t length = take(s, 16);
	if ((take(s, 16) ^ length) != 0xffff) {
		return bad(s, "stored length");
	}
	while (length > 0) {
		if (room(s) == 0 && (result = flush_output(s)) < 0) {
			return result;
		}
		if (s->bit_count >= 8) {
			*s->out++ = (uint8_t)take(s, 8);
			length--;
			continue;
		}
		if ((result = fill_input(s)) != 0) {
			return result < 0 ? result : bad(s, "it ends too early");
		}
		size_t size = (size_t)(s->in_end - s->in);
		size = size < length ? size : length;
		size = size < room(s) ? size : room(s);
		memcpy(s->out, s->in, size);
		s->out += size;
		s->in += size;
		length -= size;
	}
	return 0;
}

static int inflate_blocks(struct inflater *s)
{
	for (int is_last = 0; !is_last;) {
		int result = need(s, 3);
		if (result < 0) {
			return result;
		}
		is_last = (int)take(s, 1);
		unsigned type = take(s, 2);
		if (type == 3) {
			return bad(s, "unknown block type");
		}
		if (type == 0) {
			result = inflate_stored(s);
		} else if ((result = prepare_tables(s, type == 2)) == 0) {
			result = inflate_codes(s);
		}
		if (result < 0) {
			return result;
		}
	}
	return flush_output(s);
}

static int skip_bytes(struct inflater *s, unsigned count)
{
	for (; count > 0; count--) {
		int result = need(s, 8);
		if (result < 0) {
			return result;
		}
		take(s, 8);
	}
	return 0;
}

static int skip_text(struct inflater *s)
{
	for (;;) {
		int result = need(s, 8);
		if (result < 0) {
			return result;
		}
		if (take(s, 8) == 0) {
			return 0;
		}
	}
}

/* The header after its first two bytes. */
static int skip_header(struct inflater *s)
{
	int result = need(s, 16);
	if (result < 0) {
		return result;
	}
	unsigned method = take(s, 8), flags = take(s, 8);
	if (method != 8 || (flags & 0xe0) != 0) {
		return bad(s, "unknown method or flags");
	}
	if ((result = skip_bytes(s, 6)) < 0) {
		return result;
	}
	if ((flags & 4) != 0) {
		if ((result = need(s, 16)) < 0 || (result = skip_bytes(s, take(s, 16))) < 0) {
			return result;
		}
	}
	for (unsigned flag = 8; flag <= 16; flag *= 2) {
		if ((flags & flag) != 0 && (result = skip_text(s)) < 0) {
			return result;
		}
	}
	return (flags & 2) != 0 ? skip_bytes(s, 2) : 0;
}

static int gunzip_member(struct inflater *s)
{
	int result = skip_header(s);
	if (result < 0) {
		return result;
	}
	s->out = s->out_flushed = s->output;
	s->crc = 0;
	s->total = 0;
	if ((result = inflate_blocks(s)) < 0) {
		return result;
	}
	take(s, s->bit_count & 7);
	if ((result = need(s, 32)) < 0) {
		return result;
	}
	uint32_t crc = take(s, 32);
	if ((result = need(s, 32)) < 0) {
		return result;
	}
	if (crc != s->crc || take(s, 32) != (uint32_t)s->total) {
		return bad(s, "its check sum differs");
	}
	return 0;
}

/* 1 when only zero bytes (or nothing) follow, 0 when a member's magic was read. */
static int find_member(struct inflater *s)
{
	for (int saw_zero = 0;; saw_zero = 1) {
		if (s->bit_count == 0) {
			int result = fill_input(s);
			if (result != 0) {
				return result;
			}
		}
		int result = need(s, 8);
		if (result < 0) {
			return result;
		}
		unsigned first = take(s, 8);
		if (first == 0) {
			continue;
		}
		if (first != 0x1f || saw_zero) {
			return bad(s, "no gzip header");
		}
		if ((result = need(s, 8)) < 0) {
			return result;
		}
		return take(s, 8) == 0x8b ? 0 : bad(s, "no gzip header");
	}
}

int gunzip(const struct gunzip_io *io, struct err *err)
{
	cleanup_free struct inflater *s = calloc(1, sizeof(*s));
	if (s == NULL) {
		return err_set(err, ENOMEM, "decompress");
	}
	s->io = io;
	s->err = err;
	for (int is_first = 1;; is_first = 0) {
		int result = find_member(s);
		if (result != 0) {
			return result < 0 ? result : is_first ? bad(s, "there is none") : 0;
		}
		if ((result = gunzip_member(s)) < 0) {
			return result;
		}
	}
}
