/* The registry's judgement in SQL: which models have a role, how they fare on the outcomes of the
 * predictions log, and the moves that follow (learn/registry/model_judge), each with an audit row.
 * After a promotion the model before goes on as shadow: for promote_least outcomes in any case, and
 * for as long as no candidate waits. Blocking: for a thread of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_JUDGE_H
#define BTCAST_EDGE_POSTGRES_PQ_JUDGE_H

#include "edge/postgres/pq_registry.h"
#include "learn/registry/model_judge.h"

#define PQ_JUDGE_VERSION_SIZE 160
#define PQ_JUDGE_PATH_SIZE    512
#define PQ_JUDGE_SHA_SIZE     65
/* Rows younger than so many slots are left to settle: outcomes and shadows come apart. */
#define PQ_JUDGE_SETTLE_SLOTS 10
/* An artifact that is not in the lake but part of the program. */
#define PQ_JUDGE_BUILT_IN "builtin:baseline"

struct pq_judge_model {
    bool there;
    int64_t id;
    char version[PQ_JUDGE_VERSION_SIZE], sha256[PQ_JUDGE_SHA_SIZE], path[PQ_JUDGE_PATH_SIZE];
    int64_t since_slot;    /* began to serve; 0: never */
    bool refuse_promotion; /* its own report says so */
};

enum pq_judge_rival { PQ_JUDGE_NO_RIVAL, PQ_JUDGE_PREVIOUS, PQ_JUDGE_CANDIDATE };

struct pq_judge_options {
    const char *name, *symbol; /* borrowed */
    struct model_rules_options rules;
    bool promote; /* false: candidates are judged and left where they are */
    /* What serves when the registry has nothing in production: registered in front of the first
     * promotion, so that there is a way back. sha256 "": unknown. */
    struct {
        const char *version, *sha256;
        uint64_t feature_schema;
    } built_in;
};

struct pq_judge {
    struct pq_judge_options options;
    struct pq_judge_model production, previous, candidate;
    bool served_before; /* some model has served and was taken out */
    char serving[PQ_JUDGE_VERSION_SIZE];
    enum pq_judge_rival rival; /* of the judge below, and in Redis the shadow */
    /* Whom the judge below compares. */
    char matched[PQ_JUDGE_VERSION_SIZE];
    int64_t rival_id;
    struct model_judge judge; /* large */
    bool has_reference;
    struct feature_psi_reference reference;
    int64_t feature_slot;
    bool probation_over;
    uint64_t promoted, rolled_back; /* by this judge */
    char last_move[256];            /* for people, "" for none */
};

void pq_judge_init(struct pq_judge *judge, const struct pq_judge_options *options);
/* Reads what is new, judges, moves. What is in the struct afterwards is what the roles in Redis
 * should be. Errors are those of pq_sync; ERR_BAD_STATE when somebody else moved a model in between
 * (the next round sees it). */
int pq_judge_round(struct pq_judge *judge, struct pq_sync *sync, struct err *err) MUST_CHECK;
/* The model that predicts beside the serving one; NULL for none. */
const struct pq_judge_model *pq_judge_shadow(const struct pq_judge *judge);
/* One sentence on where it stands. */
void pq_judge_words(const struct pq_judge *judge, char *out, size_t size);

/* Registers the built-in model as the one in production when nothing is and it is what the log
 * says was served last (or nothing was): then a rollback has somewhere to go. */
int pq_judge_found(struct pq_sync *sync, const struct pq_judge_options *options,
                   const struct pq_registry_cause *cause, struct err *err) MUST_CHECK;

#endif
