/* Rows: labels look exactly 10 s ahead, causes are counted, slices keep their distance.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "learn/train/dataset_csv.h"

static struct feature_vector vector_at(int64_t slot)
{
    return (struct feature_vector){
        .valid = true, .book_live = true, .as_of_us = clock_slot_us(slot) - 5000};
}

static void add(struct dataset *dataset, int64_t slot)
{
    struct feature_vector vector = vector_at(slot);
    vector.values[FEATURE_TRADE_INTENSITY] = (float)slot;
    assert_int_equal(dataset_add(dataset, slot, &vector, true, NULL), ERR_OK);
}

static void a_label_is_the_return_over_the_next_five_slots(void **unused)
{
    (void)unused;
    struct dataset dataset;
    dataset_init(&dataset);
    for (int64_t slot = 100; slot < 120; slot++) {
        assert_int_equal(
            dataset_add_price(&dataset, slot, 60000.0 + (double)(slot * slot), true, NULL), ERR_OK);
        add(&dataset, slot);
    }
    dataset_finish(&dataset);
    assert_int_equal(dataset.count, 15);
    assert_int_equal(dataset.counts.left_out[DATASET_NO_OUTCOME], 5);
    for (size_t row = 0; row < dataset.count; row++) {
        double now = 60000.0 + (double)(dataset.slot[row] * dataset.slot[row]);
        int64_t then = dataset.slot[row] + 5;
        double expected = 1e4 * log((60000.0 + (double)(then * then)) / now);
        assert_true(fabs(dataset.label_bp[row] - expected) < 1e-9);
        assert_true(dataset.mid[row] == now);
        assert_true(dataset.values[row * FEATURE_COUNT + FEATURE_TRADE_INTENSITY] ==
                    (float)dataset.slot[row]);
    }
    dataset_free(&dataset);
}

static void every_cause_is_counted_and_costs_its_row_only(void **unused)
{
    (void)unused;
    struct dataset dataset;
    struct feature_vector vector;
    dataset_init(&dataset);
    for (int64_t slot = 100; slot < 130; slot++) {
        double mid = slot == 120 ? 90000.0 : 60000.0; /* absurd for the row of 115 */
        if (slot != 112)                              /* the outcome of 107 */
            assert_int_equal(dataset_add_price(&dataset, slot, mid, slot != 118, NULL), ERR_OK);
    }
    assert_int_equal(dataset_add(&dataset, 100, NULL, true, NULL), ERR_OK);
    vector = vector_at(101);
    vector.valid = false;
    assert_int_equal(dataset_add(&dataset, 101, &vector, true, NULL), ERR_OK);
    vector = vector_at(102);
    vector.book_live = false;
    assert_int_equal(dataset_add(&dataset, 102, &vector, true, NULL), ERR_OK);
    vector = vector_at(103);
    vector.as_of_us -= DATASET_AGE_US_MAX;
    assert_int_equal(dataset_add(&dataset, 103, &vector, true, NULL), ERR_OK);
    vector = vector_at(104);
    assert_int_equal(dataset_add(&dataset, 104, &vector, false, NULL), ERR_OK);
    vector.values[3] = NAN;
    vector.as_of_us = clock_slot_us(105);
    assert_int_equal(dataset_add(&dataset, 105, &vector, true, NULL), ERR_OK);
    vector.values[3] = 1.5f; /* its range ends at 1 */
    assert_int_equal(dataset_add(&dataset, 105, &vector, true, NULL), ERR_OK);
    for (int64_t slot = 106; slot < 118; slot++)
        add(&dataset, slot);
    add(&dataset, 117);
    dataset_finish(&dataset);
    static const uint64_t expected[DATASET_CAUSES] = {2, 1, 1, 1, 2, 1, 2, 1, 1};
    for (int i = 0; i < DATASET_CAUSES; i++)
        assert_int_equal(dataset.counts.left_out[i], expected[i]);
    assert_int_equal(dataset.counts.offered, 20);
    assert_int_equal(dataset.count, 8);
    assert_int_equal(dataset.counts.kept, 8);
    dataset_free(&dataset);
}

