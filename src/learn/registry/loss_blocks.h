/* The mean of paired losses with a bound that does not believe neighbouring slots to be
 * independent: means of blocks, resampled (block bootstrap). Memory is bounded: when the room is
 * used up, neighbouring blocks are joined in pairs. A pure fold.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_REGISTRY_LOSS_BLOCKS_H
#define BTCAST_LEARN_REGISTRY_LOSS_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

/* 17 hours of slots in blocks of 30 s, then of a minute … */
#define LOSS_BLOCKS_MAX       2048
#define LOSS_BLOCKS_FIRST     15 /* slots: three horizons */
#define LOSS_BLOCKS_LEAST     8  /* fewer say nothing */
#define LOSS_BLOCKS_RESAMPLES 2000

/* Zero-initialise. */
struct loss_blocks {
    int size; /* values in a block; 0: LOSS_BLOCKS_FIRST */
    int count, in_block;
    double sum;
    double mean[LOSS_BLOCKS_MAX];
};

/* A value that is not finite is ignored. */
void loss_blocks_add(struct loss_blocks *blocks, double value);
/* Mean over whole blocks, and the quantile `alpha` (0..0.5) of its bootstrap distribution: the
 * mean lies above `low` but for a chance of alpha. false with fewer than LOSS_BLOCKS_LEAST blocks.
 * seed: the same one gives the same bound. */
bool loss_blocks_low(const struct loss_blocks *blocks, double alpha, uint64_t seed, double *mean,
                     double *low);

#endif
