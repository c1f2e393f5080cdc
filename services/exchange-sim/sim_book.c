/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_book.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

int sim_book_open(struct sim_book *book, int64_t first_id, struct err *err)
{
    memset(book, 0, sizeof(*book));
    bool ok = true;
    for (int side = 0; side < 2; side++) {
        book->sides[side].levels = calloc(SIM_BOOK_LEVELS_MAX, sizeof(struct sbe_level));
        ok = ok && book->sides[side].levels;
    }
    for (int i = 0; i < SIM_CADENCE_COUNT; i++) {
        book->changes[i] = calloc(1, sizeof(struct sim_changes));
        ok = ok && book->changes[i];
    }
    if (!ok) {
        sim_book_close(book);
        return err_set(err, ERR_MEMORY, "simulated book");
    }
    sim_book_clear(book, first_id);
    return ERR_OK;
}

void sim_book_close(struct sim_book *book)
{
    for (int side = 0; side < 2; side++)
        free(book->sides[side].levels);
    for (int i = 0; i < SIM_CADENCE_COUNT; i++)
        free(book->changes[i]);
    memset(book, 0, sizeof(*book));
}

static void sim_changes_reset(struct sim_changes *changes, int64_t next_id)
{
    changes->count = 0;
    changes->first_id = next_id;
    changes->generation++;
}

void sim_book_clear(struct sim_book *book, int64_t last_id)
{
    book->sides[SIM_BID].count = 0;
    book->sides[SIM_ASK].count = 0;
    book->last_id = last_id;
    book->top_changed = true;
    sim_book_clear_changes(book);
}

void sim_book_clear_changes(struct sim_book *book)
{
    for (int i = 0; i < SIM_CADENCE_COUNT; i++)
        sim_changes_reset(book->changes[i], book->last_id + 1);
}

static void sim_changes_add(struct sim_changes *changes, enum sim_side_name side, int64_t price)
{
    int64_t key = price * 2 + side;
    uint32_t mask = 2 * SIM_CHANGES_MAX - 1;
    uint32_t slot = (uint32_t)(((uint64_t)key * 0x9e3779b97f4a7c15ULL) >> 40) & mask;
    while (changes->stamps[slot] == changes->generation) {
        if (changes->slots[slot] == key)
            return;
        slot = (slot + 1) & mask;
    }
    CHECK(changes->count < SIM_CHANGES_MAX);
    changes->stamps[slot] = changes->generation;
    changes->slots[slot] = key;
    changes->keys[changes->count++] = key;
}

bool sim_book_full(const struct sim_book *book, enum sim_cadence cadence)
{
    /* One change may add two keys: the level set and the farthest one evicted for it. */
    return book->changes[cadence]->count + 2 > SIM_CHANGES_MAX;
}

/* Number of levels strictly worse than price: its index if present, else its place. Halves
 * without a branch that depends on the data: where changes happen cannot be predicted. */
static int sim_book_place(const struct sim_side *side, enum sim_side_name name, int64_t price)
{
    const int64_t sign = name == SIM_BID ? 1 : -1; /* worse is less */
    const int64_t wanted = sign * price;
    const struct sbe_level *from = side->levels;
    int left = side->count;
    while (left > 1) {
        int half = left / 2;
        from += sign * from[half - 1].price < wanted ? half : 0;
        left -= half;
    }
    return (int)(from - side->levels) + (left == 1 && sign * from->price < wanted);
}

static bool sim_book_is(const struct sim_side *side, int at, int64_t price)
{
    return at < side->count && side->levels[at].price == price;
}

static void sim_book_note(struct sim_book *book, enum sim_side_name name, int64_t price)
{
    for (int i = 0; i < SIM_CADENCE_COUNT; i++)
        if (!book->silent[i] && !sim_book_full(book, (enum sim_cadence)i))
            sim_changes_add(book->changes[i], name, price);
}

