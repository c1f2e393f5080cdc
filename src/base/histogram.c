/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#include <math.h>
#include <pthread.h>

#include "base/check.h"

#define HISTOGRAM_FIRST_NS 1000
#define HISTOGRAM_STEPS    105
static const int64_t histogram_exact_ns[] = {30000000, 100000000};

static int64_t histogram_edge[HISTOGRAM_EDGES];
static pthread_once_t histogram_once = PTHREAD_ONCE_INIT;

static void histogram_build(void)
{
    int count = 0;
    int exact = 0;
    for (int i = 0; i < HISTOGRAM_STEPS; i++) {
        int64_t edge = (int64_t)llround(HISTOGRAM_FIRST_NS * exp2(i / 4.0));
        while (exact < 2 && histogram_exact_ns[exact] < edge)
            histogram_edge[count++] = histogram_exact_ns[exact++];
        histogram_edge[count++] = edge;
    }
    CHECK(count == HISTOGRAM_EDGES);
}

const int64_t *histogram_edges_ns(void)
{
    pthread_once(&histogram_once, histogram_build);
    return histogram_edge;
}

void histogram_add(struct histogram *histogram, int64_t value_ns)
{
    const int64_t *edges = histogram_edges_ns();
    int low = 0;
    int high = HISTOGRAM_EDGES;
    while (low < high) {
        int middle = (low + high) / 2;
        if (value_ns <= edges[middle])
            high = middle;
        else
            low = middle + 1;
    }
    atomic_fetch_add_explicit(&histogram->counts[low], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, value_ns, memory_order_relaxed);
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t total = 0;
    for (int i = 0; i <= HISTOGRAM_EDGES; i++)
        total += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    return total;
}

int64_t histogram_quantile_ns(const struct histogram *histogram, double q)
{
    const int64_t *edges = histogram_edges_ns();
    uint64_t total = histogram_count(histogram);
    if (total == 0)
        return 0;
    double rank = q * (double)total;
    double seen = 0;
    for (int i = 0; i < HISTOGRAM_EDGES; i++) {
        double here = (double)atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        if (here > 0 && seen + here >= rank) {
            double from = i == 0 ? 0 : (double)edges[i - 1];
            double part = (rank - seen) / here;
            return (int64_t)(from + part * ((double)edges[i] - from));
        }
        seen += here;
    }
    return edges[HISTOGRAM_EDGES - 1];
}
