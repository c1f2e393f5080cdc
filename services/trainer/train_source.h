/* Where a training's rows come from besides files: hours of the simulated exchange made in
 * process, the lake, the SQL store. Together with train_load.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_TRAIN_SOURCE_H
#define BTCAST_SERVICES_TRAINER_TRAIN_SOURCE_H

#include "learn/train/dataset.h"

#define TRAIN_SOURCE_HOURS_MAX 8760

/* "2026-05-29", "2026-05-29T12:30", "2026-05-29T12:30:15" (UTC, a Z may follow) or seconds since
 * 1970, in microseconds. ERR_CONFIG naming the flag. */
int train_source_time(const char *flag, const char *text, int64_t *us, struct err *err) MUST_CHECK;

struct train_simulate {
    const char *symbol;
    double hours;
    int64_t seed;
    int64_t from_us;    /* wall time of its first record; 0: the exchange's default */
    const char *oracle; /* CSV to write, or NULL */
};
/* The market of the built-in exchange with its own calibration and this seed. */
int train_source_simulate(const struct train_simulate *simulate, struct dataset *dataset,
                          uint64_t *refused, struct err *err) MUST_CHECK;
/* Bronze of [from_us, to_us), to_us 0: to its end, through the same code as the live path. lake: a
 * folder, or s3://bucket/prefix, of which copies lie in a temporary folder meanwhile. */
int train_source_lake(const char *lake, const char *symbol, int64_t from_us, int64_t to_us,
                      struct dataset *dataset, uint64_t *refused, struct err *err) MUST_CHECK;
/* The same rows out of silver/db_ready, which the ETL has made: no replay. */
int train_source_silver(const char *lake, const char *symbol, int64_t from_us, int64_t to_us,
                        struct dataset *dataset, struct err *err) MUST_CHECK;
/* Rows of ml_training_data in [from_us, to_us) by COPY; rows of another feature schema are left
 * out and counted in *refused. */
int train_source_store(const char *database, const char *symbol, int64_t from_us, int64_t to_us,
                       struct dataset *dataset, uint64_t *refused, struct err *err) MUST_CHECK;

#endif
