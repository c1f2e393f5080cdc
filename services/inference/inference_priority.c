/* SPDX-License-Identifier: Apache-2.0 */
#include "services/inference/inference_priority.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INFERENCE_PRIORITY_FIFO 10
#define INFERENCE_PRIORITY_NICE (-15)

const char *inference_priority_raise(void)
{
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    struct sched_param parameters = {.sched_priority = INFERENCE_PRIORITY_FIFO};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters) == 0)
        return "fifo";
    id_t thread = (id_t)syscall(SYS_gettid);
    if (setpriority(PRIO_PROCESS, thread, INFERENCE_PRIORITY_NICE) == 0)
        return "nice";
    return "normal";
}
