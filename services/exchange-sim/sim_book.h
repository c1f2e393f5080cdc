/* The simulated exchange's own order book: sorted levels a side, one update id a change,
 * and the sets of levels changed since each diff stream last spoke. Prices and quantities
 * are mantissas at SIM_EXPONENT. Pure: no I/O, no clock. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_BOOK_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/sbe.h"

/* Every real frame seen has -8 for both (BINANCE.md section 5, Values). */
#define SIM_EXPONENT (-8)
#define SIM_SCALE    ((struct sbe_scale){SIM_EXPONENT, SIM_EXPONENT})
/* Levels kept a side; when full the farthest one goes (and is reported as deleted). */
#define SIM_BOOK_LEVELS_MAX 16384
/* Levels one diff can carry; when reached the diff has to be sent early. */
#define SIM_CHANGES_MAX 8192
#define SIM_TOP_LEVELS  10

enum sim_side_name { SIM_BID, SIM_ASK };
/* The diff streams: SBE's fast one, and the JSON stream's 100 ms. */
enum sim_cadence { SIM_CADENCE_FAST, SIM_CADENCE_100MS, SIM_CADENCE_COUNT };

/* Best level last, so that changes near the touch move little memory. */
struct sim_side {
    struct sbe_level *levels;
    int count;
};

/* A set of (price, side) keys with the first update id they came with. */
struct sim_changes {
    int64_t first_id;
    int count;
    uint32_t generation;
    int64_t keys[SIM_CHANGES_MAX];
    uint32_t stamps[2 * SIM_CHANGES_MAX];
    int64_t slots[2 * SIM_CHANGES_MAX];
};

struct sim_book {
    struct sim_side sides[2];
    int64_t last_id;
    bool top_changed;               /* the best ten of a side changed since the caller cleared it */
    bool silent[SIM_CADENCE_COUNT]; /* changes of this cadence are not gathered */
    struct sim_changes *changes[SIM_CADENCE_COUNT];
};

int sim_book_open(struct sim_book *book, int64_t first_id, struct err *err) MUST_CHECK;
void sim_book_close(struct sim_book *book);
/* Forgets all levels and pending changes; the next change gets id last_id + 1. */
void sim_book_clear(struct sim_book *book, int64_t last_id);
/* Forgets pending changes only: the levels there now need no diff. */
void sim_book_clear_changes(struct sim_book *book);
/* Sets (qty > 0) or deletes (qty 0) one level under update id `id` (> last_id, or equal for
 * several levels of one update). */
void sim_book_set(struct sim_book *book, enum sim_side_name side, int64_t price, int64_t qty,
                  int64_t id);
int64_t sim_book_qty(const struct sim_book *book, enum sim_side_name side, int64_t price);
/* Index into levels of the first level at or behind price (seen from the touch): the best
 * level not better than price; -1 when there is none. */
int sim_book_at_or_behind(const struct sim_book *book, enum sim_side_name side, int64_t price);
/* The i-th best level, i < count. */
const struct sbe_level *sim_book_level(const struct sim_book *book, enum sim_side_name side, int i);
/* Copies up to capacity best levels, best first; returns how many. */
int sim_book_copy(const struct sim_book *book, enum sim_side_name side, struct sbe_level *out,
                  int capacity);
/* Takes the pending changes of one cadence: each changed level once with its quantity of
 * now, bids descending, asks ascending. Returns false when nothing changed. */
struct sim_diff {
    int64_t first_id, last_id;
    int counts[2];
    struct sbe_level levels[2][SIM_CHANGES_MAX];
};
bool sim_book_take(struct sim_book *book, enum sim_cadence cadence, struct sim_diff *diff);
/* True when a cadence has no room left and its diff must go out now. */
bool sim_book_full(const struct sim_book *book, enum sim_cadence cadence);

#endif
