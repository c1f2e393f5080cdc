/* Text building into a caller's fixed buffer: JSON, Prometheus, Redis fields.
 * Never allocates, never writes past the end; what does not fit is cut and
 * `truncated` is set, so the caller checks once at the end.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_TEXT_H
#define BTCAST_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct text {
    char *at;
    size_t size;
    size_t capacity;
    bool truncated;
};

/* Starts an empty text in the caller's buffer (capacity > 0; one byte is kept for
 * a terminating NUL that text_end writes). */
struct text text_begin(char *buffer, size_t capacity);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const void *data, size_t size);
void text_add_char(struct text *text, char c);
void text_add_i64(struct text *text, int64_t value);
void text_add_u64(struct text *text, uint64_t value);
/* Shortest form that reads back as the same double; NaN and infinities become
 * "null" (JSON has no other word for them). */
void text_add_f64(struct text *text, double value);
/* The exact decimal of mantissa * 10^exponent, "-0.00012300" style: as many
 * fraction digits as -exponent says (none for exponents >= 0). */
void text_add_decimal(struct text *text, int64_t mantissa, int exponent);
void text_add_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A JSON string with quotes; control characters and non-UTF-8 bytes escaped. */
void text_add_json_string(struct text *text, const char *string, size_t size);
/* Lower case hexadecimal and a NUL: 2 * data.size + 1 bytes at `out`. */
void text_hex(struct bytes data, char *out);
/* NUL-terminates and returns the start of the buffer. */
const char *text_end(struct text *text);

#endif