static void fill(struct dataset *dataset, int64_t slots, int64_t hole_from, int64_t hole_to)
{
    float values[FEATURE_COUNT] = {0};
    dataset_init(dataset);
    for (int64_t slot = 0; slot < slots; slot++)
        if (slot < hole_from || slot >= hole_to)
            assert_int_equal(dataset_add_labelled(dataset, 5000 + slot, values, 60000.0, 1.0, NULL),
                             ERR_OK);
}

static void slices_are_apart_by_purge_and_embargo(void **unused)
{
    (void)unused;
    const double share[SPLIT_SLICES] = {0.6, 0.1, 0.1, 0.2};
    struct dataset dataset;
    struct split split;
    fill(&dataset, 10000, 5990, 6020);
    assert_int_equal(
        split_cut(&dataset, (struct split_range){0, dataset.count}, share, &split, NULL), ERR_OK);
    assert_false(split.embargo_short);
    assert_int_equal(split.purge_slots, 5);
    assert_int_equal(split.embargo_slots, 30);
    for (int i = 0; i + 1 < SPLIT_SLICES; i++) {
        struct split_range before = split.slice[i], after = split.slice[i + 1];
        assert_true(before.end > before.begin);
        assert_true(dataset.slot[before.end - 1] + 35 <= dataset.slot[after.begin]);
        /* … and not by more than needed: the next row would be too near. */
        assert_true(dataset.slot[before.end] + 35 > dataset.slot[after.begin]);
    }
    assert_int_equal(split.slice[SPLIT_TEST].end, dataset.count);
    dataset_free(&dataset);
}

static void short_data_shorten_the_embargo_and_say_so(void **unused)
{
    (void)unused;
    const double share[SPLIT_SLICES] = {0.6, 0.1, 0.1, 0.2};
    struct dataset dataset;
    struct split split;
    struct err err = {0};
    fill(&dataset, 140, 0, 0);
    struct split_range whole = {0, dataset.count};
    assert_int_equal(split_cut(&dataset, whole, share, &split, NULL), ERR_OK);
    assert_true(split.embargo_short);
    assert_int_equal(split.purge_slots, 5);
    assert_int_equal(split_independent(&dataset, whole), 28);
    whole.end = 12;
    assert_int_equal(split_cut(&dataset, whole, share, &split, &err), ERR_EMPTY);
    assert_string_equal(err.text, "12 rows are too few: no row is left for valid");
    dataset_free(&dataset);
}

/* Two recordings with weeks between them: cut by time, a slice would lie in the pause. */
static void a_long_pause_leaves_no_slice_empty(void **unused)
{
    (void)unused;
    const double share[SPLIT_SLICES] = {0.6, 0.1, 0.1, 0.2};
    struct dataset dataset;
    struct split split;
    fill(&dataset, 20000, 5000, 19000);
    assert_int_equal(dataset.count, 6000);
    assert_int_equal(
        split_cut(&dataset, (struct split_range){0, dataset.count}, share, &split, NULL), ERR_OK);
    for (int i = 0; i < SPLIT_SLICES; i++)
        assert_true(split.slice[i].end - split.slice[i].begin > 500);
    dataset_free(&dataset);
}

static void the_hash_sees_every_number(void **unused)
{
    (void)unused;
    struct dataset dataset;
    fill(&dataset, 300, 0, 0);
    uint64_t hash = dataset_hash(&dataset);
    assert_int_equal(dataset_hash(&dataset), hash);
    dataset.label_bp[299] += 1e-12;
    assert_int_not_equal(dataset_hash(&dataset), hash);
    dataset.label_bp[299] = 1.0;
    dataset.values[17] = -0.0f;
    assert_int_not_equal(dataset_hash(&dataset), hash);
    dataset.values[17] = 0.0f;
    dataset.slot[0]--;
    assert_int_not_equal(dataset_hash(&dataset), hash);
    dataset.slot[0]++;
    assert_int_equal(dataset_hash(&dataset), hash);
    dataset_free(&dataset);
}

