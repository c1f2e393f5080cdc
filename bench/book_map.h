/* The peer of bench_book: a book of two std::map. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BENCH_BOOK_MAP_H
#define BTCAST_BENCH_BOOK_MAP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct book_map; /* opaque */

struct book_map *book_map_open(void);
void book_map_close(struct book_map *map);
/* count entries of {i64 price, i64 qty} a side, as a diff has them. */
void book_map_apply(struct book_map *map, const uint8_t *bids, uint32_t bid_count,
                    const uint8_t *asks, uint32_t ask_count);
/* Best bid price plus best ask price. */
int64_t book_map_mid2(const struct book_map *map);

#ifdef __cplusplus
}
#endif

#endif
