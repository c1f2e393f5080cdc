/* The replay behind the ETL goes on from bytes, and passes over what it has seen.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "learn/etl/etl_rows.h"
#include "wire/sbe.h"

#define SYMBOL "BTCUSDT"
#define BEGIN  INT64_C(1767225600000000)
#define COUNT  900 /* 90 s of ticks with a quote before each */

struct seen {
    int slots, rows, mids;
    int64_t last_slot;
    double completeness;
    uint64_t hash;
};

static void mix(struct seen *seen, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        seen->hash = (seen->hash ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
}

static int on_slot(void *context, const struct etl_slot *slot, struct err *err)
{
    struct seen *seen = context;
    char buffer[ETL_ROWS_ROW_MAX];
    struct text text = text_begin(buffer, sizeof(buffer));
    assert_true(seen->last_slot == 0 || slot->slot == seen->last_slot + 1);
    seen->last_slot = slot->slot;
    seen->slots++;
    seen->completeness = slot->completeness;
    int result = etl_rows_add_slot(SYMBOL, slot, &text, err);
    assert_true(result == ERR_OK || (result == ERR_EMPTY && text.size == 0));
    seen->rows += result == ERR_OK;
    mix(seen, buffer, text.size);
    return ERR_OK;
}

static int on_mid(void *context, const struct world_slot_mid *mid, int exponent, struct err *err)
{
    struct seen *seen = context;
    char buffer[ETL_ROWS_ROW_MAX];
    struct text text = text_begin(buffer, sizeof(buffer));
    seen->mids++;
    assert_int_equal(etl_rows_add_mid(SYMBOL, mid, exponent, &text, err), ERR_OK);
    mix(seen, buffer, text.size);
    return ERR_OK;
}

static struct etl_world *open_world(struct seen *seen)
{
    struct etl_world *world;
    struct etl_sink sink = {.context = seen, .slot = on_slot, .mid = on_mid};
    assert_int_equal(etl_world_open(SYMBOL, &sink, &world, NULL), ERR_OK);
    return world;
}

/* Quote, tick, quote, tick …, and a hole declared now and then. */
static void feed(struct etl_world *world, int from, int to)
{
    uint8_t frame[256];
    for (int i = from; i < to; i++) {
        const struct sbe_scale scale = {-8, -8};
        struct record record = {
            .epoch = 7, .seq = (uint64_t)i + 1, .recv_us = BEGIN + i * 50000, .kind = RECORD_TICK};
        if (i % 2 == 0) {
            struct sbe_level bid = {6000000000000 + i % 37 * 1000000, 100000000};
            struct sbe_level ask = {bid.price + 1000000, 200000000 + i};
            size_t size = sbe_encode_quote(frame, sizeof(frame), SYMBOL, scale, record.recv_us,
                                           i + 1, bid, ask);
            record.kind = RECORD_FRAME;
            record.payload = bytes_of(frame, size);
        }
        assert_int_equal(etl_world_apply(world, &record, NULL), ERR_OK);
        if (i % 400 == 399) {
            uint8_t next[16];
            bytes_store_u64(next, 7);
            bytes_store_u64(next + 8, record.seq + 1);
            struct record hole = record;
            hole.kind = RECORD_HOLE;
            hole.payload = bytes_of(next, sizeof(next));
            assert_int_equal(etl_world_apply(world, &hole, NULL), ERR_OK);
        }
    }
}

static void it_goes_on_from_bytes_wherever_it_stopped(void **state)
{
    (void)state;
    struct seen whole = {0};
    struct etl_world *world = open_world(&whole);
    feed(world, 0, 2 * COUNT);
    assert_int_equal(etl_world_end(world, NULL), ERR_OK);
    etl_world_close(world);
    assert_true(whole.slots >= 44 && whole.rows >= 40 && whole.mids >= 40);
    assert_true(whole.completeness == 1.0);
    for (int cut = 1; cut < 2 * COUNT; cut += 133) {
        struct seen pieces = {0};
        world = open_world(&pieces);
        feed(world, 0, cut);
        assert_int_equal(etl_world_end(world, NULL), ERR_OK);
        size_t capacity = etl_world_save_max(world), size;
        uint8_t *saved = malloc(capacity);
        assert_int_equal(etl_world_save(world, saved, capacity, &size, NULL), ERR_OK);
        etl_world_close(world);
        world = open_world(&pieces);
        assert_int_equal(etl_world_load(world, bytes_of(saved, size), NULL), ERR_OK);
        feed(world, 0, 2 * COUNT); /* from the beginning: it knows what it has seen */
        assert_int_equal(etl_world_end(world, NULL), ERR_OK);
        feed(world, 0, 2 * COUNT); /* and once more, with its controls */
        assert_int_equal(pieces.hash, whole.hash);
        assert_int_equal(pieces.slots, whole.slots);
        free(saved);
        etl_world_close(world);
    }
}

static void missing_records_make_what_follows_incomplete(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct etl_world *world = open_world(&seen);
    feed(world, 0, 1500);
    assert_true(seen.completeness == 1.0);
    feed(world, 1501, 1600); /* one of them is not there */
    assert_true(seen.completeness > 0.0 && seen.completeness < 0.1);
    feed(world, 1600, 1500 + 1300);
    assert_true(seen.completeness == 1.0);
    etl_world_close(world);
}

static void a_state_that_is_cut_or_changed_is_refused_and_leaves_a_fresh_world(void **state)
{
    (void)state;
    struct seen seen = {0}, after = {0}, fresh = {0};
    struct etl_world *world = open_world(&seen);
    feed(world, 0, 500);
    size_t capacity = etl_world_save_max(world), size;
    uint8_t *saved = malloc(capacity);
    assert_int_equal(etl_world_save(world, saved, capacity, &size, NULL), ERR_OK);
    assert_int_equal(etl_world_save(world, saved, 40, &size, NULL), ERR_FULL);
    assert_int_equal(etl_world_save(world, saved, capacity, &size, NULL), ERR_OK);
    etl_world_close(world);
    world = open_world(&after);
    for (size_t cut = 0; cut < size; cut += 1 + size / 50)
        assert_int_not_equal(etl_world_load(world, bytes_of(saved, cut), NULL), ERR_OK);
    saved[0] ^= 1;
    assert_int_equal(etl_world_load(world, bytes_of(saved, size), NULL), ERR_MALFORMED);
    saved[0] ^= 1;
    saved[size / 2] ^= 1;
    assert_int_not_equal(etl_world_load(world, bytes_of(saved, size), NULL), ERR_OK);
    feed(world, 0, 500);
    etl_world_close(world);
    world = open_world(&fresh);
    feed(world, 0, 500);
    etl_world_close(world);
    assert_int_equal(after.hash, fresh.hash);
    free(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_on_from_bytes_wherever_it_stopped),
        cmocka_unit_test(missing_records_make_what_follows_incomplete),
        cmocka_unit_test(a_state_that_is_cut_or_changed_is_refused_and_leaves_a_fresh_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
