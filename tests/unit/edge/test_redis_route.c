/* Targets, slots and the order in which servers are tried.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "edge/redis/redis_route.h"
#include "edge/redis/redis_slot.h"

static struct redis_address at(const char *text)
{
    struct redis_address address;
    assert_int_equal(redis_dial_parse(text, &address, NULL), ERR_OK);
    return address;
}

static struct redis_route route_of(const char *target)
{
    struct redis_target parsed;
    struct redis_route route;
    assert_int_equal(redis_target_parse(target, &parsed, NULL), ERR_OK);
    redis_route_init(&route, &parsed);
    redis_route_begin(&route);
    return route;
}

/* The next hop as "host:port", with '?' in front of a sentinel; "-" when there is none. */
static const char *next(struct redis_route *route)
{
    static char text[REDIS_ADDRESS_TEXT_SIZE + 1];
    struct redis_hop hop;
    if (!redis_route_next(route, &hop))
        return "-";
    text[0] = '?';
    redis_address_text(&hop.address, text + 1);
    return hop.kind == REDIS_HOP_SENTINEL ? text : text + 1;
}

static void targets_are_parsed_in_all_their_forms(void **state)
{
    (void)state;
    struct redis_target target;
    assert_int_equal(redis_target_parse("unix:/tmp/r", &target, NULL), ERR_OK);
    assert_true(target.kind == REDIS_TARGET_SINGLE && target.address[0].is_unix && !target.tls);
    assert_int_equal(redis_target_parse("rediss://cache.example:6380", &target, NULL), ERR_OK);
    assert_true(target.kind == REDIS_TARGET_SINGLE && target.tls);
    assert_string_equal(target.address[0].host, "cache.example");
    assert_int_equal(redis_target_parse("sentinel:a:1,[::1]:2/my-master", &target, NULL), ERR_OK);
    assert_true(target.kind == REDIS_TARGET_SENTINEL && target.count == 2 && !target.tls);
    assert_string_equal(target.master, "my-master");
    assert_string_equal(target.address[1].host, "::1");
    assert_int_equal(redis_target_parse("cluster+tls:a:1,b:2,c:3", &target, NULL), ERR_OK);
    assert_true(target.kind == REDIS_TARGET_CLUSTER && target.count == 3 && target.tls);
    assert_string_equal(target.address[2].port, "3");
}

static void targets_that_cannot_be_one_are_refused_with_their_text(void **state)
{
    (void)state;
    const char *wrong[] = {"",
                           "redis://a:1",
                           "rediss://",
                           "rediss://unix:/a",
                           "sentinel:a:1",
                           "sentinel:a:1/",
                           "sentinel:a:1/na me",
                           "sentinel:/name",
                           "sentinel:a:1,/name",
                           "sentinel:unix:/tmp/x/name",
                           "cluster:",
                           "cluster:a:1,",
                           "cluster:a",
                           "cluster:a:1/name",
                           "cluster:a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct redis_target target;
        struct err err = {0};
        if (redis_target_parse(wrong[i], &target, &err) != ERR_CONFIG)
            fail_msg("accepted: %s", wrong[i]);
        assert_non_null(strstr(err.text, wrong[i]));
    }
}

static void slots_are_those_of_the_specification(void **state)
{
    (void)state;
    /* CLUSTER KEYSLOT of a real server. */
    assert_int_equal(redis_slot_of(BYTES_LITERAL("123456789")), 0x31C3);
    assert_int_equal(redis_slot_of(BYTES_LITERAL("ob:{BTCUSDT}")), 8473);
    assert_int_equal(redis_slot_of(BYTES_LITERAL("BTCUSDT")), 8473);
    assert_int_equal(redis_slot_of(BYTES_LITERAL("foo{bar}{zap}")),
                     redis_slot_of(BYTES_LITERAL("bar")));
    assert_int_equal(redis_slot_of(BYTES_LITERAL("foo{{bar}}zap")),
                     redis_slot_of(BYTES_LITERAL("{bar")));
    /* Nothing between the braces: the whole key counts. */
    assert_int_not_equal(redis_slot_of(BYTES_LITERAL("foo{}{bar}")),
                         redis_slot_of(BYTES_LITERAL("bar")));
    assert_int_equal(redis_slot_of(bytes_of(NULL, 0)), 0);
}

static void one_server_is_tried_once_a_round(void **state)
{
    (void)state;
    struct redis_route route = route_of("a:1");
    for (int round = 0; round < 3; round++) {
        assert_string_equal(next(&route), "a:1");
        assert_string_equal(next(&route), "-");
        redis_route_begin(&route);
    }
}

