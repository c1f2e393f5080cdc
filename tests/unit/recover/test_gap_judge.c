/* The state table of the gap detector, every state against every piece of evidence.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "recover/gap/gap_judge.h"

static const struct gap_judge_options options = {
    .cooldown_ms = 300000, .hint_hold_ms = 150000, .overdue_ms = 60000};

static struct gap_judge judge_in(enum gap_state state)
{
    struct gap_judge judge;
    gap_judge_init(&judge, &options, 0);
    judge.state = state;
    return judge;
}

/* L S R C D: what each state becomes, a line a piece of evidence, written down a second
 * time and by hand. */
static void every_state_meets_every_evidence(void **state)
{
    static const char letters[] = "LSRCD";
    static const struct {
        enum gap_evidence evidence;
        const char *next;
    } lines[] = {
        {GAP_SAW_LOSS, "RRRRR"},    {GAP_SAW_TRADES, "SSRCD"},   {GAP_SAW_CONFIRMED, "RRRRR"},
        {GAP_SAW_SETTLED, "LSRCD"}, {GAP_SAW_HINT, "SSRCD"},     {GAP_SAW_PAIR, "RRRCD"},
        {GAP_SAW_CALM, "LLRCD"},    {GAP_SAW_ANCHORED, "CCCCC"}, {GAP_SAW_OVERDUE, "LSDCD"},
        {GAP_SAW_SILENT, "DDDDD"},  {GAP_SAW_DATA, "LSRCL"},     {GAP_SAW_COOLED, "LSRLD"},
        {GAP_SAW_FORCE, "RRRRR"},
    };
    (void)state;
    assert_int_equal(sizeof(lines) / sizeof(lines[0]), GAP_EVIDENCES);
    for (int i = 0; i < GAP_EVIDENCES; i++)
        for (int from = 0; from < GAP_STATES; from++) {
            struct gap_judge judge = judge_in((enum gap_state)from);
            bool moved = gap_judge_see(&judge, lines[i].evidence, 1000);
            assert_int_equal(letters[judge.state], lines[i].next[from]);
            assert_int_equal(moved, judge.state != (enum gap_state)from);
            assert_int_equal(judge.seen[lines[i].evidence], 1);
            if (moved)
                assert_int_equal(judge.moves[from][judge.state], 1);
        }
}

static void no_hint_acts_alone_in_any_state(void **state)
{
    (void)state;
    for (int hint = 0; hint < GAP_HINTS; hint++)
        for (int from = 0; from < GAP_STATES; from++) {
            struct gap_judge judge = judge_in((enum gap_state)from);
            for (int i = 0; i < 1000; i++)
                gap_judge_hint(&judge, (enum gap_hint)hint, 1000 + i);
            if (from != GAP_REANCHORING)
                assert_int_not_equal(judge.state, GAP_REANCHORING);
        }
}

/* The volume is the only witness that is not our own stream; times are none. */
static void two_hints_act_when_one_is_the_volume(void **state)
{
    (void)state;
    for (int a = 0; a < GAP_HINTS; a++)
        for (int b = 0; b < GAP_HINTS; b++) {
            struct gap_judge judge = judge_in(GAP_LIVE);
            bool volume = a == GAP_HINT_VOLUME || b == GAP_HINT_VOLUME;
            bool time = a == GAP_HINT_TIME || b == GAP_HINT_TIME;
            gap_judge_hint(&judge, (enum gap_hint)a, 1000);
            gap_judge_hint(&judge, (enum gap_hint)b, 2000);
            assert_int_equal(judge.state == GAP_REANCHORING, a != b && volume && !time);
        }
}

static void hints_too_far_apart_are_no_pair(void **state)
{
    struct gap_judge judge = judge_in(GAP_LIVE);
    (void)state;
    gap_judge_hint(&judge, GAP_HINT_SILENCE, 1000);
    assert_int_equal(judge.state, GAP_SUSPECT);
    gap_judge_hint(&judge, GAP_HINT_VOLUME, 1000 + options.hint_hold_ms);
    assert_int_equal(judge.state, GAP_SUSPECT);
}

