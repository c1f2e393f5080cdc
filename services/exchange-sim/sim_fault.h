/* Faults on demand, each with what is left to inject and how often it has hit
 * (DESIGN.md section 10, Frames and Connection). Frame faults are applied here; connection
 * and HTTP faults are asked for by the server. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_FAULT_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "services/exchange-sim/sim_feed.h"

/* constant, name, class */
#define SIM_FAULT_TABLE(X)                                                                         \
    X(SIM_FAULT_TRUNCATE, "truncate", SIM_FAULT_OF_MESSAGE)                                        \
    X(SIM_FAULT_LONGER_BLOCK, "longer_block", SIM_FAULT_OF_SBE)                                    \
    X(SIM_FAULT_UNKNOWN_TEMPLATE, "unknown_template", SIM_FAULT_OF_SBE)                            \
    X(SIM_FAULT_WRONG_SCHEMA, "wrong_schema", SIM_FAULT_OF_SBE)                                    \
    X(SIM_FAULT_ABSURD_COUNT, "absurd_count", SIM_FAULT_OF_SBE)                                    \
    X(SIM_FAULT_NULL_SENTINEL, "null_sentinel", SIM_FAULT_OF_SBE)                                  \
    X(SIM_FAULT_FOREIGN_SYMBOL, "foreign_symbol", SIM_FAULT_OF_SBE)                                \
    X(SIM_FAULT_DUPLICATE, "duplicate", SIM_FAULT_OF_MESSAGE)                                      \
    X(SIM_FAULT_REORDER, "reorder", SIM_FAULT_OF_MESSAGE)                                          \
    X(SIM_FAULT_DROP, "drop", SIM_FAULT_OF_MESSAGE)                                                \
    X(SIM_FAULT_REFUSE, "refuse", SIM_FAULT_OF_CONNECTION)                                         \
    X(SIM_FAULT_REFUSE_STREAMS, "refuse_streams", SIM_FAULT_OF_CONNECTION)                         \
    X(SIM_FAULT_TLS_FAIL, "tls_fail", SIM_FAULT_OF_CONNECTION)                                     \
    X(SIM_FAULT_STALL, "stall", SIM_FAULT_OF_CONNECTION)                                           \
    X(SIM_FAULT_HALF_OPEN, "half_open", SIM_FAULT_OF_CONNECTION)                                   \
    X(SIM_FAULT_CUT, "cut", SIM_FAULT_OF_CONNECTION)                                               \
    X(SIM_FAULT_SERVER_SHUTDOWN, "server_shutdown", SIM_FAULT_OF_CONNECTION)                       \
    X(SIM_FAULT_HTTP_STATUS, "http_status", SIM_FAULT_OF_REST)                                     \
    X(SIM_FAULT_HTTP_SLOW, "http_slow", SIM_FAULT_OF_REST)                                         \
    X(SIM_FAULT_HTTP_PARTIAL, "http_partial", SIM_FAULT_OF_REST)                                   \
    X(SIM_FAULT_STALE_SNAPSHOT, "stale_snapshot", SIM_FAULT_OF_REST)

enum sim_fault_class {
    SIM_FAULT_OF_MESSAGE,
    SIM_FAULT_OF_SBE,
    SIM_FAULT_OF_CONNECTION,
    SIM_FAULT_OF_REST,
};
enum sim_fault_kind {
#define X(constant, name, class) constant,
    SIM_FAULT_TABLE(X)
#undef X
        SIM_FAULT_COUNT
};

/* Orders of one kind that wait or last side by side; one more is refused. */
#define SIM_FAULT_ORDERS_MAX 16

struct sim_fault {
    int stream;       /* enum sim_stream; -1: any it applies to */
    int64_t left;     /* how many more; with `ms` of a lasting fault: until until_us */
    int64_t until_us; /* wall time; 0: not by time */
    int64_t value;    /* status, milliseconds or ids, as the kind says */
    int64_t extra;    /* Retry-After of http_status */
};

/* The oldest that is due and fits is taken. */
struct sim_fault_orders {
    struct sim_fault list[SIM_FAULT_ORDERS_MAX];
    int count;
    uint64_t hits;
};

struct sim_faults {
    struct sim_fault_orders kinds[SIM_FAULT_COUNT];
    uint8_t *scratch; /* a changed message */
    uint8_t *held;    /* a message that waits to be overtaken */
    size_t held_size;
    int held_stream;
};

int sim_faults_open(struct sim_faults *faults, struct err *err) MUST_CHECK;
void sim_faults_close(struct sim_faults *faults);
/* {"fault":NAME,"stream":…,"count":N,"ms":N,"status":N,"retry_after":N,"ids":N} or
 * {"fault":"clear"}. *kind is the one ordered, SIM_FAULT_COUNT after clear. ERR_MALFORMED with
 * the reason; ERR_FULL. */
int sim_faults_order(struct sim_faults *faults, struct bytes json, int64_t wall_us,
                     enum sim_fault_kind *kind, struct err *err) MUST_CHECK;
/* Takes one hit of a fault that is due; NULL otherwise. Valid until the next order. */
const struct sim_fault *sim_faults_take(struct sim_faults *faults, enum sim_fault_kind kind,
                                        int64_t wall_us);
/* Takes the order that was just given back, of a fault that is done at once, with its hits. */
struct sim_fault sim_faults_done(struct sim_faults *faults, enum sim_fault_kind kind, int hits);
/* Passes the message on through `publish`, spoiled, twice, later or not at all. */
void sim_faults_pass(struct sim_faults *faults, enum sim_stream stream, struct bytes message,
                     int64_t wall_us, sim_publish_fn publish, void *context);
/* {"drop":{"left":0,"hits":3},…} */
void sim_faults_tell(const struct sim_faults *faults, int64_t wall_us, struct text *text);

#endif
