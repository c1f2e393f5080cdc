/* The object port over S3: one PUT up to 64 MiB and a multipart upload above, GET in pieces
 * into a file that appears whole, listing in pages. What can be tried again is, with full
 * jitter, out of a budget that all calls share, so that a store in trouble is not hammered.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_S3_S3_OBJECTS_H
#define BTCAST_EDGE_S3_S3_OBJECTS_H

#include "edge/loop/loop.h"
#include "edge/s3/s3_target.h"
#include "learn/lake/object_port.h"

#define S3_OBJECTS_CALLS_MAX 4 /* one PUT holds its bytes in memory */
#define S3_OBJECTS_SIZE_MAX  (64ULL << 30)

struct s3_objects;

struct s3_objects_options {
    const struct s3_target *target; /* finished; copied */
    const char *ca_file;            /* NULL: the system's */
    uint64_t seed;
    int64_t timeout_us;                 /* of one request; default 60 s */
    int64_t retry_min_us, retry_max_us; /* default 100 ms, 5 s */
    int tries;                          /* of one request; default 5 */
    /* For tests; 0: 64 MiB, 16 MiB, 8 MiB, 1000. */
    uint64_t multipart_above, part_bytes, get_bytes;
    int list_page;
};

struct s3_objects_stats {
    uint64_t requests, retries, refused_retries, failures, bytes_put, bytes_got, foreign_keys;
};

int s3_objects_open(const struct s3_objects_options *options, struct loop *loop,
                    struct s3_objects **objects, struct err *err) MUST_CHECK;
/* Calls under way are dropped without an answer. Not from inside a callback. */
void s3_objects_close(struct s3_objects *objects);
/* Valid as long as the objects. */
const struct object_port *s3_objects_port(struct s3_objects *objects);
const struct s3_objects_stats *s3_objects_stats(const struct s3_objects *objects);

#endif
