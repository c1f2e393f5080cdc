/* SPDX-License-Identifier: Apache-2.0 */
#include "market/side.h"

#include "base/check.h"

#define SIDE_MASK ((uint64_t)SIDE_TICKS - 1)
/* Where a recentred array has its best level, and when it is recentred: levels worse
 * than the best are what the array is for, the rest is room for the touch to move into. */
#define SIDE_BEST_AT     (SIDE_TICKS / 4 * 3)
#define SIDE_BEST_AT_MIN (SIDE_TICKS / 2)
#define SIDE_BEST_AT_MAX (SIDE_TICKS / 16 * 15)

struct side_grid side_grid_of(int64_t tick)
{
    int zeros = __builtin_ctzll((uint64_t)tick);
    uint64_t odd = (uint64_t)tick >> zeros;
    uint64_t inverse = odd; /* right to 3 bits; each step doubles them */
    for (int i = 0; i < 5; i++)
        inverse *= 2 - odd * inverse;
    return (struct side_grid){tick, inverse, UINT64_MAX / (uint64_t)tick, zeros};
}

/* price / tick if tick divides price, else more than quotient_max. */
static inline uint64_t side_quotient(const struct side_grid *grid, int64_t price)
{
    uint64_t product = (uint64_t)price * grid->inverse;
    return product >> grid->zeros | product << ((64 - grid->zeros) & 63);
}

static inline bool side_is_on_grid(const struct side_grid *grid, int64_t price)
{
    return side_quotient(grid, price) <= grid->quotient_max;
}

int64_t side_key_floor(const struct side *side, int64_t price)
{
    int64_t ticks = price / side->grid.tick;
    if (side->sign > 0)
        return ticks;
    return -(ticks + (price % side->grid.tick != 0));
}

void side_init(struct side *side, bool is_bids)
{
    for (int i = 0; i < SIDE_WORDS; i++)
        if (side->words[i] != 0)
            memset(side->qty + (ptrdiff_t)i * 64, 0, 64 * sizeof(side->qty[0]));
    memset(side->words, 0, sizeof(side->words));
    memset(side->summary, 0, sizeof(side->summary));
    side->sign = is_bids ? 1 : -1;
    side->grid = side_grid_of(1);
    side->low = side->best = 0;
    side->near_words = side->far_count = 0;
}

/* The next occupied word of the bitmap below `word`, walking down around the ring; the
 * array must not be empty. */
static uint64_t side_word_below(const struct side *side, uint64_t word)
{
    uint64_t group = word >> 6;
    uint64_t groups = side->summary[group] & ((UINT64_C(1) << (word & 63)) - 1);
    while (groups == 0) {
        group = (group - 1) & (SIDE_SUMMARIES - 1);
        groups = side->summary[group];
    }
    return group << 6 | (uint64_t)(63 - __builtin_clzll(groups));
}

/* The bits of a place's word from the place on down. */
static inline uint64_t side_bits_below(const struct side *side, uint64_t from)
{
    return side->words[from >> 6] & (UINT64_MAX >> (63 - (from & 63)));
}

/* Highest occupied place at or below `from`, walking down around the ring; the array
 * must not be empty. */
static uint64_t side_place_below(const struct side *side, uint64_t from)
{
    uint64_t word = from >> 6;
    uint64_t bits = side_bits_below(side, from);
    if (bits == 0) {
        word = side_word_below(side, word);
        bits = side->words[word];
    }
    return word << 6 | (uint64_t)(63 - __builtin_clzll(bits));
}

/* Highest occupied key at or below `key`; there must be one. */
static inline int64_t side_key_below(const struct side *side, int64_t key)
{
    uint64_t from = (uint64_t)key & SIDE_MASK;
    return key - (int64_t)((from - side_place_below(side, from)) & SIDE_MASK);
}

