/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static bool pq_job_copy_text(const char *text, char **out)
{
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL;
}

static bool pq_job_copy_step(const struct pq_step *from, struct pq_job_step *to)
{
    bool good = pq_job_copy_text(from->sql, &to->sql) && pq_job_copy_text(from->name, &to->name);
    to->param_count = from->param_count;
    for (int i = 0; i < from->param_count && good; i++)
        good = pq_job_copy_text(from->params[i], &to->params[i]);
    to->is_copy = from->is_copy;
    if (!good || from->copy.size == 0)
        return good;
    to->copy = malloc(from->copy.size);
    if (to->copy == NULL)
        return false;
    memcpy(to->copy, from->copy.data, from->copy.size);
    to->copy_size = from->copy.size;
    return true;
}

struct pq_job *pq_job_make(const struct pq_step *steps, int count, int keep, pq_link_fn fn,
                           void *context)
{
    PRE(count > 0 && count <= PQ_LINK_STEPS_MAX && keep >= 0 && keep < count);
    struct pq_job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return NULL;
    job->count = count;
    job->keep = keep;
    job->at = count > 1 ? -1 : 0;
    job->fn = fn;
    job->context = context;
    for (int i = 0; i < count; i++) {
        PRE(steps[i].param_count <= PQ_JOB_PARAMS_MAX);
        if (pq_job_copy_step(&steps[i], &job->steps[i]))
            continue;
        pq_job_free(NULL, job);
        return NULL;
    }
    return job;
}

void pq_job_free(const struct pq_api *api, struct pq_job *job)
{
    for (int i = 0; i < job->count; i++) {
        struct pq_job_step *step = &job->steps[i];
        free(step->sql);
        free(step->name);
        free(step->copy);
        for (int p = 0; p < step->param_count; p++)
            free(step->params[p]);
    }
    if (job->rows != NULL)
        api->PQclear(job->rows);
    free(job);
}

void pq_job_fail(struct pq_job *job, int result, const char *words)
{
    if (job->result != ERR_OK)
        return;
    job->result = result;
    snprintf(job->words, sizeof(job->words), "%s", words);
}
