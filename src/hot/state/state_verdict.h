/* What gap-detector says about a loss that the aggregator has reported: the JSON text in
 * gap:verdict:{symbol} (DESIGN.md section 6, Verdict). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_VERDICT_H
#define BTCAST_HOT_STATE_STATE_VERDICT_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum state_verdict_action {
    STATE_VERDICT_NONE,
    STATE_VERDICT_ANCHOR, /* an anchor is needed; the ask is set already */
    STATE_VERDICT_IGNORE, /* an operator wants none */
    STATE_VERDICT_WAIT,   /* it is being looked into */
};

struct state_verdict {
    enum state_verdict_action action;
    int64_t until_ms;    /* wall; 0: as long as it stands there */
    uint64_t epoch, seq; /* place in the order that it speaks of; 0: none said */
};

/* No bytes: STATE_VERDICT_NONE. ERR_MALFORMED (and NONE) for anything that is no verdict. */
int state_verdict_read(struct bytes json, struct state_verdict *verdict,
                       struct err *err) MUST_CHECK;

#endif
