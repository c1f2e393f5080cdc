/* SPDX-License-Identifier: Apache-2.0 */
#include "market/window.h"

#include "base/check.h"
#include "base/clock.h"

static const int64_t window_spans_us[WINDOW_COUNT] = {CLOCK_US_PER_S, 5 * CLOCK_US_PER_S};

static inline struct window_trade *window_at(struct windows *windows, uint64_t number)
{
    return &windows->trades[number % WINDOW_TRADES_MAX];
}

void windows_init(struct windows *windows)
{
    windows->head = 0;
    for (int i = 0; i < WINDOW_COUNT; i++)
        windows->list[i] = (struct window){.span_us = window_spans_us[i], .due_us = INT64_MAX};
}

void windows_clear(struct windows *windows)
{
    uint64_t head = windows->head;
    windows_init(windows);
    windows->head = head;
    for (int i = 0; i < WINDOW_COUNT; i++)
        windows->list[i].tail = head;
}

static inline int64_t window_magnitude(int64_t signed_qty)
{
    return signed_qty < 0 ? -signed_qty : signed_qty;
}

/* Takes the oldest trade out of the sums, and the time to its successor with it. */
static inline void window_drop(struct windows *windows, struct window *window)
{
    const struct window_trade *trade = window_at(windows, window->tail);
    int64_t qty = window_magnitude(trade->signed_qty);
    window->volume -= qty;
    window->signed_volume -= trade->signed_qty;
    window->notional -= (window_sum)trade->price * qty;
    window->tail++;
    if (window->tail == windows->head) {
        window->due_us = INT64_MAX;
        return;
    }
    int64_t next_us = window_at(windows, window->tail)->recv_us;
    window->due_us = next_us + window->span_us;
    int64_t gap_us = next_us - trade->recv_us;
    window->gaps_us -= gap_us;
    window->gaps_us2 -= gap_us * gap_us;
}

static inline void window_take(struct windows *windows, struct window *window,
                               const struct window_trade *trade)
{
    int64_t qty = window_magnitude(trade->signed_qty);
    window->volume += qty;
    window->signed_volume += trade->signed_qty;
    window->notional += (window_sum)trade->price * qty;
    if (window->tail == windows->head) {
        window->due_us = trade->recv_us + window->span_us;
        return;
    }
    /* At most one span, so that the squares of a full ring fit. */
    int64_t gap_us = trade->recv_us - window_at(windows, windows->head - 1)->recv_us;
    window->gaps_us += gap_us;
    window->gaps_us2 += gap_us * gap_us;
}

void windows_drop_due(struct windows *windows, int64_t now_us)
{
    for (int i = 0; i < WINDOW_COUNT; i++)
        while (windows->list[i].due_us <= now_us)
            window_drop(windows, &windows->list[i]);
}

bool window_trade_is_sane(int64_t price, int64_t qty)
{
    return price > 0 && price <= SCALE_VALUE_MAX && qty >= 0 && qty <= SCALE_VALUE_MAX &&
           (window_sum)price * qty < (window_sum)1 << WINDOW_NOTIONAL_BITS;
}

bool windows_add(struct windows *windows, int64_t now_us, int64_t price, int64_t qty, bool is_sell)
{
    uint64_t oldest = windows->head - WINDOW_TRADES_MAX;
    bool had_room = true;
    for (int i = 0; i < WINDOW_COUNT; i++)
        if (window_trades(windows, i) == WINDOW_TRADES_MAX) {
            CHECK(windows->list[i].tail == oldest);
            window_drop(windows, &windows->list[i]);
            had_room = false;
        }
    struct window_trade trade = {now_us, price, is_sell ? -qty : qty};
    for (int i = 0; i < WINDOW_COUNT; i++)
        window_take(windows, &windows->list[i], &trade);
    *window_at(windows, windows->head++) = trade;
    return had_room;
}

double window_vwap(const struct window *window)
{
    return window->volume > 0 ? window_sum_f64(window->notional) / window_sum_f64(window->volume)
                              : 0.0;
}

double window_gap_mean_s(const struct window *window, uint64_t trades)
{
    return trades < 2 ? 0.0 : (double)window->gaps_us / (double)(trades - 1) / 1e6;
}

double window_gap_variance_s2(const struct window *window, uint64_t trades)
{
    if (trades < 2)
        return 0.0;
    window_sum gaps = (window_sum)(trades - 1);
    window_sum spread = gaps * window->gaps_us2 - (window_sum)window->gaps_us * window->gaps_us;
    return window_sum_f64(spread) / (window_sum_f64(gaps) * window_sum_f64(gaps)) / 1e12;
}

/* Oldest trade that any window still holds. */
static uint64_t windows_tail(const struct windows *windows)
{
    return windows->list[WINDOW_5S].tail;
}

