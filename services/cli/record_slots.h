/* Follows the predictions stream of a symbol and tells at which place of the order of the
 * world each published prediction was made, as RECORD_SLOT records: what a replay needs to
 * make the very same predictions (docs/replay.md). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_RECORD_SLOTS_H
#define BTCAST_SERVICES_CLI_RECORD_SLOTS_H

#include "edge/loop/loop.h"
#include "edge/redis/redis_link.h"
#include "hot/state/state_keys.h"
#include "market/record.h"

/* The stream is asked so often; a prediction has its place for good, so nothing hurries. */
#define RECORD_SLOTS_POLL_US   500000
#define RECORD_SLOTS_FINISH_US 500000

struct record_slots_options {
    struct redis_link_options link; /* how to reach Redis; the name is given here */
    const char *symbol;
    enum state_key_style style;
    void (*record)(void *context, const struct record *record); /* payload borrowed */
    void *context;
};

struct record_slots;

int record_slots_open(const struct record_slots_options *options, struct loop *loop,
                      struct record_slots **slots, struct err *err) MUST_CHECK;
void record_slots_close(struct record_slots *slots);
void record_slots_do_work(struct record_slots *slots, int64_t mono_us);
/* Asks a last time and waits for the answer, RECORD_SLOTS_FINISH_US at most. */
void record_slots_finish(struct record_slots *slots);

#endif
