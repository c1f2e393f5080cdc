/* The inference agent against a scripted hot state. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hot/infer/infer.h"
#include "hot/state/rest_view_state.h"
#include "model/baseline.h"
#include "wire/onnx.h"

#define WALL_US    1770000000000000LL
#define FIRST_SLOT (WALL_US / CLOCK_SLOT_US + 1)
#define STREAM_MAX 512

/* A hot state of the test's own: a stream of published slots that several replicas share. */
struct shared {
    int64_t slot[STREAM_MAX];
    struct prediction record[STREAM_MAX];
    int count;
    bool away;    /* calls are refused at once */
    bool hung;    /* calls are taken and never answered */
    bool empty;   /* the keys are gone */
    bool damaged; /* the slot is taken by a record that cannot be read */
    uint8_t calibration[TRACK_SAVED_MAX];
    size_t calibration_size;
};

struct replica {
    struct shared *shared;
    bool refused; /* the store takes nothing from this one */
    struct infer infer;
    infer_read_fn late_done; /* of a hung read */
    void *late_context;
    infer_publish_fn late_publish;
    void *late_publish_context;
    int served, local;
    struct prediction last;
    struct infer_timing timing;
    int modes;
};

static int64_t mono_us;

static int64_t mono_ns(void *clock)
{
    (void)clock;
    return mono_us * 1000;
}

static struct clock_now now(void)
{
    return (struct clock_now){.wall_us = WALL_US + mono_us, .mono_us = mono_us};
}

/* What happened behind the tick that the vector is of. */
static struct {
    bool book_lost; /* the book was lost */
    int64_t old_us; /* the vector is older by so much, while slots went on */
} since_tick;

static void fill_state(struct state_read *state)
{
    memset(state, 0, sizeof(*state));
    state->consistent = true;
    state->has_vector = true;
    state->book_live = true;
    state->vec_live = true;
    state->schema = feature_schema_hash();
    state->source = STATE_SOURCE_SBE;
    int64_t slot_us = clock_slot_us(clock_slot(WALL_US + mono_us));
    state->as_of_us = slot_us - 5000 - since_tick.old_us;
    state->book_live = !since_tick.book_lost;
    state->mid_count = 8;
    for (int i = 0; i < state->mid_count; i++)
        state->mids[i] = (struct state_slot_mid){
            .slot = clock_slot(slot_us) - 1 - i, .mid = {60000000, -3}, .valid = true};
    state->mid = (struct state_decimal){60000000, -3};
    state->vec_epoch = 7;
    state->vec_seq = (uint64_t)(slot_us / 1000);
}

static int fake_read(void *self, infer_read_fn done, void *context)
{
    struct replica *replica = self;
    if (replica->shared->away)
        return ERR_CONNECTION;
    if (replica->shared->hung) {
        replica->late_done = done;
        replica->late_context = context;
        return ERR_OK;
    }
    struct infer_read read;
    fill_state(&read.state);
    read.calibration = bytes_of(replica->shared->calibration, replica->shared->calibration_size);
    done(context, replica->shared->empty ? ERR_EMPTY : ERR_OK, &read);
    return ERR_OK;
}

static int shared_find(const struct shared *shared, int64_t slot)
{
    for (int i = 0; i < shared->count; i++)
        if (shared->slot[i] == slot)
            return i;
    return -1;
}

static int fake_publish(void *self, const struct infer_publish *request, infer_publish_fn done,
                        void *context)
{
    struct replica *replica = self;
    struct shared *shared = replica->shared;
    if (shared->away)
        return ERR_CONNECTION;
    if (shared->hung) {
        replica->late_publish = done;
        replica->late_publish_context = context;
        return ERR_OK;
    }
    if (replica->refused) {
        done(context, ERR_REFUSED, INFER_OLD, 0, NULL);
        return ERR_OK;
    }
    if (shared->damaged) {
        shared->damaged = false;
        done(context, ERR_MALFORMED, INFER_OLD, 0, NULL);
        return ERR_OK;
    }
    int64_t top = shared->count == 0 ? request->slot - 1 : shared->slot[shared->count - 1];
    int found = shared_find(shared, request->slot);
    if (found >= 0) {
        done(context, ERR_OK, INFER_EXISTED, top, &shared->record[found]);
    } else if (top > request->slot) {
        done(context, ERR_OK, INFER_OLD, top, NULL);
    } else if (top < request->slot - 1 && !request->allow_hole) {
        done(context, ERR_OK, INFER_HOLE, top, NULL);
    } else {
        assert_true(shared->count < STREAM_MAX);
        shared->slot[shared->count] = request->slot;
        shared->record[shared->count++] = *request->prediction;
        if (request->calibration.size > 0) {
            memcpy(shared->calibration, request->calibration.data, request->calibration.size);
            shared->calibration_size = request->calibration.size;
        }
        done(context, ERR_OK, INFER_PUBLISHED, request->slot, NULL);
    }
    return ERR_OK;
}

