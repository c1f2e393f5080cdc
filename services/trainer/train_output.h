/* The files of a training. Before it is believed, the written model is read back and has to
 * give the same forecasts, bit for bit, with every kernel of this machine.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_TRAIN_OUTPUT_H
#define BTCAST_SERVICES_TRAINER_TRAIN_OUTPUT_H

#include "services/trainer/train_run.h"

/* model.onnx, report.json, report.html, each written beside and renamed. ERR_CORRUPT: the
 * file does not give the forecasts that were evaluated. */
int train_output_write(const struct train_run_options *options, struct train_run *run,
                       struct err *err) MUST_CHECK;

#endif
