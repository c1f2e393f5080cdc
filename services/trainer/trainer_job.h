/* One training as a process of its own: `btcast train …`, watched through its stderr. What is to
 * be done stands in a file until it is done, so that a trainer that was killed goes on with it;
 * the training itself goes on from its state files. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_JOB_H
#define BTCAST_SERVICES_TRAINER_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "edge/loop/loop.h"

#define TRAINER_JOB_WORDS_MAX 48
#define TRAINER_JOB_TEXT_SIZE 4096
#define TRAINER_JOB_LINE_SIZE 512
#define TRAINER_JOB_STOP_US   (5 * CLOCK_US_PER_S)

struct trainer_job {
    struct loop *loop;
    char file[512];                   /* where the words are kept */
    char text[TRAINER_JOB_TEXT_SIZE]; /* the words, each with its NUL */
    size_t size;
    int64_t nice;
    pid_t pid; /* 0: none runs */
    int pipe_fd;
    char line[TRAINER_JOB_LINE_SIZE]; /* the last whole one */
    char part[TRAINER_JOB_LINE_SIZE];
    size_t part_size;
    int64_t started_us; /* wall */
};

void trainer_job_init(struct trainer_job *job, struct loop *loop, const char *file, int64_t nice);
/* Begins a list of words; then words; a job must not be running. */
void trainer_job_clear(struct trainer_job *job);
/* ERR_FULL when there is no room. */
int trainer_job_add(struct trainer_job *job, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The words of a job that was not finished; false when there is none. */
bool trainer_job_recall(struct trainer_job *job);
/* Keeps the words and starts the process. ERR_IO. */
int trainer_job_start(struct trainer_job *job, struct err *err) MUST_CHECK;
/* True once it has ended: *status as of the shell. A job that succeeded, or that a new try would
 * not help (status 2), is forgotten; with another status the file stays until the next start. */
bool trainer_job_ended(struct trainer_job *job, int *status);
/* Ends the process and waits for it; the file stays. */
void trainer_job_stop(struct trainer_job *job);
void trainer_job_forget(struct trainer_job *job);

#endif
