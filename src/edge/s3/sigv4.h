/* AWS Signature Version 4 of a request: canonical form, string to sign, signature. Own code
 * because libcurl 7.88 neither hashes the payload for S3 nor sorts the query. Pure but for
 * OpenSSL's hashes. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_S3_SIGV4_H
#define BTCAST_EDGE_S3_SIGV4_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"

#define SIGV4_TIME_SIZE          17 /* "20130524T000000Z" */
#define SIGV4_AUTHORIZATION_SIZE 512
#define SIGV4_PAIRS_MAX          16
#define SIGV4_EMPTY_SHA256       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sigv4_pair {
    const char *name, *value;
};

struct sigv4_request {
    const char *method;
    const char *path;  /* as in the URL: encoded, begins with '/' */
    const char *query; /* as in the URL, without '?'; from sigv4_query */
    /* All that is to be signed, names in lower case, values trimmed; any order. At least
     * host, x-amz-date and (S3) x-amz-content-sha256; at most SIGV4_PAIRS_MAX. */
    const struct sigv4_pair *headers;
    int header_count;
    const char *payload_sha256; /* hexadecimal */
    const char *time;           /* of x-amz-date */
    const char *region, *service;
    const char *key_id, *secret;
};

/* "20130524T000000Z" of a wall time. */
void sigv4_time(int64_t wall_us, char out[SIGV4_TIME_SIZE]);
/* All but letters, digits, "-._~" (and '/', if keep_slash) as %XX. */
void sigv4_encode(struct text *out, const char *value, bool keep_slash);
/* "a=1&b=x%2Fy": encoded and sorted as the canonical form wants it. */
void sigv4_query(struct text *out, const struct sigv4_pair *pairs, int count);
/* The value of the Authorization header; false when it does not fit (a canonical form of
 * over 8 KiB). */
bool sigv4_authorize(const struct sigv4_request *request, char out[SIGV4_AUTHORIZATION_SIZE]);

#endif
