/* Which bucket, where, and with whose keys: "s3://bucket/prefix" and the environment that
 * AWS' own tools read (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
 * AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_S3_S3_TARGET_H
#define BTCAST_EDGE_S3_S3_TARGET_H

#include "base/err.h"
#include "base/text.h"

struct s3_target {
    char bucket[64], prefix[256]; /* prefix: "" or ends with '/' */
    char region[32];
    char endpoint[256]; /* "http://host:port" without a slash behind; "": AWS */
    char key_id[160], secret[160], token[4096];
    /* Made from the above by s3_target_finish. */
    char base[384]; /* of every URL: scheme and host */
    char host[320]; /* as the Host header says it */
    char place[72]; /* the bucket's path: "/bucket/" or "/" */
    char root[416]; /* of every object's path: place and prefix, encoded */
};

/* ERR_CONFIG for what is no such URL. prefix may be empty. */
int s3_target_parse(const char *url, struct s3_target *target, struct err *err) MUST_CHECK;
/* Region, endpoint and keys from the environment. ERR_CONFIG names what is missing. */
int s3_target_environment(struct s3_target *target, struct err *err) MUST_CHECK;
/* After parts were set: checks them and makes base, host and root. Custom endpoints take the
 * bucket in the path, AWS in the name of the host (unless it holds a dot). */
int s3_target_finish(struct s3_target *target, struct err *err) MUST_CHECK;

#endif
