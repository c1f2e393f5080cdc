/* The link against a real server and its faults. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "edge/redis/redis_dial.h"
#include "edge/redis/redis_link.h"
#include "edge/redis/redis_sync.h"
#include "tests/lib/redis_fixture.h"

/* Patience for anything that has to happen; never the measure of a test. */
#define PATIENCE_US (10 * CLOCK_US_PER_S)
#define SEEN_MAX    4096

struct seen {
    int result[SEEN_MAX];
    int type[SEEN_MAX];
    char text[SEEN_MAX][24];
    int count;
};

static struct redis_fixture server;
static struct loop *loop;
static struct redis_link *link_under_test;
static struct seen seen;
static char states[64];

static void see(void *context, int result, const redisReply *reply)
{
    struct seen *into = context;
    assert_true(into->count < SEEN_MAX);
    assert_true((result == ERR_OK) == (reply != NULL));
    into->result[into->count] = result;
    into->type[into->count] = reply == NULL ? 0 : reply->type;
    char *text = into->text[into->count++];
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
        snprintf(text, sizeof(into->text[0]), "%lld", reply->integer);
    else if (reply != NULL && reply->str != NULL)
        snprintf(text, sizeof(into->text[0]), "%.20s", reply->str);
    else
        text[0] = '\0';
}

static void see_state(void *context, bool connected)
{
    (void)context;
    strcat(states, connected ? "U" : "D");
}

static int send_words(const char *words)
{
    struct bytes argv[16];
    int argc = 0;
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        argv[argc++] = bytes_of(words, size);
        words += size + (words[size] == ' ');
    }
    return redis_link_send(link_under_test, argv, argc, see, &seen);
}

static int64_t soon(void)
{
    return loop_mono_us() + PATIENCE_US;
}

static void wait_until(bool (*done)(void))
{
    int64_t deadline_us = soon();
    while (!done()) {
        assert_true(loop_mono_us() < deadline_us);
        redis_link_do_work(link_under_test, loop_mono_us());
        loop_run_once(loop, 1000);
    }
}

static void open_link(const struct redis_link_options *options)
{
    struct err err = {0};
    if (redis_link_open(options, loop, &link_under_test, &err) != ERR_OK)
        fail_msg("%s", err.text);
    redis_link_on_state(link_under_test, see_state, NULL);
}

static struct redis_link_options default_options(void)
{
    struct redis_link_options options = {.seed = 1, .name = "test"};
    snprintf(options.target, sizeof(options.target), "%s", server.target);
    return options;
}

static int setup_server(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    memset(states, 0, sizeof(states));
    link_under_test = NULL;
    redis_fixture_start(&server, &(struct redis_fixture_options){.tcp = true});
    return loop_open(&loop, NULL);
}

static int setup(void **state)
{
    setup_server(state);
    struct redis_link_options options = default_options();
    open_link(&options);
    assert_true(redis_link_wait_connected(link_under_test, soon()));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_link_close(link_under_test);
    loop_close(loop);
    redis_fixture_stop(&server);
    return 0;
}

