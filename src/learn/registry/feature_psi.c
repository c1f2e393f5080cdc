/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/registry/feature_psi.h"

#include <math.h>
#include <stdlib.h>

/* An empty bin counts as this much of one: the logarithm needs something. */
#define FEATURE_PSI_LEAST 1e-4

static int feature_psi_compare(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* The bin of a value: how many edges lie below it. */
static int feature_psi_bin(const float *edges, float value)
{
    int bin = 0;
    while (bin < FEATURE_PSI_BINS - 1 && value > edges[bin])
        bin++;
    return bin;
}

static void feature_psi_learn_one(float *column, uint64_t rows, float *edges, double *share)
{
    qsort(column, rows, sizeof(*column), feature_psi_compare);
    for (int i = 0; i < FEATURE_PSI_BINS - 1; i++)
        edges[i] = column[rows * (uint64_t)(i + 1) / FEATURE_PSI_BINS];
    for (int i = 0; i < FEATURE_PSI_BINS; i++)
        share[i] = 0;
    for (uint64_t row = 0; row < rows; row++)
        share[feature_psi_bin(edges, column[row])] += 1.0 / (double)rows;
}

int feature_psi_learn(const float *values, uint64_t rows, struct feature_psi_reference *reference,
                      struct err *err)
{
    if (rows < FEATURE_PSI_BINS)
        return err_set(err, ERR_INVALID, "%llu rows are too few for a distribution",
                       (unsigned long long)rows);
    float *column = malloc(rows * sizeof(*column));
    if (column == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (int feature = 0; feature < FEATURE_COUNT; feature++) {
        for (uint64_t row = 0; row < rows; row++)
            column[row] = values[row * FEATURE_COUNT + (uint64_t)feature];
        feature_psi_learn_one(column, rows, reference->edges[feature], reference->share[feature]);
    }
    free(column);
    return ERR_OK;
}

void feature_psi_add(struct feature_psi *fold, const struct feature_psi_reference *reference,
                     const float *values, double keep)
{
    fold->seen = fold->seen * keep + 1;
    for (int feature = 0; feature < FEATURE_COUNT; feature++) {
        for (int bin = 0; bin < FEATURE_PSI_BINS; bin++)
            fold->counts[feature][bin] *= keep;
        fold->counts[feature][feature_psi_bin(reference->edges[feature], values[feature])] += 1;
    }
}

double feature_psi_index(const struct feature_psi *fold,
                         const struct feature_psi_reference *reference, int feature)
{
    double index = 0;
    if (!(fold->seen > 0))
        return 0;
    for (int bin = 0; bin < FEATURE_PSI_BINS; bin++) {
        double was = reference->share[feature][bin];
        double is = fold->counts[feature][bin] / fold->seen;
        if (was <= 0 && is <= 0)
            continue;
        was = was > FEATURE_PSI_LEAST ? was : FEATURE_PSI_LEAST;
        is = is > FEATURE_PSI_LEAST ? is : FEATURE_PSI_LEAST;
        index += (is - was) * log(is / was);
    }
    return index;
}

int feature_psi_worst(const struct feature_psi *fold, const struct feature_psi_reference *reference,
                      double *index)
{
    int worst = 0;
    *index = 0;
    for (int feature = 0; feature < FEATURE_COUNT; feature++) {
        double one = feature_psi_index(fold, reference, feature);
        if (one > *index) {
            *index = one;
            worst = feature;
        }
    }
    return worst;
}
