/* The stream port: ordered, partitioned, at-least-once, resumable. Two engines: Redis
 * Streams on one machine, Amazon Kinesis past it; the contract is what both can keep
 * (DESIGN.md section 5, Streams). tests/integration/stream_contract.h runs on every
 * engine. Asynchronous: calls start work, do_work finishes it and calls back.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STREAM_STREAM_PORT_H
#define BTCAST_HOT_STREAM_STREAM_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* The three streams of the specification, and the control records of a symbol. */
enum stream_name {
    STREAM_TRADE,        /* market-sbe-trade */
    STREAM_DEPTH,        /* market-sbe-depth: diffs, depth20, ticks */
    STREAM_BEST_BID_ASK, /* market-sbe-bestbidask */
    STREAM_CONTROL,      /* market-control: adopted anchors and declared holes */
    STREAM_COUNT,
};
const char *stream_name_text(enum stream_name name);

/* Kinesis' limits, kept by every engine. */
#define STREAM_BATCH_RECORDS_MAX 500
#define STREAM_BATCH_BYTES_MAX   (5u * 1024u * 1024u)
#define STREAM_POSITION_SIZE     160

/* One record: data is an envelope (wire/envelope.h); (epoch, last_seq) is its place in
 * the order, which makes a retry a duplicate and an old producer fenced. */
struct stream_record {
    enum stream_name stream;
    uint64_t epoch, last_seq;
    struct bytes data;
};

enum stream_outcome {
    STREAM_WRITTEN,   /* durable as far as the engine promises */
    STREAM_DUPLICATE, /* was already there: as good as written */
    STREAM_RETRY,     /* throttled or failed alone: send again, order kept */
    STREAM_FENCED,    /* a newer epoch has written: stop */
    STREAM_LOST,      /* connection lost before an answer: resend */
};

/* Completion of one batch: outcome[i] belongs to records[i]; batches complete in the order
 * of their tickets. Once a record of a partition is not written, later ones of that
 * partition in flight are not written either and are answered STREAM_RETRY (or
 * STREAM_FENCED, STREAM_LOST if that is what they are): send again from the first one that
 * was not written. The engine's open call takes this function; put may be called from
 * inside it. */
typedef void (*stream_put_fn)(void *context, uint64_t ticket, const enum stream_outcome *outcome,
                              int count);

/* One consumed record. position is the engine's own word: store, hand back. data is borrowed
 * until the callback returns. Control records carry epoch and last_seq 0: their place is in
 * the envelope. The engine's open call takes this function. */
typedef void (*stream_record_fn)(void *context, const struct stream_record *record,
                                 const char *position);

struct stream_position {
    char text[STREAM_POSITION_SIZE]; /* "": from the oldest kept; "$": only new ones */
};

/* The highest (epoch, last_seq) in a partition; epoch 0: empty. */
struct stream_top {
    uint64_t epoch, last_seq;
};
typedef void (*stream_top_fn)(void *context, int result, const struct stream_top *tops);

struct stream_producer {
    void *self;
    /* Starts one batch (data is copied). Returns a ticket > 0, or ERR_AGAIN (not connected,
     * too much in flight or the server refuses: visible back-pressure), ERR_FULL (over the
     * batch limits), ERR_INVALID (nothing in it, or a data record of epoch 0). */
    int64_t (*put)(void *self, const struct stream_record *records, int count);
    /* Asks for the tops of all streams ([STREAM_COUNT]; that of STREAM_CONTROL is always 0);
     * to resend after a failover. One question at a time: ERR_AGAIN, ERR_CONNECTION. */
    int (*tops)(void *self, stream_top_fn done, void *context);
    bool (*ready)(void *self);
    int (*do_work)(void *self, int64_t mono_us);
};

struct stream_consumer {
    void *self;
    /* Follows these streams of the symbol, each from its position ([STREAM_COUNT]; those
     * not in the mask are ignored). Calls record for each, per-partition in order; a
     * redelivery after a reconnect is possible. */
    int (*follow)(void *self, unsigned stream_mask, const struct stream_position *from);
    /* Registers progress under the consumer's name: the trimming rule reads it, and keeps
     * what a restart from these positions needs. Call about once a second. Remembered when
     * the engine is not connected (ERR_CONNECTION) and registered as soon as it is. */
    int (*commit)(void *self, const struct stream_position *positions);
    /* Returns records delivered now. */
    int (*do_work)(void *self, int64_t mono_us);
    bool (*ready)(void *self);
    /* True if the last delivery drained what was readable (a good moment to flush). */
    bool (*drained)(void *self);
};

#endif
