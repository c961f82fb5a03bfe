/* Numeric fields of tar headers. */
#ifndef GANTRY_LAYER_TAR_NUMBER_H
#define GANTRY_LAYER_TAR_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Octal text or base-256 (GNU); an empty field is 0. -EBADMSG when malformed or out of range. */
int tar_number(const uint8_t *field, size_t size, int64_t *value);
int tar_checksum_is_right(const uint8_t *block);
/* Writes octal text with a NUL when it fits, else base-256. */
void tar_put_number(uint8_t *field, size_t size, int64_t value);
void tar_put_checksum(uint8_t *block);

#endif
