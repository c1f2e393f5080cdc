/* One PostgreSQL connection that never blocks its loop: jobs of one or more statements, run in
 * order, each job one transaction; reconnects with full jitter. Only the name of a host is
 * looked up with a blocking call (libpq has no other), so prefer addresses and sockets.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_LINK_H
#define BTCAST_EDGE_POSTGRES_PQ_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "edge/loop/loop.h"
#include "edge/postgres/pq_api.h"
#include "edge/postgres/pq_target.h"

#define PQ_LINK_JOBS_MAX  16
#define PQ_LINK_STEPS_MAX 10

struct pq_link;

struct pq_link_options {
    const char *target;                     /* see pq_target.h */
    int64_t connect_timeout_us;             /* default 5 s */
    int64_t job_timeout_us;                 /* default 60 s; then the connection is given up */
    int64_t backoff_min_us, backoff_max_us; /* default 100 ms, 5 s */
    uint64_t seed;
};

/* One statement of a job. Texts are copied. */
struct pq_step {
    const char *sql;           /* with params or name: one statement; else any number of them */
    const char *name;          /* prepared under this name, once a connection; NULL: not */
    const char *const *params; /* text, NULL: SQL null */
    int param_count;
    bool is_copy; /* COPY … FROM STDIN of `copy` */
    struct bytes copy;
};

struct pq_link_reply {
    int result;           /* see pq_api_result; ERR_CONNECTION, ERR_TIMEOUT */
    const char *text;     /* what was wrong, "" if nothing */
    const PGresult *rows; /* of step `keep`; NULL when failed; borrowed */
};
typedef void (*pq_link_fn)(void *context, const struct pq_link_reply *reply);

struct pq_link_stats {
    uint64_t connects, failures, losses, jobs, errors;
};

/* Never fails for an unreachable server. ERR_CONFIG for a target that is none,
 * ERR_UNSUPPORTED without libpq. */
int pq_link_open(const struct pq_link_options *options, struct loop *loop, struct pq_link **link,
                 struct err *err) MUST_CHECK;
/* Jobs under way are answered with ERR_CONNECTION. Not from inside a callback. */
void pq_link_close(struct pq_link *link);
/* Several steps run between BEGIN and COMMIT. keep: which step's rows the reply carries. fn
 * is called from pq_link_do_work. ERR_CONNECTION when not connected, ERR_AGAIN when
 * PQ_LINK_JOBS_MAX are under way, ERR_MEMORY. A job that was lost with its connection may or
 * may not have been committed: make it idempotent. */
int pq_link_run(struct pq_link *link, const struct pq_step *steps, int count, int keep,
                pq_link_fn fn, void *context) MUST_CHECK;
bool pq_link_connected(const struct pq_link *link);
/* Why the last connection or try was lost; "" if never. */
const char *pq_link_error(const struct pq_link *link);
const struct pq_link_stats *pq_link_stats(const struct pq_link *link);
const struct pq_api *pq_link_api(const struct pq_link *link);
/* Answers, timeouts, reconnects; call each cycle. Returns the jobs answered. */
int pq_link_do_work(struct pq_link *link, int64_t mono_us);

#endif
