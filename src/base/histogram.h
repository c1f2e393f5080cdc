/* Latency histogram: nanoseconds in, logarithmic buckets (four to the octave from
 * 1 us to about 67 s) with extra edges at exactly 30 ms and 100 ms, so that the
 * specified limits can be read without interpolation (ARCHITECTURE.md of the
 * specification, "Latency Requirements"). One writer, any readers: counts are
 * relaxed atomics. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_HISTOGRAM_H
#define BTCAST_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

/* 26 octaves of 4 edges, the closing edge and the two exact ones. */
#define HISTOGRAM_EDGES 107

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_EDGES + 1]; /* the last one: above every edge */
    _Atomic int64_t sum_ns;
};

/* Upper edges in nanoseconds, ascending; bucket i holds values <= edge i. */
const int64_t *histogram_edges_ns(void);
/* Negative values (clock skew is data) count in the first bucket as they are. */
void histogram_add(struct histogram *histogram, int64_t value_ns);
uint64_t histogram_count(const struct histogram *histogram);
/* Estimate of the q quantile (0..1) by interpolation within a bucket; 0 when empty. */
int64_t histogram_quantile_ns(const struct histogram *histogram, double q);

#endif
