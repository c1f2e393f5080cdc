/* Nine ways to break a swap (DESIGN.md section 6, The swap): each temporary key missing, a
 * wrong token, an old fence, the connection lost in the middle, the coordinator killed,
 * Redis restarted in between. The live keys are, by DUMP, what they were, and the next
 * anchor succeeds. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/integration/hot_fixture.h"

#define BROKEN_PATIENCE_US 12000000
#define LIVE_KEYS          4

static void hit_restart(void);

static const char *const live_keys[LIVE_KEYS] = {"ob:" FAKE_SYMBOL, "tr:" FAKE_SYMBOL ":1s",
                                                 "tr:" FAKE_SYMBOL ":5s", "feat:" FAKE_SYMBOL};

/* The aggregator's store with a hand in it, right before the next swap. */
static struct breaker {
    struct state_port real;
    void (*hit)(void); /* NULL: nothing */
    redisReply *before[LIVE_KEYS];
    bool restarts;
    int swaps, hits, same; /* swaps seen, broken, and with the live keys untouched */
    state_done_fn done;
    void *context;
    long long client; /* the aggregator's, as Redis knows it */
} breaker;

/* A large hash has another order of fields after a restart: then by its digest, which does
 * not care. */
static redisReply *dump_key(const char *key)
{
    const char *format = breaker.restarts ? "DEBUG DIGEST-VALUE %s" : "DUMP %s";
    redisReply *reply = redis_fixture_command(&scene.redis, format, key);
    assert_int_equal(reply->type, breaker.restarts ? REDIS_REPLY_ARRAY : REDIS_REPLY_STRING);
    return reply;
}

static bool dump_equals(const redisReply *one, const redisReply *other)
{
    if (one->type == REDIS_REPLY_ARRAY) {
        one = one->element[0];
        other = other->element[0];
    }
    return one->len > 0 && one->len == other->len && memcmp(one->str, other->str, one->len) == 0;
}

static void dumps_take(void)
{
    for (int i = 0; i < LIVE_KEYS; i++)
        breaker.before[i] = dump_key(live_keys[i]);
}

/* Also frees them. */
static bool dumps_are_the_same(void)
{
    bool same = true;
    for (int i = 0; i < LIVE_KEYS; i++) {
        redisReply *was = breaker.before[i];
        redisReply *now = dump_key(live_keys[i]);
        same = same && dump_equals(was, now);
        freeReplyObject(was);
        freeReplyObject(now);
    }
    return same;
}

static void breaker_on_swap(void *context, const struct state_reply *reply)
{
    (void)context;
    breaker.same += dumps_are_the_same();
    breaker.done(breaker.context, reply);
}

static int breaker_swap(void *self, uint64_t epoch, const char *token, int64_t wall_ms,
                        state_done_fn done, void *context)
{
    breaker.swaps++;
    if (breaker.hit == NULL)
        return breaker.real.anchor_swap(self, epoch, token, wall_ms, done, context);
    breaker.restarts = breaker.hit == hit_restart;
    dumps_take();
    breaker.hit();
    breaker.hit = NULL;
    breaker.hits++;
    breaker.done = done;
    breaker.context = context;
    int result = breaker.real.anchor_swap(self, epoch, token, wall_ms, breaker_on_swap, context);
    if (result != ERR_OK)
        breaker.same += dumps_are_the_same();
    return result;
}

static struct state_port breaker_wrap(struct state_port real)
{
    breaker.real = real;
    real.anchor_swap = breaker_swap;
    return real;
}

static void order(const char *command)
{
    freeReplyObject(redis_fixture_command(&scene.redis, command));
}

static void hit_ob(void)
{
    order("DEL ob:new:" FAKE_SYMBOL);
}

static void hit_tr_1s(void)
{
    order("DEL tr:new:" FAKE_SYMBOL ":1s");
}

static void hit_tr_5s(void)
{
    order("DEL tr:new:" FAKE_SYMBOL ":5s");
}

static void hit_feat(void)
{
    order("DEL feat:new:" FAKE_SYMBOL);
}

static void hit_token(void)
{
    order("SET reanchor:" FAKE_SYMBOL " somebody-else PX 1000");
}

static void hit_fence(void)
{
    order("INCRBY fence:" FAKE_SYMBOL " 1000");
}

static void hit_connection(void)
{
    char command[64];
    snprintf(command, sizeof(command), "CLIENT KILL ID %lld", breaker.client);
    order(command);
}

static void hit_restart(void)
{
    redis_fixture_kill(&scene.redis);
    redis_fixture_restart(&scene.redis);
}

static int setup(void **state)
{
    const struct redis_fixture_options options = {.persistent = true,
                                                  .arguments = {"--enable-debug-command", "yes"}};
    (void)state;
    memset(&breaker, 0, sizeof(breaker));
    scene_open(&options);
    scene.wrap = breaker_wrap;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scene_close();
    return 0;
}

static bool live_and_written(void)
{
    return is_live(0) && is_active(0) && is_written(0);
}

