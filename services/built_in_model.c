/* SPDX-License-Identifier: Apache-2.0 */
#include "services/built_in_model.h"

#include <stdio.h>

#include "services/inference/inference_model.h"

int built_in_model(struct built_in_model *out, struct err *err)
{
    struct model *model = NULL;
    int result = inference_model_load("", MLP_KERNEL_AUTO, &model, err);
    if (result != ERR_OK)
        return result;
    snprintf(out->version, sizeof(out->version), "%s", model_version(model));
    snprintf(out->sha256, sizeof(out->sha256), "%s", model_sha256(model));
    out->feature_schema = model_spec(model)->feature_schema;
    model_close(model);
    return ERR_OK;
}

void built_in_model_tell(const struct built_in_model *built_in, struct pq_judge_options *options)
{
    options->built_in.version = built_in->version;
    options->built_in.sha256 = built_in->sha256;
    options->built_in.feature_schema = built_in->feature_schema;
}
