/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_tape.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"

int sim_tape_open(struct sim_tape *tape, int64_t tops_max, struct err *err)
{
    PRE(tops_max > 0);
    memset(tape, 0, sizeof(*tape));
    tape->tops_max = tops_max;
    tape->trades = calloc(SIM_TAPE_TRADES_MAX, sizeof(*tape->trades));
    tape->aggregates = calloc(SIM_TAPE_AGGREGATES_MAX, sizeof(*tape->aggregates));
    tape->bars = calloc(SIM_TAPE_BARS_MAX, sizeof(*tape->bars));
    tape->tops = calloc((size_t)tops_max, sizeof(*tape->tops));
    tape->copies = calloc(SIM_TAPE_COPIES_MAX, sizeof(*tape->copies));
    if (tape->trades && tape->aggregates && tape->bars && tape->tops && tape->copies)
        return ERR_OK;
    sim_tape_close(tape);
    return err_set(err, ERR_MEMORY, "simulated tape");
}

void sim_tape_close(struct sim_tape *tape)
{
    free(tape->trades);
    free(tape->aggregates);
    free(tape->bars);
    free(tape->tops);
    free(tape->copies);
    memset(tape, 0, sizeof(*tape));
}

static int64_t tape_kept(int64_t total, int64_t capacity)
{
    return total < capacity ? total : capacity;
}

static int64_t tape_slot(int64_t total, int64_t capacity, int64_t i)
{
    int64_t kept = tape_kept(total, capacity);
    PRE(i >= 0 && i < kept);
    return (total - kept + i) % capacity;
}

int64_t sim_tape_trade_count(const struct sim_tape *tape)
{
    return tape_kept(tape->trade_total, SIM_TAPE_TRADES_MAX);
}

const struct sim_tape_trade *sim_tape_trade(const struct sim_tape *tape, int64_t i)
{
    return &tape->trades[tape_slot(tape->trade_total, SIM_TAPE_TRADES_MAX, i)];
}

int64_t sim_tape_aggregate_count(const struct sim_tape *tape)
{
    return tape_kept(tape->aggregate_total, SIM_TAPE_AGGREGATES_MAX);
}

const struct sim_aggregate *sim_tape_aggregate(const struct sim_tape *tape, int64_t i)
{
    return &tape->aggregates[tape_slot(tape->aggregate_total, SIM_TAPE_AGGREGATES_MAX, i)];
}

int64_t sim_tape_bar_count(const struct sim_tape *tape)
{
    return tape_kept(tape->bar_total, SIM_TAPE_BARS_MAX);
}

const struct sim_bar *sim_tape_bar(const struct sim_tape *tape, int64_t i)
{
    return &tape->bars[tape_slot(tape->bar_total, SIM_TAPE_BARS_MAX, i)];
}

/* price * qty at SIM_EXPONENT: 64 bits of mantissa hold the product to the last digit shown. */
static int64_t tape_quote(int64_t price, int64_t qty)
{
    return (int64_t)((long double)price * (long double)qty / 1e8L + 0.5L);
}

/* The bar of this second; seconds without trades in between get flat bars, so that klines
 * have no holes. */
static struct sim_bar *tape_bar(struct sim_tape *tape, int64_t second, int64_t price)
{
    int64_t capacity = SIM_TAPE_BARS_MAX;
    struct sim_bar *last = tape->bar_total ? &tape->bars[(tape->bar_total - 1) % capacity] : NULL;
    if (last && last->second >= second)
        return last;
    int64_t from = last ? last->second + 1 : second;
    if (second - from > capacity)
        from = second - capacity;
    for (int64_t at = from; at <= second; at++) {
        int64_t flat = last && at < second ? last->close : price;
        struct sim_bar *bar = &tape->bars[tape->bar_total++ % capacity];
        *bar =
            (struct sim_bar){.second = at, .open = flat, .high = flat, .low = flat, .close = flat};
        last = bar;
    }
    return last;
}

static void tape_add_bar(struct sim_tape *tape, int64_t time_us, const struct trade *trade)
{
    struct sim_bar *bar = tape_bar(tape, time_us / CLOCK_US_PER_S, trade->price);
    int64_t quote = tape_quote(trade->price, trade->qty);
    bar->high = trade->price > bar->high ? trade->price : bar->high;
    bar->low = trade->price < bar->low ? trade->price : bar->low;
    bar->close = trade->price;
    bar->volume += trade->qty;
    bar->quote_volume += quote;
    bar->buy_volume += trade->is_buyer_maker ? 0 : trade->qty;
    bar->buy_quote_volume += trade->is_buyer_maker ? 0 : quote;
    bar->trades++;
}

