/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_decimals.h"

#include "base/decimal.h"

struct json_decimals json_decimals_begin(int price_exponent, int qty_exponent)
{
    return (struct json_decimals){.price_exponent = price_exponent,
                                  .qty_exponent = qty_exponent,
                                  .price_wanted = price_exponent,
                                  .qty_wanted = qty_exponent};
}

bool json_decimals_finer(const struct json_decimals *decimals)
{
    return decimals->price_wanted < decimals->price_exponent ||
           decimals->qty_wanted < decimals->qty_exponent;
}

/* Digits behind the point up to the last one that is not zero. */
static int json_decimals_fraction(struct bytes text)
{
    const uint8_t *point = memchr(text.data, '.', text.size);
    if (point == NULL)
        return 0;
    const uint8_t *end = text.data + text.size;
    while (end[-1] == '0')
        end--;
    size_t digits = (size_t)(end - point) - 1;
    return digits > DECIMAL_EXPONENT_MAX ? DECIMAL_EXPONENT_MAX + 1 : (int)digits;
}

static bool json_decimals_value(struct json_scan *scan, int exponent, int *wanted, int64_t *value)
{
    struct bytes text;
    if (!json_scan_string(scan, &text))
        return false;
    int rv = decimal_parse(text, exponent, value);
    if (rv == ERR_OK && *value >= 0)
        return true;
    int fraction = rv == ERR_OVERFLOW ? json_decimals_fraction(text) : 0;
    if (fraction <= -exponent || fraction > DECIMAL_EXPONENT_MAX || text.data[0] == '-')
        return json_scan_fail(scan);
    /* Is it too fine only, or too large for any exponent? */
    if (decimal_parse(text, -fraction, value) != ERR_OK)
        return json_scan_fail(scan);
    if (*wanted > -fraction)
        *wanted = -fraction;
    *value = 0;
    return true;
}

bool json_decimals_price(struct json_decimals *decimals, struct json_scan *scan, int64_t *price)
{
    return json_decimals_value(scan, decimals->price_exponent, &decimals->price_wanted, price);
}

bool json_decimals_qty(struct json_decimals *decimals, struct json_scan *scan, int64_t *qty)
{
    return json_decimals_value(scan, decimals->qty_exponent, &decimals->qty_wanted, qty);
}

static bool json_decimals_level(struct json_decimals *decimals, struct json_scan *scan,
                                struct sbe_level *level)
{
    if (!json_scan_array(scan) || !json_scan_element(scan) ||
        !json_decimals_price(decimals, scan, &level->price) || !json_scan_element(scan) ||
        !json_decimals_qty(decimals, scan, &level->qty))
        return json_scan_fail(scan);
    while (json_scan_element(scan))
        (void)json_scan_skip(scan, NULL);
    return !scan->failed;
}

bool json_decimals_levels(struct json_decimals *decimals, struct json_scan *scan,
                          struct sbe_level *levels, uint32_t capacity, uint32_t *count)
{
    *count = 0;
    if (!json_scan_array(scan))
        return false;
    while (json_scan_element(scan)) {
        if (*count == capacity || !json_decimals_level(decimals, scan, &levels[*count]))
            return json_scan_fail(scan);
        ++*count;
    }
    return !scan->failed;
}
