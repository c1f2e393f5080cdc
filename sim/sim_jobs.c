/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_jobs.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "market/feature.h"
#include "model/baseline.h"
#include "sim/sim_report.h"
#include "wire/onnx.h"

#define SIM_JOBS_MMAP_BYTES (256 * 1024)

/* What one process tells another about one seed. */
struct sim_job_line {
    uint64_t seed;
    struct simulation_result result;
};

static void sim_jobs_add(const struct sim_jobs_options *options, struct sim_totals *totals,
                         const struct sim_job_line *line)
{
    const struct simulation_result *result = &line->result;
    totals->seeds++;
    totals->events += result->events;
    totals->frames += result->frames;
    totals->steps += result->steps;
    totals->predictions += result->predictions;
    totals->flushes += result->flushes;
    totals->swaps += result->swaps;
    totals->restarts += result->restarts;
    totals->faults += result->faults;
    totals->hash += result->hash * (2 * line->seed + 1);
    if (totals->seeds == 1 || result->faults < totals->faults_least)
        totals->faults_least = result->faults;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        for (int step = 0; step <= STEP_COUNT; step++)
            totals->hits[kind][step] += result->hits[kind][step];
    if (!result->failed)
        return;
    totals->failures++;
    totals->by_rule[result->failure.rule]++;
    sim_report_failure(options, line->seed, result);
}

static void sim_jobs_progress(const struct sim_jobs_options *options,
                              const struct sim_totals *totals)
{
    uint64_t all = options->last - options->first + 1;
    uint64_t part = all < 20 ? 1 : all / 20;
    if (all > 1 && totals->seeds % part == 0)
        fprintf(stderr, "%llu of %llu seeds, %llu failed\n", (unsigned long long)totals->seeds,
                (unsigned long long)all, (unsigned long long)totals->failures);
}

static void sim_jobs_seed(const struct sim_jobs_options *options, const struct model *model,
                          uint64_t seed, struct sim_job_line *line)
{
    struct simulation_options one = {.seed = seed,
                                     .seconds = options->seconds,
                                     .faults = options->faults,
                                     .only = options->only,
                                     .trace = options->trace,
                                     .model = model};
    memset(line, 0, sizeof(*line));
    line->seed = seed;
    simulation_run(&one, &line->result);
}

static int64_t sim_jobs_clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool sim_jobs_may_begin(const struct sim_jobs_options *options)
{
    return options->for_s == 0 || sim_jobs_clock_s() - options->began_s < options->for_s;
}

static void sim_jobs_child(const struct sim_jobs_options *options, const struct model *model,
                           int job, int out)
{
    static struct sim_job_line line;
    for (uint64_t seed = options->first + (uint64_t)job;
         seed <= options->last && sim_jobs_may_begin(options); seed += (uint64_t)options->jobs) {
        sim_jobs_seed(options, model, seed, &line);
        if (write(out, &line, sizeof(line)) != (ssize_t)sizeof(line))
            _exit(1);
        if (line.result.failed && options->stop)
            break;
    }
    _exit(0);
}

/* Lines are shorter than what a pipe takes at once (PIPE_BUF) only by luck: read them whole. */
static bool sim_jobs_read(int in, struct sim_job_line *line)
{
    size_t got = 0;
    while (got < sizeof(*line)) {
        ssize_t count = read(in, (char *)line + got, sizeof(*line) - got);
        if (count <= 0)
            return false;
        got += (size_t)count;
    }
    return true;
}

struct sim_children {
    pid_t pids[SIM_JOBS_MAX];
    int pipes[SIM_JOBS_MAX];
    int count;
};

static bool sim_jobs_fork(const struct sim_jobs_options *options, const struct model *model,
                          struct sim_children *children)
{
    for (int job = 0; job < options->jobs; job++) {
        int ends[2];
        if (pipe(ends) != 0)
            return false;
        pid_t pid = fork();
        if (pid < 0)
            return false;
        if (pid == 0) {
            close(ends[0]);
            sim_jobs_child(options, model, job, ends[1]);
        }
        close(ends[1]);
        children->pids[job] = pid;
        children->pipes[job] = ends[0];
        children->count++;
    }
    return true;
}

/* Seeds in turn from each child, so that the report does not depend on who was faster. */
static int sim_jobs_collect(const struct sim_jobs_options *options, struct sim_children *children,
                            struct sim_totals *totals)
{
    static struct sim_job_line line;
    bool open[SIM_JOBS_MAX], any = true;
    int status = 0;
    memset(open, true, sizeof(open));
    while (any && !(options->stop && totals->failures > 0)) {
        any = false;
        for (int job = 0; job < children->count; job++) {
            open[job] = open[job] && sim_jobs_read(children->pipes[job], &line);
            if (!open[job])
                continue;
            any = true;
            sim_jobs_add(options, totals, &line);
            sim_jobs_progress(options, totals);
        }
    }
    for (int job = 0; job < children->count; job++) {
        int ended = 0;
        if (options->stop && totals->failures > 0)
            kill(children->pids[job], SIGTERM);
        waitpid(children->pids[job], &ended, 0);
        close(children->pipes[job]);
        if (ended != 0 && !(options->stop && totals->failures > 0)) {
            fprintf(stderr, "btcast-sim: job %d has died (status 0x%x)\n", job, ended);
            status = 1;
        }
    }
    return status;
}

static int sim_jobs_inline(const struct sim_jobs_options *options, const struct model *model,
                           struct sim_totals *totals)
{
    static struct sim_job_line line;
    for (uint64_t seed = options->first; seed <= options->last && sim_jobs_may_begin(options);
         seed++) {
        sim_jobs_seed(options, model, seed, &line);
        sim_jobs_add(options, totals, &line);
        sim_jobs_progress(options, totals);
        if (line.result.failed && options->stop)
            break;
    }
    return 0;
}

int sim_jobs_run(const struct sim_jobs_options *wanted, struct sim_totals *totals)
{
    struct sim_jobs_options begun = *wanted;
    const struct sim_jobs_options *options = &begun;
    begun.began_s = sim_jobs_clock_s();
    struct err err = {0};
    struct model *model;
    struct sim_children children = {.count = 0};
    struct onnx_options onnx = {.feature_schema = feature_schema_hash(),
                                .kernel = MLP_KERNEL_PLAIN};
    /* What agents set aside at their start is hardly touched: it is to come fresh from the
     * kernel each time, not to be cleared, which takes a tenth of a seed. */
    (void)mallopt(M_MMAP_THRESHOLD, SIM_JOBS_MMAP_BYTES);
    if (onnx_read(baseline_file(), &onnx, &model, &err) != ERR_OK) {
        fprintf(stderr, "btcast-sim: %s\n", err.text);
        return 1;
    }
    int status;
    if (options->jobs == 1)
        status = sim_jobs_inline(options, model, totals);
    else if (sim_jobs_fork(options, model, &children))
        status = sim_jobs_collect(options, &children, totals);
    else
        status = 1;
    model_close(model);
    return status;
}
