/* The search for hyperparameters: seeded draws, and successive halving (Jamieson and
 * Talwalkar 2016) over them. Says who trains how far; training is the caller's. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_SEARCH_H
#define BTCAST_LEARN_TRAIN_SEARCH_H

#include "learn/train/fit.h"

#define SEARCH_TRIALS_MAX 64
/* Epochs of the first rung; each rung keeps the better half and doubles the epochs. */
#define SEARCH_FIRST_EPOCHS 3

/* The settings that stand when nothing is searched. rows: that are trained on. */
void search_defaults(uint64_t seed, int epochs, size_t rows, struct fit_options *options);
/* trials[0] is base; the others are drawn around it. */
void search_draw(const struct fit_options *base, uint64_t seed, struct fit_options *trials,
                 int count);

/* Who is still in, and how far this rung goes. */
struct search {
    int count; /* alive */
    int alive[SEARCH_TRIALS_MAX];
    int epochs; /* train each to so many epochs in all */
};
void search_begin(struct search *search, int trials);
/* errors[i] of alive[i]: keeps the better half (ties: the earlier trial) in order of merit.
 * One trial is left: its epochs are unlimited (FIT_EPOCHS_MAX). */
void search_halve(struct search *search, const double *errors);
/* Error that counts for a rung: the least validation error of the first `epochs`. */
double search_error(const struct fit *fit, int epochs);

#endif