static void observe_served(void *context, const struct prediction *prediction,
                           const struct infer_timing *timing)
{
    struct replica *replica = context;
    replica->served++;
    replica->local += !timing->acknowledged;
    replica->last = *prediction;
    replica->timing = *timing;
}

static void observe_mode(void *context, enum degrade_mode from, enum degrade_mode to,
                         const char *reason)
{
    (void)from;
    (void)to;
    assert_non_null(reason);
    ((struct replica *)context)->modes++;
}

static void observe_step(void *context, int64_t step_us)
{
    (void)context;
    (void)step_us;
}

/* What each test begins with: an empty hot state, and no replica. Those it opens run together, in
 * the order in which they were opened. */
static struct {
    struct shared shared;
    struct replica a, b;
    struct replica *open[2];
    int count;
    struct model *model; /* of the test's own, NULL: none */
} scene;
static struct shared *const shared = &scene.shared;
static struct replica *const a = &scene.a, *const b = &scene.b;

static void replica_begin(struct replica *replica)
{
    memset(replica, 0, sizeof(*replica));
    replica->shared = shared;
    struct infer_options options = {
        .symbol = "BTCUSDT", .journal_capacity = 256, .mono_ns = mono_ns};
    struct infer_port port = {.self = replica, .read = fake_read, .publish = fake_publish};
    struct infer_observer observer = {.context = replica,
                                      .served = observe_served,
                                      .mode = observe_mode,
                                      .clock_step = observe_step};
    assert_int_equal(infer_open(&replica->infer, &options, &port, &observer, now(), NULL), ERR_OK);
}

static void replica_open(struct replica *replica)
{
    replica_begin(replica);
    scene.open[scene.count++] = replica;
}

/* It knows nothing of what was. */
static void replica_restart(struct replica *replica)
{
    infer_close(&replica->infer);
    replica_begin(replica);
}

static void replica_open_with(struct replica *replica, struct model *model)
{
    scene.model = model;
    replica_open(replica);
    assert_int_equal(infer_set_model(&replica->infer, model), ERR_OK);
}

static struct model *baseline_model(void)
{
    struct onnx_options options = {.feature_schema = feature_schema_hash()};
    struct model *model;
    assert_int_equal(onnx_read(baseline_file(), &options, &model, NULL), ERR_OK);
    return model;
}

/* Runs the replicas together for so long, a millisecond a step. */
static void run(int64_t duration_us)
{
    for (int64_t end_us = mono_us + duration_us; mono_us < end_us; mono_us += 1000)
        for (int i = 0; i < scene.count; i++)
            infer_do_work(&scene.open[i]->infer, now());
}

static void assert_every_slot_once(void)
{
    for (int i = 1; i < shared->count; i++)
        assert_int_equal(shared->slot[i], shared->slot[i - 1] + 1);
}

static int setup(void **state)
{
    (void)state;
    mono_us = 0;
    memset(&since_tick, 0, sizeof(since_tick));
    memset(&scene, 0, sizeof(scene));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < scene.count; i++)
        infer_close(&scene.open[i]->infer);
    if (scene.model != NULL)
        model_close(scene.model);
    return 0;
}

/* A replay that stands at the tick has to find the same mode. */
static void infer_judges_by_what_was_true_at_the_tick(void **state)
{
    (void)state;
    since_tick.book_lost = true;
    replica_open(a);
    run(5000000);
    assert_string_equal(a->last.value[PREDICTION_MODE], "live");
    since_tick.old_us = 1995000; /* 2 s old at the slot, however late it is looked at */
    run(4000000);
    assert_string_equal(a->last.value[PREDICTION_MODE], "live");
    since_tick.old_us = 1996000;
    run(4000000);
    assert_string_equal(a->last.value[PREDICTION_MODE], "stale");
}

