/* What has to be true whatever happens: the rules, and the checkers that watch every step
 * of the server, every record stamped and every prediction served (docs/simulation.md).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_CHECKS_H
#define BTCAST_SIM_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "hot/infer/infer.h"
#include "hot/state/state_port.h"
#include "hot/stream/stream_port.h"
#include "market/record.h"
#include "sim/model/model_redis.h"
#include "sim/virtual_lake.h"
#include "sim/virtual_server.h"

/* constant, name, what it says */
#define CHECK_RULE_TABLE(X)                                                                        \
    X(CHECK_BOOK_EQUAL, "book.equal",                                                              \
      "the ten levels shown at an update id are the exchange's at that id")                        \
    X(CHECK_READER_COMPLETE, "reader.complete",                                                    \
      "once there, none of the four keys is ever missing")                                         \
    X(CHECK_READER_SINGLE, "reader.single", "all four keys carry one epoch and seq")               \
    X(CHECK_READER_TTL, "reader.ttl", "ob lives for ever, tr: 300 s, feat: 120 s")                 \
    X(CHECK_ANCHOR_CLAIM, "anchor.claim", "only the holder of the claim is swapped in")            \
    X(CHECK_ANCHOR_ONCE, "anchor.once", "a claim is swapped in at most once")                      \
    X(CHECK_FENCE_MONOTONE, "fence.monotone", "the stored fence never falls")                      \
    X(CHECK_WRITER_MONOTONE, "writer.monotone",                                                    \
      "readers never see an older writer after a newer one")                                       \
    X(CHECK_SLOT_ONCE, "slot.once", "a slot stands once in the stream, in order")                  \
    X(CHECK_SLOT_MISSING, "slot.missing", "in the end no slot is missing in the stream")           \
    X(CHECK_SLOT_SERVED, "slot.served", "every slot is served by a replica in time")               \
    X(CHECK_SLOT_SAME, "slot.same", "the pred hash is the newest record of the stream")            \
    X(CHECK_STREAM_ONCE, "stream.once", "a stamped record stands once in the streams, in order")   \
    X(CHECK_STREAM_MISSING, "stream.missing", "in the end no stamped record is missing")           \
    X(CHECK_WINDOW_AGES, "window.ages",                                                            \
      "the trade windows hold the trades of the last one and five seconds")                        \
    X(CHECK_POSITION_DURABLE, "position.durable",                                                  \
      "nothing is trimmed that a restart from the stored checkpoint reads")                        \
    X(CHECK_WORLD_SAME, "world.same", "writer and standby have the same world at the same place")  \
    X(CHECK_BRONZE_ONCE, "bronze.once", "a record stands in one object of bronze only")            \
    X(CHECK_BRONZE_MISSING, "bronze.missing",                                                      \
      "in the end what the streams kept or the archive took is in bronze or an open block")        \
    X(CHECK_BRONZE_TRADES, "bronze.trades",                                                        \
      "in the end every trade id is in bronze, lost ones by backfill")                             \
    X(CHECK_SLOT_BLIND, "slot.blind", "no slot is blind when there is a fresh REST view")          \
    X(CHECK_END_LIVE, "end.live", "after the last fault the book is live again")                   \
    X(CHECK_END_FRESH, "end.fresh", "after the last fault the hot state is fresh again")           \
    X(CHECK_END_MODE, "end.mode", "after the last fault predictions are live again")

enum check_rule {
#define X(constant, name, text) constant,
    CHECK_RULE_TABLE(X)
#undef X
        CHECK_RULES
};
const char *check_rule_name(enum check_rule rule);
const char *check_rule_text(enum check_rule rule);

struct check_failure {
    enum check_rule rule;
    int64_t at_us; /* since the start */
    char text[400];
};

#define CHECK_HASHES     4
#define CHECK_SLOTS_MAX  256
#define CHECK_TOKENS_MAX 256
#define CHECK_EPOCHS_MAX 64
/* It has been there, whatever a failover made of it: somebody may have read it. */
#define CHECK_ONCE_STORED 0x80u
/* The archive has taken it: bronze it is, whatever the store loses. */
#define CHECK_ARCHIVED 0x40u
#define CHECK_MARKS    (CHECK_ONCE_STORED | CHECK_ARCHIVED)