static void tape_add_aggregate(struct sim_tape *tape, int64_t time_us, const struct trade *trade,
                               bool first_of_order)
{
    struct sim_aggregate *last =
        tape->aggregate_total
            ? &tape->aggregates[(tape->aggregate_total - 1) % SIM_TAPE_AGGREGATES_MAX]
            : NULL;
    if (!first_of_order && last && last->price == trade->price) {
        last->qty += trade->qty;
        last->last_id = trade->id;
        return;
    }
    if (last == NULL) /* ids of their own, that also rise over a restart */
        tape->next_aggregate_id = trade->id;
    tape->aggregates[tape->aggregate_total++ % SIM_TAPE_AGGREGATES_MAX] =
        (struct sim_aggregate){.id = tape->next_aggregate_id++,
                               .first_id = trade->id,
                               .last_id = trade->id,
                               .price = trade->price,
                               .qty = trade->qty,
                               .time_us = time_us,
                               .is_buyer_maker = trade->is_buyer_maker};
}

void sim_tape_add(struct sim_tape *tape, int64_t time_us, const struct trade *trades, int count)
{
    for (int i = 0; i < count; i++) {
        tape->trades[tape->trade_total++ % SIM_TAPE_TRADES_MAX] =
            (struct sim_tape_trade){trades[i], time_us};
        tape_add_aggregate(tape, time_us, &trades[i], i == 0);
        tape_add_bar(tape, time_us, &trades[i]);
    }
}

void sim_tape_add_top(struct sim_tape *tape, const struct sim_book *book)
{
    struct sim_top *last =
        tape->top_total ? &tape->tops[(tape->top_total - 1) % tape->tops_max] : NULL;
    if (!last || last->id != book->last_id)
        last = &tape->tops[tape->top_total++ % tape->tops_max];
    last->id = book->last_id;
    for (int side = 0; side < 2; side++)
        last->counts[side] =
            sim_book_copy(book, (enum sim_side_name)side, last->levels[side], SIM_TOP_LEVELS);
}

void sim_tape_copy(struct sim_tape *tape, int64_t time_us, const struct sim_book *book)
{
    if (time_us < tape->next_copy_us)
        return;
    tape->next_copy_us = time_us + SIM_TAPE_COPY_US;
    struct sim_copy *copy = &tape->copies[tape->copy_total++ % SIM_TAPE_COPIES_MAX];
    copy->id = book->last_id;
    for (int side = 0; side < 2; side++)
        copy->counts[side] =
            sim_book_copy(book, (enum sim_side_name)side, copy->levels[side], SIM_TAPE_COPY_LEVELS);
}

const struct sim_top *sim_tape_top(const struct sim_tape *tape, int64_t id)
{
    int64_t low = 0;
    int64_t high = tape_kept(tape->top_total, tape->tops_max);
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (tape->tops[tape_slot(tape->top_total, tape->tops_max, middle)].id <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &tape->tops[tape_slot(tape->top_total, tape->tops_max, low - 1)];
}

const struct sim_copy *sim_tape_copy_at(const struct sim_tape *tape, int64_t id)
{
    const struct sim_copy *found = NULL;
    for (int64_t i = tape_kept(tape->copy_total, SIM_TAPE_COPIES_MAX); i-- > 0;) {
        found = &tape->copies[tape_slot(tape->copy_total, SIM_TAPE_COPIES_MAX, i)];
        if (found->id <= id)
            break;
    }
    return found;
}

static void tape_join(struct sim_bar *bar, const struct sim_bar *next)
{
    bar->high = next->high > bar->high ? next->high : bar->high;
    bar->low = next->low < bar->low ? next->low : bar->low;
    bar->close = next->close;
    bar->volume += next->volume;
    bar->quote_volume += next->quote_volume;
    bar->buy_volume += next->buy_volume;
    bar->buy_quote_volume += next->buy_quote_volume;
    bar->trades += next->trades;
}

bool sim_tape_span(const struct sim_tape *tape, int64_t second, int64_t span, struct sim_bar *bar)
{
    int64_t count = sim_tape_bar_count(tape);
    if (count == 0)
        return false;
    /* Bars are gapless, so the index follows from the second. */
    int64_t first = sim_tape_bar(tape, 0)->second;
    int64_t from = second > first ? second - first : 0;
    int64_t to = second + span - first;
    to = to < count ? to : count;
    bool known = false;
    for (int64_t i = from; i < to; i++) {
        if (known)
            tape_join(bar, sim_tape_bar(tape, i));
        else
            *bar = *sim_tape_bar(tape, i);
        known = true;
    }
    bar->second = second;
    return known;
}
