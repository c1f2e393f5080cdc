/* Trains several fits side by side, one thread each at a time. A fit is a function of its
 * options and data alone, so the number of threads changes nothing but the time. States go to
 * files as it proceeds: a killed training goes on where they stand.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_TRAIN_POOL_H
#define BTCAST_SERVICES_TRAINER_TRAIN_POOL_H

#include "learn/train/fit.h"

#define TRAIN_THREADS_MAX 64

struct train_task {
    struct fit *fit;
    int epochs;      /* train up to so many in all, or until the fit is done */
    char state[512]; /* file, "": none */
};

struct train_pool {
    int threads;
    bool quiet;
    const char *phase; /* for the progress lines on stderr */
};

/* Goes on from the state file when there is one of the same options and data; another one is
 * left alone and overwritten later. */
void train_pool_resume(struct train_task *task);
/* Returns when each task is there. ERR_IO when a state cannot be written. */
int train_pool_run(const struct train_pool *pool, struct train_task *tasks, int count,
                   struct err *err) MUST_CHECK;
/* Removes the state files. */
void train_pool_forget(const struct train_task *tasks, int count);

#endif