/* A word of the bitmap was or is empty. */
static __attribute__((noinline)) void side_mark_word(struct side *side, uint64_t word,
                                                     uint64_t old_bits)
{
    uint64_t bit = UINT64_C(1) << (word & 63);
    uint64_t group = side->summary[word >> 6] & ~bit;
    side->summary[word >> 6] = side->words[word] != 0 ? group | bit : group;
    side->near_words += (uint32_t)(side->words[word] != 0) - (uint32_t)(old_bits != 0);
}

/* Writes one place and its bit. No branch but the seldom one: whether a level comes or goes
 * is not predictable. Only the bitmap is read: it is in the cache, the quantities need not
 * be. */
static inline void side_write(struct side *side, uint64_t place, int64_t qty)
{
    uint64_t word = place >> 6;
    uint64_t bit = UINT64_C(1) << (place & 63);
    uint64_t old_bits = side->words[word];
    uint64_t bits = (old_bits & ~bit) | (bit & (0 - (uint64_t)(qty != 0)));
    side->qty[place] = qty;
    side->words[word] = bits;
    if (__builtin_expect(old_bits == 0 || bits == 0, 0))
        side_mark_word(side, word, old_bits);
}

uint32_t side_near_count(const struct side *side)
{
    uint32_t count = 0;
    for (int i = 0; i < SIDE_WORDS; i++)
        count += (uint32_t)__builtin_popcountll(side->words[i]);
    return count;
}

void side_put(struct side *side, int64_t key, int64_t qty)
{
    side_write(side, (uint64_t)key & SIDE_MASK, qty);
}

