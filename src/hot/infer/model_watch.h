/* Follows the registry's pointers and has the models behind them ready: asks where they
 * point, fetches what is new, reads it. A file that is corrupt, too large or of another
 * feature schema is refused by name and counted, and the model in use stays; it is not
 * asked for again until the pointer moves (DESIGN.md section 7, Registry).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_MODEL_WATCH_H
#define BTCAST_HOT_INFER_MODEL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "hot/infer/model_port.h"

/* How often the pointers are looked at; a move is served within the next slot. */
#define MODEL_WATCH_LOOK_US 250000
/* A fetch that failed for want of an answer is repeated after so long. */
#define MODEL_WATCH_RETRY_US  1000000
#define MODEL_WATCH_BYTES_MAX (4u << 20)

struct model_watch_counters {
    uint64_t looks, look_failures, fetches, fetch_failures, refused, loaded;
};

struct model_watch_role {
    char wanted[MODEL_SHA256_SIZE];  /* where the pointer is */
    char settled[MODEL_SHA256_SIZE]; /* the last one that was read, refused or dropped */
    bool fetching, fetched;
    bool corrupt; /* fetched, and of another hash than asked for */
    char fetching_sha[MODEL_SHA256_SIZE];
    int64_t retry_us; /* monotonic */
    uint8_t *file;    /* fetched, not read yet */
    size_t size;
    struct model *ready;
    bool changed; /* ready (NULL: no model any more) waits to be taken */
};

struct model_watch {
    struct model_port port;
    uint64_t feature_schema;
    enum mlp_kernel kernel;
    int64_t next_look_us;
    int64_t now_us;
    bool looking;
    struct model_watch_role roles[MODEL_ROLES];
    struct model_watch_counters counters;
};

/* have[role]: SHA-256 of the models in use already ("" or NULL: none). */
void model_watch_init(struct model_watch *watch, const struct model_port *port,
                      uint64_t feature_schema, enum mlp_kernel kernel,
                      const char *const have[MODEL_ROLES]);
/* After its port is closed. */
void model_watch_close(struct model_watch *watch);
/* quiet: no slot is near, reading a file (milliseconds) does no harm. */
int model_watch_do_work(struct model_watch *watch, int64_t mono_us, bool quiet);
/* True once for each move: *model is the caller's now (model_close), NULL when the shadow's
 * pointer was taken away. */
bool model_watch_take(struct model_watch *watch, enum model_role role, struct model **model);

#endif
