/* JSON string contents and times as Docker's json-file driver writes them. Pure functions. */
#ifndef GANTRY_SHIM_JSON_TEXT_H
#define GANTRY_SHIM_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Output bytes per input byte at worst (`\u0001`; an invalid byte becomes the six of `\udc80`). */
#define JSON_ESCAPE_WORST 6
/* `2006-01-02T15:04:05.999999999Z` */
#define RFC3339_NANO_MAX 30

/*
 * Escapes `size` bytes for the inside of a JSON string: `"`, `\`, newline, carriage return in short
 * form, other control bytes and `<`, `>`, `&`, U+2028, U+2029 as \u00xx. Each byte XX that is not
 * UTF-8 becomes \udcXX: a lone surrogate that valid text never has, which other readers of the log
 * show as U+FFFD and ours turn into the byte again. `to` needs room for JSON_ESCAPE_WORST * size +
 * 16 bytes (whole vectors are stored). Returns the bytes written.
 */
size_t json_escape(char *to, const uint8_t *from, size_t size);

/* Writes the UTC time without trailing zeros in the fraction and without NUL. Returns its length.
 */
size_t rfc3339_nano(char to[RFC3339_NANO_MAX], uint64_t ns_since_epoch);

#endif
