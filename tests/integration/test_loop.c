/* The event loop against real descriptors. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "edge/loop/loop.h"

struct watch {
    struct loop *loop;
    int fd;
    int other_fd;
    int calls;
    uint32_t events;
};

static void watch_read(void *context, uint32_t events)
{
    struct watch *watch = context;
    uint64_t value;
    assert_int_equal(read(watch->fd, &value, sizeof(value)), sizeof(value));
    watch->calls++;
    watch->events = events;
}

static void watch_signal(int fd)
{
    uint64_t one = 1;
    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static int setup(void **state)
{
    static struct loop *loop;
    struct err err = {0};
    assert_int_equal(loop_open(&loop, &err), ERR_OK);
    *state = loop;
    return 0;
}

static int teardown(void **state)
{
    loop_close(*state);
    return 0;
}

static void loop_serves_a_readable_descriptor_once_per_event(void **state)
{
    struct loop *loop = *state;
    struct watch watch = {.loop = loop, .fd = eventfd(0, EFD_NONBLOCK)};
    assert_int_equal(loop_set(loop, watch.fd, EPOLLIN, watch_read, &watch), ERR_OK);
    assert_int_equal(loop_run_once(loop, 0), 0);
    watch_signal(watch.fd);
    assert_int_equal(loop_run_once(loop, -1), 1);
    assert_int_equal(watch.calls, 1);
    assert_int_equal(watch.events, EPOLLIN);
    assert_int_equal(loop_run_once(loop, 0), 0);
    loop_remove(loop, watch.fd);
    watch_signal(watch.fd);
    assert_int_equal(loop_run_once(loop, 0), 0);
    close(watch.fd);
}

static void watch_remove_other(void *context, uint32_t events)
{
    struct watch *watch = context;
    watch_read(watch, events);
    loop_remove(watch->loop, watch->other_fd);
}

static void loop_does_not_serve_what_an_earlier_handler_removed(void **state)
{
    struct loop *loop = *state;
    struct watch a = {.loop = loop, .fd = eventfd(0, EFD_NONBLOCK)};
    struct watch b = {.loop = loop, .fd = eventfd(0, EFD_NONBLOCK)};
    a.other_fd = b.fd;
    b.other_fd = a.fd;
    assert_int_equal(loop_set(loop, a.fd, EPOLLIN, watch_remove_other, &a), ERR_OK);
    assert_int_equal(loop_set(loop, b.fd, EPOLLIN, watch_remove_other, &b), ERR_OK);
    watch_signal(a.fd);
    watch_signal(b.fd);
    assert_int_equal(loop_run_once(loop, 0), 1);
    assert_int_equal(a.calls + b.calls, 1);
    close(a.fd);
    close(b.fd);
}

static void watch_replace_other(void *context, uint32_t events)
{
    struct watch *watch = context;
    watch_read(watch, events);
    /* The same place and even the same descriptor, but a new owner. */
    loop_remove(watch->loop, watch->other_fd);
    assert_int_equal(loop_set(watch->loop, watch->other_fd, EPOLLOUT, watch_read, watch), ERR_OK);
}

static void loop_does_not_serve_a_new_owner_with_an_old_event(void **state)
{
    struct loop *loop = *state;
    struct watch a = {.loop = loop, .fd = eventfd(0, EFD_NONBLOCK)};
    struct watch b = {.loop = loop, .fd = eventfd(0, EFD_NONBLOCK)};
    a.other_fd = b.fd;
    b.other_fd = a.fd;
    assert_int_equal(loop_set(loop, a.fd, EPOLLIN, watch_replace_other, &a), ERR_OK);
    assert_int_equal(loop_set(loop, b.fd, EPOLLIN, watch_replace_other, &b), ERR_OK);
    watch_signal(a.fd);
    watch_signal(b.fd);
    assert_int_equal(loop_run_once(loop, 0), 1);
    close(a.fd);
    close(b.fd);
}

