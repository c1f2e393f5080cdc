/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/check.h"
#include "base/log.h"
#include "base/prng.h"
#include "edge/postgres/pq_job.h"

#define PQ_LINK_PREPARED_MAX 32
#define PQ_LINK_COPY_PIECE   65536u
#define PQ_LINK_WORK_MAX     64 /* steps moved on in one call */

enum pq_link_phase { PQ_LINK_OFF, PQ_LINK_CONNECTING, PQ_LINK_READY };

struct pq_link {
    const struct pq_api *api;
    struct loop *loop;
    struct pq_link_options options;
    char target[PQ_TARGET_SIZE];
    char shown[128];
    enum pq_link_phase phase;
    PGconn *connection;
    int fd; /* in the loop, -1: none */
    bool want_write;
    struct prng prng;
    int failures; /* in a row */
    int64_t now_us, deadline_us, retry_us;
    struct pq_job *first, *last; /* queue; the first one runs when is_running */
    bool is_running;
    int jobs;
    struct pq_job *done_first, *done_last;
    char *prepared[PQ_LINK_PREPARED_MAX];
    int prepared_count;
    struct pq_link_stats stats;
    struct log_limit limit;
    char error[PQ_JOB_WORDS_SIZE];
};

static void pq_link_drive(struct pq_link *link, bool readable);

