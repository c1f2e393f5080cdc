/* A world on 346 s of the real market (data/README.md), against plain reference models.
 * The capture has no ticks; they are put in every 100 ms of receive time.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/decimal.h"
#include "unit/market/market_fixture.h"

#define CAPTURE BTCAST_SOURCE_DIR "/../shared/data/capture/binance-spot-btcusdt-20240808.jsonl.gz"

/* The value of "key": in text, as bytes up to , or } or closing quote. */
static struct bytes json_value(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key);
    at += *at == '"';
    return bytes_of(at, strcspn(at, ",}\""));
}

static int64_t json_decimal(const char *text, const char *key, int exponent)
{
    int64_t value = 0;
    assert_int_equal(decimal_parse(json_value(text, key), exponent, &value), ERR_OK);
    return value;
}

static uint32_t json_levels(const char *text, const char *key, struct world_level *levels)
{
    const char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key) + 1;
    uint32_t count = 0;
    while (*at == '[' || *at == ',') {
        at += *at == ',';
        at += 2; /* [" */
        struct bytes price = bytes_of(at, strcspn(at, "\""));
        at += price.size + 3; /* "," */
        struct bytes qty = bytes_of(at, strcspn(at, "\""));
        at += qty.size + 2; /* "] */
        assert_int_equal(decimal_parse(price, -8, &levels[count].price), ERR_OK);
        assert_int_equal(decimal_parse(qty, -8, &levels[count].qty), ERR_OK);
        count++;
    }
    assert_true(*at == ']');
    return count;
}

struct run {
    struct fixture *fixture;
    struct world *world;
    unsigned seen; /* effects of all events */
    uint64_t vectors, live_ticks;
    double sums[FEATURE_COUNT], squares[FEATURE_COUNT];
    int64_t bid, ask; /* last quote */
    uint64_t digest;
};

static void run_apply(struct run *run, const struct event *event)
{
    unsigned effects = world_apply(run->world, event);
    run->seen |= effects;
    if ((effects & WORLD_TICKED) == 0)
        return;
    struct world_view view;
    world_view(run->world, &view);
    assert_true(view.vector.schema == feature_schema_hash());
    assert_true(view.vector.as_of_us == event->recv_us && view.vector.seq == event->seq);
    if (!view.vector.valid)
        return;
    run->vectors++;
    run->live_ticks += view.book_live;
    assert_false(view.touch_flagged);
    for (int i = 0; i < FEATURE_COUNT; i++) {
        float value = view.vector.values[i];
        assert_true(isfinite(value) && value >= feature_minimum(i) && value <= feature_maximum(i));
        run->sums[i] += (double)value;
        run->squares[i] += (double)value * (double)value;
        run->digest = (run->digest ^ (uint64_t)(value * 1e6f)) * 1099511628211u;
    }
}

static void run_ticks(struct run *run, int64_t recv_us)
{
    while (run->fixture->now_us / 100000 < recv_us / 100000) {
        run->fixture->now_us = (run->fixture->now_us / 100000 + 1) * 100000;
        struct event event = fixture_tick(run->fixture);
        run_apply(run, &event);
    }
    run->fixture->now_us = recv_us;
}

static void run_line(struct run *run, const char *line)
{
    static struct world_level bids[FIXTURE_LEVELS_MAX], asks[FIXTURE_LEVELS_MAX];
    int64_t recv_us = strtoll(line, NULL, 10) / 1000;
    struct fixture *fixture = run->fixture;
    if (fixture->seq == 0)
        fixture->now_us = recv_us; /* the ticks begin with the capture */
    run_ticks(run, recv_us);
    struct event event;
    if (strstr(line, "@depth@") != NULL) {
        uint32_t bid_count = json_levels(line, "\"b\":", bids);
        uint32_t ask_count = json_levels(line, "\"a\":", asks);
        event = fixture_diff(fixture, json_decimal(line, "\"U\":", 0),
                             json_decimal(line, "\"u\":", 0), bids, bid_count, asks, ask_count);
    } else if (strstr(line, "@bookTicker") != NULL) {
        run->bid = json_decimal(line, "\"b\":", -8);
        run->ask = json_decimal(line, "\"a\":", -8);
        event = fixture_quote(fixture, json_decimal(line, "\"u\":", 0), run->bid,
                              json_decimal(line, "\"B\":", -8), run->ask,
                              json_decimal(line, "\"A\":", -8));
    } else if (strstr(line, "@trade") != NULL) {
        event = fixture_trade(fixture, json_decimal(line, "\"t\":", 0),
                              json_decimal(line, "\"p\":", -8), json_decimal(line, "\"q\":", -8),
                              strstr(line, "\"m\":true") != NULL);
    } else {
        uint32_t bid_count = json_levels(line, "\"bids\":", bids);
        uint32_t ask_count = json_levels(line, "\"asks\":", asks);
        event = fixture_snapshot(fixture, EVENT_ANCHOR, json_decimal(line, "\"lastUpdateId\":", 0),
                                 bids, bid_count, asks, ask_count);
    }
    run_apply(run, &event);
}

