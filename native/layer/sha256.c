#include "layer/sha256.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2};

static inline uint32_t rotr(uint32_t x, int n)
{
	return (x >> n) | (x << (32 - n));
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void blocks_portable(uint32_t state[8], const uint8_t *data, size_t count)
{
	for (; count > 0; count--, data += 64) {
		uint32_t w[64];
		for (int i = 0; i < 16; i++) {
			w[i] = be32(data + 4 * i);
		}
		for (int i = 16; i < 64; i++) {
			uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
			uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
			w[i] = w[i - 16] + s0 + w[i - 7] + s1;
		}
		uint32_t v[8];
		memcpy(v, state, sizeof(v));
		for (int i = 0; i < 64; i++) {
			uint32_t s1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25);
			uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
			uint32_t t1 = v[7] + s1 + choice + K[i] + w[i];
			uint32_t s0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22);
			uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
			uint32_t t2 = s0 + majority;
			memmove(v + 1, v, 7 * sizeof(v[0]));
			v[4] += t1;
			v[0] = t1 + t2;
		}
		for (int i = 0; i < 8; i++) {
			state[i] += v[i];
		}
	}
}

#if defined(__x86_64__)
/*
 * The instructions keep the state as two vectors (A B E F) and (C D G H) and do two rounds each;
 * message words are extended four at a time.
 */
__attribute__((target("sha,sse4.1,ssse3"))) static void
blocks_shani(uint32_t state[8], const uint8_t *data, size_t count)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
	__m128i low = _mm_loadu_si128((const __m128i *)(const void *)state);
	__m128i high = _mm_loadu_si128((const __m128i *)(const void *)(state + 4));
	low = _mm_shuffle_epi32(low, 0xb1);
	high = _mm_shuffle_epi32(high, 0x1b);
	__m128i abef = _mm_alignr_epi8(low, high, 8);
	__m128i cdgh = _mm_blend_epi16(high, low, 0xf0);

	for (; count > 0; count--, data += 64) {
		const __m128i abef_before = abef;
		const __m128i cdgh_before = cdgh;
		__m128i w[4];
		for (int i = 0; i < 4; i++) {
			w[i] = _mm_shuffle_epi8(
				_mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i)),
				swap);
		}
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			__m128i words = w[i & 3];
			if (i >= 4) {
				__m128i tail = _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4);
				words = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
				words = _mm_add_epi32(words, tail);
				words = _mm_sha256msg2_epu32(words, w[(i + 3) & 3]);
				w[i & 3] = words;
			}
			const __m128i *k = (const __m128i *)(const void *)(K + 4 * i);
			__m128i sum = _mm_add_epi32(words, _mm_loadu_si128(k));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
			sum = _mm_shuffle_epi32(sum, 0x0e);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, sum);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}

	low = _mm_shuffle_epi32(abef, 0x1b);
	high = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(low, high, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

static int has_shani(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_SSE4_1) == 0 || (c & bit_SSSE3) == 0) {
		return 0;
	}
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1U << 29)) != 0;
}
#endif

void sha256_init_portable(struct sha256 *hash)
{
	static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	memcpy(hash->state, initial, sizeof(initial));
	hash->total = 0;
	hash->blocks = blocks_portable;
}

void sha256_init(struct sha256 *hash)
{
	sha256_init_portable(hash);
#if defined(__x86_64__)
	if (has_shani()) {
		hash->blocks = blocks_shani;
	}
#endif
}

void sha256_update(struct sha256 *hash, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	size_t held = (size_t)(hash->total & 63);
	hash->total += size;
	if (held > 0) {
		size_t wanted = 64 - held;
		if (size < wanted) {
			memcpy(hash->block + held, bytes, size);
			return;
		}
		memcpy(hash->block + held, bytes, wanted);
		hash->blocks(hash->state, hash->block, 1);
		bytes += wanted;
		size -= wanted;
	}
	if (size >= 64) {
		hash->blocks(hash->state, bytes, size / 64);
		bytes += size & ~(size_t)63;
		size &= 63;
	}
	if (size > 0) {
		memcpy(hash->block, bytes, size);
	}
}

void sha256_final(struct sha256 *hash, char hex[SHA256_HEX_SIZE])
{
	static const uint8_t padding[64] = {0x80};
	uint64_t bits = hash->total * 8;
	size_t held = (size_t)(hash->total & 63);
	sha256_update(hash, padding, held < 56 ? 56 - held : 120 - held);
	uint8_t length[8];
	for (int i = 0; i < 8; i++) {
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	}
	sha256_update(hash, length, sizeof(length));
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < 64; i++) {
		hex[i] = digits[(hash->state[i / 8] >> (28 - 4 * (i % 8))) & 15];
	}
	hex[64] = 0;
}
