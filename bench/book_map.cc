/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/book_map.h"

#include <cstring>
#include <functional>
#include <map>

struct book_map {
    std::map<int64_t, int64_t, std::greater<int64_t>> bids;
    std::map<int64_t, int64_t> asks;
};

struct book_map *book_map_open(void)
{
    return new book_map;
}

void book_map_close(struct book_map *map)
{
    delete map;
}

template <typename Side> static void apply(Side &side, const uint8_t *at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, at += 16) {
        int64_t price, qty;
        std::memcpy(&price, at, 8);
        std::memcpy(&qty, at + 8, 8);
        if (qty == 0)
            side.erase(price);
        else
            side[price] = qty;
    }
}

void book_map_apply(struct book_map *map, const uint8_t *bids, uint32_t bid_count,
                    const uint8_t *asks, uint32_t ask_count)
{
    apply(map->bids, bids, bid_count);
    apply(map->asks, asks, ask_count);
}

int64_t book_map_mid2(const struct book_map *map)
{
    if (map->bids.empty() || map->asks.empty())
        return 0;
    return map->bids.begin()->first + map->asks.begin()->first;
}
