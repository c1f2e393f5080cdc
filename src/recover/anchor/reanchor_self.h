/* The state of the re-anchor agent and the calls between its files. Private to
 * src/recover/anchor. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_ANCHOR_REANCHOR_SELF_H
#define BTCAST_RECOVER_ANCHOR_REANCHOR_SELF_H

#include "hot/state/anchor_document.h"
#include "recover/anchor/anchor_judge.h"
#include "recover/anchor/reanchor.h"

#define REANCHOR_DOCUMENT_MAX                                                                      \
    (REANCHOR_REPLY_MAX + REANCHOR_TRADES_MAX + REANCHOR_KLINES_MAX + 1024)

/* The replies that are collected side by side, and exchangeInfo now and then. */
enum reanchor_part { REANCHOR_DEPTH, REANCHOR_TRADES, REANCHOR_KLINES, REANCHOR_INFO };
#define REANCHOR_PARTS 4

struct reanchor_fetch {
    struct reanchor *reanchor;
    bool in_flight, answered;
    bool stale;    /* what comes is of an earlier try: dropped */
    bool finished; /* of this try: sound or done without */
    int result, status;
    int64_t received_us; /* wall */
    char why[128];
    uint8_t *body;
    size_t size, capacity;
};

/* An answer that waits for do_work. */
struct reanchor_call {
    bool in_flight, answered;
    int result;
};

struct reanchor {
    struct reanchor_options options;
    struct clock_now now;
    enum reanchor_step step;
    char token[STATE_TOKEN_SIZE];
    uint64_t tokens;
    char cause[ANCHOR_CAUSE_SIZE];
    bool forced;       /* the one under way */
    bool force_wanted; /* the next one */
    char force_cause[ANCHOR_CAUSE_SIZE];

    struct reanchor_call look, claim, renew, hand, drop, audit;
    int64_t look_us, renew_us;
    bool has_looked;
    /* the last look */
    bool asked, has_document;
    char ask_cause[ANCHOR_CAUSE_SIZE];
    int64_t ask_min_id; /* older snapshots do not join the buffered diffs; 0: not said */
    int ask_levels;     /* a side; 0: not said */
    char flag[STATE_TOKEN_SIZE], swapped[STATE_TOKEN_SIZE];

    int64_t started_us, claimed_us, handed_us; /* monotonic */
    int64_t fetch_us;                          /* no fetch before (monotonic) */
    int64_t requested_us;                      /* wall */
    int requested_levels;
    uint32_t tries;
    struct weight_budget budget;
    int64_t said_until_us; /* the silence that the others were told of */
    struct reanchor_fetch fetch[REANCHOR_PARTS];
    bool collecting;  /* a try is under way */
    bool has_depth;   /* its snapshot is sound … */
    int64_t depth_us; /* … since (monotonic) */
    struct anchor_touch touch;
    struct anchor_chain chain;
    int pages;
    char *trades; /* pages' elements, joined; REANCHOR_TRADES_MAX */
    size_t trades_size;
    int64_t info_us; /* monotonic: exchangeInfo is read next */
    char *document;  /* REANCHOR_DOCUMENT_MAX */
    size_t document_size;

    int64_t finished_us, duration_us;
    uint64_t succeeded, failed;
    char outcome[64];
    struct metric *success, *failure, *duration, *weight, *waits, *without;
    struct metric *refused_old, *refused_unsound, *refused_far;
    struct metric *rest_ok[REANCHOR_PARTS], *rest_error[REANCHOR_PARTS];
};

void reanchor_on_call(void *context, const struct anchor_reply *reply);
bool reanchor_answered(struct reanchor_call *call);
/* Looks into the store from time to time; true when a fresh look came. */
bool reanchor_look(struct reanchor *reanchor);
/* The end of one: counted, logged, audited; the flag is free again. */
void reanchor_finish(struct reanchor *reanchor, bool success, const char *outcome);
/* The silence that others have heard of, and exchangeInfo. Each cycle. */
void reanchor_budget_do_work(struct reanchor *reanchor);
/* Starts a call of this weight if the budget has it; false: not started. */
bool reanchor_budget_get(struct reanchor *reanchor, enum reanchor_part part,
                         const struct rest_query *query, enum weight_class class);
/* True once for an answer; *good: status 200. What is not good has been logged. */
bool reanchor_budget_answered(struct reanchor *reanchor, enum reanchor_part part, bool *good);
/* Collects when it may, judges what came, hands over what is sound. */
void reanchor_fetch_do_work(struct reanchor *reanchor);
/* What is still on its way is nobody's. */
void reanchor_fetch_abandon(struct reanchor *reanchor);

#endif
