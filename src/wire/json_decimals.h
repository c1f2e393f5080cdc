/* Prices, quantities and levels in the exchange's JSON: decimal strings read exactly into
 * integers at given exponents. One pass also learns how much finer the exponents would
 * have to be, so a second pass always fits. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_JSON_DECIMALS_H
#define BTCAST_WIRE_JSON_DECIMALS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/json_scan.h"
#include "wire/sbe.h"

struct json_decimals {
    int price_exponent, qty_exponent;
    /* The same, or what the finest value met needs; that value was read as 0. */
    int price_wanted, qty_wanted;
};

struct json_decimals json_decimals_begin(int price_exponent, int qty_exponent);
/* True if some value needs finer exponents: begin again with the wanted ones. */
bool json_decimals_finer(const struct json_decimals *decimals);

/* A string with a decimal >= 0; anything else fails the scan, as does a value that fits
 * in no int64 at an exponent of -18 to 18. */
bool json_decimals_price(struct json_decimals *decimals, struct json_scan *scan, int64_t *price);
bool json_decimals_qty(struct json_decimals *decimals, struct json_scan *scan, int64_t *qty);
/* [["price","qty"],…], further elements of a level ignored; more than capacity levels
 * fail the scan. */
bool json_decimals_levels(struct json_decimals *decimals, struct json_scan *scan,
                          struct sbe_level *levels, uint32_t capacity, uint32_t *count);

#endif
