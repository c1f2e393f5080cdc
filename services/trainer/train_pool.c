/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/train_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/loop/loop.h"

#define POOL_STATE_EVERY_US 1000000
#define POOL_SAY_EVERY_US   2000000
#define POOL_STATE_MAX      (256u << 20)

struct pool_run {
    const struct train_pool *pool;
    struct train_task *tasks;
    int count, next;
    int64_t epochs_done, epochs_due; /* due: at most so many */
    int64_t started_us, said_us;
    int rc;
    struct err *err;
    pthread_mutex_t lock; /* of everything above that changes */
};

/* --- states --------------------------------------------------------------------------- */

/* Written beside and renamed: whoever reads finds an old or a new state, whole. */
static int pool_save(const struct train_task *task, struct err *err)
{
    char beside[sizeof(task->state) + 8];
    if (task->state[0] == '\0')
        return ERR_OK;
    size_t size = fit_save_size(task->fit);
    uint8_t *data = malloc(size);
    if (data == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a training state");
    fit_save(task->fit, data);
    snprintf(beside, sizeof(beside), "%s.new", task->state);
    FILE *file = fopen(beside, "wb");
    bool ok = file != NULL && fwrite(data, 1, size, file) == size;
    ok = (file == NULL || fclose(file) == 0) && ok && rename(beside, task->state) == 0;
    int code = errno;
    free(data);
    return ok ? ERR_OK : err_set(err, ERR_IO, "cannot write %s: %s", beside, strerror(code));
}

void train_pool_resume(struct train_task *task)
{
    FILE *file = task->state[0] != '\0' ? fopen(task->state, "rb") : NULL;
    if (file == NULL)
        return;
    struct err err = {0};
    uint8_t *data = NULL;
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    rewind(file);
    if (size > 0 && size < (long)POOL_STATE_MAX)
        data = malloc((size_t)size);
    if (data != NULL && fread(data, 1, (size_t)size, file) == (size_t)size) {
        if (fit_load(task->fit, bytes_of(data, (size_t)size), &err) != ERR_OK)
            fprintf(stderr, "train: %s is passed over: %s\n", task->state, err.text);
    }
    free(data);
    fclose(file);
}

void train_pool_forget(const struct train_task *tasks, int count)
{
    for (int i = 0; i < count; i++)
        if (tasks[i].state[0] != '\0')
            (void)unlink(tasks[i].state);
}

/* --- running -------------------------------------------------------------------------- */

static bool pool_task_done(const struct train_task *task)
{
    return fit_is_done(task->fit) || fit_epochs(task->fit) >= task->epochs;
}

/* Under the lock. */
static void pool_say(struct pool_run *run)
{
    int64_t now_us = loop_mono_us();
    if (run->pool->quiet || now_us - run->said_us < POOL_SAY_EVERY_US || run->epochs_done == 0)
        return;
    run->said_us = now_us;
    double each_s = (double)(now_us - run->started_us) * 1e-6 / (double)run->epochs_done;
    fprintf(stderr, "train: %s, epoch %lld of at most %lld, at most %.0f s to go\n",
            run->pool->phase, (long long)run->epochs_done, (long long)run->epochs_due,
            each_s * (double)(run->epochs_due - run->epochs_done));
}

static void pool_note(struct pool_run *run, int epochs, int rc, const struct err *err)
{
    pthread_mutex_lock(&run->lock);
    run->epochs_done += epochs;
    if (rc != ERR_OK && run->rc == ERR_OK) {
        run->rc = rc;
        if (run->err != NULL)
            *run->err = *err;
    }
    pool_say(run);
    pthread_mutex_unlock(&run->lock);
}

static void pool_train(struct pool_run *run, struct train_task *task)
{
    struct err err = {0};
    int rc = ERR_OK;
    int64_t saved_us = loop_mono_us();
    while (!pool_task_done(task) && rc == ERR_OK) {
        fit_epoch(task->fit);
        if (loop_mono_us() - saved_us >= POOL_STATE_EVERY_US) {
            rc = pool_save(task, &err);
            saved_us = loop_mono_us();
        }
        pool_note(run, 1, rc, &err);
    }
    if (rc == ERR_OK)
        rc = pool_save(task, &err);
    pool_note(run, 0, rc, &err);
}

static void *pool_worker(void *context)
{
    struct pool_run *run = context;
    for (;;) {
        pthread_mutex_lock(&run->lock);
        int mine = run->rc == ERR_OK && run->next < run->count ? run->next++ : -1;
        pthread_mutex_unlock(&run->lock);
        if (mine < 0)
            return NULL;
        pool_train(run, &run->tasks[mine]);
    }
}

static int64_t pool_due(const struct train_task *task)
{
    int limit = fit_options(task->fit)->epochs;
    limit = task->epochs < limit ? task->epochs : limit;
    return pool_task_done(task) ? 0 : limit - fit_epochs(task->fit);
}

int train_pool_run(const struct train_pool *pool, struct train_task *tasks, int count,
                   struct err *err)
{
    struct pool_run run = {
        .pool = pool, .tasks = tasks, .count = count, .started_us = loop_mono_us(), .err = err};
    pthread_t thread[TRAIN_THREADS_MAX];
    int threads = pool->threads < count ? pool->threads : count, started = 0;
    run.said_us = run.started_us;
    for (int i = 0; i < count; i++)
        run.epochs_due += pool_due(&tasks[i]);
    pthread_mutex_init(&run.lock, NULL);
    /* The caller's thread is the first; without another one it does all alone. */
    for (; started < threads - 1; started++)
        if (pthread_create(&thread[started], NULL, pool_worker, &run) != 0)
            break;
    pool_worker(&run);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&run.lock);
    return run.rc;
}