static bool run_capture(struct run *run)
{
    FILE *pipe = popen("zcat < '" CAPTURE "' 2>/dev/null", "r");
    assert_non_null(pipe);
    char *line = NULL;
    size_t size = 0;
    int lines = 0;
    for (; getline(&line, &size, pipe) > 0; lines++)
        run_line(run, line);
    free(line);
    pclose(pipe);
    return lines > 0;
}

static void run_print(const struct run *run)
{
    for (int i = 0; i < FEATURE_COUNT; i++) {
        double mean = run->sums[i] / (double)run->vectors;
        double variance = run->squares[i] / (double)run->vectors - mean * mean;
        print_message("%-22s mean %10.4f  deviation %10.4f\n", feature_name(i), mean,
                      sqrt(variance > 0 ? variance : 0));
    }
}

static void world_follows_the_real_market_without_a_gap(void **state)
{
    (void)state;
    struct run run = {.fixture = fixture_open(), .world = fixture_world()};
    if (!run_capture(&run)) {
        print_message("SKIPPED: no capture at " CAPTURE "\n");
        skip();
    }
    const struct world_counters *counters = world_counters(run.world);
    assert_int_equal(counters->diffs_applied, 3449);
    assert_int_equal(counters->anchors, 1);
    assert_int_equal(counters->quotes, 28040);
    assert_int_equal(counters->trades, 9757);
    assert_int_equal(counters->gaps + counters->crossed_events + counters->rejected, 0);
    assert_int_equal(counters->trade_holes + counters->far_levels_dropped, 0);
    assert_int_equal(run.seen & (WORLD_GAP | WORLD_DIVERGED | WORLD_REJECTED | WORLD_ANCHOR_OLD),
                     0);
    struct world_view view;
    world_view(run.world, &view);
    assert_true(view.book_live);
    assert_true(view.best_bid == run.bid && view.best_ask == run.ask);
    assert_true(run.vectors > 3400 && run.live_ticks > 3400);
    struct world_slot_mid mids[WORLD_SLOT_MIDS];
    assert_int_equal(world_slot_mids(run.world, mids, WORLD_SLOT_MIDS), WORLD_SLOT_MIDS);
    for (int i = 0; i < WORLD_SLOT_MIDS; i++)
        assert_true(mids[i].valid && mids[i].mid2 > 0);
    run_print(&run);
    /* No feature is dead on real data. */
    for (int i = 0; i < FEATURE_COUNT; i++)
        assert_true(run.squares[i] > 0.0);
    world_close(run.world);
    free(run.fixture);
}

static void world_gives_the_same_vectors_twice(void **state)
{
    (void)state;
    struct run first = {.fixture = fixture_open(), .world = fixture_world()};
    struct run second = {.fixture = fixture_open(), .world = fixture_world()};
    if (!run_capture(&first) || !run_capture(&second)) {
        print_message("SKIPPED: no capture at " CAPTURE "\n");
        skip();
    }
    assert_true(first.digest == second.digest && first.digest != 0);
    size_t capacity = world_save_size_max(first.world), sizes[2];
    uint8_t *saves[2] = {malloc(capacity), malloc(capacity)};
    assert_int_equal(world_save(first.world, saves[0], capacity, &sizes[0], NULL), ERR_OK);
    assert_int_equal(world_save(second.world, saves[1], capacity, &sizes[1], NULL), ERR_OK);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(saves[0], saves[1], sizes[0]);
    print_message("a checkpoint of it: %zu bytes of at most %zu\n", sizes[0], capacity);
    for (int i = 0; i < 2; i++)
        free(saves[i]);
    world_close(first.world);
    world_close(second.world);
    free(first.fixture);
    free(second.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(world_follows_the_real_market_without_a_gap),
        cmocka_unit_test(world_gives_the_same_vectors_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
