/* Rows on their way into the store: gathered into batches, each loaded in one transaction
 * together with the position it ends at, and tried again with the same bytes until it is in.
 * A batch that the store refuses as malformed is halved until the bad row stands alone; that
 * one is handed out and counted, the others go in. The queue is bounded: full means ERR_AGAIN,
 * the caller waits (its rows lie in a stream or in the lake).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_STORE_ROW_LOADER_H
#define BTCAST_LEARN_STORE_ROW_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/prng.h"
#include "learn/store/store_port.h"

#define ROW_LOADER_ROWS_MAX  4096
#define ROW_LOADER_BYTES_MAX (4u * 1024u * 1024u)

/* A row that the store refused for good; both borrowed. */
typedef void (*row_loader_refused_fn)(void *context, struct bytes row, const char *why);

struct row_loader_options {
    const struct store_port *port;
    const struct store_load *load;
    char loader[48];                    /* name of the position; empty: none is kept */
    int batch_rows;                     /* 1..ROW_LOADER_ROWS_MAX */
    int64_t linger_us;                  /* an incomplete batch waits so long at most */
    int64_t retry_min_us, retry_max_us; /* full jitter between tries */
    row_loader_refused_fn refused;      /* may be NULL */
    void *context;
    uint64_t seed;
};

struct row_loader_stats {
    uint64_t added, loaded, changed, refused; /* rows */
    uint64_t batches, retries;
};

struct row_loader {
    struct row_loader_options options;
    uint8_t *bytes;
    size_t size;
    struct row_loader_row {
        uint32_t size;
        int64_t position;
    } * rows;
    int count;
    int in_flight; /* rows of the batch that is under way */
    int limit;     /* rows of the next batch */
    int failures;
    int64_t oldest_us, retry_us; /* first row's arrival; no try before */
    bool answered;
    int result; /* of the batch, once answered */
    char text[256];
    uint64_t changed;
    struct prng prng;
    struct row_loader_stats stats;
};

int row_loader_open(struct row_loader *loader, const struct row_loader_options *options,
                    struct err *err) MUST_CHECK;
/* A batch under way must have been answered, or its port closed. */
void row_loader_close(struct row_loader *loader);
/* One row of COPY text with its line end; position: where the loader is once it is in. */
int row_loader_add(struct row_loader *loader, struct bytes row, int64_t position,
                   int64_t mono_us) MUST_CHECK;
/* Rows that are not in the store yet. */
int row_loader_waiting(const struct row_loader *loader);
/* How many rows find room now. */
int row_loader_room(const struct row_loader *loader);
/* Why the last batch did not get in, "" when it did. */
const char *row_loader_trouble(const struct row_loader *loader);
/* Sends what is due. The port's own do_work is the caller's. */
int row_loader_do_work(struct row_loader *loader, int64_t mono_us);

#endif
