/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/registry/page_hinkley.h"

#include <math.h>

double page_hinkley_height(const struct page_hinkley *fold)
{
    return fold->sum - fold->lowest;
}

bool page_hinkley_add(struct page_hinkley *fold, const struct page_hinkley_options *options,
                      double value)
{
    if (isfinite(value)) {
        fold->count++;
        fold->mean += (value - fold->mean) / (double)fold->count;
        fold->sum += value - fold->mean - options->tolerance;
        if (fold->sum < fold->lowest)
            fold->lowest = fold->sum;
    }
    return fold->count >= options->least && page_hinkley_height(fold) > options->threshold;
}
