/* Exact decimals: mantissa * 10^exponent in 64 bits, no floating point until the
 * model's door. From CONTRACTS.md, "SBE framing, Values": exponents are data.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_DECIMAL_H
#define BTCAST_BASE_DECIMAL_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* Largest |exponent| accepted anywhere. */
#define DECIMAL_EXPONENT_MAX 18

/* Text ("83596.01000000", optional sign, no exponent letter) -> mantissa at the
 * given exponent. ERR_MALFORMED for anything but digits and one point,
 * ERR_OVERFLOW if it does not fit or would lose a non-zero digit. */
int decimal_parse(struct bytes text, int exponent, int64_t *mantissa) MUST_CHECK;

/* mantissa at exponent `from` -> mantissa at exponent `to`; exact or
 * ERR_OVERFLOW (too large, or a non-zero digit would be lost). */
int decimal_rescale(int64_t mantissa, int from, int to, int64_t *out) MUST_CHECK;

/* For the model's door only: the nearest double. */
double decimal_to_f64(int64_t mantissa, int exponent);

#endif
