/* The tap on the streams: consumer `recorder` of a symbol's four streams, records merged
 * into the order of the world, controls passed on as they come (readers of captures put them
 * in their place), and the places of the published predictions.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_RECORD_TAP_H
#define BTCAST_SERVICES_CLI_RECORD_TAP_H

#include "edge/loop/loop.h"
#include "hot/stream/stream_key.h"
#include "edge/redis/redis_link.h"
#include "market/record.h"

#define RECORD_TAP_CONSUMER  "recorder"
#define RECORD_TAP_COMMIT_US 1000000
#define RECORD_TAP_WAIT_US   50000

struct record_tap_options {
    struct redis_link_options link; /* how to reach Redis; names are given here */
    const char *symbol;
    enum stream_key_style style;
    void (*record)(void *context, const struct record *record);
    void *context;
};

struct record_tap;

int record_tap_open(const struct record_tap_options *options, struct loop *loop,
                    struct record_tap **tap, struct err *err) MUST_CHECK;
void record_tap_close(struct record_tap *tap);
/* Returns microseconds it may wait. */
int64_t record_tap_do_work(struct record_tap *tap, int64_t mono_us);
/* Lets go what the merge still holds. */
void record_tap_finish(struct record_tap *tap);

#endif
