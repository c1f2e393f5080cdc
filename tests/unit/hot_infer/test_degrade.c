/* The degradation table. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hot/infer/degrade.h"

static const struct {
    struct degrade_inputs inputs;
    enum degrade_mode mode;
} rows[] = {
    {{.features_read = true, .features_age_us = 0}, DEGRADE_STALE},
    {{.features_read = true, .book_live = true, .features_age_us = 0}, DEGRADE_LIVE},
    {{.features_read = true, .book_live = true, .features_age_us = 2000000}, DEGRADE_LIVE},
    {{.features_read = true, .features_age_us = 2000001}, DEGRADE_STALE},
    {{.features_read = true, .features_age_us = 5000000}, DEGRADE_STALE},
    {{.features_read = true, .features_age_us = 5000001}, DEGRADE_DEGRADED},
    {{.features_read = true, .features_age_us = 0, .rest_book = true}, DEGRADE_DEGRADED},
    {{.features_read = true, .book_live = true, .features_age_us = -500}, DEGRADE_LIVE},
    {{.features_read = false, .fallback_view = true}, DEGRADE_FALLBACK},
    {{.features_read = false}, DEGRADE_BLIND},
};

static void degrade_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct degrade degrade;
        enum degrade_mode from;
        degrade_init(&degrade);
        bool moved = degrade_judge(&degrade, &rows[i].inputs, &from);
        assert_int_equal(degrade.mode, rows[i].mode);
        assert_int_equal(from, DEGRADE_BLIND);
        assert_int_equal(moved, rows[i].mode != DEGRADE_BLIND);
        assert_false(degrade_judge(&degrade, &rows[i].inputs, &from));
    }
}

static void degrade_counts_each_move(void **state)
{
    (void)state;
    struct degrade degrade;
    enum degrade_mode from;
    degrade_init(&degrade);
    for (int i = 0; i < 3; i++) {
        degrade_judge(&degrade, &rows[1].inputs, &from);
        degrade_judge(&degrade, &rows[9].inputs, &from);
        assert_int_equal(from, DEGRADE_LIVE);
    }
    assert_int_equal(degrade.moves[DEGRADE_BLIND][DEGRADE_LIVE], 3);
    assert_int_equal(degrade.moves[DEGRADE_LIVE][DEGRADE_BLIND], 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(degrade_follows_the_table),
        cmocka_unit_test(degrade_counts_each_move),
    };
    return cmocka_run_group_tests_name("degrade", tests, NULL, NULL);
}
