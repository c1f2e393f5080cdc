/* The model registry in SQL: models, their stages, and an audit row for each move. Every move
 * is one transaction that holds all models of its name, so that two operators cannot both
 * promote; the rules are those of learn/registry. Blocking: for command-line tools and the
 * trainer. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_REGISTRY_H
#define BTCAST_EDGE_POSTGRES_PQ_REGISTRY_H

#include <stdint.h>

#include "edge/postgres/pq_sync.h"
#include "learn/registry/model_stage.h"

struct pq_registry_model {
    const char *name, *version;
    const char *sha256;        /* of the artifact, hexadecimal */
    const char *artifact_path; /* where it lies in gold */
    uint64_t feature_schema;
    const char *metrics_json; /* an object, "{}" */
    int64_t experiment_id;    /* 0: none */
};

/* Who moves a model, and why: into the audit row. */
struct pq_registry_cause {
    const char *actor, *reason;
    const char *evidence_json; /* an object, NULL: none */
    /* The version that must serve for the move to be made, else ERR_BAD_STATE: what was judged may
     * have been moved by somebody else since. NULL: any. */
    const char *serving;
};

/* Stage staging. The same model again is fine; ERR_DUPLICATE when the version stands for other
 * bytes. */
int pq_registry_add(struct pq_sync *sync, const struct pq_registry_model *model,
                    const struct pq_registry_cause *cause, struct err *err) MUST_CHECK;
/* SHADOW, PROMOTE (what served before is replaced) or ARCHIVE of one model. ERR_NOT_FOUND;
 * ERR_BAD_STATE when its stage does not have that move. */
int pq_registry_move(struct pq_sync *sync, const char *name, const char *version,
                     enum model_move move, const struct pq_registry_cause *cause,
                     struct err *err) MUST_CHECK;
/* Takes the serving model out and brings back the newest one that was replaced (not rolled
 * back); without one nothing serves, and inference keeps its built-in model. restored: the
 * version that serves now, "" for none. ERR_BAD_STATE when nothing serves. */
int pq_registry_rollback(struct pq_sync *sync, const char *name,
                         const struct pq_registry_cause *cause, char *restored, size_t size,
                         struct err *err) MUST_CHECK;

#endif
