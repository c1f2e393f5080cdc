/* The event loop of a service thread: epoll over file descriptors, an eventfd to wake it,
 * timers as absolute deadlines. Its own epoll descriptor can be nested into another loop
 * (libwebsockets adopts it as a raw file). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LOOP_LOOP_H
#define BTCAST_EDGE_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define LOOP_FDS_MAX 64

struct loop;

/* events: EPOLLIN | EPOLLOUT … as they came. */
typedef void (*loop_fd_fn)(void *context, uint32_t events);

int loop_open(struct loop **loop, struct err *err) MUST_CHECK;
void loop_close(struct loop *loop);
/* Adds or changes (same fd) a descriptor. A handler may add, change and remove any, also
 * itself: one that was removed is not served any more. ERR_FULL over LOOP_FDS_MAX,
 * ERR_INVALID for a descriptor that epoll does not take. */
int loop_set(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *context) MUST_CHECK;
void loop_remove(struct loop *loop, int fd);
/* Waits at most timeout_us (-1: for ever, 0: not at all; microsecond precision by
 * epoll_pwait2, whole milliseconds on kernels before 5.11) and dispatches. Returns
 * descriptors served; the wake-up and the alarm are not counted. */
int loop_run_once(struct loop *loop, int64_t timeout_us);
/* One timer inside the loop, for a loop nested into another one: at mono_us (absolute,
 * 0: disarm) loop_fd() becomes readable and loop_run_once returns. Sharper than a foreign
 * loop's millisecond timers. */
int loop_alarm(struct loop *loop, int64_t mono_us) MUST_CHECK;
/* Thread- and signal-safe. */
void loop_wake(struct loop *loop);
int loop_fd(const struct loop *loop);

/* The only place in the project that reads clocks. */
int64_t loop_wall_us(void);
int64_t loop_mono_us(void);
int64_t loop_mono_ns(void);
struct clock_now loop_now(void);

#endif