static void a_sentinel_is_asked_then_its_primary_then_the_replicas(void **state)
{
    (void)state;
    struct redis_route route = route_of("sentinel:s1:1,s2:2/m");
    struct redis_address primary = at("p:6379"), replica = at("r:6379"), third = at("s3:3");
    assert_string_equal(next(&route), "?s2:2");
    redis_route_learn(&route, REDIS_HOP_SERVER, &replica);
    redis_route_learn(&route, REDIS_HOP_SENTINEL, &third);
    redis_route_name(&route, &primary, false);
    redis_route_answered(&route);
    assert_string_equal(next(&route), "p:6379");
    assert_string_equal(next(&route), "r:6379");
    assert_string_equal(next(&route), "-");
    /* Another sentinel the next time; one that is dead gives way to the next at once. */
    redis_route_begin(&route);
    assert_string_equal(next(&route), "?s2:2");
    assert_string_equal(next(&route), "?s1:1");
    assert_string_equal(next(&route), "?s3:3");
    assert_string_equal(next(&route), "p:6379");
    assert_string_equal(next(&route), "r:6379");
    assert_string_equal(next(&route), "-");
}

static void an_announced_primary_goes_before_any_sentinel(void **state)
{
    (void)state;
    struct redis_route route = route_of("sentinel:s1:1/m");
    struct redis_address primary = at("new:6379");
    redis_route_name(&route, &primary, true);
    redis_route_begin(&route);
    assert_string_equal(next(&route), "new:6379");
    assert_string_equal(next(&route), "?s1:1");
    assert_string_equal(next(&route), "-");
}

static void redirects_in_a_circle_end_with_the_round(void **state)
{
    (void)state;
    struct redis_route route = route_of("cluster:a:1,b:2");
    struct redis_address a = at("a:1"), b = at("b:2"), dead = at("dead:3");
    for (int hops = 0;; hops++) {
        const char *text = next(&route);
        if (strcmp(text, "-") == 0)
            break;
        assert_true(hops < 3);
        /* Everybody names somebody else. */
        redis_route_name(&route, text[0] == 'a' ? &b : text[0] == 'b' ? &dead : &a, true);
    }
    redis_route_begin(&route);
    assert_string_not_equal(next(&route), "-");
}

static void more_servers_than_can_be_kept_push_out_the_oldest(void **state)
{
    (void)state;
    struct redis_route route = route_of("cluster:seed:1");
    for (int i = 1; i <= REDIS_ROUTE_KNOWN_MAX + 5; i++) {
        char text[32];
        snprintf(text, sizeof(text), "n%d:1", i);
        struct redis_address node = at(text);
        redis_route_learn(&route, REDIS_HOP_SERVER, &node);
    }
    int hops = 0;
    for (char text[REDIS_ADDRESS_TEXT_SIZE + 1];
         snprintf(text, sizeof(text), "%s", next(&route)), text[0] != '-'; hops++)
        assert_string_not_equal(text, "seed:1");
    assert_int_equal(hops, REDIS_ROUTE_KNOWN_MAX);
}

static void addresses_that_servers_tell_are_checked(void **state)
{
    (void)state;
    struct redis_address address;
    char text[REDIS_ADDRESS_TEXT_SIZE];
    assert_true(redis_address_make(&address, "::1", 3, "7000", 4));
    assert_string_equal(redis_address_text(&address, text), "[::1]:7000");
    assert_true(redis_address_make(&address, "10.0.0.1", 8, "1", 1));
    assert_false(redis_address_make(&address, "", 0, "1", 1));
    assert_false(redis_address_make(&address, "a", 1, "0", 1));
    assert_false(redis_address_make(&address, "a", 1, "70000", 5));
    assert_false(redis_address_make(&address, "unix", 4, "/x", 2));
    char long_host[300];
    memset(long_host, 'h', sizeof(long_host));
    assert_false(redis_address_make(&address, long_host, sizeof(long_host), "1", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_parsed_in_all_their_forms),
        cmocka_unit_test(targets_that_cannot_be_one_are_refused_with_their_text),
        cmocka_unit_test(slots_are_those_of_the_specification),
        cmocka_unit_test(one_server_is_tried_once_a_round),
        cmocka_unit_test(a_sentinel_is_asked_then_its_primary_then_the_replicas),
        cmocka_unit_test(an_announced_primary_goes_before_any_sentinel),
        cmocka_unit_test(redirects_in_a_circle_end_with_the_round),
        cmocka_unit_test(more_servers_than_can_be_kept_push_out_the_oldest),
        cmocka_unit_test(addresses_that_servers_tell_are_checked),
    };
    return cmocka_run_group_tests_name("redis_route", tests, NULL, NULL);
}
