/* How long the swap of the four keys takes at the client: 200 re-anchors a run over a real
 * redis-server under 5,000 frames/s, so that five runs are a thousand. Prints
 * name<TAB>value<TAB>unit. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "tests/integration/swap_storm.h"

#define SWAPS      200
#define STORM_RATE 5000

int main(void)
{
    log_init("bench_swap", LOG_ERROR, loop_wall_us);
    storm_begin(STORM_RATE, false);
    for (int i = 0; i < SWAPS; i++)
        storm_anchor();
    printf("swap.p50\t%.1f\tus\n", (double)storm_quantile_ns(0.5) / 1e3);
    printf("swap.p99\t%.1f\tus\n", (double)storm_quantile_ns(0.99) / 1e3);
    fprintf(stderr, "bench_swap: %.0f frames/s, from the lost diff at worst %lld ms\n",
            storm_frames_per_s(), (long long)(storm.worst_us / 1000));
    storm_end();
    return 0;
}
