/* The screen of `btcast watch`: what is known is told, what is not there leaves no line.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "services/cli/watch_view.h"

static char screen[16384];

static void answer(struct watch_answers *answers, const char *service, const char *health)
{
    for (int i = 0; i < ROSTER_COUNT; i++)
        if (strcmp(roster[i].name, service) == 0)
            answers->health[i] = health;
}

static const char *draw(const struct watch_answers *answers)
{
    struct text text = text_begin(screen, sizeof(screen));
    watch_view_write(answers, 1780000000000000LL, false, &text);
    return text_end(&text);
}

static void learning_is_told_when_somebody_answers_for_it(void **state)
{
    (void)state;
    struct watch_answers answers = {0};
    assert_null(strstr(draw(&answers), "learning"));
    assert_null(strstr(screen, "training"));
    answer(&answers, "data-connector",
           "{\"status\":\"healthy\",\"components\":{\"models\":{\"status\":\"healthy\","
           "\"production\":\"mlp-2\",\"shadow\":\"mlp-3\",\"judgement\":\"mlp-3 beside it, a "
           "candidate: MAE 2.1 bp\",\"last_move\":\"promoted mlp-2 over built-in\"}}}");
    answer(&answers, "trainer",
           "{\"status\":\"healthy\",\"components\":{\"training\":{\"status\":\"healthy\","
           "\"running\":true,\"progress\":\"epoch 3 of 60\",\"last_result\":\"\"}}}");
    assert_non_null(strstr(draw(&answers), "learning    serving mlp-2; mlp-3 beside it, a "
                                           "candidate: MAE 2.1 bp"));
    assert_non_null(strstr(screen, "promoted mlp-2 over built-in"));
    assert_non_null(strstr(screen, "training    now: epoch 3 of 60"));
}

static void what_is_not_known_yet_is_said_so(void **state)
{
    (void)state;
    struct watch_answers answers = {0};
    answer(
        &answers, "data-connector",
        "{\"components\":{\"models\":{\"status\":\"healthy\",\"production\":\"\",\"shadow\":\"\","
        "\"judgement\":\"no model predicts beside the serving one\",\"last_move\":\"\"}}}");
    answer(&answers, "trainer",
           "{\"components\":{\"training\":{\"running\":false,\"last_result\":\"\"}}}");
    assert_non_null(strstr(draw(&answers), "serving the built-in model; no model predicts"));
    assert_non_null(strstr(screen, "training    last: none yet"));
    answer(&answers, "data-connector",
           "{\"components\":{\"models\":{\"status\":\"off\",\"production\":\"\"}}}");
    assert_null(strstr(draw(&answers), "learning")); /* no database, nothing to learn with */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learning_is_told_when_somebody_answers_for_it),
        cmocka_unit_test(what_is_not_known_yet_is_said_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