static void sim_book_remove(struct sim_side *side, int at)
{
    memmove(&side->levels[at], &side->levels[at + 1],
            (size_t)(side->count - at - 1) * sizeof(side->levels[0]));
    side->count--;
}

void sim_book_set(struct sim_book *book, enum sim_side_name name, int64_t price, int64_t qty,
                  int64_t id)
{
    PRE(id >= book->last_id && price > 0 && qty >= 0);
    struct sim_side *side = &book->sides[name];
    book->last_id = id;
    int at = sim_book_place(side, name, price);
    bool present = sim_book_is(side, at, price);
    sim_book_note(book, name, price);
    if (at >= side->count - SIM_TOP_LEVELS)
        book->top_changed = true;
    if (present && qty == 0) {
        sim_book_remove(side, at);
    } else if (present) {
        side->levels[at].qty = qty;
    } else if (qty > 0) {
        if (side->count == SIM_BOOK_LEVELS_MAX) {
            sim_book_note(book, name, side->levels[0].price);
            sim_book_remove(side, 0);
            at = at > 0 ? at - 1 : 0;
        }
        memmove(&side->levels[at + 1], &side->levels[at],
                (size_t)(side->count - at) * sizeof(side->levels[0]));
        side->levels[at] = (struct sbe_level){price, qty};
        side->count++;
    }
}

int64_t sim_book_qty(const struct sim_book *book, enum sim_side_name name, int64_t price)
{
    const struct sim_side *side = &book->sides[name];
    int at = sim_book_place(side, name, price);
    return sim_book_is(side, at, price) ? side->levels[at].qty : 0;
}

int sim_book_at_or_behind(const struct sim_book *book, enum sim_side_name name, int64_t price)
{
    const struct sim_side *side = &book->sides[name];
    int at = sim_book_place(side, name, price);
    return sim_book_is(side, at, price) ? at : at - 1;
}

const struct sbe_level *sim_book_level(const struct sim_book *book, enum sim_side_name name, int i)
{
    const struct sim_side *side = &book->sides[name];
    PRE(i >= 0 && i < side->count);
    return &side->levels[side->count - 1 - i];
}

int sim_book_copy(const struct sim_book *book, enum sim_side_name name, struct sbe_level *out,
                  int capacity)
{
    int count = book->sides[name].count < capacity ? book->sides[name].count : capacity;
    for (int i = 0; i < count; i++)
        out[i] = *sim_book_level(book, name, i);
    return count;
}

static int sim_book_ascending(const void *a, const void *b)
{
    const struct sbe_level *left = a;
    const struct sbe_level *right = b;
    return (left->price > right->price) - (left->price < right->price);
}

static int sim_book_descending(const void *a, const void *b)
{
    return sim_book_ascending(b, a);
}

bool sim_book_take(struct sim_book *book, enum sim_cadence cadence, struct sim_diff *diff)
{
    struct sim_changes *changes = book->changes[cadence];
    if (changes->count == 0)
        return false;
    diff->first_id = changes->first_id;
    diff->last_id = book->last_id;
    diff->counts[SIM_BID] = diff->counts[SIM_ASK] = 0;
    for (int i = 0; i < changes->count; i++) {
        enum sim_side_name side = (enum sim_side_name)(changes->keys[i] & 1);
        int64_t price = (changes->keys[i] - side) / 2;
        int64_t qty = sim_book_qty(book, side, price);
        diff->levels[side][diff->counts[side]++] = (struct sbe_level){price, qty};
    }
    qsort(diff->levels[SIM_BID], (size_t)diff->counts[SIM_BID], sizeof(struct sbe_level),
          sim_book_descending);
    qsort(diff->levels[SIM_ASK], (size_t)diff->counts[SIM_ASK], sizeof(struct sbe_level),
          sim_book_ascending);
    sim_changes_reset(changes, book->last_id + 1);
    return true;
}
