/* Inside the evaluation: error sums and their moving-block bootstrap (Künsch 1989). Included
 * by evaluation*.c only. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_EVALUATION_SUMS_H
#define BTCAST_LEARN_TRAIN_EVALUATION_SUMS_H

#include "learn/train/evaluation.h"

/* Fills errors, R2, hit rates, their differences and intervals. */
int evaluation_sums(const struct evaluation_input *input, const struct forecast *forecast,
                    struct evaluation *out, struct err *err) MUST_CHECK;
/* A random order of 0..count-1. */
void evaluation_permute(uint64_t seed, size_t *order, size_t count);

#endif
