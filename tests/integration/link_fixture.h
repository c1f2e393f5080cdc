/* A real redis-server and a link to it, for the tests of ports on that link: the port's callbacks
 * count answers and keep the last result. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_INTEGRATION_LINK_FIXTURE_H
#define BTCAST_TESTS_INTEGRATION_LINK_FIXTURE_H

#include <stdio.h>

#include "edge/redis/redis_link.h"
#include "tests/lib/redis_fixture.h"

#define LINK_FIXTURE_WAIT_US 5000000

struct link_fixture {
    struct redis_fixture redis;
    struct loop *loop;
    struct redis_link *link;
    int answers, result;
};

static inline void link_fixture_turn(struct link_fixture *fixture)
{
    loop_run_once(fixture->loop, 1000);
    redis_link_do_work(fixture->link, loop_mono_us());
}

static inline void link_fixture_connect(struct link_fixture *fixture)
{
    int64_t deadline_us = loop_mono_us() + LINK_FIXTURE_WAIT_US;
    while (!redis_link_connected(fixture->link) && loop_mono_us() < deadline_us)
        link_fixture_turn(fixture);
    assert_true(redis_link_connected(fixture->link));
}

static inline void link_fixture_start(struct link_fixture *fixture)
{
    struct redis_link_options options = {.seed = 1};
    redis_fixture_start(&fixture->redis, NULL);
    snprintf(options.target, sizeof(options.target), "%s", fixture->redis.target);
    assert_int_equal(loop_open(&fixture->loop, NULL), ERR_OK);
    assert_int_equal(redis_link_open(&options, fixture->loop, &fixture->link, NULL), ERR_OK);
    link_fixture_connect(fixture);
}

/* Behind redis_link_close, which answers what is under way, and the port's close. */
static inline void link_fixture_stop(struct link_fixture *fixture)
{
    loop_close(fixture->loop);
    redis_fixture_stop(&fixture->redis);
}

/* The result of the call just started, once its one answer is there. */
static inline int link_fixture_answer(struct link_fixture *fixture, int started)
{
    int64_t deadline_us = loop_mono_us() + LINK_FIXTURE_WAIT_US;
    int before = fixture->answers;
    assert_int_equal(started, ERR_OK);
    while (fixture->answers == before && loop_mono_us() < deadline_us)
        link_fixture_turn(fixture);
    assert_int_equal(fixture->answers, before + 1);
    return fixture->result;
}

#endif
