/* SPDX-License-Identifier: Apache-2.0 */
#include "base/decimal.h"

#include <stdbool.h>

#include "base/check.h"

static const int64_t decimal_power[DECIMAL_EXPONENT_MAX + 1] = {
    1LL,
    10LL,
    100LL,
    1000LL,
    10000LL,
    100000LL,
    1000000LL,
    10000000LL,
    100000000LL,
    1000000000LL,
    10000000000LL,
    100000000000LL,
    1000000000000LL,
    10000000000000LL,
    100000000000000LL,
    1000000000000000LL,
    10000000000000000LL,
    100000000000000000LL,
    1000000000000000000LL,
};

int decimal_rescale(int64_t mantissa, int from, int to, int64_t *out)
{
    int shift = from - to;
    if (shift == 0 || mantissa == 0) {
        *out = mantissa;
        return ERR_OK;
    }
    if (shift > DECIMAL_EXPONENT_MAX || shift < -DECIMAL_EXPONENT_MAX)
        return ERR_OVERFLOW;
    if (shift > 0)
        return __builtin_mul_overflow(mantissa, decimal_power[shift], out) ? ERR_OVERFLOW : ERR_OK;
    if (mantissa % decimal_power[-shift] != 0)
        return ERR_OVERFLOW;
    *out = mantissa / decimal_power[-shift];
    return ERR_OK;
}

static bool decimal_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

int decimal_parse(struct bytes text, int exponent, int64_t *mantissa)
{
    const uint8_t *at = text.data;
    const uint8_t *end = text.data + text.size;
    bool negative = at < end && *at == '-';
    if (negative)
        at++;
    int64_t value = 0;
    int digits = 0;
    int scale = 0;
    bool point = false;
    for (; at < end; at++) {
        if (*at == '.' && !point) {
            point = true;
            continue;
        }
        if (!decimal_is_digit(*at))
            return ERR_MALFORMED;
        digits++;
        /* Digits finer than the target exponent must be zero. */
        if (point && scale <= exponent) {
            if (*at != '0')
                return ERR_OVERFLOW;
            continue;
        }
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value))
            return ERR_OVERFLOW;
        scale -= point;
    }
    if (digits == 0)
        return ERR_MALFORMED;
    return decimal_rescale(negative ? -value : value, scale, exponent, mantissa);
}

double decimal_to_f64(int64_t mantissa, int exponent)
{
    PRE(exponent >= -DECIMAL_EXPONENT_MAX && exponent <= DECIMAL_EXPONENT_MAX);
    double value = (double)mantissa;
    return exponent < 0 ? value / (double)decimal_power[-exponent]
                        : value * (double)decimal_power[exponent];
}
