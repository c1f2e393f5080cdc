/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define PIPE_TEXT 8192

static int saved_stderr;
static int pipe_ends[2];

/* Standard error goes into a pipe while a test runs. */
static int setup(void **state)
{
    (void)state;
    if (pipe(pipe_ends) != 0)
        return -1;
    saved_stderr = dup(STDERR_FILENO);
    return dup2(pipe_ends[1], STDERR_FILENO) < 0;
}

static int teardown(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return 0;
}

/* What was logged; a mark of our own keeps read from waiting when nothing was. */
static const char *logged(void)
{
    static char text[PIPE_TEXT];
    assert_int_equal(write(pipe_ends[1], "#", 1), 1);
    ssize_t size = read(pipe_ends[0], text, sizeof(text) - 1);
    assert_true(size > 0);
    text[size - 1] = '\0';
    return text;
}

static int64_t noon_us(void)
{
    return 1770000000123456;
}

static void log_writes_one_logfmt_line(void **state)
{
    (void)state;
    log_init("aggregator", LOG_INFO, noon_us);
    log_info("book_lost", "symbol=%s id=%d", "BTCUSDT", 7);
    assert_string_equal(logged(), "ts=2026-02-02T02:40:00.123456Z level=info service=aggregator "
                                  "event=book_lost symbol=BTCUSDT id=7\n");
}

static void log_leaves_the_time_out_without_a_clock(void **state)
{
    (void)state;
    log_init("sim", LOG_INFO, NULL);
    log_error("x", "a=1");
    assert_string_equal(logged(), "level=error service=sim event=x a=1\n");
}

static void log_drops_what_is_below_its_level(void **state)
{
    (void)state;
    log_init("sim", LOG_WARN, NULL);
    log_debug("x", "a=1");
    log_info("x", "a=2");
    assert_string_equal(logged(), "");
    log_warn("x", "a=3");
    assert_string_equal(logged(), "level=warn service=sim event=x a=3\n");
}

static void log_cuts_a_long_line_but_ends_it(void **state)
{
    (void)state;
    char longest[4000];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    log_init("sim", LOG_INFO, NULL);
    log_info("x", "%s", longest);
    const char *text = logged();
    assert_true(strlen(text) < 2100);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void log_levels_have_names(void **state)
{
    (void)state;
    enum log_level level = LOG_DEBUG;
    assert_true(log_level_parse("error", &level) && level == LOG_ERROR);
    assert_true(log_level_parse("debug", &level) && level == LOG_DEBUG);
    assert_false(log_level_parse("ERROR", &level));
    assert_false(log_level_parse("", &level));
}

static void log_limit_lets_one_pass_an_interval_and_counts_the_rest(void **state)
{
    (void)state;
    struct log_limit limit = LOG_LIMIT_DEFAULT;
    uint64_t skipped = 99;
    assert_true(log_limit_pass(&limit, 5000000, &skipped));
    assert_int_equal(skipped, 0);
    for (int i = 1; i <= 7; i++)
        assert_false(log_limit_pass(&limit, 5000000 + i, &skipped));
    assert_true(log_limit_pass(&limit, 6000000, &skipped));
    assert_int_equal(skipped, 7);
    assert_true(log_limit_pass(&limit, 7000000, &skipped));
    assert_int_equal(skipped, 0);
}

int main(void)
{
#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_PIPE(log_writes_one_logfmt_line),
        WITH_PIPE(log_leaves_the_time_out_without_a_clock),
        WITH_PIPE(log_drops_what_is_below_its_level),
        WITH_PIPE(log_cuts_a_long_line_but_ends_it),
        cmocka_unit_test(log_levels_have_names),
        cmocka_unit_test(log_limit_lets_one_pass_an_interval_and_counts_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
