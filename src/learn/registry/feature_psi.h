/* Population stability index of each feature: how far its distribution has moved from that of
 * the training data. Bins are the training data's deciles; counts decay, so that the index
 * follows the last hours. Above 0.25 a feature counts as drifted. A pure fold.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_REGISTRY_FEATURE_PSI_H
#define BTCAST_LEARN_REGISTRY_FEATURE_PSI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "market/feature.h"

#define FEATURE_PSI_BINS  10
#define FEATURE_PSI_LIMIT 0.25

/* What the training data looked like. */
struct feature_psi_reference {
    float edges[FEATURE_COUNT][FEATURE_PSI_BINS - 1];
    double share[FEATURE_COUNT][FEATURE_PSI_BINS]; /* sums to 1 */
};

struct feature_psi {
    double counts[FEATURE_COUNT][FEATURE_PSI_BINS];
    double seen; /* decayed */
};

/* Deciles of rows vectors [rows][FEATURE_COUNT]. Values that come often (zeros) make edges
 * equal: the share of what lies between is then 0 and is not counted. ERR_MEMORY; ERR_INVALID
 * with fewer rows than bins. */
int feature_psi_learn(const float *values, uint64_t rows, struct feature_psi_reference *reference,
                      struct err *err) MUST_CHECK;
/* keep: what is left of the old counts with each vector, 1 - 1 / memory in vectors. */
void feature_psi_add(struct feature_psi *fold, const struct feature_psi_reference *reference,
                     const float *values, double keep);
/* The index of one feature; 0 before anything was seen. */
double feature_psi_index(const struct feature_psi *fold,
                         const struct feature_psi_reference *reference, int feature);
/* The feature with the largest index, and it. */
int feature_psi_worst(const struct feature_psi *fold, const struct feature_psi_reference *reference,
                      double *index);

#endif
