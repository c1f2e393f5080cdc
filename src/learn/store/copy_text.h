/* PostgreSQL's COPY text format: fields joined by tabs, rows by line ends, \N for null, and
 * the four characters that would break it escaped. Writes into a caller's buffer; what does
 * not fit sets `truncated`. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_STORE_COPY_TEXT_H
#define BTCAST_LEARN_STORE_COPY_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"

void copy_text_null(struct text *out);
/* A NUL byte, which no text column takes, becomes '?'. */
void copy_text_string(struct text *out, struct bytes value);
void copy_text_i64(struct text *out, int64_t value);
void copy_text_u64(struct text *out, uint64_t value);
/* Reads back as the same double; null when it is not finite. */
void copy_text_f64(struct text *out, double value);
void copy_text_bool(struct text *out, bool value);
/* The exact decimal mantissa * 10^exponent. */
void copy_text_decimal(struct text *out, int64_t mantissa, int exponent);
/* real[]: each reads back bit for bit. */
void copy_text_floats(struct text *out, const float *values, int count);
/* Ends the row: the last field's tab becomes a line end. At least one field was written. */
void copy_text_end_row(struct text *out);

#endif
