/* The verdict on a symbol as a state table: what is known about losses, and whether an
 * anchor is needed for it (DESIGN.md section 6, Verdict; CONTRACTS.md section 6). Proof
 * acts at once and always. A hint never acts alone: two act together when one of them is
 * the minute volume, the only witness that is not our own stream. Pure; times are handed
 * in as wall milliseconds. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_GAP_GAP_JUDGE_H
#define BTCAST_RECOVER_GAP_GAP_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

enum gap_state {
    GAP_LIVE,
    GAP_SUSPECT,     /* hints, or a trade hole that REST has not confirmed yet */
    GAP_REANCHORING, /* an anchor is wanted */
    GAP_COOLDOWN,    /* just anchored: hints do not act, proof does */
    GAP_DEGRADED,    /* no market data, or anchors that do not succeed */
    GAP_STATES,
};

enum gap_evidence {
    GAP_SAW_LOSS,      /* proof: depth ids, or the book differs from depth20 */
    GAP_SAW_TRADES,    /* trade ids jumped: asked over REST */
    GAP_SAW_CONFIRMED, /* those trades exist, and the windows still need them: proof */
    GAP_SAW_SETTLED,   /* they do not exist, or no window needs them any more */
    GAP_SAW_HINT,
    GAP_SAW_PAIR,     /* two hints that act together */
    GAP_SAW_CALM,     /* no hint and no open question is left */
    GAP_SAW_ANCHORED, /* an anchor was adopted from the stream's own book */
    GAP_SAW_OVERDUE,  /* the wanted anchor takes too long */
    GAP_SAW_SILENT,   /* the aggregator serves a REST book: no market data */
    GAP_SAW_DATA,     /* it does not (any more) */
    GAP_SAW_COOLED,   /* the cool-down is over */
    GAP_SAW_FORCE,    /* an operator wants an anchor */
    GAP_EVIDENCES,
};

/* Kinds of hints. */
enum gap_hint {
    GAP_HINT_SILENCE, /* nothing of the market changed for so long */
    GAP_HINT_VOLUME,  /* a complete minute differs from the exchange's kline */
    GAP_HINT_PRICE,   /* the mid jumped */
    GAP_HINT_TIME,    /* the exchange's time and ours are far apart */
    GAP_HINT_RECORDS, /* records were lost between ingestor and aggregator */
    GAP_HINTS,
};

struct gap_judge_options {
    int64_t cooldown_ms;
    int64_t hint_hold_ms; /* a hint counts for so long */
    int64_t overdue_ms;   /* an anchor has to be there by then */
};

struct gap_judge {
    struct gap_judge_options options;
    enum gap_state state;
    int64_t since_ms;                 /* when the state began */
    int64_t cooled_ms;                /* GAP_COOLDOWN: when it ends */
    int64_t hint_until_ms[GAP_HINTS]; /* 0: none */
    int open_questions;               /* trade holes that REST has not answered */
    uint64_t moves[GAP_STATES][GAP_STATES];
    uint64_t seen[GAP_EVIDENCES];
    uint64_t held_back; /* pairs in the cool-down */
};

void gap_judge_init(struct gap_judge *judge, const struct gap_judge_options *options,
                    int64_t now_ms);
/* The table itself. */
enum gap_state gap_judge_next(enum gap_state state, enum gap_evidence evidence);
/* One piece of evidence; true when the state moved. */
bool gap_judge_see(struct gap_judge *judge, enum gap_evidence evidence, int64_t now_ms);
/* A hint; it may make a pair with one that still counts. True when the state moved. */
bool gap_judge_hint(struct gap_judge *judge, enum gap_hint hint, int64_t now_ms);
/* A question was put to REST, or one was answered. */
void gap_judge_ask(struct gap_judge *judge);
void gap_judge_answer(struct gap_judge *judge);
/* What time alone does: hints run out, the cool-down ends, an anchor is overdue. True when
 * the state moved. */
bool gap_judge_tick(struct gap_judge *judge, int64_t now_ms);

const char *gap_state_text(enum gap_state state);
/* False for an unknown name. */
bool gap_state_parse(const char *name, enum gap_state *state);
const char *gap_evidence_text(enum gap_evidence evidence);
const char *gap_hint_text(enum gap_hint hint);

#endif
