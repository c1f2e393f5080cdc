/* The store port: what the loaders of the learn path want from the SQL store. The engine is
 * edge/postgres/pq_store; the SQL of a load stands with the rows it is for.
 * Asynchronous: `done` is called exactly once, from do_work, never from inside the call.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_STORE_STORE_PORT_H
#define BTCAST_LEARN_STORE_STORE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define STORE_POSITION_SIZE 64

/* One kind of load: a temporary table is filled by COPY and merged into the real one, all in
 * one transaction. The merge must be idempotent (ON CONFLICT). Static texts. */
struct store_load {
    const char *name;    /* for messages */
    const char *staging; /* "CREATE TEMP TABLE staging (…) ON COMMIT DROP" */
    const char *copy;    /* "COPY staging (…) FROM STDIN" */
    const char *prepare; /* a statement before the merge (partitions), NULL: none */
    const char *merge;   /* gives one row with one integer: rows added or changed */
    const char *finish;  /* a statement behind the merge, NULL: none */
};

/* How far a loader has come; kept with the rows, in the same transaction. */
struct store_position {
    const char *loader;
    const char *position;
};

/* result: ERR_OK; ERR_MALFORMED: a row is at fault, the same bytes will never do;
 * ERR_CONNECTION, ERR_TIMEOUT, ERR_AGAIN: try again with the same bytes; ERR_UNSUPPORTED: the
 * schema is not there; others: the store's own trouble, try again later. */
struct store_reply {
    int result;
    const char *text; /* what was wrong, or the position asked for ("" if none); borrowed */
    uint64_t changed; /* rows added or changed */
};
typedef void (*store_done_fn)(void *context, const struct store_reply *reply);

/* Calls return ERR_OK when started, ERR_AGAIN when too many are under way, ERR_CONNECTION
 * when the store is away; then done is not called. Everything is copied. */
struct store_port {
    void *self;
    /* rows: COPY text (store/copy_text.h). position: NULL, or where the loader is then. */
    int (*load)(void *self, const struct store_load *load, struct bytes rows,
                const struct store_position *position, store_done_fn done, void *context);
    /* The position of a loader as text. */
    int (*position)(void *self, const char *loader, store_done_fn done, void *context);
    int (*do_work)(void *self, int64_t mono_us);
};

#endif
