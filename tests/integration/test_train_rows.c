/* Rows for training are what the live path sees, and nothing of the future is in them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/file/capture_file.h"
#include "learn/train/row_maker.h"
#include "lib/temp_dir.h"
#include "model/model.h"
#include "services/exchange-sim/sim_capture.h"
#include "services/inference/inference_model.h"
#include "services/replay/replay_slots.h"
#include "services/trainer/train_load.h"

#define HOURS  0.1
#define SYMBOL "BTCUSDT"

static char folder[TEMP_DIR_SIZE];
static char market[2][TEMP_DIR_SIZE + 32];

static int make_markets(void **unused)
{
    (void)unused;
    temp_dir_make(folder);
    for (int i = 0; i < 2; i++) {
        struct sim_options options = {.symbol = SYMBOL,
                                      .seed = 40 + i,
                                      .price = 60000.0,
                                      .rate = 1.0,
                                      .diff_interval_ms = 20,
                                      .depth20 = true,
                                      .capture_hours = HOURS,
                                      .capture_start_ms = 1767225600000};
        struct sim_capture_result result;
        snprintf(market[i], sizeof(market[i]), "%s/market%d.btc", folder, i);
        snprintf(options.capture_out, sizeof(options.capture_out), "%s", market[i]);
        if (sim_capture_write(&options, &result, NULL) != ERR_OK)
            return -1;
    }
    return 0;
}

static int drop_markets(void **unused)
{
    (void)unused;
    temp_dir_remove(folder);
    return 0;
}

/* --- the live path -------------------------------------------------------------------- */

#define SLOTS_MAX 1000
struct seen {
    int count;
    int64_t slot[SLOTS_MAX];
    float values[SLOTS_MAX][FEATURE_COUNT];
};

static void see(void *context, int64_t slot, const struct state_read *state,
                const struct prediction *prediction)
{
    struct seen *seen = context;
    (void)prediction;
    assert_true(seen->count < SLOTS_MAX);
    seen->slot[seen->count] = slot;
    memcpy(seen->values[seen->count++], state->values, sizeof(seen->values[0]));
}

static void replay(const char *path, struct seen *seen)
{
    struct capture_file *capture;
    struct replay_slots *slots;
    struct record record;
    struct replay_slots_options options = {.symbol = SYMBOL, .slot = see, .context = seen};
    assert_int_equal(capture_file_open(path, &capture, NULL), ERR_OK);
    assert_int_equal(replay_slots_open(&options, &slots, NULL), ERR_OK);
    while (capture_file_next(capture, &record) == ERR_OK)
        replay_slots_apply(slots, &record);
    replay_slots_close(slots);
    capture_file_close(capture);
}

static void rows_are_bit_for_bit_what_inference_reads(void **unused)
{
    (void)unused;
    static struct seen seen;
    struct dataset dataset;
    uint64_t refused = 0;
    dataset_init(&dataset);
    replay(market[0], &seen);
    assert_int_equal(train_load_captures(market[0], SYMBOL, &dataset, &refused, NULL), ERR_OK);
    assert_int_equal(refused, 0);
    assert_true(dataset.count > 130);
    int at = 0;
    for (size_t row = 0; row < dataset.count; row++) {
        while (at < seen.count && seen.slot[at] < dataset.slot[row])
            at++;
        assert_true(at < seen.count && seen.slot[at] == dataset.slot[row]);
        assert_memory_equal(dataset.values + row * FEATURE_COUNT, seen.values[at],
                            sizeof(seen.values[0]));
    }
    dataset_free(&dataset);
}

/* --- the future ----------------------------------------------------------------------- */

enum future { FUTURE_KEPT, FUTURE_DROPPED, FUTURE_OTHER };

