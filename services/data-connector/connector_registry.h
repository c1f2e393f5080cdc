/* What the model registry in SQL says: a thread of its own reads it every 5 s and judges
 * (edge/postgres/pq_judge), and leaves its word for the service's loop.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_REGISTRY_H
#define BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/loop/loop.h"
#include "edge/postgres/pq_judge.h"
#include "hot/infer/model_watch.h"

#define CONNECTOR_REGISTRY_EVERY_US (5 * CLOCK_US_PER_S)
/* A registry that is away for longer is warned of. */
#define CONNECTOR_REGISTRY_AWAY_US (30 * CLOCK_US_PER_S)

struct connector_registry_options {
    const char *database, *symbol, *name;
    bool promote; /* candidates that are better are promoted */
};

/* From the thread to the loop. */
struct connector_registry_word {
    bool connected, known; /* known: roles below are the registry's */
    struct {
        bool there; /* false for production: leave it as it is */
        char version[PQ_JUDGE_VERSION_SIZE], sha[PQ_JUDGE_SHA_SIZE], path[PQ_JUDGE_PATH_SIZE];
    } roles[MODEL_ROLES];
    uint64_t promoted, rolled_back, outcomes, rounds, failures;
    char words[320], last_move[256];
};

struct connector_registry; /* opaque */

/* Starts the thread. Texts are borrowed; the loop is woken at each round's end. */
int connector_registry_open(const struct connector_registry_options *options, struct loop *loop,
                            struct connector_registry **registry, struct err *err) MUST_CHECK;
/* Ends the thread, behind the statement that it is in. */
void connector_registry_close(struct connector_registry *registry);
/* What was said last. */
void connector_registry_read(struct connector_registry *registry,
                             struct connector_registry_word *word);

#endif
