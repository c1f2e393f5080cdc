/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/registry/loss_blocks.h"

#include <math.h>
#include <stdlib.h>

#include "base/prng.h"

static void loss_blocks_join(struct loss_blocks *blocks)
{
    for (int i = 0; i < blocks->count / 2; i++)
        blocks->mean[i] = 0.5 * (blocks->mean[2 * i] + blocks->mean[2 * i + 1]);
    blocks->count /= 2;
    blocks->size *= 2;
}

void loss_blocks_add(struct loss_blocks *blocks, double value)
{
    if (!isfinite(value))
        return;
    if (blocks->size == 0)
        blocks->size = LOSS_BLOCKS_FIRST;
    blocks->sum += value;
    if (++blocks->in_block < blocks->size)
        return;
    blocks->mean[blocks->count++] = blocks->sum / blocks->size;
    blocks->sum = 0;
    blocks->in_block = 0;
    if (blocks->count == LOSS_BLOCKS_MAX)
        loss_blocks_join(blocks);
}

static int loss_blocks_compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double loss_blocks_resample(const struct loss_blocks *blocks, struct prng *prng)
{
    double sum = 0;
    for (int i = 0; i < blocks->count; i++)
        sum += blocks->mean[prng_below(prng, (uint64_t)blocks->count)];
    return sum / blocks->count;
}

bool loss_blocks_low(const struct loss_blocks *blocks, double alpha, uint64_t seed, double *mean,
                     double *low)
{
    double means[LOSS_BLOCKS_RESAMPLES];
    struct prng prng;
    *mean = *low = 0;
    if (blocks->count < LOSS_BLOCKS_LEAST)
        return false;
    for (int i = 0; i < blocks->count; i++)
        *mean += blocks->mean[i] / blocks->count;
    prng_init(&prng, seed);
    for (int i = 0; i < LOSS_BLOCKS_RESAMPLES; i++)
        means[i] = loss_blocks_resample(blocks, &prng);
    qsort(means, LOSS_BLOCKS_RESAMPLES, sizeof(means[0]), loss_blocks_compare);
    *low = means[(int)(alpha * LOSS_BLOCKS_RESAMPLES)];
    return true;
}
