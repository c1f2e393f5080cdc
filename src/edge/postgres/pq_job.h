/* A job of a link: its steps in memory of its own, and how far it is.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_JOB_H
#define BTCAST_EDGE_POSTGRES_PQ_JOB_H

#include "edge/postgres/pq_link.h"

#define PQ_JOB_PARAMS_MAX 16
#define PQ_JOB_WORDS_SIZE 400

struct pq_job_step {
    char *sql, *name;
    char *params[PQ_JOB_PARAMS_MAX];
    int param_count;
    bool is_copy;
    uint8_t *copy;
    size_t copy_size, copy_at;
};

struct pq_job {
    struct pq_job *next;
    struct pq_job_step steps[PQ_LINK_STEPS_MAX];
    int count, keep;
    int at;            /* step that runs; -1: BEGIN; count: COMMIT or ROLLBACK */
    bool is_preparing; /* PREPARE of the step is under way */
    pq_link_fn fn;
    void *context;
    int result;
    char words[PQ_JOB_WORDS_SIZE];
    PGresult *rows;
};

/* NULL without memory. */
struct pq_job *pq_job_make(const struct pq_step *steps, int count, int keep, pq_link_fn fn,
                           void *context);
void pq_job_free(const struct pq_api *api, struct pq_job *job);
/* Keeps the first failure. */
void pq_job_fail(struct pq_job *job, int result, const char *words);

#endif