static void infer_counts_no_outcome_that_the_tick_had_not_seen(void **state)
{
    (void)state;
    replica_open_with(a, baseline_model());
    run(20000000);
    const struct track_accuracy *accuracy = &a->infer.track.accuracy;
    uint64_t outcomes = accuracy->outcomes;
    assert_int_equal(outcomes, shared->count - TRACK_DELAY_SLOTS);
    assert_int_equal(accuracy->dropped, 0);
    since_tick.old_us = 2000000;
    run(4000000);
    assert_int_equal(accuracy->outcomes, outcomes);
    assert_int_equal(accuracy->dropped, 2);
}

/* Says 0.5 bp with scale 2 bp whatever it sees, or `mean` in its place. */
static struct model *model_with_calibration(float mean)
{
    static float weights[2 * FEATURE_COUNT];
    float bias[2] = {mean, 0.69314718f};
    struct model_spec spec = {
        .version = "calibrated-1",
        .has_schema = true,
        .feature_schema = feature_schema_hash(),
        .has_band = true,
        .band_p10 = -1.5f,
        .band_p90 = 1.25f,
        .calibration =
            {.count = 1,
             .buckets = {{.age_s_max = 2, .count = 2, .knots = {{0.0f, 0.5f}, {1.0f, 0.75f}}}}},
        .layer_count = 1,
        .layers = {{.inputs = FEATURE_COUNT, .outputs = 2, .weights = weights, .bias = bias}}};
    struct model *model;
    assert_int_equal(model_open(&spec, MLP_KERNEL_AUTO, &model, NULL), ERR_OK);
    return model;
}

static void infer_begins_with_the_confidence_and_band_that_training_ended_with(void **state)
{
    (void)state;
    replica_open_with(a, model_with_calibration(0.5f));
    run(4000000);
    /* Strength 0.25: a quarter of the way from 0.5 to 0.75. */
    assert_true(fabs(atof(a->last.value[PREDICTION_CONFIDENCE]) - 0.5625) < 1e-6);
    assert_string_equal(a->last.value[PREDICTION_CALIBRATION], "prior");
    double mid = atof(a->last.value[PREDICTION_CURRENT_PRICE]);
    double p10 = 1e4 * log(atof(a->last.value[PREDICTION_P10]) / mid);
    double p90 = 1e4 * log(atof(a->last.value[PREDICTION_P90]) / mid);
    assert_true(fabs(p10 - (0.5 - 1.5 * 2)) < 1e-4 && fabs(p90 - (0.5 + 1.25 * 2)) < 1e-4);
    /* Features older than the calibration knows: as good as a coin. */
    since_tick.old_us = 6000000;
    run(4000000);
    assert_true(atof(a->last.value[PREDICTION_CONFIDENCE]) < 0.5);
    since_tick.old_us = 0;
}

static void infer_takes_an_absurd_forecast_for_none(void **state)
{
    (void)state;
    replica_open_with(a, model_with_calibration(1e30f));
    run(4000000);
    assert_string_equal(a->last.value[PREDICTION_RETURN_BP], "0");
    assert_true(atof(a->last.value[PREDICTION_CONFIDENCE]) == 0.0);
    assert_true(isfinite(atof(a->last.value[PREDICTION_P90])));
}

static void infer_publishes_every_slot_once_with_two_replicas(void **state)
{
    (void)state;
    replica_open(a);
    replica_open(b);
    run(40000000);
    assert_int_equal(shared->slot[0], FIRST_SLOT);
    assert_in_range(shared->count, 19, 20);
    assert_every_slot_once();
    assert_int_equal(a->infer.counters.published, shared->count);
    assert_int_equal(b->infer.counters.existed, shared->count);
    assert_int_equal(b->served, shared->count);
    assert_memory_equal(&a->last, &b->last, sizeof(a->last));
    assert_string_equal(a->last.value[PREDICTION_MODE], "live");
    assert_string_equal(a->last.value[PREDICTION_FEATURES_AGE_MS], "5");
    assert_in_range(a->timing.published_late_us, 0, 1000);
}

