/* Binary COPY of the store: exact, and nothing that is cut or of another shape is believed.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "learn/store/training_rows.h"

#define SLOT 890000000LL

struct piece {
    uint8_t data[64 + FEATURE_COUNT * 8 + 64];
    size_t size;
};

static void put(struct piece *piece, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0;)
        piece->data[piece->size++] = (uint8_t)(value >> (8 * i));
}

static void put_f64(struct piece *piece, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put(piece, 8, 4);
    put(piece, bits, 8);
}

static void head(struct piece *piece)
{
    memcpy(piece->data, "PGCOPY\n\377\r\n", 11);
    piece->size = 11;
    put(piece, 0, 8);
}

static void row(struct piece *piece, int64_t slot, int values)
{
    put(piece, 4, 2);
    put(piece, 8, 4);
    put(piece, (uint64_t)slot, 8);
    put(piece, 20 + (uint64_t)values * 8, 4);
    put(piece, 1, 4);
    put(piece, 0, 4);
    put(piece, 700, 4);
    put(piece, (uint64_t)values, 4);
    put(piece, 1, 4);
    for (int i = 0; i < values; i++) {
        float value = 0.1f;
        uint32_t bits;
        memcpy(&bits, &value, sizeof(bits));
        put(piece, 4, 4);
        put(piece, bits, 4);
    }
    put_f64(piece, 60000.005);
    put_f64(piece, 60001.0);
}

static void a_copy_gives_its_rows(void **state)
{
    (void)state;
    struct dataset dataset;
    struct training_copy copy = {.dataset = &dataset};
    struct piece piece = {0};
    float value = 0.1f;
    dataset_init(&dataset);
    head(&piece);
    row(&piece, SLOT, FEATURE_COUNT);
    assert_int_equal(training_copy_take(&copy, bytes_of(piece.data, piece.size), NULL), ERR_OK);
    piece.size = 0;
    row(&piece, SLOT + 1, FEATURE_COUNT);
    assert_int_equal(training_copy_take(&copy, bytes_of(piece.data, piece.size), NULL), ERR_OK);
    assert_false(copy.ended);
    piece.size = 0;
    put(&piece, 0xffff, 2);
    assert_int_equal(training_copy_take(&copy, bytes_of(piece.data, piece.size), NULL), ERR_OK);
    assert_true(copy.ended);
    assert_int_equal(training_copy_take(&copy, bytes_of(piece.data, piece.size), NULL),
                     ERR_MALFORMED);
    assert_int_equal(dataset.count, 2);
    assert_int_equal(dataset.slot[1], SLOT + 1);
    assert_true(dataset.mid[0] == 60000.005);
    assert_true(dataset.label_bp[0] == 1e4 * log(60001.0 / 60000.005));
    assert_memory_equal(&dataset.values[FEATURE_COUNT - 1], &value, sizeof(value));
    dataset_free(&dataset);
}

static void nothing_that_is_cut_or_changed_is_believed(void **state)
{
    (void)state;
    struct dataset dataset;
    struct piece whole = {0};
    dataset_init(&dataset);
    head(&whole);
    row(&whole, SLOT, FEATURE_COUNT);
    for (size_t size = 0; size < whole.size; size++) {
        struct training_copy copy = {.dataset = &dataset};
        int result = training_copy_take(&copy, bytes_of(whole.data, size), NULL);
        assert_true(result == ERR_MALFORMED || size == 19); /* the head alone is fine */
    }
    for (int values = 0; values < FEATURE_COUNT; values += 7) {
        struct training_copy copy = {.dataset = &dataset};
        struct piece other = {0};
        head(&other);
        row(&other, SLOT, values);
        assert_int_equal(training_copy_take(&copy, bytes_of(other.data, other.size), NULL),
                         ERR_MALFORMED);
    }
    assert_int_equal(dataset.count, 0);
    dataset_free(&dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_gives_its_rows),
        cmocka_unit_test(nothing_that_is_cut_or_changed_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