static void a_cool_down_holds_back_hints_but_no_proof(void **state)
{
    struct gap_judge judge = judge_in(GAP_REANCHORING);
    (void)state;
    assert_true(gap_judge_see(&judge, GAP_SAW_ANCHORED, 1000));
    gap_judge_hint(&judge, GAP_HINT_SILENCE, 2000);
    gap_judge_hint(&judge, GAP_HINT_VOLUME, 3000);
    assert_int_equal(judge.state, GAP_COOLDOWN);
    assert_int_equal(judge.held_back, 1);
    assert_true(gap_judge_see(&judge, GAP_SAW_LOSS, 4000));
    assert_int_equal(judge.state, GAP_REANCHORING);
}

static void a_cool_down_ends_by_time_and_begins_again_with_an_anchor(void **state)
{
    struct gap_judge judge = judge_in(GAP_REANCHORING);
    (void)state;
    gap_judge_see(&judge, GAP_SAW_ANCHORED, 1000);
    gap_judge_see(&judge, GAP_SAW_HINT, 200000); /* does not make it longer */
    assert_false(gap_judge_tick(&judge, 1000 + options.cooldown_ms - 1));
    gap_judge_see(&judge, GAP_SAW_ANCHORED, 250000);
    assert_false(gap_judge_tick(&judge, 1000 + options.cooldown_ms));
    assert_true(gap_judge_tick(&judge, 250000 + options.cooldown_ms));
    assert_int_equal(judge.state, GAP_LIVE);
}

static void a_suspicion_ends_when_hints_and_questions_have(void **state)
{
    struct gap_judge judge = judge_in(GAP_LIVE);
    (void)state;
    gap_judge_hint(&judge, GAP_HINT_TIME, 1000);
    gap_judge_ask(&judge);
    assert_false(gap_judge_tick(&judge, 2000 + options.hint_hold_ms));
    gap_judge_answer(&judge);
    assert_false(gap_judge_tick(&judge, 999 + options.hint_hold_ms));
    assert_true(gap_judge_tick(&judge, 1000 + options.hint_hold_ms));
    assert_int_equal(judge.state, GAP_LIVE);
}

static void an_anchor_that_takes_too_long_degrades(void **state)
{
    struct gap_judge judge = judge_in(GAP_LIVE);
    (void)state;
    gap_judge_see(&judge, GAP_SAW_LOSS, 1000);
    assert_false(gap_judge_tick(&judge, 1000 + options.overdue_ms));
    assert_true(gap_judge_tick(&judge, 1001 + options.overdue_ms));
    assert_int_equal(judge.state, GAP_DEGRADED);
    assert_true(gap_judge_see(&judge, GAP_SAW_ANCHORED, 70000));
    assert_int_equal(judge.state, GAP_COOLDOWN);
}

static void an_anchor_forgets_the_hints_that_led_to_it(void **state)
{
    struct gap_judge judge = judge_in(GAP_LIVE);
    (void)state;
    gap_judge_hint(&judge, GAP_HINT_VOLUME, 1000);
    gap_judge_hint(&judge, GAP_HINT_PRICE, 1000);
    assert_int_equal(judge.state, GAP_REANCHORING);
    gap_judge_see(&judge, GAP_SAW_ANCHORED, 2000);
    for (int hint = 0; hint < GAP_HINTS; hint++)
        assert_int_equal(judge.hint_until_ms[hint], 0);
}

static void names_of_states_read_back(void **state)
{
    enum gap_state read;
    (void)state;
    for (int i = 0; i < GAP_STATES; i++) {
        assert_true(gap_state_parse(gap_state_text((enum gap_state)i), &read));
        assert_int_equal(read, i);
    }
    assert_false(gap_state_parse("", &read));
    assert_false(gap_state_parse("Live", &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_meets_every_evidence),
        cmocka_unit_test(no_hint_acts_alone_in_any_state),
        cmocka_unit_test(two_hints_act_when_one_is_the_volume),
        cmocka_unit_test(hints_too_far_apart_are_no_pair),
        cmocka_unit_test(a_cool_down_holds_back_hints_but_no_proof),
        cmocka_unit_test(a_cool_down_ends_by_time_and_begins_again_with_an_anchor),
        cmocka_unit_test(a_suspicion_ends_when_hints_and_questions_have),
        cmocka_unit_test(an_anchor_that_takes_too_long_degrades),
        cmocka_unit_test(an_anchor_forgets_the_hints_that_led_to_it),
        cmocka_unit_test(names_of_states_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
