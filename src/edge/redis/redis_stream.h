/* The stream port on Redis Streams: one stream per partition, entry id
 * `<epoch>-<last_seq>`, one field `e` with the envelope (DESIGN.md section 5, Streams;
 * docs/streams.md says why it is built so). Control records have ids given by the server.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STREAM_H
#define BTCAST_EDGE_REDIS_REDIS_STREAM_H

#include "base/metrics.h"
#include "edge/loop/loop.h"
#include "edge/redis/redis_link.h"
#include "edge/redis/redis_stream_trim.h"
#include "hot/stream/stream_key.h"
#include "hot/stream/stream_port.h"
#include "market/record.h"

/* After a refusal of the server (out of memory, read-only…) put answers ERR_AGAIN for so
 * long, so that a resending caller does not spin. */
#define REDIS_PRODUCER_PAUSE_US 20000

struct redis_producer;

struct redis_producer_options {
    struct redis_link_options link;
    char symbol[RECORD_SYMBOL_SIZE];
    enum stream_key_style style;
    stream_put_fn done; /* borrowed with its context until close */
    void *context;
    size_t in_flight_bytes_max; /* accepted and not answered; default 32 MiB, at least one
                                   batch is always taken */
    int in_flight_batches_max;  /* default 1024 */
    int64_t length_max;         /* entries a stream keeps at most, about; default 200,000.
                                   Streams this producer has written to are trimmed */
    int64_t consumer_expiry_s;  /* one silent for so long no longer holds back; default 600 */
    int64_t trim_interval_us;   /* each stream's; default 1 s */
    int64_t trim_settle_ms;     /* a registry younger than this may not know everybody yet;
                                   default 10 s */
    bool trim_checkpoint;       /* nothing goes that the symbol's stored checkpoint begins
                                   with; without one only length_max counts */
    const char *readers;        /* whose first registration trimming waits for: names parted by
                                   commas, see redis_stream_await.h; NULL: nobody's. Borrowed */
    struct metrics *metrics;    /* stream_put_*; NULL: none */
};

struct redis_producer_stats {
    uint64_t written, duplicate, retry, fenced, lost; /* records by outcome */
    uint64_t scripts; /* writes to the server; batches are merged under load */
    uint64_t refused; /* put calls answered ERR_AGAIN */
    struct redis_trim_stats trim;
};

/* Opens the engine and its own link; unreachable is no error. ERR_CONFIG for the target. */
int redis_producer_open(const struct redis_producer_options *options, struct loop *loop,
                        struct redis_producer **producer, struct err *err) MUST_CHECK;
/* What was not answered is dropped without a call. Not from inside `done`. */
void redis_producer_close(struct redis_producer *producer);
struct stream_producer redis_producer_port(struct redis_producer *producer);
const struct redis_producer_stats *redis_producer_stats(struct redis_producer *producer);
/* The link: connection state, its counters and listeners. */
struct redis_link *redis_producer_link(struct redis_producer *producer);

struct redis_consumer;

struct redis_consumer_options {
    struct redis_link_options link;
    char symbol[RECORD_SYMBOL_SIZE];
    enum stream_key_style style;
    char name[64];           /* registers under it (follow, commit); empty: never */
    stream_record_fn record; /* borrowed with its context until close */
    void *context;
    int count_max;           /* entries per stream and read; default 256 */
    size_t reply_bytes_max;  /* a larger reply halves the count; default 8 MiB */
    int64_t block_us;        /* one blocking read waits so long; default 500 ms */
    struct metrics *metrics; /* stream_read_*; NULL: none */
};

struct redis_consumer_stats {
    uint64_t records, bytes;
    uint64_t reads;     /* replies of XREAD with entries */
    uint64_t malformed; /* entries that no producer of ours wrote: skipped */
    uint64_t trimmed;   /* times that entries behind a position were found trimmed away */
};

/* Opens the engine and its two links: one that blocks in XREAD and one for registration. */
int redis_consumer_open(const struct redis_consumer_options *options, struct loop *loop,
                        struct redis_consumer **consumer, struct err *err) MUST_CHECK;
/* Not from inside `record`. */
void redis_consumer_close(struct redis_consumer *consumer);
struct stream_consumer redis_consumer_port(struct redis_consumer *consumer);
const struct redis_consumer_stats *redis_consumer_stats(const struct redis_consumer *consumer);
/* The streams (bit 1 << name) of which entries behind the position were found trimmed away
 * since the last call: what lies there is lost to this consumer. */
unsigned redis_consumer_take_trimmed(struct redis_consumer *consumer);
struct redis_link *redis_consumer_link(struct redis_consumer *consumer);

#endif
