/* SPDX-License-Identifier: Apache-2.0 */
#include "market/scale.h"

#include "base/check.h"
#include "base/decimal.h"

bool scale_is_sane(struct scale scale)
{
    return scale.price_exponent >= -DECIMAL_EXPONENT_MAX &&
           scale.price_exponent <= DECIMAL_EXPONENT_MAX &&
           scale.qty_exponent >= -DECIMAL_EXPONENT_MAX &&
           scale.qty_exponent <= DECIMAL_EXPONENT_MAX;
}

struct scale scale_finest(struct scale a, struct scale b)
{
    return (struct scale){a.price_exponent < b.price_exponent ? a.price_exponent : b.price_exponent,
                          a.qty_exponent < b.qty_exponent ? a.qty_exponent : b.qty_exponent};
}

enum scale_fit scale_fit_value(int64_t value, int shift)
{
    int64_t scaled;
    if (decimal_rescale(value, shift, 0, &scaled) != ERR_OK)
        return shift < 0 ? SCALE_FINER : SCALE_OVERFLOW;
    return scaled > SCALE_VALUE_MAX || scaled < -SCALE_VALUE_MAX ? SCALE_OVERFLOW : SCALE_FITS;
}

int64_t scale_shifted(int64_t value, int shift)
{
    int64_t scaled;
    int code = decimal_rescale(value, shift, 0, &scaled);
    CHECK(code == ERR_OK);
    return scaled;
}

bool scale_levels_are_sane(const struct level_view *view)
{
    /* One test at the end: a value out of range leaves a bit above the limit behind. */
    uint64_t bits = 0;
    for (uint32_t i = 0; i < view->count; i++)
        bits |= ((uint64_t)level_price(view, i) - 1) | (uint64_t)level_qty(view, i);
    return bits < (uint64_t)SCALE_VALUE_MAX;
}

enum scale_fit scale_fit_levels(const struct level_view *view, struct scale_step step)
{
    enum scale_fit worst = SCALE_FITS;
    if (scale_step_is_none(step))
        return worst;
    for (uint32_t i = 0; i < view->count && worst != SCALE_OVERFLOW; i++) {
        enum scale_fit price = scale_fit_value(level_price(view, i), step.price_shift);
        enum scale_fit qty = scale_fit_value(level_qty(view, i), step.qty_shift);
        worst = price > worst ? price : worst;
        worst = qty > worst ? qty : worst;
    }
    return worst;
}
