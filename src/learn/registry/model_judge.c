/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/registry/model_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the bootstrap: a judgement is a function of the outcomes alone. */
#define MODEL_JUDGE_SEED 0x6a75646765ULL

void model_judge_begin(struct model_judge *judge, const struct model_rules_options *options,
                       int64_t after_slot)
{
    memset(judge, 0, sizeof(*judge));
    judge->options = *options;
    judge->slot = after_slot;
    judge->next_look = options->promote_least;
}

static void model_judge_look(struct model_judge *judge)
{
    int look = ++judge->looks;
    judge->next_look *= 2;
    judge->alpha = MODEL_JUDGE_ALPHA / ((double)look * (look + 1));
    judge->better = loss_blocks_low(&judge->blocks, judge->alpha, MODEL_JUDGE_SEED, &judge->mean_bp,
                                    &judge->low_bp) &&
                    judge->low_bp > 0;
}

static bool model_judge_is_worse(const struct model_judge *judge, const struct model_duel *window)
{
    struct model_rules_evidence evidence = {.duel = window};
    return model_rules_rollback(&evidence, &judge->options) == MODEL_BAD_ACCURACY;
}

/* Two windows of up to twice promote_least outcomes, begun half that apart. */
static void model_judge_windows(struct model_judge *judge, double serving, double rival)
{
    uint64_t half = judge->options.promote_least;
    for (int i = 0; i < 2; i++) {
        struct model_duel *window = &judge->windows[i];
        if (i == 1 && judge->outcomes <= half)
            continue;
        if (window->outcomes >= 2 * half)
            *window = (struct model_duel){0};
        model_duel_add(window, serving, rival);
        judge->worse = judge->worse || model_judge_is_worse(judge, window);
    }
}

void model_judge_add(struct model_judge *judge, const struct model_outcome *outcome)
{
    double serving = outcome->loss_serving_bp, rival = outcome->loss_rival_bp;
    if (outcome->slot <= judge->slot || !isfinite(serving) || !isfinite(rival))
        return;
    judge->slot = outcome->slot;
    judge->outcomes++;
    judge->loss_serving += serving;
    judge->loss_rival += rival;
    loss_blocks_add(&judge->blocks, serving - rival);
    model_judge_windows(judge, serving, rival);
    judge->error_grows = page_hinkley_add(&judge->drift, &judge->options.drift, serving);
    if (outcome->latency_us >= 0)
        judge->latency_us[judge->latencies++ % MODEL_JUDGE_LATENCIES] = outcome->latency_us;
    if (judge->outcomes == judge->next_look)
        model_judge_look(judge);
}

void model_judge_see(struct model_judge *judge, const struct feature_psi_reference *reference,
                     const float *values)
{
    feature_psi_add(&judge->psi, reference, values, MODEL_JUDGE_PSI_KEEP);
}

enum model_verdict model_judge_rival(const struct model_judge *judge)
{
    if (judge->looks == 0)
        return MODEL_TOO_EARLY;
    return judge->better ? MODEL_BETTER : MODEL_NOT_BETTER;
}

static int model_judge_compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double model_judge_latency_p99(const struct model_judge *judge)
{
    double sorted[MODEL_JUDGE_LATENCIES];
    size_t count =
        judge->latencies < MODEL_JUDGE_LATENCIES ? (size_t)judge->latencies : MODEL_JUDGE_LATENCIES;
    if (count < judge->options.least_outcomes)
        return 0;
    memcpy(sorted, judge->latency_us, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), model_judge_compare);
    return sorted[count * 99 / 100];
}

static double model_judge_psi(const struct model_judge *judge,
                              const struct feature_psi_reference *reference)
{
    double index = 0;
    if (reference != NULL && judge->psi.seen >= (double)judge->options.promote_least)
        (void)feature_psi_worst(&judge->psi, reference, &index);
    return index;
}

enum model_verdict model_judge_serving(const struct model_judge *judge, bool rival_served,
                                       const struct feature_psi_reference *reference)
{
    if (judge->worse || (rival_served && judge->better))
        return MODEL_BAD_ACCURACY;
    double latency_us = model_judge_latency_p99(judge);
    struct model_rules_evidence evidence = {
        .latency_p99_us = latency_us > 2 * judge->usual_latency_us ? latency_us : 0,
        .worst_psi = model_judge_psi(judge, reference),
        /* What does worse under the new market than this one would not help. */
        .error_grows = judge->error_grows && judge->loss_serving >= judge->loss_rival};
    return model_rules_rollback(&evidence, &judge->options);
}

static void model_judge_figure(struct text *out, const char *name, double value)
{
    text_add_format(out, ",\"%s\":", name);
    text_add_f64(out, value);
}

void model_judge_evidence(const struct model_judge *judge,
                          const struct feature_psi_reference *reference, struct text *out)
{
    double count = judge->outcomes > 0 ? (double)judge->outcomes : 1;
    text_add_format(out, "{\"outcomes\":%llu,\"last_slot\":%lld,\"looks\":%d,\"next_look\":%llu",
                    (unsigned long long)judge->outcomes, (long long)judge->slot, judge->looks,
                    (unsigned long long)judge->next_look);
    model_judge_figure(out, "mae_serving_bp", judge->loss_serving / count);
    model_judge_figure(out, "mae_rival_bp", judge->loss_rival / count);
    model_judge_figure(out, "gain_bp", judge->mean_bp);
    model_judge_figure(out, "gain_low_bp", judge->low_bp);
    model_judge_figure(out, "alpha", judge->alpha);
    model_judge_figure(out, "latency_p99_us", model_judge_latency_p99(judge));
    model_judge_figure(out, "latency_before_us", judge->usual_latency_us);
    model_judge_figure(out, "psi", model_judge_psi(judge, reference));
    model_judge_figure(out, "error_growth", page_hinkley_height(&judge->drift));
    text_add_char(out, '}');
}
