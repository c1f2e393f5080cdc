/* A reader polls all four keys without a pause while the book is lost and anchored again and
 * again under 5,000 frames/s: never a missing key, never two epochs in one read. A hundred
 * times; a thousand with BTCAST_LONG=1. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/integration/swap_storm.h"

#define STORM_RATE 5000

static void a_reader_never_sees_a_missing_key_or_two_epochs(void **state)
{
    const char *wish = getenv("BTCAST_LONG");
    int anchors = wish != NULL && wish[0] != 0 && strcmp(wish, "0") != 0 ? 1000 : 100;
    (void)state;
    storm_begin(STORM_RATE, true);
    for (int i = 0; i < anchors; i++)
        storm_anchor();
    double rate = storm_frames_per_s();
    struct world_counters counters = *world_counters(aggregator_world(scene.nodes[0].aggregator));
    until(is_live, 0);
    until(is_written, 0);
    assert_redis_has_the_exchanges_book();
    assert_ttls();
    print_message("%d re-anchors at %.0f frames/s: %llu reads, %llu missing, %llu mixed, "
                  "%llu crossed; from the lost diff at worst %lld ms, swap p50 %lld us, "
                  "p99 %lld us\n",
                  anchors, rate, (unsigned long long)storm.seen->reads,
                  (unsigned long long)storm.seen->missing, (unsigned long long)storm.seen->mixed,
                  (unsigned long long)storm.seen->crossed, (long long)(storm.worst_us / 1000),
                  (long long)(storm_quantile_ns(0.5) / 1000),
                  (long long)(storm_quantile_ns(0.99) / 1000));
    assert_int_equal(storm.seen->errors, 0);
    assert_int_equal(storm.seen->missing, 0);
    assert_int_equal(storm.seen->mixed, 0);
    assert_int_equal(storm.seen->crossed, 0);
    assert_true(storm.seen->reads > (uint64_t)anchors);
    assert_true(counters.gaps >= (uint64_t)anchors);
    assert_int_equal(storm.swaps, anchors);
    storm_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_never_sees_a_missing_key_or_two_epochs),
    };
    return cmocka_run_group_tests_name("swap storm", tests, NULL, NULL);
}
