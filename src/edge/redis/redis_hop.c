/* From one server to the next: which one a link dials, how often at most, what it asks of it
 * before it trusts it, and the replies that send it elsewhere. With one server a hop is a
 * connection as ever; under Sentinel a link goes from a sentinel to the primary, in a cluster
 * to the owner of its slot. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "edge/redis/redis_link_self.h"
#include "edge/redis/redis_slot.h"

/* Connections a link may begin within a second, all hops counted. */
#define REDIS_HOP_DIALS_PER_S 64
/* While a primary was lost lately the pause between rounds stays this short: the new one may
 * be there any moment. */
#define REDIS_HOP_ROUND_MAX_US 100000
#define REDIS_HOP_LATELY_US    (30 * CLOCK_US_PER_S)
/* One of several candidates gets so long to prove itself, in later rounds longer. */
#define REDIS_HOP_PATIENCE_US  250000
#define REDIS_HOP_PATIENCE_MAX 4

static bool redis_hop_many(const struct redis_link *link)
{
    return link->route.target.kind != REDIS_TARGET_SINGLE;
}

void redis_hop_begin(struct redis_link *link, int64_t mono_us)
{
    redis_route_begin(&link->route);
    CHECK(redis_route_next(&link->route, &link->hop)); /* a target has an address */
    link->dials_left = REDIS_HOP_DIALS_PER_S;
    link->dials_us = link->down_us = mono_us;
    redis_address_text(&link->hop.address, link->where);
}

/* Full jitter: anything between nothing and the doubled span. */
static int64_t redis_hop_pause_us(struct redis_link *link, int64_t mono_us)
{
    int64_t max_us = link->options.backoff_max_us, span_us = link->options.backoff_min_us;
    if (redis_hop_many(link) && mono_us - link->down_us < REDIS_HOP_LATELY_US &&
        max_us > REDIS_HOP_ROUND_MAX_US)
        max_us = REDIS_HOP_ROUND_MAX_US;
    for (unsigned i = 0; i < link->attempts && span_us < max_us; i++)
        span_us *= 2;
    if (span_us > max_us)
        span_us = max_us;
    link->attempts++;
    return (int64_t)prng_below(&link->prng, (uint64_t)span_us + 1);
}

bool redis_hop_plan(struct redis_link *link, bool was_up, int64_t mono_us)
{
    if (was_up)
        link->down_us = mono_us;
    link->retry_us = mono_us;
    if (!was_up && redis_route_next(&link->route, &link->hop))
        return true;
    bool told = link->route.told; /* somebody knows where to go: no reason to wait */
    redis_route_begin(&link->route);
    CHECK(redis_route_next(&link->route, &link->hop));
    if (!was_up || !told)
        link->retry_us += redis_hop_pause_us(link, mono_us);
    return was_up && told;
}

bool redis_hop_may_dial(struct redis_link *link, int64_t mono_us)
{
    int64_t gained = (mono_us - link->dials_us) * REDIS_HOP_DIALS_PER_S / CLOCK_US_PER_S;
    if (gained > 0) {
        link->dials_us = mono_us;
        link->dials_left += gained;
        if (link->dials_left > REDIS_HOP_DIALS_PER_S)
            link->dials_left = REDIS_HOP_DIALS_PER_S;
    }
    if (link->dials_left > 0) {
        link->dials_left--;
        return true;
    }
    link->retry_us = mono_us + CLOCK_US_PER_S / REDIS_HOP_DIALS_PER_S;
    return false;
}

int64_t redis_hop_patience_us(const struct redis_link *link)
{
    int64_t limit_us = link->options.connect_timeout_us;
    if (!redis_hop_many(link))
        return link->state == REDIS_LINK_GREETING ? INT64_MAX : limit_us;
    int64_t tries =
        link->attempts < REDIS_HOP_PATIENCE_MAX ? link->attempts + 1 : REDIS_HOP_PATIENCE_MAX;
    return tries * REDIS_HOP_PATIENCE_US;
}

static void redis_hop_redirected(struct redis_link *link)
{
    link->stats.redirects++;
    if (link->metrics.redirects != NULL)
        metric_add(link->metrics.redirects, 1);
}

/* "MOVED 8473 10.0.0.2:6379"; a host left out is the one that says it. */
static bool redis_hop_parse_moved(const struct redis_link *link, const char *text, int *slot,
                                  struct redis_address *address)
{
    char *end = NULL;
    long number = strtol(text + strlen("MOVED "), &end, 10);
    const char *colon = strrchr(text, ':');
    if (number < 0 || number >= REDIS_SLOT_COUNT || *end != ' ' || colon == NULL || colon < end)
        return false;
    *slot = (int)number;
    const char *host = end + 1;
    size_t size = (size_t)(colon - host);
    if (size == 0) {
        host = link->hop.address.host;
        size = strlen(host);
    }
    return redis_address_make(address, host, size, colon + 1, strlen(colon + 1));
}

