/* Is a REST depth reply fit to anchor on? SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_ANCHOR_ANCHOR_JUDGE_H
#define BTCAST_RECOVER_ANCHOR_ANCHOR_JUDGE_H

#include "base/bytes.h"
#include "base/err.h"

/* Checks JSON, lastUpdateId > 0, both sides there, sorted best first without doubles,
 * prices and quantities positive, not crossed (CONTRACTS.md section 7, row 3). ERR_OK or
 * ERR_MALFORMED with what is wrong. *last_update_id is set on success. */
int anchor_judge_depth(struct bytes body, int64_t *last_update_id, struct err *err) MUST_CHECK;

#endif
