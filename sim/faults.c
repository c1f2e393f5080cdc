/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/faults.h"

#include <string.h>

#include "sim/simulation.h"

/* The first seconds are for the system to come up. */
#define FAULTS_FROM_US   4000000
#define FAULTS_LOOSE_MIN 2
#define FAULTS_LOOSE_MAX 5
/* Between two losses of the book. */
#define FAULTS_SPACE_US 9000000

const char *fault_name(enum fault_kind kind)
{
    static const char *const names[FAULT_COUNT] = {
#define X(constant, name, text) name,
        FAULT_TABLE(X)
#undef X
    };
    return names[kind];
}

const char *fault_text(enum fault_kind kind)
{
    static const char *const texts[FAULT_COUNT] = {
#define X(constant, name, text) text,
        FAULT_TABLE(X)
#undef X
    };
    return texts[kind];
}

enum fault_kind fault_find(const char *name)
{
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (strcmp(name, fault_name((enum fault_kind)kind)) == 0)
            return (enum fault_kind)kind;
    return FAULT_COUNT;
}

void faults_lasts(struct faults *faults, int64_t until_us)
{
    if (until_us > faults->last_end_us)
        faults->last_end_us = until_us;
}

static void faults_inject(struct faults *faults, enum fault_kind kind)
{
    struct simulation *simulation = faults->simulation;
    if (!fault_apply(faults, kind))
        return;
    faults_lasts(faults, simulation->queue.now_us);
    faults->hits[kind][simulation->step_now]++;
    faults->total++;
    simulation_mix(simulation, (uint64_t)kind << 40);
}

static void faults_on_time(void *context, void *object, uint64_t number)
{
    struct faults *faults = context;
    (void)object;
    if (!faults->simulation->ending)
        faults_inject(faults, (enum fault_kind)number);
}

/* The book is lost now; the next aimed fault waits for its step. */
static void faults_on_episode(void *context, void *object, uint64_t number)
{
    struct faults *faults = context;
    (void)object;
    if (faults->simulation->ending)
        return;
    faults->aimed_open = (int)number + 1;
    faults_inject(faults, FAULT_DROP_DIFF);
}

static void faults_on_aimed(void *context, void *object, uint64_t number)
{
    struct faults *faults = context;
    (void)object;
    if (faults->simulation->ending)
        return;
    if (faults->simulation->step_now != faults->aimed[number].step)
        faults->aimed[number].fired = false; /* too late: at its next time */
    else
        faults_inject(faults, faults->aimed[number].kind);
}

void faults_on_step(struct faults *faults, enum anchor_step step, int64_t span_us)
{
    /* What comes at the end is quiet: one that still waits for its step waits in vain. */
    if (faults->simulation->queue.now_us >= faults->simulation->end_us)
        return;
    for (int i = 0; i < faults->aimed_open; i++) {
        if (faults->aimed[i].fired || faults->aimed[i].step != step)
            continue;
        faults->aimed[i].fired = true;
        int64_t after_us = (int64_t)prng_below(&faults->prng, (uint64_t)span_us + 1);
        virtual_queue_add(&faults->simulation->queue, faults->simulation->queue.now_us + after_us,
                          faults_on_aimed, faults, NULL, (uint64_t)i);
        return;
    }
}

/* The seeds take all faults at all steps in turn, so that many seeds bring each pair equally
 * often; where a row begins is drawn, for each place in the plan, so that what meets in one
 * seed is another each time. */
static void faults_aim(struct faults *faults, int at)
{
    const struct simulation_options *options = &faults->simulation->options;
    const uint64_t pairs = (uint64_t)FAULT_COUNT * STEP_COUNT;
    struct prng prng;
    prng_init(&prng, options->seed / pairs * FAULT_AIMED_MAX + (uint64_t)at);
    uint64_t pair = (options->seed + prng_below(&prng, pairs)) % pairs;
    faults->aimed[at].kind =
        options->only == FAULT_COUNT ? (enum fault_kind)(pair % FAULT_COUNT) : options->only;
    faults->aimed[at].step = (enum anchor_step)(pair / FAULT_COUNT);
}

static enum fault_kind faults_draw(struct faults *faults)
{
    enum fault_kind only = faults->simulation->options.only;
    enum fault_kind drawn = (enum fault_kind)prng_below(&faults->prng, FAULT_COUNT);
    return only == FAULT_COUNT ? drawn : only;
}

void faults_open(struct faults *faults, struct simulation *simulation)
{
    const struct simulation_options *options = &simulation->options;
    faults->simulation = simulation;
    prng_init(&faults->prng, options->seed * 2 + 1);
    if (!options->faults)
        return;
    int64_t from_us = simulation->start_us + FAULTS_FROM_US;
    int64_t span_us = simulation->end_us - from_us;
    if (span_us <= 0)
        return;
    int loose =
        FAULTS_LOOSE_MIN + (int)prng_below(&faults->prng, FAULTS_LOOSE_MAX - FAULTS_LOOSE_MIN + 1);
    for (int i = 0; i < loose; i++)
        virtual_queue_add(&simulation->queue,
                          from_us + (int64_t)prng_below(&faults->prng, (uint64_t)span_us),
                          faults_on_time, faults, NULL, (uint64_t)faults_draw(faults));
    int64_t at_us = from_us;
    for (int i = 0; i < FAULT_AIMED_MAX && at_us < simulation->end_us; i++) {
        at_us += (int64_t)prng_below(&faults->prng, FAULTS_SPACE_US / 2);
        faults_aim(faults, i);
        virtual_queue_add(&simulation->queue, at_us, faults_on_episode, faults, NULL, (uint64_t)i);
        at_us += FAULTS_SPACE_US;
    }
}
