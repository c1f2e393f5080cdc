/* What the re-anchor agent wants from the store: the claim, that is flag, ask and document
 * (the exchange's REST calls: recover/rest_port.h). Asynchronous: `done` is called exactly once,
 * never from inside the call. A call that could not be started returns an error and does not call
 * back. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_ANCHOR_ANCHOR_PORT_H
#define BTCAST_RECOVER_ANCHOR_ANCHOR_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "hot/state/state_image.h"
#include "hot/state/state_port.h"

/* result: ERR_OK, ERR_REFUSED (another token holds the flag, or none), ERR_CONNECTION,
 * ERR_TIMEOUT, ERR_IO. text is borrowed for the call. */
struct anchor_reply {
    int result;
    const char *text;
};
typedef void (*anchor_done_fn)(void *context, const struct anchor_reply *reply);

/* What lies in the store now. Views and texts are borrowed for the call. */
struct anchor_look {
    int result;
    struct bytes ask;    /* the aggregator's wish with its cause; size 0: none */
    const char *flag;    /* token that holds the claim; "": nobody */
    bool has_document;   /* a handed-over document waits for the aggregator */
    const char *swapped; /* token of the last swap that happened; "": none known */
};
typedef void (*anchor_look_fn)(void *context, const struct anchor_look *look);

struct anchor_claim_port {
    void *self;
    bool (*ready)(void *self);
    int (*look)(void *self, anchor_look_fn done, void *context);
    /* SET flag token NX PX ttl (CONTRACTS.md section 12, row 7). */
    int (*claim)(void *self, const char *token, int64_t ttl_ms, anchor_done_fn done, void *context);
    /* Compare-and-expire. */
    int (*renew)(void *self, const char *token, int64_t ttl_ms, anchor_done_fn done, void *context);
    /* Stores the document for the aggregator while the flag has this token. */
    int (*hand)(void *self, const char *token, struct bytes document, int64_t ttl_ms,
                anchor_done_fn done, void *context);
    /* Compare-and-delete of flag and document. */
    int (*drop)(void *self, const char *token, anchor_done_fn done, void *context);
    /* Appends an audit record. */
    int (*audit)(void *self, const struct state_pair *pairs, int count, anchor_done_fn done,
                 void *context);
    int (*do_work)(void *self, int64_t mono_us);
};

#endif