/* Milliseconds until the book is live again, the market going on meanwhile. */
static int64_t wait_live(void)
{
    int64_t start_us = loop_mono_us();
    while (loop_mono_us() - start_us < BROKEN_PATIENCE_US) {
        run(5);
        for (int i = 0; i < 20 && !live_and_written(); i++)
            turn();
        if (live_and_written())
            return (loop_mono_us() - start_us) / 1000;
    }
    fail_msg("no live book within %d ms", BROKEN_PATIENCE_US / 1000);
    return -1;
}

static void on_client_id(void *context, int result, const redisReply *reply)
{
    (void)context;
    assert_int_equal(result, ERR_OK);
    breaker.client = reply->integer;
}

static bool client_is_known(int index)
{
    (void)index;
    return breaker.client != 0;
}

static void learn_client(void)
{
    struct bytes argv[] = {BYTES_LITERAL("CLIENT"), BYTES_LITERAL("ID")};
    assert_int_equal(redis_link_send(scene.nodes[0].link, argv, 2, on_client_id, NULL), ERR_OK);
    until(client_is_known, 0);
}

static void break_and_recover(const char *name, void (*hit)(void))
{
    go_live();
    if (hit == hit_connection)
        learn_client();
    breaker.hit = hit;
    scene.market.update_id += 7; /* a diff that nobody got */
    int64_t start_us = loop_mono_us();
    while (breaker.hits == 0 && loop_mono_us() - start_us < PATIENCE_US)
        run(1);
    assert_int_equal(breaker.hits, 1);
    int64_t ms = wait_live();
    assert_int_equal(breaker.same, 1);
    assert_redis_has_the_exchanges_book();
    assert_ttls();
    print_message("broken swap: %-24s live keys untouched, live again after %lld ms\n", name,
                  (long long)ms);
}

static void a_missing_book_breaks_nothing(void **state)
{
    (void)state;
    break_and_recover("ob:new missing", hit_ob);
    assert_true(status_of(0).anchors_refused > 0);
}

static void a_missing_second_breaks_nothing(void **state)
{
    (void)state;
    break_and_recover("tr:new 1s missing", hit_tr_1s);
    assert_true(status_of(0).anchors_refused > 0);
}

static void missing_five_seconds_break_nothing(void **state)
{
    (void)state;
    break_and_recover("tr:new 5s missing", hit_tr_5s);
    assert_true(status_of(0).anchors_refused > 0);
}

static void missing_features_break_nothing(void **state)
{
    (void)state;
    break_and_recover("feat:new missing", hit_feat);
    assert_true(status_of(0).anchors_refused > 0);
}

static void another_token_breaks_nothing(void **state)
{
    (void)state;
    break_and_recover("wrong token", hit_token);
    assert_true(status_of(0).anchors_refused > 0);
}

static void an_old_fence_breaks_nothing(void **state)
{
    (void)state;
    break_and_recover("old fence", hit_fence);
    assert_true(status_of(0).anchors_refused > 0);
    assert_true(status_of(0).writes_refused > 0);
}

/* Nobody can know whether it was swapped: the aggregator goes on with the new book. */
static void a_connection_lost_in_the_middle_breaks_nothing(void **state)
{
    (void)state;
    break_and_recover("connection lost", hit_connection);
}

static void a_restart_of_redis_in_between_breaks_nothing(void **state)
{
    (void)state;
    break_and_recover("Redis restarted", hit_restart);
}

static bool is_claimed(int index)
{
    (void)index;
    return redis_fixture_integer(&scene.redis, "EXISTS reanchor:" FAKE_SYMBOL) == 1;
}

/* Its flag is in the way of the next coordinator until it runs out. */
static void a_killed_coordinator_breaks_nothing(void **state)
{
    (void)state;
    go_live();
    int swaps = breaker.swaps;
    scene.rest_silent = true;
    scene.market.update_id += 7;
    run(5);
    until(is_claimed, 0);
    until(is_written, 0);
    reanchor_unwire();
    scene.rest_running = false;
    dumps_take();
    for (int i = 0; i < 500; i++)
        turn();
    assert_true(dumps_are_the_same());
    assert_int_equal(breaker.swaps, swaps);
    scene.rest_silent = false;
    reanchor_wire("second");
    int64_t ms = wait_live();
    assert_redis_has_the_exchanges_book();
    assert_ttls();
    print_message("broken swap: %-24s live keys untouched, live again after %lld ms\n",
                  "coordinator killed", (long long)ms);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_missing_book_breaks_nothing),
        TEST(a_missing_second_breaks_nothing),
        TEST(missing_five_seconds_break_nothing),
        TEST(missing_features_break_nothing),
        TEST(another_token_breaks_nothing),
        TEST(an_old_fence_breaks_nothing),
        TEST(a_connection_lost_in_the_middle_breaks_nothing),
        TEST(a_restart_of_redis_in_between_breaks_nothing),
        TEST(a_killed_coordinator_breaks_nothing),
    };
#undef TEST
    return cmocka_run_group_tests_name("broken swaps", tests, NULL, NULL);
}
