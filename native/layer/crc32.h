/* CRC-32 (IEEE 802.3), eight bytes a step. */
#ifndef GANTRY_LAYER_CRC32_H
#define GANTRY_LAYER_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* CRC of `data`, continued from `crc` (0 at the start). Thread-safe. */
uint32_t crc32_update(uint32_t crc, const uint8_t *data, size_t size);

#endif
