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
#include "services/trainer/train_source.h"

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

static void row_files_follow_each_other_in_the_order_of_time(void **unused)
{
    (void)unused;
    struct dataset first, second, both;
    uint64_t refused = 0;
    struct err err = {0};
    char path[2][TEMP_DIR_SIZE + 32], joined[3 * sizeof(path[0])];
    dataset_init(&first);
    dataset_init(&both);
    assert_int_equal(train_load_captures(market[0], SYMBOL, &first, &refused, NULL), ERR_OK);
    second = first;
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof(path[i]), "%s/rows%d", folder, i);
        for (size_t row = 0; i == 1 && row < second.count; row++)
            second.slot[row] += 5000;
        assert_int_equal(train_save_rows(path[i], &second, NULL), ERR_OK);
    }
    snprintf(joined, sizeof(joined), "%s,%s", path[1], path[0]);
    assert_int_equal(train_load_rows(joined, &both, &err), ERR_MALFORMED);
    assert_non_null(strstr(err.text, "begins before"));
    dataset_free(&both);
    dataset_init(&both);
    snprintf(joined, sizeof(joined), "%s,%s", path[0], path[1]);
    assert_int_equal(train_load_rows(joined, &both, NULL), ERR_OK);
    assert_int_equal(both.count, 2 * first.count);
    assert_memory_equal(both.slot + first.count, second.slot, first.count * sizeof(int64_t));
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(both.values + (size_t)i * first.count * FEATURE_COUNT, first.values,
                            first.count * FEATURE_COUNT * sizeof(float));
        assert_memory_equal(both.label_bp + (size_t)i * first.count, first.label_bp,
                            first.count * sizeof(double));
    }
    snprintf(joined, sizeof(joined), "%s,,%s", path[0], path[1]);
    dataset_free(&both);
    dataset_init(&both);
    assert_int_equal(train_load_rows(joined, &both, NULL), ERR_CONFIG);
    dataset_free(&both);
    dataset_free(&first);
}

/* --- the simulated exchange in process ------------------------------------------------- */

static void oracle_of(const char *path, const struct dataset *dataset, float *out)
{
    struct split_range all = {0, dataset->count};
    assert_int_equal(train_load_oracle(path, dataset, all, out, NULL), ERR_OK);
}

static void a_market_made_while_it_is_read_has_its_oracle_beside_it(void **unused)
{
    (void)unused;
    struct dataset made, kept;
    uint64_t refused = 0;
    char path[2][TEMP_DIR_SIZE + 32], joined[3 * sizeof(path[0])];
    float one[SLOTS_MAX], other[SLOTS_MAX];
    struct sim_capture_result result;
    struct sim_options options = {.symbol = SYMBOL,
                                  .seed = 40,
                                  .price = 61837.63,
                                  .rate = 1.0,
                                  .diff_interval_ms = 20,
                                  .depth20 = true,
                                  .capture_hours = HOURS,
                                  .capture_start_ms = 1770000000000};
    snprintf(path[0], sizeof(path[0]), "%s/made.csv", folder);
    snprintf(path[1], sizeof(path[1]), "%s/kept.csv", folder);
    snprintf(options.capture_out, sizeof(options.capture_out), "%s/kept.btc", folder);
    snprintf(options.capture_oracle, sizeof(options.capture_oracle), "%s", path[1]);
    dataset_init(&made);
    dataset_init(&kept);
    assert_int_equal(sim_capture_write(&options, &result, NULL), ERR_OK);
    assert_int_equal(train_load_captures(options.capture_out, SYMBOL, &kept, &refused, NULL),
                     ERR_OK);
    struct train_simulate simulate = {.symbol = SYMBOL,
                                      .hours = HOURS,
                                      .seed = 40,
                                      .from_us = options.capture_start_ms * CLOCK_US_PER_MS,
                                      .oracle = path[0]};
    assert_int_equal(train_source_simulate(&simulate, &made, &refused, NULL), ERR_OK);
    assert_true(made.count > 100 && made.count < SLOTS_MAX);
    assert_int_equal(dataset_hash(&made), dataset_hash(&kept));
    assert_true(made.slot[0] > clock_slot(simulate.from_us));
    oracle_of(path[0], &made, one);
    oracle_of(path[1], &made, other);
    assert_memory_equal(one, other, made.count * sizeof(float));
    for (size_t i = 0; i < made.count; i++)
        assert_true(one[i] == one[i]); /* a value for each row */
    /* Several files: what the first does not have is looked for in the next. */
    FILE *file = fopen(path[1], "w");
    assert_non_null(file);
    fprintf(file, "slot,oracle_bp\n%lld,0.25\n", (long long)made.slot[0] - 3);
    fclose(file);
    snprintf(joined, sizeof(joined), "%s,%s", path[1], path[0]);
    oracle_of(joined, &made, other);
    assert_memory_equal(one, other, made.count * sizeof(float));
    simulate.oracle = "/nowhere/oracle.csv";
    assert_int_equal(train_source_simulate(&simulate, &kept, &refused, NULL), ERR_IO);
    dataset_free(&made);
    dataset_free(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_bit_for_bit_what_inference_reads),
        cmocka_unit_test(no_row_changes_when_the_future_does),
        cmocka_unit_test(row_files_bring_the_same_rows_or_nothing),
        cmocka_unit_test(row_files_follow_each_other_in_the_order_of_time),
        cmocka_unit_test(a_market_made_while_it_is_read_has_its_oracle_beside_it),
    };
    return cmocka_run_group_tests(tests, make_markets, drop_markets);
}
