/* The re-anchor agent's REST port over edge/https: builds the exchange's URLs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REANCHOR_REST_H
#define BTCAST_SERVICES_REANCHOR_REST_H

#include "edge/https/https.h"
#include "recover/anchor/anchor_port.h"

#define REANCHOR_REST_TIMEOUT_US 10000000 /* CONTRACTS.md section 7, row 1 */

struct reanchor_rest {
    struct https *https; /* borrowed */
    const char *base;    /* "https://api.binance.com" */
    anchor_rest_fn done;
    void *context;
};

/* One call at a time. */
struct anchor_rest_port reanchor_rest_port(struct reanchor_rest *rest);

#endif
