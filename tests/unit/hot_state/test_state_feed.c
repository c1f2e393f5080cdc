/* Control records after a restart: what the checkpoint's world has already is not placed
 * once more, what it does not have is. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hot/state/anchor_document.h"
#include "hot/state/state_feed.h"
#include "wire/envelope.h"

#define TEST_EPOCH 5
#define TEST_SEQ   100

struct scene {
    struct world *world;
    struct state_feed *feed;
    int anchored;
    char document[1024];
    size_t document_size;
};

static void scene_on_effects(void *context, unsigned effects, const struct record *record, bool own)
{
    struct scene *scene = context;
    (void)record;
    (void)own;
    scene->anchored += (effects & WORLD_ANCHORED) != 0;
}

static void scene_restart(struct scene *scene, bool anchored)
{
    static const struct stream_position oldest[STREAM_COUNT];
    struct err err = {0};
    assert_int_equal(state_feed_restart(scene->feed, TEST_EPOCH, TEST_SEQ, anchored, oldest, &err),
                     ERR_OK);
}

static void scene_open(struct scene *scene)
{
    struct world_options world = {.symbol = "BTCUSDT"};
    struct state_feed_options options = {
        .symbol = "BTCUSDT", .hold_us = 50000, .arena_bytes_max = 1 << 20, .records_max = 64};
    struct anchor_document document = {
        .symbol = "BTCUSDT", .token = "t-1", .cause = "test", .received_us = 1};
    struct text text = text_begin(scene->document, sizeof(scene->document));
    struct err err = {0};
    assert_int_equal(world_open(&world, &scene->world, &err), ERR_OK);
    assert_int_equal(
        state_feed_open(&options, scene->world, scene_on_effects, scene, &scene->feed, &err),
        ERR_OK);
    anchor_document_write(&document,
                          bytes_text("{\"lastUpdateId\":70,\"bids\":[[\"10.00\",\"1.0\"]],"
                                     "\"asks\":[[\"11.00\",\"1.0\"]]}"),
                          &text);
    scene->document_size = text.size;
    scene_restart(scene, false);
}

static void scene_close(struct scene *scene)
{
    state_feed_close(scene->feed);
    world_close(scene->world);
}

static void scene_deliver(struct scene *scene, uint64_t seq)
{
    uint8_t buffer[2048];
    struct envelope_writer writer;
    struct record record = {.epoch = TEST_EPOCH,
                            .seq = seq,
                            .recv_us = 1,
                            .kind = RECORD_ANCHOR,
                            .payload = bytes_of(scene->document, scene->document_size)};
    envelope_begin(&writer, buffer, sizeof(buffer), "BTCUSDT", TEST_EPOCH);
    assert_int_equal(envelope_add(&writer, &record), ERR_OK);
    struct stream_record entry = {.stream = STREAM_CONTROL, .data = envelope_finish(&writer)};
    state_feed_record(scene->feed, &entry, "1-0");
}

static void test_an_anchor_from_before_the_checkpoint_is_not_placed_again(void **state)
{
    struct scene scene = {0};
    (void)state;
    scene_open(&scene);
    scene_deliver(&scene, TEST_SEQ - 1);
    assert_int_equal(scene.anchored, 0);
    assert_int_equal(state_feed_counters(scene.feed)->controls_known, 1);
    assert_int_equal(state_feed_counters(scene.feed)->controls_late, 0);
    scene_close(&scene);
}

static void test_an_anchor_at_the_place_is_placed_when_the_world_does_not_have_it(void **state)
{
    struct scene scene = {0};
    (void)state;
    scene_open(&scene);
    scene_deliver(&scene, TEST_SEQ);
    assert_int_equal(scene.anchored, 1);
    assert_int_equal(state_feed_counters(scene.feed)->controls_known, 0);
    scene_close(&scene);
}

static void test_the_anchor_that_the_saved_world_has_is_not_placed_again(void **state)
{
    struct scene scene = {0};
    (void)state;
    scene_open(&scene);
    assert_false(state_feed_is_anchored(scene.feed));
    scene_deliver(&scene, TEST_SEQ);
    assert_true(state_feed_is_anchored(scene.feed));
    scene_restart(&scene, true); /* as a checkpoint made after it would */
    assert_true(state_feed_is_anchored(scene.feed));
    scene_deliver(&scene, TEST_SEQ);
    assert_int_equal(scene.anchored, 1);
    assert_int_equal(state_feed_counters(scene.feed)->controls_known, 1);
    scene_close(&scene);
}

/* The book lives and is newer than the snapshot: that the world has not got the anchor only the
 * checkpoint knows, which was made before it. */
static void test_an_anchor_of_a_live_book_is_placed_when_the_checkpoint_is_older(void **state)
{
    struct scene scene = {0};
    (void)state;
    scene_open(&scene);
    scene_deliver(&scene, TEST_SEQ);
    scene_restart(&scene, false);
    scene_deliver(&scene, TEST_SEQ);
    assert_int_equal(scene.anchored, 2);
    assert_int_equal(state_feed_counters(scene.feed)->controls_known, 0);
    scene_close(&scene);
}

/* By its writer, after the store had lost it. */
static void test_an_anchor_that_is_sent_again_is_not_placed_again(void **state)
{
    struct scene scene = {0};
    (void)state;
    scene_open(&scene);
    scene_deliver(&scene, TEST_SEQ);
    assert_int_equal(scene.anchored, 1);
    scene_deliver(&scene, TEST_SEQ);
    assert_int_equal(scene.anchored, 1);
    assert_int_equal(state_feed_counters(scene.feed)->controls_known, 1);
    assert_int_equal(state_feed_counters(scene.feed)->controls_late, 0);
    scene_close(&scene);
}

static void test_an_own_anchor_takes_its_place_until_it_is_undone(void **state)
{
    struct scene scene = {0};
    struct record record;
    (void)state;
    scene_open(&scene);
    struct bytes document = bytes_of(scene.document, scene.document_size);
    assert_true(state_feed_anchor(scene.feed, document, &record) & WORLD_ANCHORED);
    assert_true(state_feed_is_anchored(scene.feed));
    state_feed_anchor_undone(scene.feed, &record);
    assert_false(state_feed_is_anchored(scene.feed));
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_anchor_from_before_the_checkpoint_is_not_placed_again),
        cmocka_unit_test(test_an_anchor_at_the_place_is_placed_when_the_world_does_not_have_it),
        cmocka_unit_test(test_the_anchor_that_the_saved_world_has_is_not_placed_again),
        cmocka_unit_test(test_an_anchor_of_a_live_book_is_placed_when_the_checkpoint_is_older),
        cmocka_unit_test(test_an_anchor_that_is_sent_again_is_not_placed_again),
        cmocka_unit_test(test_an_own_anchor_takes_its_place_until_it_is_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