static void pq_link_on_socket(void *context, uint32_t events)
{
    pq_link_drive(context, (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0);
}

/* Shows the loop what the connection waits for. */
static bool pq_link_watch(struct pq_link *link, bool read, bool write)
{
    int fd = link->api->PQsocket(link->connection);
    uint32_t events = (read ? (uint32_t)EPOLLIN : 0u) | (write ? (uint32_t)EPOLLOUT : 0u);
    if (fd < 0 || loop_set(link->loop, fd, events, pq_link_on_socket, link) != ERR_OK)
        return false;
    link->fd = fd;
    link->want_write = write;
    return true;
}

static void pq_link_unwatch(struct pq_link *link)
{
    if (link->fd >= 0)
        loop_remove(link->loop, link->fd);
    link->fd = -1;
}

static void pq_link_finish_job(struct pq_link *link)
{
    struct pq_job *job = link->first;
    link->first = job->next;
    if (link->first == NULL)
        link->last = NULL;
    job->next = NULL;
    if (link->done_last != NULL)
        link->done_last->next = job;
    else
        link->done_first = job;
    link->done_last = job;
    link->is_running = false;
}

static void pq_link_forget_prepared(struct pq_link *link)
{
    for (int i = 0; i < link->prepared_count; i++)
        free(link->prepared[i]);
    link->prepared_count = 0;
}

/* Every job is answered: their owners keep what they had and decide. */
static void pq_link_lose(struct pq_link *link, int result, const char *words)
{
    uint64_t skipped;
    bool was_ready = link->phase == PQ_LINK_READY;
    snprintf(link->error, sizeof(link->error), "%s", words[0] != '\0' ? words : err_text(result));
    if (log_limit_pass(&link->limit, link->now_us, &skipped))
        log_warn("store_lost", "store=\"%s\" reason=\"%s\" skipped=%llu", link->shown, link->error,
                 (unsigned long long)skipped);
    pq_link_unwatch(link);
    if (link->connection != NULL)
        link->api->PQfinish(link->connection);
    link->connection = NULL;
    link->phase = PQ_LINK_OFF;
    pq_link_forget_prepared(link);
    if (was_ready)
        link->stats.losses++;
    else
        link->stats.failures++;
    link->failures = was_ready ? 1 : link->failures + 1;
    while (link->first != NULL) {
        pq_job_fail(link->first, link->is_running ? result : ERR_CONNECTION, link->error);
        pq_link_finish_job(link);
    }
    int64_t limit_us = link->options.backoff_min_us;
    for (int i = 1; i < link->failures && limit_us < link->options.backoff_max_us; i++)
        limit_us *= 2;
    if (limit_us > link->options.backoff_max_us)
        limit_us = link->options.backoff_max_us;
    link->retry_us = link->now_us + (int64_t)prng_below(&link->prng, (uint64_t)limit_us + 1);
}

static void pq_link_lose_connection(struct pq_link *link)
{
    char words[PQ_JOB_WORDS_SIZE];
    pq_api_connection_words(link->api, link->connection, words, sizeof(words));
    pq_link_lose(link, ERR_CONNECTION, words);
}

static void pq_link_ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

static void pq_link_dial(struct pq_link *link)
{
    const char *keys[] = {"dbname", "fallback_application_name", "client_encoding", "options",
                          NULL};
    const char *values[] = {link->target, "btcast", "UTF8",
                            "-c timezone=UTC -c client_min_messages=warning", NULL};
    link->connection = link->api->PQconnectStartParams(keys, values, 1);
    link->phase = PQ_LINK_CONNECTING;
    link->deadline_us = link->now_us + link->options.connect_timeout_us;
    if (link->connection == NULL || link->api->PQstatus(link->connection) == CONNECTION_BAD)
        pq_link_lose_connection(link);
    else if (!pq_link_watch(link, false, true))
        pq_link_lose(link, ERR_FULL, "no place in the event loop");
}

static void pq_link_step_connecting(struct pq_link *link)
{
    /* libpq may close the socket and open another one. */
    pq_link_unwatch(link);
    PostgresPollingStatusType status = link->api->PQconnectPoll(link->connection);
    if (status == PGRES_POLLING_FAILED) {
        pq_link_lose_connection(link);
        return;
    }
    bool ready = status == PGRES_POLLING_OK;
    if (!pq_link_watch(link, ready || status == PGRES_POLLING_READING,
                       status == PGRES_POLLING_WRITING)) {
        pq_link_lose(link, ERR_FULL, "no place in the event loop");
        return;
    }
    if (!ready)
        return;
    link->api->PQsetnonblocking(link->connection, 1);
    link->api->PQsetNoticeProcessor(link->connection, pq_link_ignore_notice, NULL);
    link->phase = PQ_LINK_READY;
    link->failures = 0;
    link->stats.connects++;
    log_info("store_connected", "store=\"%s\"", link->shown);
}

static bool pq_link_is_prepared(const struct pq_link *link, const char *name)
{
    for (int i = 0; i < link->prepared_count; i++)
        if (strcmp(link->prepared[i], name) == 0)
            return true;
    return false;
}

/* Sends the statement that the job is at. */
static int pq_link_send_step(struct pq_link *link, struct pq_job *job)
{
    const struct pq_api *api = link->api;
    PGconn *connection = link->connection;
    job->is_preparing = false;
    if (job->at < 0)
        return api->PQsendQuery(connection, "BEGIN");
    if (job->at == job->count)
        return api->PQsendQuery(connection, job->result == ERR_OK ? "COMMIT" : "ROLLBACK");
    struct pq_job_step *step = &job->steps[job->at];
    const char *const *params = (const char *const *)(void *)step->params;
    if (step->name != NULL && !pq_link_is_prepared(link, step->name)) {
        job->is_preparing = true;
        return api->PQsendPrepare(connection, step->name, step->sql, 0, NULL);
    }
    if (step->name != NULL)
        return api->PQsendQueryPrepared(connection, step->name, step->param_count, params, NULL,
                                        NULL, 0);
    if (step->param_count > 0)
        return api->PQsendQueryParams(connection, step->sql, step->param_count, NULL, params, NULL,
                                      NULL, 0);
    return api->PQsendQuery(connection, step->sql);
}

static void pq_link_note_prepared(struct pq_link *link, const struct pq_job *job)
{
    char *name = strdup(job->steps[job->at].name);
    CHECK(link->prepared_count < PQ_LINK_PREPARED_MAX);
    if (name != NULL)
        link->prepared[link->prepared_count++] = name;
}

/* The statement is done: on to the next one, or the end. */
static bool pq_link_next_step(struct pq_link *link)
{
    struct pq_job *job = link->first;
    bool in_transaction = job->count > 1;
    if (job->is_preparing && job->result == ERR_OK)
        pq_link_note_prepared(link, job); /* and now the statement itself */
    else if (job->at == job->count || !in_transaction)
        return false;
    else
        job->at = job->result == ERR_OK ? job->at + 1 : job->count;
    if (link->api->PQsocket(link->connection) >= 0 && pq_link_send_step(link, job) == 1)
        return true;
    pq_link_lose_connection(link);
    return false;
}

static bool pq_link_start_job(struct pq_link *link)
{
    link->is_running = true;
    link->deadline_us = link->now_us + link->options.job_timeout_us;
    if (pq_link_send_step(link, link->first) == 1)
        return true;
    pq_link_lose_connection(link);
    return false;
}

/* Hands over COPY data as the socket takes it. False: no more for now. */
static bool pq_link_put_copy(struct pq_link *link)
{
    struct pq_job *job = link->first;
    struct pq_job_step *step = &job->steps[job->at];
    if (link->api->PQflush(link->connection) != 0)
        return false; /* what was given is not out yet */
    size_t left = step->copy_size - step->copy_at;
    size_t size = left < PQ_LINK_COPY_PIECE ? left : PQ_LINK_COPY_PIECE;
    int put = size > 0 ? link->api->PQputCopyData(
                             link->connection, (const char *)step->copy + step->copy_at, (int)size)
                       : link->api->PQputCopyEnd(link->connection, NULL);
    if (put == 1) {
        step->copy_at += size;
        step->is_copy = size > 0; /* the end has been said */
    }
    return put == 1;
}

/* One result of the running statement. False when it must wait. */
static bool pq_link_take_result(struct pq_link *link)
{
    struct pq_job *job = link->first;
    const struct pq_api *api = link->api;
    if (job->at >= 0 && job->at < job->count && job->steps[job->at].is_copy &&
        job->steps[job->at].copy_at > 0)
        return pq_link_put_copy(link);
    if (api->PQisBusy(link->connection))
        return false;
    PGresult *result = api->PQgetResult(link->connection);
    if (result == NULL) {
        if (!pq_link_next_step(link) && link->is_running)
            pq_link_finish_job(link);
        return true;
    }
    int code = pq_api_result(api, result);
    char words[PQ_JOB_WORDS_SIZE];
    if (code != ERR_OK) {
        pq_api_words(api, result, words, sizeof(words));
        pq_job_fail(job, code, words);
        link->stats.errors++;
    }
    bool begins = api->PQresultStatus(result) == PGRES_COPY_IN;
    if (code == ERR_OK && job->at == job->keep && !begins && !job->is_preparing) {
        api->PQclear(job->rows);
        job->rows = result;
    } else {
        api->PQclear(result);
    }
    return begins ? pq_link_put_copy(link) : true;
}

static void pq_link_run_jobs(struct pq_link *link)
{
    for (int i = 0; i < PQ_LINK_WORK_MAX && link->phase == PQ_LINK_READY; i++) {
        if (!link->is_running) {
            if (link->first == NULL || !pq_link_start_job(link))
                break;
        }
        if (link->api->PQflush(link->connection) < 0) {
            pq_link_lose_connection(link);
            return;
        }
        if (!pq_link_take_result(link))
            break;
    }
    if (link->phase != PQ_LINK_READY)
        return;
    bool write = link->api->PQflush(link->connection) == 1;
    if (write != link->want_write && !pq_link_watch(link, true, write))
        pq_link_lose(link, ERR_FULL, "no place in the event loop");
}

static void pq_link_drive(struct pq_link *link, bool readable)
{
    if (link->phase == PQ_LINK_CONNECTING) {
        pq_link_step_connecting(link);
        return;
    }
    if (link->phase != PQ_LINK_READY)
        return;
    if (readable && link->api->PQconsumeInput(link->connection) == 0) {
        pq_link_lose_connection(link);
        return;
    }
    pq_link_run_jobs(link);
}

int pq_link_open(const struct pq_link_options *options, struct loop *loop, struct pq_link **out,
                 struct err *err)
{
    const struct pq_api *api;
    int result = pq_target_check(options->target, err);
    if (result == ERR_OK)
        result = pq_api_load(&api, err);
    if (result == ERR_OK && strlen(options->target) >= PQ_TARGET_SIZE)
        result = err_set(err, ERR_CONFIG, "the database's address is too long");
    struct pq_link *link = result == ERR_OK ? calloc(1, sizeof(*link)) : NULL;
    if (result == ERR_OK && link == NULL)
        result = err_set(err, ERR_MEMORY, "out of memory");
    if (result != ERR_OK)
        return result;
    link->api = api;
    link->loop = loop;
    link->options = *options;
    snprintf(link->target, sizeof(link->target), "%s", options->target);
    pq_target_show(link->target, link->shown, sizeof(link->shown));
    link->options.target = link->target;
    if (link->options.connect_timeout_us == 0)
        link->options.connect_timeout_us = 5 * CLOCK_US_PER_S;
    if (link->options.job_timeout_us == 0)
        link->options.job_timeout_us = 60 * CLOCK_US_PER_S;
    if (link->options.backoff_min_us == 0)
        link->options.backoff_min_us = 100 * CLOCK_US_PER_MS;
    if (link->options.backoff_max_us == 0)
        link->options.backoff_max_us = 5 * CLOCK_US_PER_S;
    link->fd = -1;
    link->limit = (struct log_limit){.interval_us = 10 * CLOCK_US_PER_S};
    prng_init(&link->prng, options->seed);
    *out = link;
    return ERR_OK;
}

/* Calls the owners of what is done. */
static int pq_link_answer(struct pq_link *link)
{
    int answered = 0;
    while (link->done_first != NULL) {
        struct pq_job *job = link->done_first;
        link->done_first = job->next;
        if (link->done_first == NULL)
            link->done_last = NULL;
        link->jobs--;
        link->stats.jobs++;
        struct pq_link_reply reply = {.result = job->result,
                                      .text = job->words,
                                      .rows = job->result == ERR_OK ? job->rows : NULL};
        if (job->fn != NULL)
            job->fn(job->context, &reply);
        pq_job_free(link->api, job);
        answered++;
    }
    return answered;
}

void pq_link_close(struct pq_link *link)
{
    if (link == NULL)
        return;
    if (link->first != NULL || link->connection != NULL) {
        link->limit.next_us = INT64_MAX; /* no loss, an end */
        pq_link_lose(link, ERR_CONNECTION, "the link is closing");
    }
    pq_link_answer(link);
    free(link);
}

int pq_link_run(struct pq_link *link, const struct pq_step *steps, int count, int keep,
                pq_link_fn fn, void *context)
{
    if (link->phase != PQ_LINK_READY)
        return ERR_CONNECTION;
    if (link->jobs >= PQ_LINK_JOBS_MAX)
        return ERR_AGAIN;
    struct pq_job *job = pq_job_make(steps, count, keep, fn, context);
    if (job == NULL)
        return ERR_MEMORY;
    if (link->last != NULL)
        link->last->next = job;
    else
        link->first = job;
    link->last = job;
    link->jobs++;
    return ERR_OK;
}

bool pq_link_connected(const struct pq_link *link)
{
    return link->phase == PQ_LINK_READY;
}

const char *pq_link_error(const struct pq_link *link)
{
    return link->error;
}

const struct pq_link_stats *pq_link_stats(const struct pq_link *link)
{
    return &link->stats;
}

const struct pq_api *pq_link_api(const struct pq_link *link)
{
    return link->api;
}

int pq_link_do_work(struct pq_link *link, int64_t mono_us)
{
    link->now_us = mono_us;
    if (link->phase == PQ_LINK_OFF && mono_us >= link->retry_us)
        pq_link_dial(link);
    else if (link->phase == PQ_LINK_CONNECTING && mono_us >= link->deadline_us)
        pq_link_lose(link, ERR_TIMEOUT, "no connection in time");
    else if (link->phase == PQ_LINK_READY && link->is_running && mono_us >= link->deadline_us)
        pq_link_lose(link, ERR_TIMEOUT, "no answer in time");
    else if (link->phase == PQ_LINK_READY)
        pq_link_run_jobs(link);
    return pq_link_answer(link);
}
