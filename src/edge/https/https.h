/* REST calls over libcurl: several at once, never blocking the loop they live in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_HTTPS_HTTPS_H
#define BTCAST_EDGE_HTTPS_HTTPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "edge/loop/loop.h"

#define HTTPS_REPLY_MAX     (16u * 1024u * 1024u)
#define HTTPS_IN_FLIGHT_MAX 32

struct https;

struct https_reply {
    int result;      /* ERR_OK when a reply came, else ERR_TIMEOUT, ERR_CONNECTION, ERR_FULL … */
    const char *why; /* libcurl's words for result != ERR_OK */
    int status;      /* HTTP status */
    struct bytes body;
    int64_t retry_after_s; /* Retry-After header, -1: none */
    int64_t used_weight;   /* X-MBX-USED-WEIGHT-1M header, -1: none */
    const char *etag;      /* ETag header as it came, "" without one */
    int64_t whole_size;    /* the object's size out of Content-Range, -1: none */
    int64_t duration_us;
};
typedef void (*https_fn)(void *context, const struct https_reply *reply);

struct https_request {
    const char *method;         /* "GET" */
    const char *url;            /* whole */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct bytes body;
    bool keep_body; /* body is not copied: it stays the caller's until fn is called */
    int64_t timeout_us;
};

struct https_options {
    const char *ca_file; /* NULL: the system's */
    const char *user_agent;
};

/* ERR_CONFIG unless it is http:// or https:// with a host. */
int https_check_url(const char *url, struct err *err) MUST_CHECK;
/* ERR_CONFIG when ca_file cannot be read. */
int https_open(const struct https_options *options, struct loop *loop, struct https **https,
               struct err *err) MUST_CHECK;
/* Calls in flight are answered with ERR_CONNECTION; their callbacks cannot send again. */
void https_close(struct https *https);
/* ERR_AGAIN over HTTPS_IN_FLIGHT_MAX. Everything in request is copied. fn is called from
 * inside loop_run_once or https_do_work, never from here; it may send again. */
int https_send(struct https *https, const struct https_request *request, https_fn fn,
               void *context) MUST_CHECK;
/* Sockets and timeouts live in the loop; this only hands over what has completed. */
int https_do_work(struct https *https, int64_t mono_us);

#endif
