/* The writer lease of a symbol: which aggregator is active. A holder renews it; a follower
 * takes it when it is free, and with it a fence epoch above every earlier one, so a former
 * holder that wakes up late writes nothing (DESIGN.md section 5, Aggregator).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_WRITER_LEASE_H
#define BTCAST_HOT_STATE_WRITER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "hot/state/state_port.h"

#define WRITER_LEASE_TTL_US   1500000
#define WRITER_LEASE_RENEW_US 500000
/* A follower asks so often: at the worst it takes over this much later than the TTL. */
#define WRITER_LEASE_TRY_US 100000

struct writer_lease {
    const struct state_port *port;
    struct state_lease lease;
    int64_t renew_us;
    bool holds;
    bool in_flight;
    uint64_t epoch;  /* the fence to write with, while holds */
    int64_t next_us; /* monotonic: next take or renewal */
    uint64_t takes, losses;
    uint64_t refusals;             /* renewals refused: somebody else is the writer */
    char holder[STATE_OWNER_SIZE]; /* who holds it, as last heard */
};

/* owner and kin are borrowed. kin counts for the first answered take only: a restarted
 * process need not wait for the lease of its former life to run out, and two that were
 * given the same name by mistake do not take it from each other for ever. */
void writer_lease_init(struct writer_lease *lease, const struct state_port *port, const char *owner,
                       const char *kin, int64_t ttl_us, int64_t renew_us);
/* may_take: ready to be the active one. Returns 1 when a call was started. */
int writer_lease_do_work(struct writer_lease *lease, struct clock_now now, bool may_take);
/* A write was refused: not the holder any more. The next do_work asks again. */
void writer_lease_fenced(struct writer_lease *lease);
/* A swap has raised the fence on our behalf. */
void writer_lease_raise(struct writer_lease *lease, uint64_t epoch);
/* Gives it back at a clean stop, so that a standby need not wait for the TTL. */
void writer_lease_release(struct writer_lease *lease);

#endif
