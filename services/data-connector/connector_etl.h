/* The feature-eng agent of the data-connector: a thread that makes a pass of the ETL whenever
 * bronze has something new, and by schedule. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_ETL_H
#define BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_ETL_H

#include "base/metrics.h"
#include "services/etl/etl_job.h"

struct connector_etl_options {
    struct etl_job_options job;
    int64_t every_us; /* a pass at least so often, also after one that failed */
};

struct connector_etl_status {
    bool wanted, good; /* good: the last pass went through */
    char trouble[160]; /* of the last pass, "" */
    struct etl_job_counters counters;
};

struct connector_etl;

/* The thread begins at once. Texts of the options are copied. */
int connector_etl_open(const struct connector_etl_options *options, struct connector_etl **etl,
                       struct err *err) MUST_CHECK;
/* Ends the pass under way, which is made again by the next start. */
void connector_etl_close(struct connector_etl *etl);
/* There is something new in bronze. */
void connector_etl_poke(struct connector_etl *etl);
/* NULL: none is wanted. Never waits for a pass. */
void connector_etl_status(struct connector_etl *etl, struct connector_etl_status *status);
/* The component "etl" of the health document, with a comma behind it. */
void connector_etl_health(const struct connector_etl_status *status, struct text *out);

/* What it has done, as metrics. */
struct connector_etl_metrics {
    struct metric *records, *rows, *late, *rows_failed, *objects_failed, *passes, *lag, *fetched;
    struct etl_job_counters counted;
};
void connector_etl_metrics_open(struct connector_etl_metrics *self, struct metrics *metrics);
void connector_etl_metrics_count(struct connector_etl_metrics *self,
                                 const struct connector_etl_status *status);

#endif
