/* Trade windows over the last 1 s and 5 s by receive time: exact integer sums over one
 * shared bounded ring of trades, constant work a trade. A window is (now - span, now]:
 * a trade exactly one span old is out. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_WINDOW_H
#define BTCAST_MARKET_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "market/codec.h"
#include "market/scale.h"

/* Trades kept; full: the oldest leaves its windows early, counted. */
#define WINDOW_TRADES_MAX 65536
#define WINDOW_COUNT      2
#define WINDOW_1S         0
#define WINDOW_5S         1
/* price * qty stays below 2^WINDOW_NOTIONAL_BITS, so that a full ring's sum fits. */
#define WINDOW_NOTIONAL_BITS 110

/* C17 has no name for it. */
__extension__ typedef __int128 window_sum;

/* The nearest double, as the compiler's own conversion, which is slow for 128 bits. */
static inline double window_sum_f64(window_sum sum)
{
    int64_t narrow = (int64_t)sum;
    return sum == narrow ? (double)narrow : (double)sum;
}

struct window_trade {
    int64_t recv_us;
    int64_t price;
    int64_t signed_qty; /* negative: the seller was the aggressor */
};

struct window {
    int64_t span_us;
    uint64_t tail;                    /* number of its oldest trade */
    int64_t due_us;                   /* when that trade leaves; INT64_MAX: there is none */
    window_sum volume, signed_volume; /* at the quantity exponent */
    window_sum notional;              /* at the sum of both exponents */
    int64_t gaps_us;                  /* sum of the times between its trades … */
    int64_t gaps_us2;                 /* … and of their squares */
};

struct windows {
    uint64_t head; /* number of the next trade */
    struct window list[WINDOW_COUNT];
    struct window_trade trades[WINDOW_TRADES_MAX];
};

void windows_init(struct windows *windows);
/* Forgets all trades (the clock was set back). */
void windows_clear(struct windows *windows);
void windows_drop_due(struct windows *windows, int64_t now_us);
/* Lets go of what is out of its window at now_us (never decreasing). */
static inline void windows_advance(struct windows *windows, int64_t now_us)
{
    if (windows->list[WINDOW_1S].due_us <= now_us || windows->list[WINDOW_5S].due_us <= now_us)
        windows_drop_due(windows, now_us);
}

/* May the trade be summed? Its notional is bounded. */
bool window_trade_is_sane(int64_t price, int64_t qty);
/* A sane trade at now_us, after windows_advance to it. False: the ring was full and the
 * oldest trade left early. */
bool windows_add(struct windows *windows, int64_t now_us, int64_t price, int64_t qty, bool is_sell);

/* Trades of the past put back between the others, newest first: begin with how many there
 * will be, put each, end. At most windows_room of them; each no later than now_us and
 * younger than the longest window, none later than the one put before. */
struct windows_fill {
    struct windows *windows;
    uint64_t read, write;
};
uint64_t windows_room(const struct windows *windows);
struct windows_fill windows_fill_begin(struct windows *windows, uint64_t count);
void windows_fill_put(struct windows_fill *fill, const struct window_trade *trade);
void windows_fill_end(struct windows_fill *fill, int64_t now_us);
/* Receive times at or before this are out of every window at now_us. */
int64_t windows_horizon_us(int64_t now_us);

static inline uint64_t window_trades(const struct windows *windows, int window)
{
    return windows->head - windows->list[window].tail;
}

/* Volume-weighted mean price as a mantissa; 0 when empty. */
double window_vwap(const struct window *window);
/* Mean and population variance of the times between trades; 0 below two trades. */
double window_gap_mean_s(const struct window *window, uint64_t trades);
double window_gap_variance_s2(const struct window *window, uint64_t trades);

bool windows_can_rescale(const struct windows *windows, struct scale_step step);
void windows_rescale(struct windows *windows, struct scale_step step);
void windows_code(struct windows *windows, struct codec *codec);
#define WINDOWS_CODE_SIZE_MAX (16 + (size_t)WINDOW_TRADES_MAX * 3 * 8)

#endif