bool windows_can_rescale(const struct windows *windows, struct scale_step step)
{
    for (uint64_t i = windows_tail(windows); i != windows->head; i++) {
        const struct window_trade *trade = &windows->trades[i % WINDOW_TRADES_MAX];
        int64_t qty = window_magnitude(trade->signed_qty);
        if (scale_fit_value(trade->price, step.price_shift) != SCALE_FITS ||
            scale_fit_value(qty, step.qty_shift) != SCALE_FITS ||
            !window_trade_is_sane(scale_value(trade->price, step.price_shift),
                                  scale_value(qty, step.qty_shift)))
            return false;
    }
    return true;
}

/* Sums over what each window holds, afresh: they are exact, so nothing can differ. */
static void windows_sum(struct windows *windows, const uint64_t tails[WINDOW_COUNT])
{
    uint64_t head = windows->head;
    for (int i = 0; i < WINDOW_COUNT; i++) {
        windows->list[i] =
            (struct window){.span_us = window_spans_us[i], .tail = tails[i], .due_us = INT64_MAX};
        for (windows->head = tails[i]; windows->head != head; windows->head++)
            window_take(windows, &windows->list[i], window_at(windows, windows->head));
    }
    windows->head = head;
}

void windows_rescale(struct windows *windows, struct scale_step step)
{
    for (uint64_t i = windows_tail(windows); i != windows->head; i++) {
        struct window_trade *trade = window_at(windows, i);
        trade->price = scale_value(trade->price, step.price_shift);
        trade->signed_qty = scale_value(trade->signed_qty, step.qty_shift);
    }
    uint64_t tails[WINDOW_COUNT];
    for (int i = 0; i < WINDOW_COUNT; i++)
        tails[i] = windows->list[i].tail;
    windows_sum(windows, tails);
}

uint64_t windows_room(const struct windows *windows)
{
    return WINDOW_TRADES_MAX - (windows->head - windows_tail(windows));
}

int64_t windows_horizon_us(int64_t now_us)
{
    return now_us - window_spans_us[WINDOW_5S];
}

struct windows_fill windows_fill_begin(struct windows *windows, uint64_t count)
{
    struct windows_fill fill = {windows, windows->head, windows->head + count};
    PRE(count <= windows_room(windows));
    windows->head += count;
    return fill;
}

/* What is later moves up, so that everything is in its place once all are put. */
void windows_fill_put(struct windows_fill *fill, const struct window_trade *trade)
{
    struct windows *windows = fill->windows;
    while (fill->read != windows_tail(windows) &&
           window_at(windows, fill->read - 1)->recv_us > trade->recv_us)
        *window_at(windows, --fill->write) = *window_at(windows, --fill->read);
    *window_at(windows, --fill->write) = *trade;
}

void windows_fill_end(struct windows_fill *fill, int64_t now_us)
{
    struct windows *windows = fill->windows;
    uint64_t tails[WINDOW_COUNT];
    CHECK(fill->read == fill->write);
    for (int i = 0; i < WINDOW_COUNT; i++) {
        tails[i] = windows_tail(windows);
        while (tails[i] != windows->head &&
               window_at(windows, tails[i])->recv_us <= now_us - window_spans_us[i])
            tails[i]++;
    }
    windows_sum(windows, tails);
}

static void windows_code_trade(struct window_trade *trade, int64_t earliest_us, struct codec *codec)
{
    codec_i64(codec, &trade->recv_us);
    codec_i64(codec, &trade->price);
    codec_i64(codec, &trade->signed_qty);
    codec_expect(codec,
                 trade->signed_qty != INT64_MIN &&
                     window_trade_is_sane(trade->price, window_magnitude(trade->signed_qty)));
    /* Ascending, and all within the longest window. */
    codec_expect(codec, trade->recv_us >= earliest_us && earliest_us >= 0);
    codec_expect(codec, trade->recv_us <= INT64_MAX - window_spans_us[WINDOW_5S]);
}

void windows_code(struct windows *windows, struct codec *codec)
{
    uint64_t tails[WINDOW_COUNT] = {windows->list[WINDOW_1S].tail, windows_tail(windows)};
    uint32_t count = (uint32_t)(windows->head - tails[WINDOW_5S]);
    uint32_t recent = (uint32_t)(windows->head - tails[WINDOW_1S]);
    codec_u32(codec, &count, WINDOW_TRADES_MAX);
    codec_u32(codec, &recent, WINDOW_TRADES_MAX);
    codec_expect(codec, recent <= count);
    if (codec_is_loading(codec)) {
        windows_init(windows);
        tails[WINDOW_5S] = 0;
    }
    int64_t last_us = 0, first_us = 0;
    for (uint32_t i = 0; i < count && !codec->failed; i++) {
        struct window_trade *trade = window_at(windows, tails[WINDOW_5S] + i);
        windows_code_trade(trade, last_us, codec);
        first_us = i == 0 ? trade->recv_us : first_us;
        last_us = trade->recv_us;
        codec_expect(codec, last_us - first_us < window_spans_us[WINDOW_5S]);
    }
    if (!codec_is_loading(codec) || codec->failed)
        return;
    windows->head = count;
    tails[WINDOW_1S] = count - recent;
    windows_sum(windows, tails);
}
