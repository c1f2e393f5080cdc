/* The Page-Hinkley test for a mean that has grown: the sum of what lies above the running mean
 * by more than a tolerance, measured from its lowest point. A pure fold. E. S. Page,
 * "Continuous inspection schemes", Biometrika 41 (1954). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_REGISTRY_PAGE_HINKLEY_H
#define BTCAST_LEARN_REGISTRY_PAGE_HINKLEY_H

#include <stdbool.h>
#include <stdint.h>

/* In units of the values. */
struct page_hinkley_options {
    double tolerance; /* growth that does not matter */
    double threshold; /* alarm above it */
    uint64_t least;   /* values before any alarm */
};

struct page_hinkley {
    uint64_t count;
    double mean, sum, lowest;
};

/* Folds one value in; true: alarm (and from then on, until the fold is zeroed). Values that are
 * not finite are ignored. */
bool page_hinkley_add(struct page_hinkley *fold, const struct page_hinkley_options *options,
                      double value);
/* How far the sum is above its lowest point. */
double page_hinkley_height(const struct page_hinkley *fold);

#endif
