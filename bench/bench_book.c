/* Nanoseconds a level for depth diffs of 20 + 20 levels on a book of about 1,000 levels a
 * side, levels at u^3 * 900 ticks from the mid (u uniform), one in four a removal; best bid
 * and ask are read after every diff. A std::map book does the same diffs in the same run.
 * `name<TAB>value<TAB>unit` lines, medians of ROUNDS rounds.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/prng.h"
#include "bench/book_map.h"
#include "market/book.h"

#define ROUNDS 21
#define DIFFS  4096
#define LEVELS 20
#define TICK   INT64_C(1000000)
#define MID    (INT64_C(6000000) * TICK)

static uint8_t bids[DIFFS][LEVELS * 16], asks[DIFFS][LEVELS * 16];

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int64_t away(struct prng *prng)
{
    double u = prng_f64(prng);
    return (1 + (int64_t)(u * u * u * 900.0)) * TICK;
}

static void make_level(struct prng *prng, uint8_t *at, int64_t sign)
{
    bytes_store_i64(at, MID + sign * away(prng));
    bytes_store_i64(at + 8, prng_below(prng, 4) == 0 ? 0 : 1 + (int64_t)prng_below(prng, 1000000));
}

static void make_diffs(void)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (int d = 0; d < DIFFS; d++)
        for (int i = 0; i < LEVELS; i++) {
            make_level(&prng, bids[d] + (size_t)i * 16, -1);
            make_level(&prng, asks[d] + (size_t)i * 16, 1);
        }
}

static struct level_view view_of(const uint8_t *at)
{
    return (struct level_view){at, LEVELS, 16};
}

static int64_t run_book(struct book *book)
{
    int64_t sum = 0;
    for (int d = 0; d < DIFFS; d++) {
        struct level_view bid_view = view_of(bids[d]), ask_view = view_of(asks[d]);
        book_apply(book, &bid_view, &ask_view, (struct scale_step){0, 0});
        struct book_touch touch = book_touch(book);
        sum += touch.bid_price + touch.ask_price;
    }
    return sum;
}

static int64_t run_map(struct book_map *map)
{
    int64_t sum = 0;
    for (int d = 0; d < DIFFS; d++) {
        book_map_apply(map, bids[d], LEVELS, asks[d], LEVELS);
        sum += book_map_mid2(map);
    }
    return sum;
}

/* Both books start from the same snapshot: every place there is, so the tick is known. */
static void load(struct book *book, struct book_map *map)
{
    static uint8_t all[2][900 * 16];
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 900; i++) {
            bytes_store_i64(all[s] + (size_t)i * 16, MID + (s == 0 ? -1 : 1) * (i + 1) * TICK);
            bytes_store_i64(all[s] + (size_t)i * 16 + 8, 1);
        }
    struct level_view bid_view = {all[0], 900, 16}, ask_view = {all[1], 900, 16};
    book_load(book, 1, &bid_view, &ask_view, 0, (struct scale_step){0, 0});
    book_map_apply(map, all[0], 900, all[1], 900);
}

int main(void)
{
    struct book *book = calloc(1, sizeof(*book));
    struct book_map *map = book_map_open();
    CHECK(book != NULL && map != NULL);
    make_diffs();
    book_init(book);
    load(book, map);
    double ours[ROUNDS], peers[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        int64_t sum = run_book(book);
        double middle = now_ns();
        int64_t peer_sum = run_map(map);
        double end = now_ns();
        CHECK(sum == peer_sum); /* the same books */
        ours[r] = (middle - start) / DIFFS / (2 * LEVELS);
        peers[r] = (end - middle) / DIFFS / (2 * LEVELS);
    }
    qsort(ours, ROUNDS, sizeof(ours[0]), compare);
    qsort(peers, ROUNDS, sizeof(peers[0]), compare);
    printf("book.apply_level\t%.2f\tns\n", ours[ROUNDS / 2]);
    printf("book.map_level\t%.2f\tns\n", peers[ROUNDS / 2]);
    printf("book.apply_diff_20x20\t%.1f\tns\n", ours[ROUNDS / 2] * 2 * LEVELS);
    book_map_close(map);
    free(book);
    return 0;
}
