/* One entry of the stream gap-events:{symbol}: what the aggregator saw, for whoever judges
 * it or fetches what was lost (DESIGN.md section 6, Verdict). Written and read here, so
 * that the two cannot drift apart. docs/gaps.md lists the fields.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_GAP_EVENT_H
#define BTCAST_HOT_STATE_GAP_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "hot/state/state_image.h"

#define GAP_CAUSE_SIZE 64
/* Fields of an entry at most, and the bytes their values need. */
#define GAP_EVENT_PAIRS_MAX 20
#define GAP_EVENT_BYTES     512

enum gap_kind {
    GAP_LOSS,          /* the book was lost: by ids, or it differs from depth20: proof */
    GAP_TRADE_HOLE,    /* trade ids jumped: a candidate until REST has confirmed it */
    GAP_RECORD_HOLE,   /* records were lost between ingestor and aggregator */
    GAP_MINUTE,        /* a minute of trades closed */
    GAP_ANCHORED,      /* an anchor was adopted */
    GAP_STATE,         /* how things stand when an aggregator becomes active */
    GAP_TRADES_ABSENT, /* an anchor brought trades that the stream never did: only the archive
                        * lacks them */
    GAP_KINDS,
};

struct gap_event {
    enum gap_kind kind;
    char cause[GAP_CAUSE_SIZE]; /* "": none (minutes) */
    uint64_t epoch, seq;        /* the record that showed it; with the kind its identity */
    int64_t recv_us;
    uint64_t writer;        /* fence of the aggregator that saw it */
    int64_t last_update_id; /* of the book then; a lost one stands still there */
    bool book_live;         /* after it */
    /* GAP_TRADE_HOLE, GAP_TRADES_ABSENT: the ids left out, both included. GAP_MINUTE: its own; -1:
     * no trade. */
    int64_t first_trade_id, last_trade_id;
    /* GAP_RECORD_HOLE: the first record after it; the hole begins after (epoch, seq). */
    uint64_t next_epoch, next_seq;
    /* GAP_MINUTE: trade time / 60 s; volume * 10^volume_exponent. */
    int64_t minute, volume;
    int volume_exponent;
    uint64_t trades;
    bool complete; /* nothing is missing: trades and volume must equal the kline's */
};

const char *gap_kind_text(enum gap_kind kind);
/* The event as pairs (values in text's buffer, GAP_EVENT_BYTES; GAP_EVENT_PAIRS_MAX pairs);
 * returns how many. */
int gap_event_write(const struct gap_event *event, const char *symbol, struct text *text,
                    struct state_pair *pairs);

/* Reading: begin, each pair, then finish, which says whether it is an event of the symbol
 * with all its fields. Unknown fields are ignored. */
struct gap_event_reader {
    struct gap_event event;
    const char *symbol;
    unsigned seen;
    bool is_malformed;
};
void gap_event_begin(struct gap_event_reader *reader, const char *symbol);
void gap_event_field(struct gap_event_reader *reader, struct bytes field, struct bytes value);
bool gap_event_finish(const struct gap_event_reader *reader);

#endif
