/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/writer_lease.h"

#include <stdio.h>
#include <string.h>

void writer_lease_init(struct writer_lease *lease, const struct state_port *port, const char *owner,
                       const char *kin, int64_t ttl_us, int64_t renew_us)
{
    *lease = (struct writer_lease){
        .port = port,
        .lease = {.owner = owner, .kin = kin, .ttl_ms = ttl_us / CLOCK_US_PER_MS},
        .renew_us = renew_us,
    };
}

static void writer_lease_lose(struct writer_lease *lease)
{
    lease->losses += lease->holds;
    lease->holds = false;
}

static void writer_lease_on_take(void *context, const struct state_reply *reply)
{
    struct writer_lease *lease = context;
    lease->in_flight = false;
    if (reply->result == ERR_OK || reply->result == ERR_REFUSED)
        lease->lease.kin = "";
    if (reply->result == ERR_OK) {
        lease->holds = true;
        lease->epoch = reply->epoch;
        lease->takes++;
        snprintf(lease->holder, sizeof(lease->holder), "%s", lease->lease.owner);
    } else if (reply->result == ERR_REFUSED) {
        snprintf(lease->holder, sizeof(lease->holder), "%s", reply->text);
    }
}

/* A connection lost in between says nothing about the lease: the fence protects what is
 * written meanwhile. A fence that equals ours was raised by our own swap. */
static void writer_lease_on_renew(void *context, const struct state_reply *reply)
{
    struct writer_lease *lease = context;
    lease->in_flight = false;
    if (reply->result == ERR_REFUSED ||
        (reply->result == ERR_FENCED && reply->epoch > lease->epoch)) {
        lease->refusals += lease->holds;
        writer_lease_lose(lease);
    }
}

static void writer_lease_on_release(void *context, const struct state_reply *reply)
{
    struct writer_lease *lease = context;
    (void)reply;
    lease->in_flight = false;
}

int writer_lease_do_work(struct writer_lease *lease, struct clock_now now, bool may_take)
{
    const struct state_port *port = lease->port;
    if (lease->in_flight || now.mono_us < lease->next_us || (!lease->holds && !may_take))
        return 0;
    int result = lease->holds
                     ? port->lease_renew(port->self, &lease->lease, lease->epoch,
                                         writer_lease_on_renew, lease)
                     : port->lease_take(port->self, &lease->lease, now.wall_us / CLOCK_US_PER_MS,
                                        writer_lease_on_take, lease);
    if (result != ERR_OK)
        return 0;
    lease->in_flight = true;
    int64_t again_us = lease->renew_us;
    if (!lease->holds && again_us > WRITER_LEASE_TRY_US)
        again_us = WRITER_LEASE_TRY_US;
    lease->next_us = now.mono_us + again_us;
    return 1;
}

void writer_lease_fenced(struct writer_lease *lease)
{
    writer_lease_lose(lease);
    lease->next_us = 0;
}

void writer_lease_raise(struct writer_lease *lease, uint64_t epoch)
{
    if (epoch > lease->epoch)
        lease->epoch = epoch;
}

void writer_lease_release(struct writer_lease *lease)
{
    const struct state_port *port = lease->port;
    if (!lease->holds)
        return;
    lease->holds = false;
    if (port->lease_release(port->self, &lease->lease, writer_lease_on_release, lease) == ERR_OK)
        lease->in_flight = true;
}
