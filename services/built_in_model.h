/* The model inside the program, as the registry knows it. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_BUILT_IN_MODEL_H
#define BTCAST_SERVICES_BUILT_IN_MODEL_H

#include "edge/postgres/pq_judge.h"
#include "model/model.h"

struct built_in_model {
    char version[MODEL_VERSION_SIZE], sha256[MODEL_SHA256_SIZE];
    uint64_t feature_schema;
};

int built_in_model(struct built_in_model *out, struct err *err) MUST_CHECK;
/* Fills options->built_in; borrows. */
void built_in_model_tell(const struct built_in_model *built_in, struct pq_judge_options *options);

#endif
