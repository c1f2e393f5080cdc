/* What the gap detector wants from the store: what the aggregator has told and shows, what
 * an operator says; and where the verdict goes. Asynchronous: `done` is called exactly once,
 * never from inside the call; a call that could not be started returns an error and does not
 * call back. Implemented by edge/redis/redis_gap. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_GAP_GAP_PORT_H
#define BTCAST_RECOVER_GAP_GAP_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "hot/state/state_image.h"

/* Longest id of a stream entry with its NUL. */
#define GAP_ID_SIZE 48
/* Entries in one look, and pairs of one that are handed over. */
#define GAP_ENTRIES_MAX 64
#define GAP_PAIRS_MAX   40

struct gap_entry {
    struct bytes id;
    int count;
    const struct state_pair *pairs;
};

/* Of the hot state: fields of ob, tr and feat as they stand there; size 0: missing. */
enum gap_shown {
    GAP_SHOWN_LAST_UPDATE_ID,
    GAP_SHOWN_TS_US,
    GAP_SHOWN_EVENT_US,
    GAP_SHOWN_BOOK_LIVE,
    GAP_SHOWN_SOURCE,
    GAP_SHOWN_LAST_TRADE_US,
    GAP_SHOWN_MID,
    GAP_SHOWN_COUNT,
};

/* Everything of one moment. Views are borrowed for the call. */
struct gap_look {
    int result;                      /* ERR_OK, ERR_CONNECTION, ERR_TIMEOUT, ERR_IO */
    const struct gap_entry *entries; /* after the id asked for, oldest first */
    int count;
    struct bytes newest; /* id of the newest entry, only when looked after no id; size 0: none */
    struct bytes shown[GAP_SHOWN_COUNT];
    struct bytes swapped;  /* token of the last swap; size 0: none known */
    struct bytes override; /* what an operator says (JSON); size 0: nothing */
    struct bytes memory;   /* what a detector has left (JSON); size 0: nothing */
};
typedef void (*gap_look_fn)(void *context, const struct gap_look *look);

/* Said in one step. */
struct gap_saying {
    struct bytes verdict; /* size 0: there is none (any more) */
    int64_t verdict_ttl_ms;
    struct bytes ask; /* size 0: no anchor is asked for */
    int64_t ask_ttl_ms;
    struct bytes swapped; /* an ask counts only while this is still the last swap's token */
    struct bytes memory;  /* size 0: leave it */
};
typedef void (*gap_done_fn)(void *context, int result);

struct gap_port {
    void *self;
    bool (*ready)(void *self);
    /* after: id of the last entry seen, "" to learn where the stream stands. */
    int (*look)(void *self, const char *after, gap_look_fn done, void *context);
    int (*say)(void *self, const struct gap_saying *saying, gap_done_fn done, void *context);
    int (*audit)(void *self, const struct state_pair *pairs, int count, gap_done_fn done,
                 void *context);
    int (*do_work)(void *self, int64_t mono_us);
};

#endif
