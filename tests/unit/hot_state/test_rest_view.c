/* The image of the REST view: what comes out again, what is refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "hot/state/rest_view.h"

static struct rest_view random_view(struct prng *prng)
{
    struct rest_view view = {.received_us = 1 + (int64_t)prng_below(prng, 1u << 30),
                             .last_update_id = (int64_t)prng_below(prng, 1u << 30),
                             .price_exponent = -(int)prng_below(prng, 19),
                             .qty_exponent = -(int)prng_below(prng, 19),
                             .best_bid = 1 + (int64_t)prng_below(prng, 1u << 30),
                             .has_vector = prng_below(prng, 2) == 1,
                             .schema = feature_schema_hash(),
                             .as_of_us = (int64_t)prng_below(prng, 1u << 30),
                             .slot_mid_count = (int)prng_below(prng, WORLD_SLOT_MIDS + 1)};
    snprintf(view.symbol, sizeof(view.symbol), "S%llu",
             (unsigned long long)prng_below(prng, 1000000000));
    view.best_ask = view.best_bid + 1 + (int64_t)prng_below(prng, 1000);
    view.mid2 = view.best_bid + view.best_ask;
    for (int i = 0; view.has_vector && i < FEATURE_COUNT; i++)
        view.values[i] = (float)prng_normal(prng);
    for (int i = 0; i < view.slot_mid_count; i++)
        view.slot_mids[i] = (struct world_slot_mid){.slot = (int64_t)prng_below(prng, 1u << 30),
                                                    .mid2 = (int64_t)prng_below(prng, 1u << 30),
                                                    .valid = prng_below(prng, 2) == 1};
    return view;
}

static void assert_view_equal(const struct rest_view *a, const struct rest_view *b)
{
    assert_string_equal(a->symbol, b->symbol);
    assert_int_equal(a->received_us, b->received_us);
    assert_int_equal(a->last_update_id, b->last_update_id);
    assert_int_equal(a->price_exponent, b->price_exponent);
    assert_int_equal(a->qty_exponent, b->qty_exponent);
    assert_int_equal(a->best_bid, b->best_bid);
    assert_int_equal(a->best_ask, b->best_ask);
    assert_int_equal(a->mid2, b->mid2);
    assert_int_equal(a->has_vector, b->has_vector);
    assert_int_equal(a->schema, b->schema);
    assert_int_equal(a->as_of_us, b->as_of_us);
    assert_memory_equal(a->values, b->values, sizeof(a->values));
    assert_int_equal(a->slot_mid_count, b->slot_mid_count);
    for (int i = 0; i < a->slot_mid_count; i++) {
        assert_int_equal(a->slot_mids[i].slot, b->slot_mids[i].slot);
        assert_int_equal(a->slot_mids[i].mid2, b->slot_mids[i].mid2);
        assert_int_equal(a->slot_mids[i].valid, b->slot_mids[i].valid);
    }
}

static int read_image(const uint8_t *image, struct rest_view *view)
{
    return rest_view_read(bytes_of(image, REST_VIEW_SIZE), view, NULL);
}

static void what_is_written_comes_out_again(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 500; i++) {
        uint8_t image[REST_VIEW_SIZE];
        struct rest_view view = random_view(&prng), again;
        rest_view_write(&view, 2 * prng_below(&prng, 1000), image);
        assert_int_equal(read_image(image, &again), ERR_OK);
        assert_view_equal(&view, &again);
    }
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct prng prng;
    uint8_t image[REST_VIEW_SIZE];
    prng_init(&prng, 2);
    struct rest_view view = random_view(&prng), again;
    rest_view_write(&view, 42, image);
    for (size_t bit = 0; bit < 8 * REST_VIEW_SIZE; bit++) {
        image[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int result = read_image(image, &again);
        assert_int_equal(result, bit == 64 ? ERR_AGAIN : ERR_CORRUPT);
        image[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(read_image(image, &again), ERR_OK);
}

static void an_image_torn_between_two_is_refused(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    int torn = 0;
    for (int i = 0; i < 2000; i++) {
        uint8_t old[REST_VIEW_SIZE], image[REST_VIEW_SIZE];
        struct rest_view first = random_view(&prng), second = random_view(&prng), again;
        rest_view_write(&first, 2 * (uint64_t)i, old);
        rest_view_write(&second, 2 * (uint64_t)i + 2, image);
        /* Any span of the new one over the old one. */
        size_t from = prng_below(&prng, REST_VIEW_SIZE), to = prng_below(&prng, REST_VIEW_SIZE);
        if (from < to)
            memcpy(image + from, old + from, to - from);
        int result = read_image(image, &again);
        if (result == ERR_OK) {
            uint8_t whole[REST_VIEW_SIZE];
            uint64_t sequence = bytes_load_u64(image + 8);
            rest_view_write(sequence == 2 * (uint64_t)i ? &first : &second, sequence, whole);
            assert_memory_equal(whole, image, REST_VIEW_SIZE);
        } else {
            assert_int_equal(result, ERR_CORRUPT);
            torn++;
        }
    }
    assert_true(torn > 200);
}

static void an_image_that_was_never_written_is_empty(void **state)
{
    (void)state;
    uint8_t image[REST_VIEW_SIZE] = {0};
    struct rest_view view;
    assert_int_equal(read_image(image, &view), ERR_EMPTY);
    assert_int_equal(rest_view_read(bytes_of(image, 100), &view, NULL), ERR_CORRUPT);
    image[8] = 1; /* the very first one is being written */
    assert_int_equal(read_image(image, &view), ERR_AGAIN);
    assert_int_equal(rest_view_read(bytes_of(image, 0), &view, NULL), ERR_CORRUPT);
}

static void another_schema_costs_only_the_vector(void **state)
{
    (void)state;
    struct prng prng;
    uint8_t image[REST_VIEW_SIZE];
    prng_init(&prng, 4);
    struct rest_view view = random_view(&prng), again;
    view.has_vector = true;
    view.schema ^= 1;
    view.values[0] = 1.0f;
    rest_view_write(&view, 2, image);
    assert_int_equal(read_image(image, &again), ERR_SCHEMA);
    assert_false(again.has_vector);
    assert_int_equal(again.mid2, view.mid2);
    assert_int_equal(again.slot_mid_count, view.slot_mid_count);
}

static void values_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 5);
    for (int kind = 0; kind < 6; kind++) {
        uint8_t image[REST_VIEW_SIZE];
        struct rest_view view = random_view(&prng), again;
        view.has_vector = true;
        switch (kind) {
        case 0:
            view.best_ask = view.best_bid;
            break;
        case 1:
            view.mid2 = 0;
            break;
        case 2:
            view.price_exponent = 19;
            break;
        case 3:
            view.values[7] = NAN;
            break;
        case 4:
            view.received_us = 0;
            break;
        default:
            view.best_bid = -1;
            break;
        }
        rest_view_write(&view, 2, image);
        assert_int_equal(read_image(image, &again), ERR_CORRUPT);
        assert_int_equal(again.mid2, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_out_again),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(an_image_torn_between_two_is_refused),
        cmocka_unit_test(an_image_that_was_never_written_is_empty),
        cmocka_unit_test(another_schema_costs_only_the_vector),
        cmocka_unit_test(values_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
