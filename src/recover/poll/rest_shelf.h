/* Puts one REST reply after another into the archive: again and again until it is durable.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_POLL_REST_SHELF_H
#define BTCAST_RECOVER_POLL_REST_SHELF_H

#include "learn/lake/archive_port.h"

#define REST_SHELF_RETRY_US 500000

enum rest_shelf_state {
    REST_SHELF_IDLE,
    REST_SHELF_PUTTING, /* the archive had no room yet */
    REST_SHELF_STORING, /* it has the reply; not durable yet */
    REST_SHELF_STORED,
    REST_SHELF_QUARANTINED, /* the archive could not read it: kept aside, or not at all */
};

struct rest_shelf {
    const struct archive_port *archive;
    enum rest_shelf_state state;
    struct archive_rest_reply reply; /* its texts and body are borrowed */
    int64_t retry_us;                /* monotonic */
    bool answered;
    int result;
    uint64_t retries;
};

/* The reply's body, symbol and reason stay where they are until STORED or QUARANTINED. PRE:
 * not PUTTING and not STORING. */
void rest_shelf_put(struct rest_shelf *shelf, const struct archive_rest_reply *reply);
enum rest_shelf_state rest_shelf_do_work(struct rest_shelf *shelf, int64_t mono_us);

#endif