struct simulation;

/* Trades of one stamped frame. */
struct check_trade {
    uint64_t epoch, seq;
    int64_t recv_us, event_us;
    int64_t first_id, count; /* ids rise by one */
};

/* What became of the records of one ingestor. */
struct check_epoch {
    uint64_t epoch;
    uint64_t stamped; /* highest seq */
    uint64_t floor;   /* up to here the store has lost them for good */
    uint8_t *stream;  /* by seq: 1 + the stream it stands in, 0: in none; CHECK_ONCE_STORED */
    size_t room;
    uint32_t *bronze; /* by seq: 1 + the object it stands in, 0: in none */
    size_t bronze_room;
    bool died; /* its last ones may never have been sent */
};

struct checks {
    struct simulation *simulation;
    int keys[STATE_KEY_COUNT];
    int streams[STREAM_COUNT], consumers[STREAM_COUNT];
    int losses;   /* times that the store has lost something */
    bool relearn; /* the store has lost data: what it holds now is the new beginning */
    /* the hot state as readers see it */
    bool live;               /* the four keys have been there */
    uint64_t fence, writer;  /* the highest seen */
    int64_t windows_from_us; /* the windows are whole again from then on (receive time) */
    uint64_t holes;
    struct model_id trimmed[STREAM_COUNT]; /* as of the last look */
    /* anchors */
    char tokens[CHECK_TOKENS_MAX][STATE_TOKEN_SIZE]; /* swapped in */
    int token_count;
    char claim[STATE_TOKEN_SIZE]; /* who holds it, as the server answered */
    int64_t anchor_ts_us;         /* receive time of the place of the last one */
    /* slots */
    int64_t top_slot;                /* newest of the stream, 0: none */
    int64_t first_slot;              /* first one that was served at all */
    int64_t last_slot;               /* newest one served */
    uint8_t served[CHECK_SLOTS_MAX]; /* by slot - first_slot: replicas that served it in time */
    /* records */
    struct model_id seen[STREAM_COUNT]; /* newest entry looked at */
    struct check_epoch epochs[CHECK_EPOCHS_MAX];
    int epoch_count;
    struct check_trade *trades;
    int trade_count, trade_room;
};

void checks_open(struct checks *checks, struct simulation *simulation);
void checks_close(struct checks *checks);
void checks_after_step(struct checks *checks, const struct virtual_step *step,
                       const redisReply *reply);
/* The store has changed: a reader looks. */
void checks_changed(struct checks *checks);
void checks_stamped(struct checks *checks, const struct record *record);
void checks_served(struct checks *checks, const struct prediction *prediction,
                   const struct infer_timing *timing);
/* The store is about to lose its last writes, or everything. */
void checks_store_lost(struct checks *checks, bool everything);
void checks_ingestor_died(struct checks *checks);
/* The archive has it where no crash reaches it. */
void checks_archived(struct checks *checks, const struct record *record);
/* A block has become an object of bronze, the number-th by first writing. */
void checks_bronze_put(struct checks *checks, const struct lake_block *object, int number);
void checks_end(struct checks *checks);

/* --- the parts */
void check_reader(struct checks *checks);
struct check_epoch *check_epoch(struct checks *checks, uint64_t epoch);
void check_bronze_end(struct checks *checks);
void check_fence(struct checks *checks);
void check_window(struct checks *checks);
void check_slots_appended(struct checks *checks);
void check_slots_relearn(struct checks *checks);
void check_slots_end(struct checks *checks);
void check_streams_appended(struct checks *checks);
void check_streams_relearn(struct checks *checks);
void check_streams_end(struct checks *checks);
void check_claim(struct checks *checks, const struct virtual_step *step);
void check_swap(struct checks *checks, const struct virtual_step *step);
void check_trim(struct checks *checks);
void check_anchor_relearn(struct checks *checks);
void check_worlds(struct checks *checks);
/* A key's value now. */
const struct model_value *check_value(struct checks *checks, int key);
/* The value of a hash's field as a number; false when there is none. */
bool check_number(struct checks *checks, enum state_key key, const char *field, int64_t *value);

#endif