static void infer_with_a_stagger_finds_the_slot_published(void **state)
{
    (void)state;
    replica_open(b);
    replica_open(a);
    b->infer.options.stagger_us = 3000;
    run(20000000);
    assert_int_equal(b->infer.counters.published, 0);
    assert_int_equal(b->infer.counters.existed, shared->count);
    assert_int_equal(a->infer.counters.published, shared->count);
    assert_every_slot_once();
    assert_in_range(b->timing.late_us, 3000, 4000);
}

static void infer_goes_on_blind_while_redis_is_away_and_appends_afterwards(void **state)
{
    (void)state;
    replica_open(a);
    run(10000000);
    int before = shared->count;
    shared->away = true;
    run(60000000);
    assert_int_equal(shared->count, before);
    assert_int_equal(a->local, 30);
    assert_string_equal(a->last.value[PREDICTION_SOURCE], "fallback");
    assert_string_equal(a->last.value[PREDICTION_CONFIDENCE], "0.000000");
    assert_string_equal(a->last.value[PREDICTION_CURRENT_PRICE], "60000.00");
    shared->away = false;
    run(10000000);
    assert_int_equal(shared->count, before + 35);
    assert_every_slot_once();
    assert_string_equal(a->last.value[PREDICTION_SOURCE], "redis");
    assert_int_equal(a->infer.outbox.count, 0);
}

/* A REST view of the test's own: 60,001.50, older by age_us at each slot. */
struct fake_view {
    bool has_vector;
    int64_t age_us;
    uint64_t schema;
    int reads;
};

static bool fake_view_read(void *self, int64_t slot_us, struct state_read *state)
{
    struct fake_view *fake = self;
    struct rest_view view = {.received_us = slot_us - fake->age_us,
                             .as_of_us = slot_us - fake->age_us,
                             .price_exponent = -2,
                             .best_bid = 6000149,
                             .best_ask = 6000151,
                             .mid2 = 12000300,
                             .has_vector = fake->has_vector,
                             .schema = fake->schema};
    view.values[FEATURE_OB_IMBALANCE] = 0.5f;
    view.values[FEATURE_MICROPRICE_DEV_BP] = 0.5f;
    fake->reads++;
    if (fake->age_us > REST_VIEW_OLD_US)
        return false;
    rest_view_state(&view, state);
    return true;
}

static void infer_rests_on_the_rest_view_at_once_and_comes_back(void **state)
{
    (void)state;
    struct fake_view view = {.has_vector = true, .age_us = 700000, .schema = feature_schema_hash()};
    replica_open_with(a, baseline_model());
    a->infer.options.view = (struct infer_view_port){&view, fake_view_read};
    run(10000000);
    assert_int_equal(view.reads, 0); /* not looked at while the hot state is there */
    int before = shared->count;
    shared->away = true;
    run(4000000); /* the first slot rests on the read before it */
    assert_string_equal(a->last.value[PREDICTION_SOURCE], "fallback");
    assert_string_equal(a->last.value[PREDICTION_MODE], "fallback");
    assert_string_equal(a->last.value[PREDICTION_CURRENT_PRICE], "60001.50");
    assert_string_equal(a->last.value[PREDICTION_FEATURES_AGE_MS], "700");
    assert_string_not_equal(a->last.value[PREDICTION_CONFIDENCE], "0.000000");
    run(56000000);
    assert_int_equal(a->local, 30);
    shared->away = false;
    run(2000000);
    assert_string_equal(a->last.value[PREDICTION_SOURCE], "redis");
    run(2000000);
    assert_int_equal(shared->count, before + 32);
    assert_every_slot_once();
}

static void infer_uses_no_more_of_a_view_than_it_has(void **state)
{
    (void)state;
    struct fake_view view = {.has_vector = true, .schema = feature_schema_hash() + 1};
    shared->away = true;
    replica_open_with(a, baseline_model());
    a->infer.options.view = (struct infer_view_port){&view, fake_view_read};
    run(4000000); /* another schema: its price, but no forecast */
    assert_string_equal(a->last.value[PREDICTION_MODE], "fallback");
    assert_string_equal(a->last.value[PREDICTION_RETURN_BP], "0");
    assert_string_equal(a->last.value[PREDICTION_CONFIDENCE], "0.000000");
    assert_true(a->infer.counters.schema_mismatches > 0);
    view.age_us = REST_VIEW_OLD_US + 1;
    run(2000000);
    assert_string_equal(a->last.value[PREDICTION_MODE], "blind");
    assert_string_equal(a->last.value[PREDICTION_CURRENT_PRICE], "60001.50");
}

