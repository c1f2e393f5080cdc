/* The archive port: what archive agents and pollers want from the lake, as blocks of
 * records and REST replies (DESIGN.md section 7, "Lake"). The engine of edge/duckdb makes
 * Parquet files of them and hands those to an object port; a model stands in for it in the
 * simulation. Asynchronous: `done` is called exactly once, from do_work, never from inside
 * the call. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_ARCHIVE_PORT_H
#define BTCAST_LEARN_LAKE_ARCHIVE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "market/record.h"

/* Kinds of bronze objects under bronze/sbe: file prefixes (CONTRACTS.md section 12, row
 * 22). Ticks lie in depth, as they travel; adopted anchors and holes in control. */
enum archive_kind { ARCHIVE_TRADES, ARCHIVE_DEPTH, ARCHIVE_BBA, ARCHIVE_CONTROL, ARCHIVE_KINDS };

/* A bronze object holds all records of one kind whose seq / 65536 and receive minute are
 * equal; this is its identity, and its name follows from it. */
#define ARCHIVE_BLOCK_SEQS 65536
struct archive_block {
    enum archive_kind kind;
    char symbol[RECORD_SYMBOL_SIZE];
    uint64_t epoch, block; /* block = seq / ARCHIVE_BLOCK_SEQS */
    int64_t minute;        /* recv_us / 60,000,000 */
};

/* REST replies: bronze/rest/{symbol}/{depth,aggTrades,klines,historicalTrades}. */
enum archive_rest {
    ARCHIVE_REST_DEPTH,
    ARCHIVE_REST_AGG_TRADES,
    ARCHIVE_REST_KLINES,
    ARCHIVE_REST_TRADES, /* historicalTrades: single trades by id */
    ARCHIVE_RESTS
};

struct archive_rest_reply {
    enum archive_rest type;
    const char *symbol;
    int64_t requested_us, received_us;
    /* Names the object together with type and minute of received_us, so that the same reply
     * put twice is one object: first id, lastUpdateId or openTime of the body. */
    int64_t first_id;
    const char *reason; /* "poll", or why a gap's backfill fetched it */
    struct bytes body;  /* the reply as it came (JSON) */
};

struct archive_reply {
    int result;       /* ERR_OK: durable; ERR_MALFORMED: quarantined; else try again later */
    const char *text; /* borrowed */
};
typedef void (*archive_done_fn)(void *context, const struct archive_reply *reply);

/* How the spool stands: files made that the lake does not have yet, and the journal. */
struct archive_status {
    bool lake_ready;
    bool no_room;           /* append would answer ERR_AGAIN */
    bool spool_full;        /* … for the spool's sake: until the lake takes something */
    uint64_t journal_bytes; /* of spool_bytes */
    uint64_t spool_bytes, spool_bytes_max, spool_files;
};

struct archive_port {
    void *self;
    /* Adds a record to its block, which is opened by its first record. Memory only.
     * ERR_AGAIN: no room now (spool full or too many blocks open), ask again later. A record
     * whose payload cannot be decoded is kept raw with its decoded columns empty, counted. */
    int (*append)(void *self, const struct archive_block *block, const struct record *record);
    /* The block is whole: its object is made and put. done comes when it is durable in the
     * lake or, when the lake is away, in the spool; ERR_AGAIN when it cannot start now. An
     * object of the same block that exists is replaced. */
    int (*finish)(void *self, const struct archive_block *block, archive_done_fn done,
                  void *context);
    /* Forgets an open block. */
    void (*discard)(void *self, const struct archive_block *block);
    /* One REST reply: its object is made and put; the body is copied. */
    int (*rest)(void *self, const struct archive_rest_reply *reply, archive_done_fn done,
                void *context);
    void (*status)(void *self, struct archive_status *status);
    int (*do_work)(void *self, int64_t mono_us);
};

#endif
