/* btcast-sim: seeds through the simulation. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "market/feature.h"
#include "model/baseline.h"
#include "sim/simulation.h"
#include "wire/onnx.h"

int main(int argc, char **argv)
{
    struct err err = {0};
    struct model *model;
    struct onnx_options onnx = {.feature_schema = feature_schema_hash(),
                                .kernel = MLP_KERNEL_PLAIN};
    if (onnx_read(baseline_file(), &onnx, &model, &err) != ERR_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct simulation_options options = {.seed = 1, .seconds = 60, .model = model};
    struct simulation_result result;
    if (argc > 1)
        options.seed = strtoull(argv[1], NULL, 10);
    options.trace = argc > 2;
    options.faults = getenv("NOFAULTS") == NULL;
    simulation_run(&options, &result);
    printf("seed %llu hash %016llx events %llu frames %llu steps %llu flushes %llu swaps %llu "
           "predictions %llu\n",
           (unsigned long long)options.seed, (unsigned long long)result.hash,
           (unsigned long long)result.events, (unsigned long long)result.frames,
           (unsigned long long)result.steps, (unsigned long long)result.flushes,
           (unsigned long long)result.swaps, (unsigned long long)result.predictions);
    if (result.failed)
        printf("FAILED %s at %.6f: %s\n", check_rule_name(result.failure.rule),
               (double)result.failure.at_us / 1e6, result.failure.text);
    model_close(model);
    return result.failed;
}
