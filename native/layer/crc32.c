#include "layer/crc32.h"

#include <pthread.h>
#include <string.h>

static uint32_t crc_tables[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_prepare(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++) {
			c = (c >> 1) ^ ((c & 1) != 0 ? 0xedb88320U : 0);
		}
		crc_tables[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++) {
		for (int t = 1; t < 8; t++) {
			uint32_t before = crc_tables[t - 1][i];
			crc_tables[t][i] = (before >> 8) ^ crc_tables[0][before & 255];
		}
	}
}

static inline uint64_t le64(const uint8_t *p)
{
	uint64_t value;
	memcpy(&value, p, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap64(value);
#endif
	return value;
}

uint32_t crc32_update(uint32_t crc, const uint8_t *data, size_t size)
{
	pthread_once(&crc_once, crc_prepare);
	crc = ~crc;
	for (; size >= 8; size -= 8, data += 8) {
		uint64_t word = le64(data) ^ crc;
		crc = crc_tables[7][word & 255] ^ crc_tables[6][(word >> 8) & 255] ^
		      crc_tables[5][(word >> 16) & 255] ^ crc_tables[4][(word >> 24) & 255] ^
		      crc_tables[3][(word >> 32) & 255] ^ crc_tables[2][(word >> 40) & 255] ^
		      crc_tables[1][(word >> 48) & 255] ^ crc_tables[0][word >> 56];
	}
	for (; size > 0; size--, data++) {
		crc = (crc >> 8) ^ crc_tables[0][(crc ^ *data) & 255];
	}
	return ~crc;
}