static void loop_refuses_a_descriptor_over_its_limit_and_takes_it_after_a_removal(void **state)
{
    struct loop *loop = *state;
    int fds[LOOP_FDS_MAX + 1];
    struct watch watch = {.loop = loop};
    for (int i = 0; i <= LOOP_FDS_MAX; i++)
        fds[i] = eventfd(0, EFD_NONBLOCK);
    for (int i = 0; i < LOOP_FDS_MAX; i++)
        assert_int_equal(loop_set(loop, fds[i], EPOLLIN, watch_read, &watch), ERR_OK);
    assert_int_equal(loop_set(loop, fds[LOOP_FDS_MAX], EPOLLIN, watch_read, &watch), ERR_FULL);
    loop_remove(loop, fds[3]);
    assert_int_equal(loop_set(loop, fds[LOOP_FDS_MAX], EPOLLIN, watch_read, &watch), ERR_OK);
    assert_int_equal(loop_set(loop, -1, EPOLLIN, watch_read, &watch), ERR_INVALID);
    for (int i = 0; i <= LOOP_FDS_MAX; i++)
        close(fds[i]);
    assert_int_equal(loop_set(loop, fds[5], EPOLLIN, watch_read, &watch), ERR_INVALID);
}

static void loop_takes_a_number_again_that_was_closed_without_removal(void **state)
{
    struct loop *loop = *state;
    struct watch watch = {.loop = loop, .fd = eventfd(0, EFD_NONBLOCK)};
    int number = watch.fd;
    assert_int_equal(loop_set(loop, watch.fd, EPOLLIN, watch_read, &watch), ERR_OK);
    close(watch.fd);
    watch.fd = eventfd(0, EFD_NONBLOCK);
    assert_int_equal(watch.fd, number);
    assert_int_equal(loop_set(loop, watch.fd, EPOLLIN, watch_read, &watch), ERR_OK);
    watch_signal(watch.fd);
    assert_int_equal(loop_run_once(loop, 0), 1);
    close(watch.fd);
}

static void *wake_from_thread(void *context)
{
    loop_wake(context);
    return NULL;
}

static void loop_wakes_from_another_thread(void **state)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_from_thread, *state), 0);
    /* Would wait for ever without the wake-up, whichever comes first. */
    assert_int_equal(loop_run_once(*state, -1), 0);
    pthread_join(thread, NULL);
    assert_int_equal(loop_run_once(*state, 0), 0);
}

static void loop_waits_at_least_as_long_as_it_was_told(void **state)
{
    int64_t before_us = loop_mono_us();
    assert_int_equal(loop_run_once(*state, 1500), 0);
    assert_true(loop_mono_us() - before_us >= 1500);
}

static void loop_alarm_makes_the_nested_descriptor_readable(void **state)
{
    struct loop *loop = *state;
    struct pollfd nested = {.fd = loop_fd(loop), .events = POLLIN};
    assert_int_equal(poll(&nested, 1, 0), 0);
    int64_t at_us = loop_mono_us() + 2000;
    assert_int_equal(loop_alarm(loop, at_us), ERR_OK);
    assert_int_equal(poll(&nested, 1, -1), 1);
    assert_true(loop_mono_us() >= at_us);
    assert_int_equal(loop_run_once(loop, -1), 0);
    assert_int_equal(poll(&nested, 1, 0), 0);
    assert_int_equal(loop_alarm(loop, loop_mono_us() + 3600 * CLOCK_US_PER_S), ERR_OK);
    assert_int_equal(loop_alarm(loop, 0), ERR_OK);
    assert_int_equal(poll(&nested, 1, 1), 0);
}

static void loop_clocks_agree_with_each_other(void **state)
{
    (void)state;
    int64_t first_ns = loop_mono_ns();
    struct clock_now now = loop_now();
    int64_t last_ns = loop_mono_ns();
    assert_true(first_ns / 1000 <= now.mono_us && now.mono_us <= last_ns / 1000);
    assert_true(now.wall_us > 1600000000LL * CLOCK_US_PER_S);
    assert_true(loop_wall_us() >= now.wall_us - CLOCK_US_PER_S);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(loop_serves_a_readable_descriptor_once_per_event),
        EACH(loop_does_not_serve_what_an_earlier_handler_removed),
        EACH(loop_does_not_serve_a_new_owner_with_an_old_event),
        EACH(loop_refuses_a_descriptor_over_its_limit_and_takes_it_after_a_removal),
        EACH(loop_takes_a_number_again_that_was_closed_without_removal),
        EACH(loop_wakes_from_another_thread),
        EACH(loop_waits_at_least_as_long_as_it_was_told),
        EACH(loop_alarm_makes_the_nested_descriptor_readable),
        EACH(loop_clocks_agree_with_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
