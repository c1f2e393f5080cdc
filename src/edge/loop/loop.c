/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Events taken per wait; more are served in the next round. */
#define LOOP_BATCH_MAX 32
/* Marks of the loop's own descriptors in epoll_data; entries use generation << 32 | index. */
#define LOOP_MARK_WAKE  UINT64_MAX
#define LOOP_MARK_ALARM (UINT64_MAX - 1)

struct loop_entry {
    int fd; /* -1: free */
    /* Changes with each use of the place, so that an event fetched before a removal is
     * not served to the place's next owner. */
    uint32_t generation;
    loop_fd_fn fn;
    void *context;
};

struct loop {
    int epoll_fd;
    int wake_fd;
    int alarm_fd;
    struct loop_entry entries[LOOP_FDS_MAX];
};

static int loop_open_own(struct loop *loop, int fd, uint64_t mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = mark};
    return fd >= 0 && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? ERR_OK : ERR_IO;
}

int loop_open(struct loop **out, struct err *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return err_set(err, ERR_MEMORY, "event loop: out of memory");
    for (int i = 0; i < LOOP_FDS_MAX; i++)
        loop->entries[i].fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->epoll_fd < 0 || loop_open_own(loop, loop->wake_fd, LOOP_MARK_WAKE) != ERR_OK ||
        loop_open_own(loop, loop->alarm_fd, LOOP_MARK_ALARM) != ERR_OK) {
        int code = errno;
        loop_close(loop);
        return err_set(err, ERR_IO, "event loop: %s", strerror(code));
    }
    *out = loop;
    return ERR_OK;
}

static void loop_close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void loop_close(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_close_fd(loop->alarm_fd);
    loop_close_fd(loop->wake_fd);
    loop_close_fd(loop->epoll_fd);
    free(loop);
}

/* The place of fd, or a free one for -1; NULL if there is none. */
static struct loop_entry *loop_find(struct loop *loop, int fd)
{
    for (int i = 0; i < LOOP_FDS_MAX; i++)
        if (loop->entries[i].fd == fd)
            return &loop->entries[i];
    return NULL;
}

static int loop_set_epoll(struct loop *loop, struct loop_entry *entry, uint32_t events)
{
    uint64_t index = (uint64_t)(entry - loop->entries);
    struct epoll_event event = {.events = events,
                                .data.u64 = (uint64_t)entry->generation << 32 | index};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, entry->fd, &event) == 0)
        return ERR_OK;
    /* New here, or closed elsewhere and its number used again. */
    if (errno == ENOENT && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, entry->fd, &event) == 0)
        return ERR_OK;
    return ERR_INVALID;
}

int loop_set(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *context)
{
    if (fd < 0 || fn == NULL)
        return ERR_INVALID;
    struct loop_entry *entry = loop_find(loop, fd);
    bool added = entry == NULL;
    if (added) {
        entry = loop_find(loop, -1);
        if (entry == NULL)
            return ERR_FULL;
        entry->fd = fd;
        /* Never the pattern of LOOP_MARK_*: those have all of the upper half set. */
        entry->generation = (entry->generation + 1) & 0x7fffffffu;
    }
    entry->fn = fn;
    entry->context = context;
    int result = loop_set_epoll(loop, entry, events);
    if (result != ERR_OK && added)
        entry->fd = -1;
    return result;
}

void loop_remove(struct loop *loop, int fd)
{
    struct loop_entry *entry = fd < 0 ? NULL : loop_find(loop, fd);
    if (entry == NULL)
        return;
    /* Fails when the descriptor was closed first: then epoll has forgotten it by itself. */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    entry->fd = -1;
}

static int loop_wait(struct loop *loop, struct epoll_event *events, int64_t timeout_us)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_us / CLOCK_US_PER_S),
                               .tv_nsec = (long)(timeout_us % CLOCK_US_PER_S) * 1000L};
    int count = epoll_pwait2(loop->epoll_fd, events, LOOP_BATCH_MAX,
                             timeout_us < 0 ? NULL : &timeout, NULL);
    if (count >= 0 || errno != ENOSYS)
        return count;
    int64_t timeout_ms = timeout_us < 0 ? -1 : (timeout_us + 999) / CLOCK_US_PER_MS;
    return epoll_wait(loop->epoll_fd, events, LOOP_BATCH_MAX,
                      timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
}

/* Empties a counter descriptor; an empty one (EAGAIN) is as good. */
static void loop_drain(int fd)
{
    uint64_t count;
    ssize_t size = read(fd, &count, sizeof(count));
    (void)size;
}

static int loop_dispatch(struct loop *loop, const struct epoll_event *event)
{
    if (event->data.u64 == LOOP_MARK_WAKE || event->data.u64 == LOOP_MARK_ALARM) {
        loop_drain(event->data.u64 == LOOP_MARK_WAKE ? loop->wake_fd : loop->alarm_fd);
        return 0;
    }
    struct loop_entry *entry = &loop->entries[event->data.u64 & 0xffffffffu];
    if (entry->fd < 0 || entry->generation != (uint32_t)(event->data.u64 >> 32))
        return 0;
    entry->fn(entry->context, event->events);
    return 1;
}

int loop_run_once(struct loop *loop, int64_t timeout_us)
{
    struct epoll_event events[LOOP_BATCH_MAX];
    int count = loop_wait(loop, events, timeout_us);
    int served = 0;
    for (int i = 0; i < count; i++)
        served += loop_dispatch(loop, &events[i]);
    return served;
}

int loop_alarm(struct loop *loop, int64_t mono_us)
{
    struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(mono_us / CLOCK_US_PER_S),
                                           .tv_nsec = (long)(mono_us % CLOCK_US_PER_S) * 1000L}};
    return timerfd_settime(loop->alarm_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0 ? ERR_OK
                                                                                : ERR_INVALID;
}

void loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    int saved = errno; /* may run in a signal handler */
    ssize_t size = write(loop->wake_fd, &one, sizeof(one));
    (void)size;
    errno = saved;
}

int loop_fd(const struct loop *loop)
{
    return loop->epoll_fd;
}

static int64_t loop_clock_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
}

int64_t loop_wall_us(void)
{
    return loop_clock_ns(CLOCK_REALTIME) / 1000;
}

int64_t loop_mono_us(void)
{
    return loop_clock_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t loop_mono_ns(void)
{
    return loop_clock_ns(CLOCK_MONOTONIC);
}

struct clock_now loop_now(void)
{
    return (struct clock_now){.wall_us = loop_wall_us(), .mono_us = loop_mono_us()};
}