/* --- CSV ------------------------------------------------------------------------------ */

static void csv_header(char *out, size_t size)
{
    snprintf(out, size, "slot,epoch,seq,as_of_us,mid");
    for (int i = 0; i < FEATURE_COUNT; i++)
        snprintf(out + strlen(out), size - strlen(out), ",%s", feature_name(i));
    snprintf(out + strlen(out), size - strlen(out), "\n");
}

static void csv_row(char *out, size_t size, int64_t slot, const char *mid, const char *value)
{
    snprintf(out, size, "%lld,1,%lld,%lld,%s", (long long)slot, (long long)slot * 10,
             (long long)clock_slot_us(slot) - 5000, mid);
    for (int i = 0; i < FEATURE_COUNT; i++)
        snprintf(out + strlen(out), size - strlen(out), ",%s", value);
    snprintf(out + strlen(out), size - strlen(out), "\n");
}

static void a_features_csv_gives_rows(void **unused)
{
    (void)unused;
    struct dataset dataset;
    char line[DATASET_CSV_LINE_MAX], mid[32];
    int64_t first_us = 0;
    dataset_init(&dataset);
    csv_header(line, sizeof(line));
    assert_int_equal(dataset_csv_header(line, NULL), ERR_OK);
    for (int64_t slot = 100; slot < 150; slot++) {
        snprintf(mid, sizeof(mid), "%lld.125", 60000 + (long long)slot);
        csv_row(line, sizeof(line), slot, mid, "0.5");
        assert_int_equal(dataset_csv_row(&dataset, line, &first_us, NULL), ERR_OK);
    }
    dataset_finish(&dataset);
    assert_int_equal(dataset.counts.left_out[DATASET_WARMING], 30);
    assert_int_equal(dataset.count, 15);
    assert_int_equal(dataset.slot[0], 130);
    assert_true(fabs(dataset.label_bp[0] - 1e4 * log(60135.125 / 60130.125)) < 1e-9);
    dataset_free(&dataset);
}

static void a_wrong_csv_is_refused_by_column(void **unused)
{
    (void)unused;
    struct dataset dataset;
    struct err err = {0};
    char line[DATASET_CSV_LINE_MAX];
    int64_t first_us = 0;
    dataset_init(&dataset);
    csv_header(line, sizeof(line));
    line[strlen(line) - 2] = 'x';
    assert_int_equal(dataset_csv_header(line, &err), ERR_SCHEMA);
    assert_string_equal(err.text, "column 37 of the header is not burst_pending");
    csv_row(line, sizeof(line), 100, "dear", "0");
    assert_int_equal(dataset_csv_row(&dataset, line, &first_us, &err), ERR_MALFORMED);
    assert_string_equal(err.text, "column 5 is no price");
    csv_row(line, sizeof(line), 100, "1", "0x");
    assert_int_equal(dataset_csv_row(&dataset, line, &first_us, &err), ERR_MALFORMED);
    csv_row(line, sizeof(line), 100, "1", "0");
    for (size_t cut = 0; cut + 2 < strlen(line); cut++) {
        char part[DATASET_CSV_LINE_MAX];
        memcpy(part, line, cut);
        part[cut] = '\0';
        if (strchr(part, ',') == NULL || cut < 80)
            assert_int_equal(dataset_csv_row(&dataset, part, &first_us, &err), ERR_MALFORMED);
    }
    dataset_free(&dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_is_the_return_over_the_next_five_slots),
        cmocka_unit_test(every_cause_is_counted_and_costs_its_row_only),
        cmocka_unit_test(slices_are_apart_by_purge_and_embargo),
        cmocka_unit_test(short_data_shorten_the_embargo_and_say_so),
        cmocka_unit_test(a_long_pause_leaves_no_slice_empty),
        cmocka_unit_test(the_hash_sees_every_number),
        cmocka_unit_test(a_features_csv_gives_rows),
        cmocka_unit_test(a_wrong_csv_is_refused_by_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
