/* The scheduling that a tight grid needs: SCHED_FIFO, then a negative nice, then nothing
 * (DESIGN.md section 4, "The grid"). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_INFERENCE_INFERENCE_PRIORITY_H
#define BTCAST_SERVICES_INFERENCE_INFERENCE_PRIORITY_H

/* Raises the calling thread; returns what it got: "fifo", "nice" or "normal". */
const char *inference_priority_raise(void);

#endif
