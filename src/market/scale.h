/* Exponents are data: every frame says its own, the world keeps one canonical pair and
 * takes others over exactly or not at all (BINANCE.md section 5, Values).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_SCALE_H
#define BTCAST_MARKET_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "market/event.h"

/* Largest price or quantity mantissa kept, so that sums of two never overflow. */
#define SCALE_VALUE_MAX (INT64_C(1) << 60)

struct scale {
    int price_exponent;
    int qty_exponent;
};

/* From a frame's exponents to the world's: decimal digits to append (negative: to drop). */
struct scale_step {
    int price_shift;
    int qty_shift;
};

/* How well values go over into another scale; the larger is the worse. */
enum scale_fit {
    SCALE_FITS,
    SCALE_FINER,    /* a non-zero digit would be lost: the target has to become finer */
    SCALE_OVERFLOW, /* too large there */
};

static inline struct scale_step scale_between(struct scale from, struct scale to)
{
    return (struct scale_step){from.price_exponent - to.price_exponent,
                               from.qty_exponent - to.qty_exponent};
}

static inline bool scale_step_is_none(struct scale_step step)
{
    return step.price_shift == 0 && step.qty_shift == 0;
}

/* |exponents| within DECIMAL_EXPONENT_MAX. */
bool scale_is_sane(struct scale scale);
/* The finer exponent of each. */
struct scale scale_finest(struct scale a, struct scale b);
enum scale_fit scale_fit_value(int64_t value, int shift);
/* scale_value for a shift that is not 0. */
int64_t scale_shifted(int64_t value, int shift);

/* The value with its digits appended or dropped; it must fit. */
static inline int64_t scale_value(int64_t value, int shift)
{
    return shift == 0 ? value : scale_shifted(value, shift);
}

/* Prices in 1..SCALE_VALUE_MAX, quantities in 0..SCALE_VALUE_MAX, in every level. */
bool scale_levels_are_sane(const struct level_view *view);
enum scale_fit scale_fit_levels(const struct level_view *view, struct scale_step step);

#endif
