/* SPDX-License-Identifier: Apache-2.0 */
#include "services/data-connector/connector_registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "services/built_in_model.h"

struct connector_registry {
    struct connector_registry_options options;
    struct built_in_model built_in;
    struct loop *loop;
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex; /* over what follows */
    pthread_cond_t wake;
    bool stopping;
    struct connector_registry_word word;
};

void connector_registry_read(struct connector_registry *registry,
                             struct connector_registry_word *word)
{
    pthread_mutex_lock(&registry->mutex);
    *word = registry->word;
    pthread_mutex_unlock(&registry->mutex);
}

struct connector_registry_sql {
    struct pq_sync sync;
    struct pq_judge judge;
    struct log_limit limit;
    int64_t good_us; /* the last round that was, or the start */
};

static void connector_registry_take_role(struct connector_registry_word *word, enum model_role role,
                                         const struct pq_judge_model *model)
{
    word->roles[role].there = model != NULL && model->there;
    if (!word->roles[role].there)
        return;
    snprintf(word->roles[role].version, PQ_JUDGE_VERSION_SIZE, "%s", model->version);
    snprintf(word->roles[role].sha, PQ_JUDGE_SHA_SIZE, "%s", model->sha256);
    snprintf(word->roles[role].path, PQ_JUDGE_PATH_SIZE, "%s", model->path);
}

/* What was taken out without another to come back leaves the built-in model. */
static void connector_registry_take_built_in(const struct connector_registry *registry,
                                             struct connector_registry_word *word)
{
    struct pq_judge_model model = {.there = true};
    snprintf(model.version, sizeof(model.version), "%s", registry->built_in.version);
    snprintf(model.sha256, sizeof(model.sha256), "%s", registry->built_in.sha256);
    snprintf(model.path, sizeof(model.path), "%s", PQ_JUDGE_BUILT_IN);
    connector_registry_take_role(word, MODEL_PRODUCTION, &model);
}

static void connector_registry_say(struct connector_registry *registry,
                                   const struct connector_registry_sql *sql, int result)
{
    struct connector_registry_word word;
    connector_registry_read(registry, &word);
    word.connected = result == ERR_OK;
    word.rounds++;
    word.failures += result != ERR_OK;
    if (result == ERR_OK) {
        const struct pq_judge *judge = &sql->judge;
        word.known = true;
        word.promoted = judge->promoted;
        word.rolled_back = judge->rolled_back;
        word.outcomes = judge->rival == PQ_JUDGE_NO_RIVAL ? 0 : judge->judge.outcomes;
        connector_registry_take_role(&word, MODEL_PRODUCTION, &judge->production);
        if (!judge->production.there && judge->served_before)
            connector_registry_take_built_in(registry, &word);
        connector_registry_take_role(&word, MODEL_SHADOW, pq_judge_shadow(judge));
        pq_judge_words(judge, word.words, sizeof(word.words));
        snprintf(word.last_move, sizeof(word.last_move), "%s", judge->last_move);
    }
    pthread_mutex_lock(&registry->mutex);
    registry->word = word;
    pthread_mutex_unlock(&registry->mutex);
    loop_wake(registry->loop);
}

static void connector_registry_round(struct connector_registry *registry,
                                     struct connector_registry_sql *sql)
{
    struct err err = {0};
    uint64_t skipped, moves = sql->judge.promoted + sql->judge.rolled_back;
    int result = sql->sync.connection != NULL
                     ? ERR_OK
                     : pq_sync_open(&sql->sync, registry->options.database, &err);
    if (result == ERR_OK)
        result = pq_judge_round(&sql->judge, &sql->sync, &err);
    if (sql->judge.promoted + sql->judge.rolled_back != moves)
        log_info("model_moved", "what=\"%s\"", sql->judge.last_move);
    int64_t mono_us = loop_mono_us();
    if (result == ERR_OK)
        sql->good_us = mono_us;
    /* Not when everything is only starting. */
    if (result != ERR_OK && mono_us - sql->good_us > CONNECTOR_REGISTRY_AWAY_US &&
        log_limit_pass(&sql->limit, mono_us, &skipped))
        log_warn("registry_away", "reason=\"%s\" skipped=%llu", err.text,
                 (unsigned long long)skipped);
    if (result != ERR_OK)
        pq_sync_close(&sql->sync);
    connector_registry_say(registry, sql, result);
}

/* True when it is to end. */
static bool connector_registry_rest(struct connector_registry *registry)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += CONNECTOR_REGISTRY_EVERY_US / CLOCK_US_PER_S;
    pthread_mutex_lock(&registry->mutex);
    if (!registry->stopping)
        pthread_cond_timedwait(&registry->wake, &registry->mutex, &until);
    bool stopping = registry->stopping;
    pthread_mutex_unlock(&registry->mutex);
    return stopping;
}

static void *connector_registry_thread(void *context)
{
    struct connector_registry *registry = context;
    struct connector_registry_sql *sql = calloc(1, sizeof(*sql));
    if (sql == NULL)
        return NULL;
    struct pq_judge_options options = {.name = registry->options.name,
                                       .symbol = registry->options.symbol,
                                       .rules = model_rules_defaults,
                                       .promote = registry->options.promote};
    built_in_model_tell(&registry->built_in, &options);
    pq_judge_init(&sql->judge, &options);
    sql->good_us = loop_mono_us();
    sql->limit = (struct log_limit){.interval_us = 60 * CLOCK_US_PER_S};
    do
        connector_registry_round(registry, sql);
    while (!connector_registry_rest(registry));
    pq_sync_close(&sql->sync);
    free(sql);
    return NULL;
}

static int connector_registry_start(struct connector_registry *registry, struct err *err)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&registry->mutex, NULL);
    pthread_cond_init(&registry->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&registry->thread, NULL, connector_registry_thread, registry) != 0)
        return err_set(err, ERR_MEMORY, "no thread for the registry");
    registry->running = true;
    return ERR_OK;
}

int connector_registry_open(const struct connector_registry_options *options, struct loop *loop,
                            struct connector_registry **out, struct err *err)
{
    struct connector_registry *registry = calloc(1, sizeof(*registry));
    if (registry == NULL)
        return err_set(err, ERR_MEMORY, "registry");
    *out = registry;
    registry->options = *options;
    registry->loop = loop;
    int result = built_in_model(&registry->built_in, err);
    return result == ERR_OK ? connector_registry_start(registry, err) : result;
}

void connector_registry_close(struct connector_registry *registry)
{
    if (registry->running) {
        pthread_mutex_lock(&registry->mutex);
        registry->stopping = true;
        pthread_cond_signal(&registry->wake);
        pthread_mutex_unlock(&registry->mutex);
        pthread_join(registry->thread, NULL);
    }
    free(registry);
}
