/* What becomes of a finished training: artifact and report into gold, the run into ml_experiments,
 * the model into the registry, as shadow when its report does not refuse it. Publishing the same
 * training again changes nothing. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_TRAIN_PUBLISH_H
#define BTCAST_SERVICES_TRAINER_TRAIN_PUBLISH_H

#include "services/trainer/train_run.h"

struct train_publish_options {
    const char *out;      /* folder of the finished files */
    const char *lake;     /* root of the lake, a folder or s3://…; NULL: not kept there */
    const char *database; /* NULL: not registered */
    const char *name, *symbol;
    const char *experiment; /* a name for people */
};

/* words: what happened, one sentence. ERR_CONNECTION …: the same call may be made again. */
int train_publish(const struct train_publish_options *options, const struct train_run *run,
                  char *words, size_t size, struct err *err) MUST_CHECK;

/* The names of the features as a text array of PostgreSQL. */
#define TRAIN_PUBLISH_FEATURES_SIZE (FEATURE_COUNT * 48)
void train_publish_features(char out[TRAIN_PUBLISH_FEATURES_SIZE]);

#endif
