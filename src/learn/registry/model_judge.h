/* A serving model against the one that predicts beside it, over the slots on which both have an
 * outcome: a pure fold, the same whatever batches the outcomes come in.
 *
 * Better beyond noise is asked at looks: after promote_least outcomes, and each time their number
 * has doubled. Look k may be wrong with a chance of 5 % / (k (k + 1)), all of them together with
 * 5 %, so that looking often does not promote by luck. The bound comes from a block bootstrap.
 * Worse by a share (model_rules_options.worse_by) is asked at each outcome, over windows of the
 * last promote_least to twice as many, so that a model that turns bad after weeks is seen as fast
 * as a new one (DESIGN.md section 7, Registry). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_REGISTRY_MODEL_JUDGE_H
#define BTCAST_LEARN_REGISTRY_MODEL_JUDGE_H

#include "base/text.h"
#include "learn/registry/feature_psi.h"
#include "learn/registry/loss_blocks.h"
#include "learn/registry/model_rules.h"

#define MODEL_JUDGE_ALPHA     0.05
#define MODEL_JUDGE_LATENCIES 900                   /* the last half hour */
#define MODEL_JUDGE_PSI_KEEP  (1.0 - 1.0 / 10800.0) /* six hours */

struct model_outcome {
    int64_t slot;
    double loss_serving_bp, loss_rival_bp; /* absolute errors */
    double latency_us;                     /* of the serving one's prediction; < 0: not known */
};

struct model_judge {
    struct model_rules_options options;
    int64_t slot; /* of the last outcome folded in */
    uint64_t outcomes;
    double loss_serving, loss_rival; /* sums */
    struct loss_blocks blocks;       /* serving - rival */
    int looks;
    uint64_t next_look;
    bool better;                   /* the rival is, as of the last look */
    double mean_bp, low_bp, alpha; /* of the last look */
    struct model_duel windows[2];  /* of the last outcomes, half a length apart */
    bool worse;                    /* the serving one is, by worse_by: from then on */
    struct page_hinkley drift;
    bool error_grows;
    struct feature_psi psi;
    double latency_us[MODEL_JUDGE_LATENCIES];
    uint64_t latencies;
    double usual_latency_us; /* 99th percentile before it served; 0: not known */
};

/* after_slot: outcomes count from the next slot on. */
void model_judge_begin(struct model_judge *judge, const struct model_rules_options *options,
                       int64_t after_slot);
/* In slot order; one that is not above the last is ignored. */
void model_judge_add(struct model_judge *judge, const struct model_outcome *outcome);
/* A vector of live serving, for the drift of features. */
void model_judge_see(struct model_judge *judge, const struct feature_psi_reference *reference,
                     const float *values);

/* Is the rival to take the place of the serving one? TOO_EARLY, NOT_BETTER, BETTER. */
enum model_verdict model_judge_rival(const struct model_judge *judge);
/* Is the serving one to go? KEEP, BAD_*. rival_served: the rival is the model before, to which it
 * gives way also when that is better beyond noise. Latency counts only when it is also twice what
 * it was before this model served: a busy machine is no fault of the model's. Drift counts only
 * when the rival does no worse under it. reference may be NULL. */
enum model_verdict model_judge_serving(const struct model_judge *judge, bool rival_served,
                                       const struct feature_psi_reference *reference);
/* 99th percentile of the latencies seen; 0 before there are enough. */
double model_judge_latency_p99(const struct model_judge *judge);
/* The figures behind a verdict as a JSON object. */
void model_judge_evidence(const struct model_judge *judge,
                          const struct feature_psi_reference *reference, struct text *out);

#endif