static void infer_lets_the_other_replica_fill_a_hole_before_it_leaves_one(void **state)
{
    (void)state;
    replica_open(a);
    replica_open(b);
    run(10000000);
    shared->away = true;
    run(20000000);
    /* a is restarted meanwhile: it knows nothing of the slots without Redis. */
    replica_restart(a);
    run(1000000);
    shared->away = false;
    run(10000000);
    assert_every_slot_once();
    assert_int_equal(a->infer.counters.holes_allowed, 0);
}

/* While the store refuses everything the other replica cannot fill the hole either: its time
 * begins when there is room again. */
static void infer_does_not_count_a_refusal_as_patience_with_the_other_replica(void **state)
{
    (void)state;
    replica_open(a);
    replica_open(b);
    run(10000000);
    a->refused = b->refused = true;
    run(20000000);
    replica_restart(a);
    a->refused = false;
    for (int ms = 0; ms < 5000 && a->infer.counters.holes_waited == 0; ms++)
        run(1000);
    assert_int_equal(a->infer.counters.holes_waited, 1);
    a->refused = true; /* it has heard of the hole, and the store is full again */
    run(1000000);
    a->refused = false;
    run(150000); /* the other one comes back later */
    b->refused = false;
    run(10000000);
    assert_every_slot_once();
    assert_int_equal(a->infer.counters.holes_allowed, 0);
}

/* A failover to a replica that had not received the newest entries yet. */
static void infer_publishes_again_what_a_failover_has_lost(void **state)
{
    (void)state;
    struct prediction lost[3];
    replica_open(a);
    replica_open(b);
    run(20000000);
    int before = shared->count;
    memcpy(lost, &shared->record[before - 3], sizeof(lost));
    shared->count -= 3;
    run(10000000);
    assert_every_slot_once();
    assert_int_equal(shared->count, before + 5);
    assert_memory_equal(&shared->record[before - 3], lost, sizeof(lost));
    assert_int_equal(a->infer.counters.refilled + b->infer.counters.refilled, 3);
    assert_int_equal(a->infer.counters.holes_allowed + b->infer.counters.holes_allowed, 0);
    assert_int_equal(a->infer.outbox.count + b->infer.outbox.count, 0);
}

static void infer_leaves_a_hole_when_more_is_lost_than_it_keeps(void **state)
{
    (void)state;
    replica_open(a);
    run(100000000);
    int before = shared->count;
    assert_true(before > INFER_RECENT + 5);
    shared->count = 5;
    run(10000000);
    /* 32 kept and 5 new ones stand behind the five that were left. */
    assert_int_equal(shared->count, 5 + INFER_RECENT + 5);
    assert_int_equal(shared->slot[5], FIRST_SLOT + before - INFER_RECENT);
    assert_int_equal(a->infer.counters.holes_allowed, 1);
}

static void infer_leaves_a_hole_when_nobody_can_fill_it(void **state)
{
    (void)state;
    shared->slot[0] = FIRST_SLOT - 100;
    shared->count = 1;
    replica_open(a);
    run(10000000);
    assert_int_equal(shared->slot[1], FIRST_SLOT);
    assert_true(a->infer.counters.holes_allowed > 0);
    assert_int_equal(a->infer.outbox.count, 0);
}

static void infer_does_not_wait_for_a_hung_redis(void **state)
{
    (void)state;
    replica_open(a);
    run(3900000);
    assert_int_equal(a->served, 1);
    shared->hung = true;
    run(200000);
    assert_int_equal(a->served, 2);
    assert_string_equal(a->last.value[PREDICTION_REASON], "redis slow");
    assert_true(a->timing.published_late_us <=
                INFER_READ_TIMEOUT_US + INFER_SERVE_TIMEOUT_US + 2000);
}

