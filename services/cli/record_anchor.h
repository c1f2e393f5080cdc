/* Anchors of a stand-alone recording: without an aggregator beside it the recorder follows its
 * own records with a world, and whenever that has no book it fetches the exchange's depth over
 * REST and records the anchor that joined, so that a replay has a book.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_RECORD_ANCHOR_H
#define BTCAST_SERVICES_CLI_RECORD_ANCHOR_H

#include "edge/loop/loop.h"
#include "market/record.h"

#define RECORD_ANCHOR_URL_SIZE   256
#define RECORD_ANCHOR_LIMIT      1000
#define RECORD_ANCHOR_TIMEOUT_US 10000000
/* Between two requests; longer when the exchange asks for it. */
#define RECORD_ANCHOR_BACKOFF_US 2000000

struct record_anchor_options {
    const char *symbol;
    char rest_url[RECORD_ANCHOR_URL_SIZE];                      /* "https://api.binance.com" */
    const char *ca_file;                                        /* "": the system's */
    void (*record)(void *context, const struct record *record); /* an anchor that joined */
    void *context;
};

struct record_anchor;

/* Where the REST calls of a named exchange are; empty for one that has none (a replay).
 * out has RECORD_ANCHOR_URL_SIZE bytes. */
void record_anchor_url(const char *exchange, int port_offset, char *out);
int record_anchor_open(const struct record_anchor_options *options, struct loop *loop,
                       struct record_anchor **anchor, struct err *err) MUST_CHECK;
void record_anchor_close(struct record_anchor *anchor);
/* A stamped record, in order. */
void record_anchor_follow(struct record_anchor *anchor, const struct record *record);
void record_anchor_do_work(struct record_anchor *anchor, struct clock_now now);

#endif
