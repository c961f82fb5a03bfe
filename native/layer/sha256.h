/* SHA-256 (FIPS 180-4), streaming. Uses the processor's SHA instructions where it has them. */
#ifndef GANTRY_LAYER_SHA256_H
#define GANTRY_LAYER_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX_SIZE 65 /* 64 digits and NUL */

struct sha256 {
	uint32_t state[8];
	uint64_t total; /* bytes seen */
	uint8_t block[64];
	void (*blocks)(uint32_t state[8], const uint8_t *data, size_t count);
};

void sha256_init(struct sha256 *hash);
/* Like sha256_init, without the processor's SHA instructions; for tests. */
void sha256_init_portable(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *data, size_t size);
/* Ends the hash; `hash` must be initialised again before further use. */
void sha256_final(struct sha256 *hash, char hex[SHA256_HEX_SIZE]);

#endif
