/* When to connect, replace and drop the connections to the exchange: pure, acting through
 * a port. One connection, or two for good; a replacement is always made before the old one
 * is broken (BINANCE.md section 3; DESIGN.md section 5, Ingest).
 *
 * A line (0 or 1) is in one of these states:
 *
 *   idle        not wanted
 *   waiting     wanted, its back-off or the attempt limit has to pass first
 *   connecting  the port is at it
 *   open        the upgrade is done, no data yet
 *   live        data comes
 *
 * A live line is replaced when it is silent for watchdog_us, older than rotation_us, or the
 * exchange announces serverShutdown: the other line is opened; once it has been live for
 * FEED_OVERLAP_US the old one is dropped. With two permanent lines the other one already
 * covers for it, so the old one is dropped at once and opened again.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INGEST_FEED_H
#define BTCAST_HOT_INGEST_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/prng.h"

#define FEED_LINES              2
#define FEED_CONNECT_TIMEOUT_US 10000000
#define FEED_OVERLAP_US         1000000
#define FEED_BACKOFF_MIN_US     100000
#define FEED_BACKOFF_MAX_US     30000000
/* The exchange allows 300 attempts in 5 minutes (BINANCE.md section 3). */
#define FEED_ATTEMPTS_MAX     300
#define FEED_ATTEMPTS_SPAN_US 300000000LL

enum feed_state { FEED_IDLE, FEED_WAITING, FEED_CONNECTING, FEED_OPEN, FEED_LIVE, FEED_STATES };
const char *feed_state_text(enum feed_state state);

/* Why a line is being replaced or was dropped. */
enum feed_cause {
    FEED_NO_CAUSE,
    FEED_SILENT,   /* the watchdog */
    FEED_ROTATION, /* its age */
    FEED_SHUTDOWN, /* serverShutdown */
    FEED_CLOSED,   /* by the other side or the network */
    FEED_FAILED,   /* a connect attempt failed or took too long */
    FEED_REPLACED, /* a newer line covers for it */
    FEED_CAUSES,
};
const char *feed_cause_text(enum feed_cause cause);

struct feed_options {
    bool second;         /* two lines for good */
    int64_t watchdog_us; /* 5 s */
    int64_t rotation_us; /* 23 h 50 min */
    uint64_t seed;       /* jitter */
    void *context;
    /* Starts a connection attempt; the answer comes by feed_opened or feed_closed, also
     * from within the call. */
    void (*connect)(void *context, int line);
    /* Drops the connection; nothing about it is to be reported any more. */
    void (*drop)(void *context, int line, enum feed_cause cause);
};

struct feed_line {
    enum feed_state state;
    bool wanted;
    enum feed_cause replace; /* why it is to go, FEED_NO_CAUSE: it stays */
    int64_t since_us;        /* in this state */
    int64_t opened_us, data_us;
    int64_t retry_at_us;
    int failures; /* in a row */
};

struct feed_counters {
    uint64_t attempts, opened, limited;
    uint64_t entered[FEED_STATES];
    uint64_t causes[FEED_CAUSES]; /* replacements begun and lines lost, by cause */
};

struct feed {
    struct feed_options options;
    struct feed_line lines[FEED_LINES];
    struct feed_counters counters;
    struct prng prng;
    int64_t attempts_us[FEED_ATTEMPTS_MAX]; /* a ring of the last attempts' times */
    int64_t now_us;
};

void feed_init(struct feed *feed, const struct feed_options *options, int64_t mono_us);
void feed_opened(struct feed *feed, int line, int64_t mono_us);
void feed_closed(struct feed *feed, int line, int64_t mono_us);
/* A message of market data came. Cheap: for each message. */
void feed_data(struct feed *feed, int line, int64_t mono_us);
/* The exchange announced that it will close this connection. */
void feed_shutdown(struct feed *feed, int line, int64_t mono_us);
/* Watchdog, rotation, attempts. Returns the monotonic time of the next deadline. */
int64_t feed_do_work(struct feed *feed, int64_t mono_us);
bool feed_any_live(const struct feed *feed);

#endif
