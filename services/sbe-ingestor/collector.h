/* Frames from an exchange (or a file) into the ingest agent: connections kept by
 * hot/ingest/feed over edge/websocket, JSON turned into SBE, replay at its own pace.
 * The sbe-ingestor and `btcast record` are built on it. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SBE_INGESTOR_COLLECTOR_H
#define BTCAST_SERVICES_SBE_INGESTOR_COLLECTOR_H

#include "base/metrics.h"
#include "edge/loop/loop.h"
#include "edge/websocket/ws_client.h"
#include "hot/ingest/feed.h"
#include "hot/ingest/ingest.h"
#include "services/sbe-ingestor/replay_source.h"

/* In the order of collector_source_names. */
enum collector_source {
    COLLECTOR_SIM,            /* exchange-sim, SBE */
    COLLECTOR_BINANCE,        /* SBE, needs a key */
    COLLECTOR_BINANCE_PUBLIC, /* JSON streams, no key */
    COLLECTOR_REPLAY,         /* a file */
};
extern const char *const collector_source_names[]; /* NULL-terminated */

#define COLLECTOR_URL_SIZE 1024

struct collector_options {
    enum collector_source source;
    char symbol[RECORD_SYMBOL_SIZE];
    char url[COLLECTOR_URL_SIZE]; /* empty: the source's own; without a path: it is added */
    char api_key[128];
    char ca_file[256];
    int sim_port;
    bool second;
    int64_t watchdog_us, rotation_us;
    char replay_file[256];
    double replay_speed; /* 1: its own pace, 0: as fast as possible */
    uint64_t seed;
    struct metric *decode_duration; /* may be NULL */
};

struct collector_counters {
    uint64_t text_malformed; /* text messages that are no JSON of the exchange's shapes */
    uint64_t control_replies, control_errors, shutdowns, ignored, wrong_kind;
    uint64_t closes; /* connections lost or refused */
};

struct collector;

/* ingest is borrowed. ERR_CONFIG: URL, missing key, unreadable certificates; ERR_IO and
 * others: the replay file. */
int collector_open(const struct collector_options *options, struct ingest *ingest,
                   struct loop *loop, struct collector **collector, struct err *err) MUST_CHECK;
void collector_close(struct collector *collector);
/* One round: waits at most wait_us for frames or the loop, serves both. */
void collector_service(struct collector *collector, int64_t wait_us);
/* Connections and replay; returns microseconds until the next deadline. */
int64_t collector_do_work(struct collector *collector, struct clock_now now);
const struct collector_counters *collector_counters(const struct collector *collector);
/* NULL for a replay. */
const struct feed *collector_feed(const struct collector *collector);
const struct replay_counters *collector_replay(const struct collector *collector);
bool collector_connected(const struct collector *collector);
/* The replay has delivered everything. */
bool collector_finished(const struct collector *collector);
/* Monotonic time of the last accepted frame; 0: none yet. */
int64_t collector_last_frame_us(const struct collector *collector);
/* The URL in use (for the log and health). */
const char *collector_url(const struct collector *collector);

#endif