static void infer_rests_on_the_read_before_the_slot_when_the_one_at_it_does_not_come(void **state)
{
    (void)state;
    replica_open(a);
    run(3998000); /* 2 ms before the second slot: read already */
    shared->hung = true;
    run(100000);
    assert_int_equal(a->served, 2);
    assert_string_equal(a->last.value[PREDICTION_SOURCE], "redis");
    assert_string_not_equal(a->last.value[PREDICTION_SEQ], "0");
    assert_int_equal(a->infer.counters.read_failures, 1);
}

static void infer_ignores_an_answer_to_a_slot_that_went_on(void **state)
{
    (void)state;
    replica_open(a);
    run(1900000);
    shared->hung = true;
    run(200000); /* reads in slot 1 without an answer; no price yet: waiting */
    assert_int_equal(a->infer.counters.waiting, 1);
    infer_read_fn late = a->late_done;
    void *context = a->late_context;
    run(1901000); /* slot 2 is being read */
    assert_int_equal(a->infer.phase, INFER_READING);
    struct infer_read read = {0};
    fill_state(&read.state);
    late(context, ERR_OK, &read);
    assert_int_equal(a->infer.phase, INFER_READING);
}

static void infer_counts_the_slots_of_a_pause_and_serves_the_current_one(void **state)
{
    (void)state;
    replica_open(a);
    run(5000000);
    int64_t last = shared->slot[shared->count - 1];
    mono_us += 7500000;
    run(1000000);
    assert_int_equal(a->infer.counters.missed_slots, 3);
    assert_int_equal(shared->slot[shared->count - 1], last + 4);
}

static void infer_publishes_nothing_before_a_price_was_seen(void **state)
{
    (void)state;
    shared->empty = true;
    replica_open(a);
    run(10000000);
    assert_int_equal(shared->count, 0);
    assert_in_range(a->infer.counters.waiting, 4, 5);
    shared->empty = false;
    run(3000000);
    assert_true(shared->count > 0);
}

static void infer_goes_on_after_a_slot_taken_by_a_damaged_record(void **state)
{
    (void)state;
    replica_open(a);
    run(5000000);
    shared->damaged = true;
    run(6000000);
    assert_int_equal(a->served, 5);
    assert_int_equal(shared->count, 4);
    assert_int_equal(a->infer.outbox.count, 0);
}

static void infer_goes_blind_when_the_keys_are_gone(void **state)
{
    (void)state;
    replica_open(a);
    run(5000000);
    shared->empty = true;
    run(5000000);
    assert_string_equal(a->last.value[PREDICTION_MODE], "blind");
    assert_string_equal(a->last.value[PREDICTION_REASON], "keys missing");
    assert_int_equal(a->modes, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(infer_begins_with_the_confidence_and_band_that_training_ended_with),
        TEST(infer_takes_an_absurd_forecast_for_none),
        TEST(infer_judges_by_what_was_true_at_the_tick),
        TEST(infer_counts_no_outcome_that_the_tick_had_not_seen),
        TEST(infer_publishes_every_slot_once_with_two_replicas),
        TEST(infer_with_a_stagger_finds_the_slot_published),
        TEST(infer_goes_on_blind_while_redis_is_away_and_appends_afterwards),
        TEST(infer_rests_on_the_rest_view_at_once_and_comes_back),
        TEST(infer_uses_no_more_of_a_view_than_it_has),
        TEST(infer_lets_the_other_replica_fill_a_hole_before_it_leaves_one),
        TEST(infer_does_not_count_a_refusal_as_patience_with_the_other_replica),
        TEST(infer_publishes_again_what_a_failover_has_lost),
        TEST(infer_leaves_a_hole_when_more_is_lost_than_it_keeps),
        TEST(infer_leaves_a_hole_when_nobody_can_fill_it),
        TEST(infer_does_not_wait_for_a_hung_redis),
        TEST(infer_rests_on_the_read_before_the_slot_when_the_one_at_it_does_not_come),
        TEST(infer_ignores_an_answer_to_a_slot_that_went_on),
        TEST(infer_counts_the_slots_of_a_pause_and_serves_the_current_one),
        TEST(infer_publishes_nothing_before_a_price_was_seen),
        TEST(infer_goes_on_after_a_slot_taken_by_a_damaged_record),
        TEST(infer_goes_blind_when_the_keys_are_gone),
    };
    return cmocka_run_group_tests_name("infer", tests, NULL, NULL);
}
