/* The rules that bring a model in and take it out, as pure folds over outcomes in slot order.
 *
 * Promotion: better than the serving model on the same slots, beyond noise: the mean difference
 * of their absolute errors, over blocks of slots (neighbouring outcomes share most of their
 * 10 s), must exceed zero by a multiple of its standard error.
 * Rollback: mean absolute error over 20 % above that of the previous model, which goes on as a
 * shadow, over at least 150 outcomes, and beyond noise as well; latency; drift (an unstable feature
 * together with an error that has grown, since a market that has merely changed is no fault of
 * the model's). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_REGISTRY_MODEL_RULES_H
#define BTCAST_LEARN_REGISTRY_MODEL_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "learn/registry/page_hinkley.h"

/* Differences of paired losses, in blocks. */
struct model_duel {
    int block_size;
    uint64_t outcomes, blocks;
    double loss_a, loss_b; /* sums */
    int in_block;
    double block_sum;
    double mean, squares; /* of the blocks' means (Welford) */
};

#define MODEL_DUEL_BLOCK 15 /* slots: three horizons */

/* One slot on which both have an outcome. Values that are not finite are ignored. */
void model_duel_add(struct model_duel *duel, double loss_a, double loss_b);
/* Mean of loss_a - loss_b over whole blocks, and its standard error; false with fewer than two
 * blocks. */
bool model_duel_difference(const struct model_duel *duel, double *mean, double *error);

struct model_rules_options {
    uint64_t least_outcomes; /* 150 */
    double worse_by;         /* 0.2: 20 % */
    double deviations;       /* 2: beyond noise */
    uint64_t promote_least;  /* 900 outcomes: half an hour */
    double latency_limit_us; /* of the 99th percentile, 100,000 */
    double psi_limit;        /* FEATURE_PSI_LIMIT */
    struct page_hinkley_options drift;
};
extern const struct model_rules_options model_rules_defaults;

enum model_verdict {
    MODEL_KEEP,         /* nothing to do */
    MODEL_TOO_EARLY,    /* promotion: not enough outcomes yet */
    MODEL_BETTER,       /* promotion: yes */
    MODEL_NOT_BETTER,   /* promotion: no */
    MODEL_BAD_ACCURACY, /* rollback, by cause */
    MODEL_BAD_LATENCY,
    MODEL_BAD_DRIFT,
};
const char *model_verdict_name(enum model_verdict verdict);

/* duel: a = the serving model, b = the candidate. */
enum model_verdict model_rules_promote(const struct model_duel *duel,
                                       const struct model_rules_options *options);

/* What is known of the serving model. duel: a = serving, b = the previous one. */
struct model_rules_evidence {
    const struct model_duel *duel;
    double latency_p99_us;
    double worst_psi;
    bool error_grows; /* page_hinkley's alarm on the absolute error */
};
enum model_verdict model_rules_rollback(const struct model_rules_evidence *evidence,
                                        const struct model_rules_options *options);

#endif
