/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/registry/model_rules.h"

#include <math.h>
#include <stddef.h>

const struct model_rules_options model_rules_defaults = {
    .least_outcomes = 150,
    .worse_by = 0.2,
    .deviations = 2,
    .promote_least = 900,
    .latency_limit_us = 100000,
    .psi_limit = 0.25,
    /* Basis points of absolute error: a 10 s move is about 3.7 of them. */
    .drift = {.tolerance = 0.25, .threshold = 200, .least = 300},
};

void model_duel_add(struct model_duel *duel, double loss_a, double loss_b)
{
    if (!isfinite(loss_a) || !isfinite(loss_b))
        return;
    int size = duel->block_size > 0 ? duel->block_size : MODEL_DUEL_BLOCK;
    duel->outcomes++;
    duel->loss_a += loss_a;
    duel->loss_b += loss_b;
    duel->block_sum += loss_a - loss_b;
    if (++duel->in_block < size)
        return;
    double value = duel->block_sum / size, before = duel->mean;
    duel->blocks++;
    duel->mean += (value - before) / (double)duel->blocks;
    duel->squares += (value - before) * (value - duel->mean);
    duel->in_block = 0;
    duel->block_sum = 0;
}

bool model_duel_difference(const struct model_duel *duel, double *mean, double *error)
{
    *mean = duel->mean;
    *error = 0;
    if (duel->blocks < 2)
        return false;
    double count = (double)duel->blocks;
    *error = sqrt(duel->squares / (count - 1) / count);
    return true;
}

enum model_verdict model_rules_promote(const struct model_duel *duel,
                                       const struct model_rules_options *options)
{
    double mean, error;
    if (duel->outcomes < options->promote_least || !model_duel_difference(duel, &mean, &error))
        return MODEL_TOO_EARLY;
    return mean > 0 && mean > options->deviations * error ? MODEL_BETTER : MODEL_NOT_BETTER;
}

static bool model_rules_is_worse(const struct model_duel *duel,
                                 const struct model_rules_options *options)
{
    double mean, error;
    if (duel->outcomes < options->least_outcomes || !model_duel_difference(duel, &mean, &error))
        return false;
    return duel->loss_a > duel->loss_b * (1 + options->worse_by) &&
           mean > options->deviations * error;
}

enum model_verdict model_rules_rollback(const struct model_rules_evidence *evidence,
                                        const struct model_rules_options *options)
{
    if (evidence->duel != NULL && model_rules_is_worse(evidence->duel, options))
        return MODEL_BAD_ACCURACY;
    if (evidence->latency_p99_us > options->latency_limit_us)
        return MODEL_BAD_LATENCY;
    if (evidence->error_grows && evidence->worst_psi > options->psi_limit)
        return MODEL_BAD_DRIFT;
    return MODEL_KEEP;
}

const char *model_verdict_name(enum model_verdict verdict)
{
    static const char *const names[] = {"keep",         "too early",   "better", "not better",
                                        "bad accuracy", "bad latency", "drift"};
    return names[verdict];
}