/* Records of the first market up to and with until_us, then what `future` says. */
static void load(struct dataset *dataset, int64_t until_us, enum future future)
{
    struct row_maker *maker;
    dataset_init(dataset);
    assert_int_equal(row_maker_open(SYMBOL, dataset, &maker, NULL), ERR_OK);
    for (int i = 0; i < (future == FUTURE_OTHER ? 2 : 1); i++) {
        struct capture_file *capture;
        struct record record;
        uint64_t number = 0;
        assert_int_equal(capture_file_open(market[i], &capture, NULL), ERR_OK);
        while (capture_file_next(capture, &record) == ERR_OK) {
            bool past = record.recv_us <= until_us;
            bool drop = future == FUTURE_DROPPED && !past && record.kind == RECORD_FRAME &&
                        number++ % 3 == 0;
            if (future == FUTURE_OTHER ? past == (i == 0) : !drop)
                assert_int_equal(row_maker_apply(maker, &record, NULL), ERR_OK);
        }
        capture_file_close(capture);
    }
    assert_int_equal(row_maker_end(maker, NULL), ERR_OK);
    row_maker_close(maker);
}

static void predict(const struct model *model, const struct dataset *dataset, size_t row,
                    struct model_output *out)
{
    model_predict(model, dataset->values + row * FEATURE_COUNT, out);
}

static void no_row_changes_when_the_future_does(void **unused)
{
    (void)unused;
    struct dataset as_it_was;
    struct model *model;
    assert_int_equal(inference_model_load("", MLP_KERNEL_AUTO, &model, NULL), ERR_OK);
    load(&as_it_was, INT64_MAX, FUTURE_KEPT);
    assert_true(as_it_was.count > 140); /* before labels are set: every warm slot */
    for (size_t cut = 20; cut < 140; cut += 17)
        for (enum future future = FUTURE_DROPPED; future <= FUTURE_OTHER; future++) {
            struct dataset changed;
            int64_t until_us = clock_slot_us(as_it_was.slot[cut]);
            load(&changed, until_us, future);
            assert_true(changed.count > cut);
            for (size_t row = 0; row <= cut; row++) {
                struct model_output before, after;
                assert_int_equal(changed.slot[row], as_it_was.slot[row]);
                predict(model, &as_it_was, row, &before);
                predict(model, &changed, row, &after);
                assert_memory_equal(&before.mean_bp, &after.mean_bp, sizeof(float));
            }
            assert_memory_equal(changed.values, as_it_was.values,
                                (cut + 1) * FEATURE_COUNT * sizeof(float));
            /* The change is one: what comes after does differ. */
            size_t end = changed.count < as_it_was.count ? changed.count : as_it_was.count;
            assert_true(end <= cut + 1 || memcmp(changed.values, as_it_was.values,
                                                 end * FEATURE_COUNT * sizeof(float)) != 0);
            dataset_free(&changed);
        }
    model_close(model);
    dataset_free(&as_it_was);
}

/* --- row files ------------------------------------------------------------------------ */

static void row_files_bring_the_same_rows_or_nothing(void **unused)
{
    (void)unused;
    struct dataset dataset, back;
    uint64_t refused = 0;
    char path[TEMP_DIR_SIZE + 32];
    uint8_t byte;
    dataset_init(&dataset);
    dataset_init(&back);
    snprintf(path, sizeof(path), "%s/rows", folder);
    assert_int_equal(train_load_captures(market[0], SYMBOL, &dataset, &refused, NULL), ERR_OK);
    assert_int_equal(train_save_rows(path, &dataset, NULL), ERR_OK);
    assert_int_equal(train_load_rows(path, &back, NULL), ERR_OK);
    assert_int_equal(dataset_hash(&back), dataset_hash(&dataset));
    for (long at = 3; at < 20000; at += 1777) {
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fread(&byte, 1, 1, file), 1);
        byte ^= 16;
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fwrite(&byte, 1, 1, file), 1);
        fclose(file);
        assert_int_not_equal(train_load_rows(path, &back, NULL), ERR_OK);
        assert_int_equal(train_save_rows(path, &dataset, NULL), ERR_OK);
    }
    assert_int_equal(dataset_hash(&back), dataset_hash(&dataset));
    dataset_free(&dataset);
    dataset_free(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_bit_for_bit_what_inference_reads),
        cmocka_unit_test(no_row_changes_when_the_future_does),
        cmocka_unit_test(row_files_bring_the_same_rows_or_nothing),
    };
    return cmocka_run_group_tests(tests, make_markets, drop_markets);
}