/* A key of another slot is its sender's mistake: it must not carry the whole link away. */
static bool redis_hop_moved(struct redis_link *link, const char *text)
{
    struct redis_address address;
    int slot = -1;
    if (!redis_hop_parse_moved(link, text, &slot, &address))
        return false;
    if (link->slot >= 0 && link->slot != slot)
        return false;
    link->slot = slot;
    redis_route_name(&link->route, &address, true);
    char there[REDIS_ADDRESS_TEXT_SIZE];
    redis_link_break(link, ERR_CONNECTION, "redis %s: slot %d is served by %s", link->where, slot,
                     redis_address_text(&address, there));
    return true;
}

static bool redis_hop_starts(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

bool redis_hop_redirects(struct redis_link *link, const char *text)
{
    bool moved = redis_hop_starts(text, "MOVED ");
    /* A slot that is being moved: the keys come together again at its end, and until then a
     * write is refused whole, so waiting is right (TRYAGAIN), following is not (ASK). */
    if (moved || redis_hop_starts(text, "ASK ") || redis_hop_starts(text, "TRYAGAIN"))
        redis_hop_redirected(link);
    if (moved)
        return redis_hop_moved(link, text);
    /* The one server of a target stays the one, replica or not. */
    if (!redis_hop_many(link))
        return false;
    /* "CLUSTERDOWN Hash slot not served" is no reason: it may be another key's slot. */
    if (!redis_hop_starts(text, "READONLY") && !redis_hop_starts(text, "MASTERDOWN") &&
        !redis_hop_starts(text, "CLUSTERDOWN The cluster is down"))
        return false;
    redis_hop_redirected(link);
    redis_route_forget(&link->route);
    redis_link_break(link, ERR_CONNECTION, "redis %s: %s", link->where, text);
    return true;
}

void redis_link_distrust(struct redis_link *link, const char *reply)
{
    if (redis_link_connected(link))
        (void)!redis_hop_redirects(link, reply); /* an error of another kind stays one */
}

void redis_link_bind(struct redis_link *link, const char *key)
{
    if (link->slot_key[0] != '\0' || strlen(key) >= sizeof(link->slot_key))
        return;
    snprintf(link->slot_key, sizeof(link->slot_key), "%s", key);
    link->slot = redis_slot_of(bytes_text(key));
}

void redis_hop_on_primary(void *context, const struct redis_address *primary)
{
    struct redis_link *link = context;
    if (link->state == REDIS_LINK_UP && redis_address_equal(primary, &link->hop.address))
        return;
    redis_route_name(&link->route, primary, true);
    if (link->state == REDIS_LINK_UP)
        redis_link_break(link, ERR_CONNECTION, "redis %s: the primary has moved to %s:%s",
                         link->where, primary->host, primary->port);
    if (link->state != REDIS_LINK_DOWN)
        return;
    redis_route_begin(&link->route);
    CHECK(redis_route_next(&link->route, &link->hop));
    link->retry_us = 0;
}

static void redis_hop_count_up(struct redis_link *link)
{
    link->stats.reconnects += link->stats.connects > 0;
    if (link->stats.connects > 0 && link->metrics.reconnects != NULL)
        metric_add(link->metrics.reconnects, 1);
    bool moved = link->server[0] != '\0' && strcmp(link->server, link->where) != 0;
    link->stats.failovers += moved;
    if (moved && link->metrics.failovers != NULL)
        metric_add(link->metrics.failovers, 1);
    if (moved && !link->options.quiet)
        log_warn("redis_failover", "link=%s from=%s to=%s after_ms=%lld", link->options.name,
                 link->server, link->where,
                 (long long)((loop_mono_us() - link->down_us) / CLOCK_US_PER_MS));
}

void redis_hop_up(struct redis_link *link)
{
    redis_hop_count_up(link);
    memcpy(link->server, link->where, sizeof(link->server));
    link->log_lost = LOG_LIMIT_DEFAULT;
    if (redis_hop_many(link))
        redis_route_name(&link->route, &link->hop.address, false);
}

void redis_hop_lost(struct redis_link *link, bool was_up, int64_t mono_us)
{
    uint64_t skipped = 0;
    if (link->options.quiet || (!was_up && mono_us - link->down_us < CLOCK_US_PER_S))
        return;
    if (log_limit_pass(&link->log_lost, mono_us, &skipped))
        log_warn(was_up ? "redis_link_lost" : "redis_unreachable",
                 "link=%s reason=\"%s\" skipped=%llu", link->options.name, link->error.text,
                 (unsigned long long)skipped);
    /* The first line at once, the next ones seldom. */
    link->log_lost.interval_us = 10 * CLOCK_US_PER_S;
}
