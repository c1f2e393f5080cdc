/* The publishing half of the inference agent: every prediction passes the outbox, in slot
 * order. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_INFER_OUTBOX_H
#define BTCAST_HOT_INFER_INFER_OUTBOX_H

#include "hot/infer/infer.h"

/* This slot's prediction; sent at once when the port takes it. */
void infer_outbox_put(struct infer *infer, const struct prediction *prediction, int64_t mono_us);
/* The deadline has passed without an acknowledgement: serve ours, keep it in the outbox. */
void infer_outbox_serve_local(struct infer *infer, int64_t mono_us);
/* Drains what is waiting. */
int infer_outbox_do_work(struct infer *infer, int64_t mono_us);
/* The slot is over (infer.c). */
void infer_finish_slot(struct infer *infer);

#endif