/* First far place whose level is not worse than price. */
static uint32_t side_far_find(const struct side *side, int64_t price)
{
    uint32_t low = 0, high = side->far_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (side->sign * side->far[middle].price < side->sign * price)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void side_far_make_room(struct side *side)
{
    if (side->far_count < SIDE_FAR_MAX)
        return;
    side->far_count -= SIDE_FAR_DROP;
    side->far_dropped += SIDE_FAR_DROP;
    memmove(side->far, side->far + SIDE_FAR_DROP, side->far_count * sizeof(side->far[0]));
}

static void side_far_set(struct side *side, int64_t price, int64_t qty)
{
    uint32_t at = side_far_find(side, price);
    bool is_there = at < side->far_count && side->far[at].price == price;
    if (is_there && qty != 0) {
        side->far[at].qty = qty;
    } else if (is_there) {
        side->far_count--;
        memmove(side->far + at, side->far + at + 1, (side->far_count - at) * sizeof(side->far[0]));
    } else if (qty != 0) {
        side_far_make_room(side);
        at = side_far_find(side, price);
        memmove(side->far + at + 1, side->far + at, (side->far_count - at) * sizeof(side->far[0]));
        side->far[at] = (struct world_level){price, qty};
        side->far_count++;
    }
}

/* Moves the levels with keys below `end` to the far array, worst first. They are better
 * than all that is there. */
static void side_evict_below(struct side *side, int64_t end)
{
    for (int64_t key = side->low; key < end && side->near_words > 0; key++) {
        uint64_t place = (uint64_t)key & SIDE_MASK;
        uint64_t rest = side->words[place >> 6] >> (place & 63);
        if (rest == 0) {
            key += 63 - (int64_t)(place & 63);
            continue;
        }
        key += __builtin_ctzll(rest);
        if (key >= end)
            return;
        side_far_make_room(side);
        side->far[side->far_count++] =
            (struct world_level){side_key_price(side, key), side->qty[(uint64_t)key & SIDE_MASK]};
        side_put(side, key, 0);
    }
}

static int64_t side_gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void side_recentre(struct side *side, int64_t best);

/* Changes to the finer grid that holds price, too. */
static void side_refine(struct side *side, int64_t price)
{
    side_evict_below(side, side->low + SIDE_TICKS);
    side->grid = side_grid_of(side_gcd(price, side->grid.tick));
    int64_t best = side_key_floor(side, price);
    if (side->far_count > 0) {
        int64_t far_best = side_key_floor(side, side->far[side->far_count - 1].price);
        best = far_best > best ? far_best : best;
    }
    side->low = side->best = best;
    side_recentre(side, best);
}

/* Takes the far levels that lie in the array's range into it. */
static void side_admit(struct side *side)
{
    while (side->far_count > 0) {
        struct world_level level = side->far[side->far_count - 1];
        int64_t key = side_key_floor(side, level.price);
        if (key < side->low)
            return;
        if (!side_is_on_grid(&side->grid, level.price)) {
            side_refine(side, level.price); /* admits the rest itself */
            return;
        }
        side->far_count--;
        side_put(side, key, level.qty);
    }
}

/* Moves the array so that key `best`, which no level exceeds, has its usual place. */
static void side_recentre(struct side *side, int64_t best)
{
    int64_t low = best - SIDE_BEST_AT;
    if (low > side->low)
        side_evict_below(side, low - side->low < SIDE_TICKS ? low : side->low + SIDE_TICKS);
    side->low = low;
    side->best = best;
    side_admit(side);
}

void side_settle(struct side *side)
{
    for (;;) {
        if (side->near_words == 0 && side->far_count == 0) {
            side->best = side->low;
            return;
        }
        if (side->near_words == 0)
            side->best = side_key_floor(side, side->far[side->far_count - 1].price);
        else if (side->qty[(uint64_t)side->best & SIDE_MASK] == 0)
            side->best = side_key_below(side, side->best);
        int64_t at = side->best - side->low;
        if (side->near_words > 0 && at >= SIDE_BEST_AT_MIN && at <= SIDE_BEST_AT_MAX)
            return;
        side_recentre(side, side->best);
    }
}

/* A level outside the array, or off the grid. */
static __attribute__((noinline)) void side_set_far(struct side *side, int64_t price, int64_t qty)
{
    side_settle(side);
    int64_t key = side_key_floor(side, price);
    if (key < side->low) {
        side_far_set(side, price, qty);
        return;
    }
    bool is_on_grid = side_is_on_grid(&side->grid, price);
    if (qty == 0) { /* settling may have brought the level into the array just now */
        if (is_on_grid && key - side->low < SIDE_TICKS)
            side_put(side, key, 0);
        return;
    }
    if (!is_on_grid) {
        side_refine(side, price);
        key = side_key_floor(side, price);
        if (key < side->low) { /* the finer array is shorter */
            side_far_set(side, price, qty);
            return;
        }
    }
    if (key - side->low >= SIDE_TICKS)
        side_recentre(side, key);
    side_put(side, key, qty);
    side->best = key > side->best ? key : side->best;
}

static inline bool side_is_near(const struct side_grid *grid, int64_t low, uint64_t ticks,
                                int64_t key)
{
    return ticks <= grid->quotient_max && (uint64_t)key - (uint64_t)low < SIDE_TICKS;
}

void side_set(struct side *side, int64_t price, int64_t qty)
{
    uint64_t ticks = side_quotient(&side->grid, price);
    int64_t key = (int64_t)((uint64_t)side->sign * ticks);
    if (!side_is_near(&side->grid, side->low, ticks, key)) {
        side_set_far(side, price, qty);
        return;
    }
    side_put(side, key, qty);
    /* An upper bound is enough until side_settle. */
    side->best = qty != 0 && key > side->best ? key : side->best;
}

/* The keys of the array that a price can have. A quotient within them is exact: what is
 * not a multiple of the tick has one beyond quotient_max. */
struct side_reach {
    int64_t low;
    uint64_t count;
};

static inline struct side_reach side_reach_of(const struct side *side)
{
    int64_t ticks_max =
        side->grid.quotient_max > INT64_MAX ? INT64_MAX : (int64_t)side->grid.quotient_max;
    int64_t low = side->low, high = low + SIDE_TICKS - 1;
    int64_t key_min = side->sign > 0 ? 0 : -ticks_max, key_max = side->sign > 0 ? ticks_max : 0;
    low = low < key_min ? key_min : low;
    high = high > key_max ? key_max : high;
    return (struct side_reach){low, high < low ? 0 : (uint64_t)(high - low) + 1};
}

/* side_set for every level, with what it needs in registers: the stores to the array
 * could otherwise be to any of it. Returns where a level has to go the slow way. */
static inline __attribute__((always_inline)) uint32_t
side_apply_run(struct side *side, const struct level_view *view, uint32_t from, int64_t sign)
{
    const struct side_reach reach = side_reach_of(side);
    const struct side_grid grid = side->grid;
    const uint32_t stride = view->stride;
    uint32_t left = view->count - from;
    if (left == 0)
        return from;
    const uint8_t *at = view->at + (size_t)from * stride;
    int64_t best = side->best;
    for (; left > 0; left--, at += stride) {
        int64_t qty = bytes_load_i64(at + 8);
        uint64_t ticks = side_quotient(&grid, bytes_load_i64(at));
        int64_t key = (int64_t)(sign > 0 ? ticks : 0 - ticks);
        if (__builtin_expect((uint64_t)key - (uint64_t)reach.low >= reach.count, 0))
            break;
        side_write(side, (uint64_t)key & SIDE_MASK, qty);
        int64_t candidate = qty != 0 ? key : INT64_MIN;
        best = candidate > best ? candidate : best;
    }
    side->best = best;
    return view->count - left;
}

static uint32_t side_apply_near(struct side *side, const struct level_view *view, uint32_t from)
{
    return side->sign > 0 ? side_apply_run(side, view, from, 1)
                          : side_apply_run(side, view, from, -1);
}

void side_apply(struct side *side, const struct level_view *view, struct scale_step step)
{
    if (!scale_step_is_none(step)) {
        for (uint32_t i = 0; i < view->count; i++)
            side_set(side, scale_value(level_price(view, i), step.price_shift),
                     scale_value(level_qty(view, i), step.qty_shift));
    } else {
        for (uint32_t i = side_apply_near(side, view, 0); i < view->count;
             i = side_apply_near(side, view, i + 1))
            side_set_far(side, level_price(view, i), level_qty(view, i));
    }
    side_settle(side);
}

void side_load(struct side *side, const struct level_view *view, struct scale_step step,
               int64_t tick)
{
    side_init(side, side->sign > 0);
    side->grid = side_grid_of(tick);
    if (view->count == 0)
        return;
    side->best = side_key_floor(side, scale_value(level_price(view, 0), step.price_shift));
    side->low = side->best - SIDE_BEST_AT;
    /* Worst first, so that far levels are appended. */
    for (uint32_t i = view->count; i-- > 0;) {
        int64_t price = scale_value(level_price(view, i), step.price_shift);
        int64_t qty = scale_value(level_qty(view, i), step.qty_shift);
        int64_t key = side_key_floor(side, price);
        if (key < side->low)
            side_far_set(side, price, qty);
        else
            side_put(side, key, qty);
    }
    side_settle(side);
}

uint32_t side_top(const struct side *side, struct world_level *levels, uint32_t capacity)
{
    uint64_t place = (uint64_t)side->best & SIDE_MASK, word = place >> 6;
    uint64_t bits = side_bits_below(side, place);
    int64_t word_key = side->best - (int64_t)(place & 63); /* the key of its lowest bit */
    uint32_t count = 0;
    for (uint32_t words = side->near_words; words > 0 && count < capacity;) {
        if (bits == 0) {
            if (--words == 0)
                break;
            uint64_t next = side_word_below(side, word);
            word_key -= 64 * (int64_t)(((word - next - 1) & (SIDE_WORDS - 1)) + 1);
            word = next;
            bits = side->words[word];
        }
        int bit = 63 - __builtin_clzll(bits);
        bits ^= UINT64_C(1) << bit;
        levels[count++] = (struct world_level){side_key_price(side, word_key + bit),
                                               side->qty[word << 6 | (uint64_t)bit]};
    }
    for (uint32_t i = side->far_count; i > 0 && count < capacity; i--)
        levels[count++] = side->far[i - 1];
    return count;
}
