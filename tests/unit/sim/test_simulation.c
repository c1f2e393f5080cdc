/* The simulation itself: its queue, that a seed always takes the same course, and a few
 * seeds as a first look (btcast-sim runs the many). SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/feature.h"
#include "model/baseline.h"
#include "sim/simulation.h"
#include "wire/onnx.h"

#define TEST_SECONDS 12
#define TEST_SEEDS   8

static struct model *test_model;

static int setup(void **state)
{
    struct err err = {0};
    struct onnx_options onnx = {.feature_schema = feature_schema_hash(),
                                .kernel = MLP_KERNEL_PLAIN};
    (void)state;
    return onnx_read(baseline_file(), &onnx, &test_model, &err);
}

static int teardown(void **state)
{
    (void)state;
    model_close(test_model);
    model_reply_drain();
    return 0;
}

static struct simulation_result run(uint64_t seed, bool faults)
{
    struct simulation_result result;
    struct simulation_options options = {.seed = seed,
                                         .seconds = TEST_SECONDS,
                                         .faults = faults,
                                         .only = FAULT_COUNT,
                                         .model = test_model};
    simulation_run(&options, &result);
    return result;
}

static void note(void *context, void *object, uint64_t number)
{
    uint64_t *seen = context;
    (void)object;
    *seen = *seen * 10 + number;
}

static void test_events_come_by_time_and_then_in_their_order(void **state)
{
    struct virtual_queue queue = {.now_us = 100};
    uint64_t seen = 0;
    (void)state;
    virtual_queue_add(&queue, 300, note, &seen, NULL, 4);
    virtual_queue_add(&queue, 200, note, &seen, NULL, 2);
    virtual_queue_add(&queue, 200, note, &seen, NULL, 3);
    virtual_queue_add(&queue, 50, note, &seen, NULL, 1); /* the past is now */
    while (virtual_queue_step(&queue, 250)) {
    }
    assert_int_equal(seen, 123);
    assert_int_equal(queue.now_us, 200);
    assert_true(virtual_queue_step(&queue, 300));
    assert_false(virtual_queue_step(&queue, INT64_MAX));
    assert_int_equal(seen, 1234);
    virtual_queue_close(&queue);
}

static void test_a_seed_always_takes_the_same_course(void **state)
{
    (void)state;
    struct simulation_result first = run(7, true), second = run(7, true), other = run(8, true);
    assert_int_equal(first.hash, second.hash);
    assert_int_equal(first.events, second.events);
    assert_int_not_equal(first.hash, other.hash);
}

static void test_without_faults_every_slot_is_live_and_nothing_is_swapped_twice(void **state)
{
    (void)state;
    struct simulation_result result = run(3, false);
    if (result.failed)
        fail_msg("%s: %s", check_rule_name(result.failure.rule), result.failure.text);
    assert_int_equal(result.swaps, 1);
    assert_int_equal(result.restarts, 0);
    assert_in_range(result.predictions, 15, 17); /* 12 s and the quiet 20 s after them */
}

static void test_a_few_seeds_with_faults_break_no_rule(void **state)
{
    uint32_t faults = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= TEST_SEEDS; seed++) {
        struct simulation_result result = run(seed, true);
        if (result.failed)
            fail_msg("seed %d: %s at %lld us: %s", (int)seed, check_rule_name(result.failure.rule),
                     (long long)result.failure.at_us, result.failure.text);
        faults += result.faults;
    }
    assert_true(faults >= 3 * TEST_SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_come_by_time_and_then_in_their_order),
        cmocka_unit_test(test_a_seed_always_takes_the_same_course),
        cmocka_unit_test(test_without_faults_every_slot_is_live_and_nothing_is_swapped_twice),
        cmocka_unit_test(test_a_few_seeds_with_faults_break_no_rule),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
