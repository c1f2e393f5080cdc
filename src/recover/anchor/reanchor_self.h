/* The state of the re-anchor agent and the calls between its files. Private to
 * src/recover/anchor. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_ANCHOR_REANCHOR_SELF_H
#define BTCAST_RECOVER_ANCHOR_REANCHOR_SELF_H

#include "hot/state/anchor_document.h"
#include "recover/anchor/reanchor.h"

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

    struct reanchor_call look, claim, renew, hand, drop, audit, rest;
    int64_t look_us, renew_us;
    bool has_looked;
    /* the last look */
    bool asked, has_document;
    char ask_cause[ANCHOR_CAUSE_SIZE];
    char flag[STATE_TOKEN_SIZE], swapped[STATE_TOKEN_SIZE];

    int64_t started_us, claimed_us, handed_us; /* monotonic */
    int64_t fetch_us;                          /* no fetch before (monotonic) */
    int64_t requested_us;                      /* wall */
    uint32_t tries;
    int64_t blocked_until_us; /* monotonic: the exchange wants silence */
    /* the last reply */
    int status;
    int64_t retry_after_s;
    char why[128];
    char *document; /* REANCHOR_REPLY_MAX and its envelope */
    uint8_t *body;
    size_t body_size, document_size;

    int64_t finished_us, duration_us;
    uint64_t succeeded, failed;
    char outcome[64];
    struct metric *success, *failure, *duration, *rest_ok, *rest_error, *weight;
};

void reanchor_on_call(void *context, const struct anchor_reply *reply);
bool reanchor_answered(struct reanchor_call *call);
/* Looks into the store from time to time; true when a fresh look came. */
bool reanchor_look(struct reanchor *reanchor);
/* The end of one: counted, logged, audited; the flag is free again. */
void reanchor_finish(struct reanchor *reanchor, bool success, const char *outcome);
/* Fetches when it may, judges what came, hands over what is sound. */
void reanchor_fetch_do_work(struct reanchor *reanchor);

#endif
