/* The exchange's REST calls over edge/https (recover/rest_port.h).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_HTTPS_HTTPS_REST_H
#define BTCAST_EDGE_HTTPS_HTTPS_REST_H

#include "edge/https/https.h"
#include "recover/rest_port.h"

#define HTTPS_REST_CALLS_MAX 8

struct https_rest_call {
    rest_done_fn done; /* NULL: free */
    void *context;
};

/* https and base ("https://api.binance.com") are borrowed; zero-initialise the rest. */
struct https_rest {
    struct https *https;
    const char *base;
    int64_t timeout_us;
    struct https_rest_call calls[HTTPS_REST_CALLS_MAX];
};

struct rest_port https_rest_port(struct https_rest *rest);

#endif
