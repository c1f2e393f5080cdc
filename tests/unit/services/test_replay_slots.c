/* Replaying records slot by slot: each slot at its time, or where a recording says that a
 * prediction was made. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "services/replay/replay_slots.h"
#include "wire/sbe.h"

#define EPOCH   1770000000000u
#define BASE_US 1770000000000000 /* a slot boundary */
#define ROWS    16

struct scene {
    struct replay_slots *replay;
    uint64_t seq;
    int64_t recv_us;
    int rows;
    int64_t slot[ROWS];
    uint64_t vec_seq[ROWS];
    char mode[ROWS][16];
};

static void scene_on_slot(void *context, int64_t slot, const struct state_read *state,
                          const struct prediction *prediction)
{
    struct scene *scene = context;
    assert_true(scene->rows < ROWS);
    assert_non_null(prediction);
    scene->slot[scene->rows] = slot;
    scene->vec_seq[scene->rows] = state->vec_seq;
    strcpy(scene->mode[scene->rows++], prediction->value[PREDICTION_MODE]);
}

static void scene_open(struct scene *scene, bool scheduled)
{
    *scene = (struct scene){.recv_us = BASE_US};
    struct replay_slots_options options = {
        .symbol = "BTCUSDT", .scheduled = scheduled, .slot = scene_on_slot, .context = scene};
    assert_int_equal(replay_slots_open(&options, &scene->replay, NULL), ERR_OK);
}

static void scene_add(struct scene *scene, uint8_t kind, struct bytes payload)
{
    struct record record = {.epoch = EPOCH,
                            .seq = ++scene->seq,
                            .recv_us = scene->recv_us,
                            .kind = kind,
                            .payload = payload};
    replay_slots_apply(scene->replay, &record);
}

static void scene_quote(struct scene *scene)
{
    uint8_t frame[256];
    struct sbe_level bid = {6000000, 100}, ask = {6000001, 100};
    size_t size = sbe_encode_quote(frame, sizeof(frame), "BTCUSDT", (struct sbe_scale){-2, -5},
                                   scene->recv_us, (int64_t)scene->seq + 1, bid, ask);
    assert_true(size > 0);
    scene_add(scene, RECORD_FRAME, bytes_of(frame, size));
}

static void scene_tick(struct scene *scene, int64_t recv_us)
{
    scene->recv_us = recv_us;
    scene_add(scene, RECORD_TICK, (struct bytes){NULL, 0});
}

/* A prediction of the slot was published from the vector of the place seq. */
static void scene_slot(struct scene *scene, int64_t slot, uint64_t seq)
{
    uint8_t payload[RECORD_SLOT_SIZE];
    bytes_store_i64(payload, slot);
    struct record record = {.epoch = EPOCH,
                            .seq = seq,
                            .recv_us = clock_slot_us(slot),
                            .kind = RECORD_SLOT,
                            .payload = bytes_of(payload, sizeof(payload))};
    replay_slots_apply(scene->replay, &record);
}

static void scene_hole(struct scene *scene, uint64_t next_seq)
{
    uint8_t payload[16];
    bytes_store_u64(payload, EPOCH);
    bytes_store_u64(payload + 8, next_seq);
    struct record record = {.epoch = EPOCH,
                            .seq = scene->seq,
                            .recv_us = scene->recv_us,
                            .kind = RECORD_HOLE,
                            .payload = bytes_of(payload, sizeof(payload))};
    replay_slots_apply(scene->replay, &record);
}

static void without_a_schedule_each_slot_is_predicted_at_its_time(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, false);
    scene_quote(&scene);
    scene_tick(&scene, BASE_US + 1995000);
    scene_slot(&scene, clock_slot(BASE_US) + 1, scene.seq); /* not asked for */
    scene_tick(&scene, BASE_US + 2050000);
    scene_tick(&scene, BASE_US + 3995000);
    scene_tick(&scene, BASE_US + 4050000);
    assert_int_equal(scene.rows, 2);
    assert_int_equal(scene.slot[0], clock_slot(BASE_US) + 1);
    assert_int_equal(scene.vec_seq[0], 2);
    assert_int_equal(scene.vec_seq[1], 4);
    replay_slots_close(scene.replay);
}

static void with_a_schedule_slots_are_predicted_at_their_places_only(void **state)
{
    (void)state;
    struct scene scene;
    int64_t slot = clock_slot(BASE_US) + 1;
    scene_open(&scene, true);
    scene_quote(&scene);
    scene_tick(&scene, BASE_US + 1850000);
    scene_slot(&scene, slot, 2); /* live, the tick before the slot came too late */
    scene_tick(&scene, BASE_US + 1995000);
    scene_tick(&scene, BASE_US + 3995000); /* slot + 1 was missed live */
    scene_tick(&scene, BASE_US + 5995000);
    scene_slot(&scene, slot + 2, 5);
    assert_int_equal(scene.rows, 2);
    assert_int_equal(scene.slot[0], slot);
    assert_int_equal(scene.vec_seq[0], 2);
    assert_int_equal(scene.slot[1], slot + 2);
    assert_int_equal(scene.vec_seq[1], 5);
    assert_string_equal(scene.mode[1], "stale"); /* no book: quotes only */
    assert_int_equal(replay_slots_counters(scene.replay)->slots_unplaced, 0);
    replay_slots_close(scene.replay);
}

static void a_slot_whose_vector_is_not_in_the_recording_is_counted(void **state)
{
    (void)state;
    struct scene scene;
    int64_t slot = clock_slot(BASE_US) + 1;
    scene_open(&scene, true);
    scene_slot(&scene, slot, 77);
    scene_quote(&scene);
    scene_tick(&scene, BASE_US + 1995000);
    scene_slot(&scene, slot, 1);     /* no tick stood there */
    scene_slot(&scene, slot + 1, 2); /* read late, but the vector is there */
    scene_slot(&scene, slot, 2);     /* the past */
    assert_int_equal(scene.rows, 1);
    assert_int_equal(replay_slots_counters(scene.replay)->slots, 1);
    assert_int_equal(replay_slots_counters(scene.replay)->slots_unplaced, 3);
    replay_slots_close(scene.replay);
}

static void records_in_a_declared_hole_are_given_up_as_they_were_live(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, false);
    scene_quote(&scene);
    scene_tick(&scene, BASE_US + 50000);
    scene_hole(&scene, 5);
    scene_quote(&scene);
    scene_quote(&scene);
    scene_quote(&scene);
    assert_int_equal(replay_slots_counters(scene.replay)->given_up, 2);
    assert_int_equal(world_counters(replay_slots_world(scene.replay))->quotes, 2);
    assert_int_equal(world_counters(replay_slots_world(scene.replay))->holes, 1);
    replay_slots_close(scene.replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_schedule_each_slot_is_predicted_at_its_time),
        cmocka_unit_test(with_a_schedule_slots_are_predicted_at_their_places_only),
        cmocka_unit_test(a_slot_whose_vector_is_not_in_the_recording_is_counted),
        cmocka_unit_test(records_in_a_declared_hole_are_given_up_as_they_were_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