static void redis_link_answers_a_pipeline_in_order(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(send_words("INCR counter"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_int_equal(seen.count, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(atoi(seen.text[i]), i + 1);
    assert_string_equal(states, "U");
}

static void redis_link_gives_an_error_reply_as_an_answer(void **state)
{
    (void)state;
    assert_int_equal(send_words("SET a x"), ERR_OK);
    assert_int_equal(send_words("INCR a"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_int_equal(seen.result[1], ERR_OK);
    assert_int_equal(seen.type[1], REDIS_REPLY_ERROR);
    assert_true(redis_link_connected(link_under_test));
}

static void redis_link_carries_binary_arguments_and_large_replies(void **state)
{
    (void)state;
    static uint8_t value[3 * 1024 * 1024];
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (uint8_t)(i * 31 + (i >> 8));
    struct bytes set[3] = {BYTES_LITERAL("SET"), bytes_of("k\0\r\n", 4),
                           bytes_of(value, sizeof(value))};
    assert_int_equal(redis_link_send(link_under_test, set, 3, see, &seen), ERR_OK);
    struct bytes length[2] = {BYTES_LITERAL("STRLEN"), set[1]};
    assert_int_equal(redis_link_send(link_under_test, length, 2, see, &seen), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_int_equal(atoi(seen.text[1]), sizeof(value));
    redisReply *reply = redis_fixture_command(&server, "GET %b", set[1].data, set[1].size);
    assert_int_equal(reply->len, sizeof(value));
    assert_memory_equal(reply->str, value, sizeof(value));
    freeReplyObject(reply);
    struct bytes get[2] = {BYTES_LITERAL("GET"), set[1]};
    assert_int_equal(redis_link_send(link_under_test, get, 2, see, &seen), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_int_equal(seen.type[2], REDIS_REPLY_STRING);
}

static void send_again(void *context, int result, const redisReply *reply)
{
    see(context, result, reply);
    if (result == ERR_OK && reply->integer < 5)
        assert_int_equal(
            redis_link_send(link_under_test,
                            (struct bytes[]){BYTES_LITERAL("INCR"), BYTES_LITERAL("n")}, 2,
                            send_again, context),
            ERR_OK);
}

static void redis_link_takes_commands_from_inside_a_handler(void **state)
{
    (void)state;
    struct bytes argv[2] = {BYTES_LITERAL("INCR"), BYTES_LITERAL("n")};
    assert_int_equal(redis_link_send(link_under_test, argv, 2, send_again, &seen), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_int_equal(seen.count, 5);
    assert_string_equal(seen.text[4], "5");
}

static bool is_down(void)
{
    return !redis_link_connected(link_under_test);
}

static bool is_up(void)
{
    return redis_link_connected(link_under_test);
}

static int states_when_answered;

static void see_before_state(void *context, int result, const redisReply *reply)
{
    see(context, result, reply);
    states_when_answered = (int)strlen(states);
    /* Nothing can be sent while the connection is being lost. */
    assert_int_equal(send_words("PING"), ERR_CONNECTION);
}

static void redis_link_answers_all_that_was_owed_when_the_server_is_killed(void **state)
{
    (void)state;
    redis_fixture_pause(&server);
    struct bytes argv[2] = {BYTES_LITERAL("INCR"), BYTES_LITERAL("n")};
    for (int i = 0; i < 5; i++)
        assert_int_equal(redis_link_send(link_under_test, argv, 2, see_before_state, &seen),
                         ERR_OK);
    redis_link_flush(link_under_test);
    redis_fixture_kill(&server);
    wait_until(is_down);
    assert_int_equal(seen.count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(seen.result[i], ERR_CONNECTION);
    assert_int_equal(states_when_answered, 1);
    assert_string_equal(states, "UD");
    assert_int_equal(send_words("PING"), ERR_CONNECTION);
    assert_true(redis_link_error(link_under_test)[0] != '\0');

    redis_fixture_restart(&server);
    wait_until(is_up);
    assert_string_equal(states, "UDU");
    assert_int_equal(send_words("PING"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_string_equal(seen.text[5], "PONG");
    assert_int_equal(redis_link_stats(link_under_test)->losses, 1);
    assert_int_equal(redis_link_stats(link_under_test)->connects, 2);
}

static void redis_link_times_out_on_a_server_that_hangs_and_comes_back_with_it(void **state)
{
    (void)state;
    struct redis_link_options options = default_options();
    options.reply_timeout_us = 50000;
    redis_link_close(link_under_test);
    open_link(&options);
    assert_true(redis_link_wait_connected(link_under_test, soon()));
    redis_fixture_pause(&server);
    assert_int_equal(send_words("PING"), ERR_OK);
    assert_false(redis_link_wait(link_under_test, soon()));
    assert_int_equal(seen.result[0], ERR_TIMEOUT);
    assert_int_equal(redis_link_stats(link_under_test)->timeouts, 1);
    /* The stopped server accepts connections, but does not serve: not connected. */
    for (int i = 0; i < 50; i++) {
        redis_link_do_work(link_under_test, loop_mono_us());
        loop_run_once(loop, 5000);
        assert_false(redis_link_connected(link_under_test));
    }
    assert_true(redis_link_stats(link_under_test)->failures > 0);
    redis_fixture_resume(&server);
    wait_until(is_up);
}

static void redis_link_lets_a_blocking_command_take_its_own_time_longer(void **state)
{
    (void)state;
    struct redis_link_options options = default_options();
    options.reply_timeout_us = 100000;
    redis_link_close(link_under_test);
    open_link(&options);
    assert_true(redis_link_wait_connected(link_under_test, soon()));
    struct bytes argv[3] = {BYTES_LITERAL("BLPOP"), BYTES_LITERAL("nothing"), BYTES_LITERAL("0.3")};
    assert_int_equal(
        redis_link_send_blocking(link_under_test, argv, 3, 10 * CLOCK_US_PER_S, see, &seen),
        ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_int_equal(seen.type[0], REDIS_REPLY_NIL);
    assert_int_equal(redis_link_stats(link_under_test)->losses, 0);
}

static void redis_link_does_not_blame_the_server_for_its_own_pause(void **state)
{
    (void)state;
    assert_int_equal(send_words("PING"), ERR_OK);
    redis_link_flush(link_under_test);
    /* The reply is in the socket, but this process was away for an hour. */
    while (recv(redis_link_fd(link_under_test), &(char){0}, 1, MSG_PEEK) != 1)
        usleep(1000);
    redis_link_do_work(link_under_test, loop_mono_us() + 3600 * CLOCK_US_PER_S);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.result[0], ERR_OK);
    assert_true(redis_link_connected(link_under_test));
}

static void redis_link_refuses_more_than_its_limits(void **state)
{
    (void)state;
    struct redis_link_options options = default_options();
    options.in_flight_max = 3;
    options.out_bytes_max = 1000;
    redis_link_close(link_under_test);
    open_link(&options);
    assert_true(redis_link_wait_connected(link_under_test, soon()));
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_words("PING"), ERR_OK);
    assert_int_equal(send_words("PING"), ERR_AGAIN);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_int_equal(seen.count, 3);

    static const uint8_t big[5000];
    struct bytes argv[3] = {BYTES_LITERAL("SET"), BYTES_LITERAL("k"), bytes_of(big, sizeof(big))};
    /* One that is larger than the limit alone goes when nothing waits. */
    assert_int_equal(redis_link_send(link_under_test, argv, 3, see, &seen), ERR_OK);
    assert_int_equal(send_words("PING"), ERR_AGAIN);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_int_equal(redis_link_stats(link_under_test)->refused, 2);
    assert_int_equal(seen.count, 4);
}

static struct redis_script append = {
    .name = "append",
    .source = "redis.call('RPUSH', KEYS[1], ARGV[1]); return redis.call('LLEN', KEYS[1])",
};

static int eval_append(const char *value)
{
    struct bytes key = BYTES_LITERAL("list"), argument = bytes_text(value);
    return redis_link_eval(link_under_test, &append, &key, 1, &argument, 1, see, &seen);
}

static void assert_list(const char *expected)
{
    redisReply *reply = redis_fixture_command(&server, "LRANGE list 0 -1");
    char got[256] = "";
    for (size_t i = 0; i < reply->elements; i++)
        strcat(got, reply->element[i]->str);
    freeReplyObject(reply);
    assert_string_equal(got, expected);
}

static void redis_link_eval_runs_a_script_by_its_sha(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(eval_append("a"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_string_equal(seen.text[2], "3");
    redisReply *reply = redis_fixture_command(&server, "SCRIPT EXISTS %s", append.sha);
    assert_int_equal(reply->element[0]->integer, 1);
    freeReplyObject(reply);
    assert_int_equal(redis_link_stats(link_under_test)->script_reloads, 0);
}

static void eval_third(void *context, int result, const redisReply *reply)
{
    see(context, result, reply);
    assert_int_equal(eval_append("d"), ERR_OK);
}

static void redis_link_eval_keeps_the_order_and_answers_once_after_a_script_flush(void **state)
{
    (void)state;
    assert_int_equal(eval_append("0"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    freeReplyObject(redis_fixture_command(&server, "SCRIPT FLUSH"));
    memset(&seen, 0, sizeof(seen));
    /* a and b will fail; the handler of the plain command sends d between their failures. */
    assert_int_equal(eval_append("a"), ERR_OK);
    struct bytes ping = BYTES_LITERAL("PING");
    assert_int_equal(redis_link_send(link_under_test, &ping, 1, eval_third, &seen), ERR_OK);
    assert_int_equal(eval_append("b"), ERR_OK);
    assert_int_equal(eval_append("c"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_list("0abcd");
    assert_int_equal(seen.count, 5);
    assert_string_equal(seen.text[0], "PONG");
    for (int i = 1; i < 5; i++)
        assert_int_equal(atoi(seen.text[i]), i + 1);
    assert_int_equal(redis_link_stats(link_under_test)->script_reloads, 3);
    assert_int_equal(redis_link_owed(link_under_test), 0);
}

static void redis_link_eval_answers_when_the_server_dies_during_a_repair(void **state)
{
    (void)state;
    assert_int_equal(eval_append("0"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    freeReplyObject(redis_fixture_command(&server, "SCRIPT FLUSH"));
    memset(&seen, 0, sizeof(seen));
    struct bytes pop[3] = {BYTES_LITERAL("BLPOP"), BYTES_LITERAL("none"), BYTES_LITERAL("0")};
    assert_int_equal(eval_append("a"), ERR_OK);
    assert_int_equal(redis_link_send_blocking(link_under_test, pop, 3, PATIENCE_US, see, &seen),
                     ERR_OK);
    redis_link_flush(link_under_test);
    while (redis_link_stats(link_under_test)->script_reloads == 0)
        loop_run_once(loop, 1000);
    assert_int_equal(eval_append("held"), ERR_OK);
    redis_fixture_kill(&server);
    wait_until(is_down);
    assert_int_equal(seen.count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(seen.result[i], ERR_CONNECTION);
    redis_fixture_restart(&server);
    wait_until(is_up);
    assert_int_equal(eval_append("z"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_list("z");
}

static void redis_link_logs_in_selects_and_names_itself(void **state)
{
    (void)state;
    redis_link_close(link_under_test);
    redis_fixture_stop(&server);
    redis_fixture_start(&server, &(struct redis_fixture_options){.password = "geheim"});
    struct redis_link_options options = default_options();
    snprintf(options.password, sizeof(options.password), "falsch");
    open_link(&options);
    while (redis_link_stats(link_under_test)->failures == 0) {
        redis_link_do_work(link_under_test, loop_mono_us());
        loop_run_once(loop, 1000);
    }
    assert_non_null(strstr(redis_link_error(link_under_test), "WRONGPASS"));
    assert_null(strstr(redis_link_error(link_under_test), "falsch"));
    redis_link_close(link_under_test);

    snprintf(options.password, sizeof(options.password), "geheim");
    snprintf(options.username, sizeof(options.username), "default");
    options.database = 3;
    open_link(&options);
    assert_true(redis_link_wait_connected(link_under_test, soon()));
    assert_int_equal(send_words("SET here 1"), ERR_OK);
    assert_int_equal(send_words("CLIENT GETNAME"), ERR_OK);
    assert_true(redis_link_wait(link_under_test, soon()));
    assert_string_equal(seen.text[1], "test");
    assert_int_equal(redis_fixture_integer(&server, "DBSIZE"), 0);

    struct redis_sync sync;
    struct redis_link_options wrong = options;
    snprintf(wrong.password, sizeof(wrong.password), "falsch");
    struct err err = {0};
    assert_int_equal(redis_sync_open(&sync, &wrong, &err), ERR_REFUSED);
    assert_int_equal(redis_sync_open(&sync, &options, &err), ERR_OK);
    redisReply *reply = NULL;
    struct bytes size = BYTES_LITERAL("DBSIZE");
    assert_int_equal(redis_sync_command(&sync, &size, 1, &reply, &err), ERR_OK);
    assert_int_equal(reply->integer, 1);
    freeReplyObject(reply);
    redis_sync_close(&sync);
}

static void redis_link_speaks_tcp_by_number_and_by_name(void **state)
{
    (void)state;
    redis_link_close(link_under_test);
    struct redis_link_options options = default_options();
    const char *forms[] = {"127.0.0.1:%d", "localhost:%d"};
    for (int i = 0; i < 2; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(options.target, sizeof(options.target), forms[i], server.port);
#pragma GCC diagnostic pop
        open_link(&options);
        assert_true(redis_link_wait_connected(link_under_test, soon()));
        assert_int_equal(send_words("PING"), ERR_OK);
        assert_true(redis_link_wait(link_under_test, soon()));
        assert_string_equal(seen.text[i], "PONG");
        if (i == 0)
            redis_link_close(link_under_test);
    }
}

static void redis_link_keeps_trying_a_server_that_is_not_there(void **state)
{
    (void)state;
    redis_link_close(link_under_test);
    redis_fixture_kill(&server);
    struct redis_link_options options = default_options();
    open_link(&options);
    assert_int_equal(send_words("PING"), ERR_CONNECTION);
    while (redis_link_stats(link_under_test)->failures < 5) {
        redis_link_do_work(link_under_test, loop_mono_us());
        loop_run_once(loop, 1000);
    }
    assert_non_null(strstr(redis_link_error(link_under_test), server.socket));
    assert_string_equal(states, "U"); /* of the first link: never up, never lost */
    redis_fixture_restart(&server);
    wait_until(is_up);
}

/* A listener that answers every connection with the same bytes. */
static void redis_link_survives_a_peer_that_does_not_speak_redis(void **state)
{
    (void)state;
    redis_link_close(link_under_test);
    struct redis_link_options options = default_options();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/fake", server.folder);
    snprintf(options.target, sizeof(options.target), "unix:%.100s", address.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 16), 0);
    open_link(&options);
    const char *nonsense[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "*-7\r\n",
                              "$99999999999999999\r\n", "+OK\r\n+PONG\r\n+PONG\r\n"};
    for (uint64_t i = 0; i < 4; i++) {
        int peer = -1;
        while ((peer = accept(listener, NULL, NULL)) < 0) {
            redis_link_do_work(link_under_test, loop_mono_us());
            loop_run_once(loop, 1000);
        }
        assert_true(write(peer, nonsense[i], strlen(nonsense[i])) > 0);
        const struct redis_link_stats *stats = redis_link_stats(link_under_test);
        while (stats->failures + stats->losses < i + 1) {
            redis_link_do_work(link_under_test, loop_mono_us());
            loop_run_once(loop, 1000);
        }
        close(peer);
    }
    close(listener);
}

static void redis_dial_parses_targets_and_says_what_is_wrong(void **state)
{
    (void)state;
    struct redis_address address;
    struct err err = {0};
    assert_int_equal(redis_dial_parse("unix:/tmp/r.sock", &address, &err), ERR_OK);
    assert_true(address.is_unix);
    assert_string_equal(address.host, "/tmp/r.sock");
    assert_int_equal(redis_dial_parse("redis.local:6379", &address, &err), ERR_OK);
    assert_string_equal(address.host, "redis.local");
    assert_string_equal(address.port, "6379");
    assert_int_equal(redis_dial_parse("[::1]:65535", &address, &err), ERR_OK);
    assert_string_equal(address.host, "::1");
    const char *wrong[] = {"",      "unix:",     "host",       "host:", ":6379",
                           "h:0",   "h:65536",   "h:6379x",    "h:-1",  "::1:6379",
                           "[]:63", "h:0000001", "redis://h:1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        err.text[0] = '\0';
        if (redis_dial_parse(wrong[i], &address, &err) != ERR_CONFIG)
            fail_msg("accepted: %s", wrong[i]);
        assert_non_null(strstr(err.text, wrong[i]));
    }
    char path[200] = "unix:/";
    memset(path + 6, 'a', 107);
    assert_int_equal(redis_dial_parse(path, &address, &err), ERR_CONFIG);
    path[5 + 107] = '\0';
    assert_int_equal(redis_dial_parse(path, &address, &err), ERR_OK);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(redis_link_answers_a_pipeline_in_order),
        EACH(redis_link_gives_an_error_reply_as_an_answer),
        EACH(redis_link_carries_binary_arguments_and_large_replies),
        EACH(redis_link_takes_commands_from_inside_a_handler),
        EACH(redis_link_answers_all_that_was_owed_when_the_server_is_killed),
        EACH(redis_link_times_out_on_a_server_that_hangs_and_comes_back_with_it),
        EACH(redis_link_lets_a_blocking_command_take_its_own_time_longer),
        EACH(redis_link_does_not_blame_the_server_for_its_own_pause),
        EACH(redis_link_refuses_more_than_its_limits),
        EACH(redis_link_eval_runs_a_script_by_its_sha),
        EACH(redis_link_eval_keeps_the_order_and_answers_once_after_a_script_flush),
        EACH(redis_link_eval_answers_when_the_server_dies_during_a_repair),
        EACH(redis_link_logs_in_selects_and_names_itself),
        EACH(redis_link_speaks_tcp_by_number_and_by_name),
        EACH(redis_link_keeps_trying_a_server_that_is_not_there),
        EACH(redis_link_survives_a_peer_that_does_not_speak_redis),
        cmocka_unit_test(redis_dial_parses_targets_and_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
