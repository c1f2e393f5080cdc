/* The REST view that rest-ingestor keeps, as the slot machine reads it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_INFERENCE_INFERENCE_VIEW_H
#define BTCAST_SERVICES_INFERENCE_INFERENCE_VIEW_H

#include "base/metrics.h"
#include "edge/file/view_file.h"
#include "hot/infer/infer_port.h"

struct inference_view {
    struct view_file *file;
    struct metric *reads, *refused;
};

/* path "": view-SYMBOL.bin in the data folder. Never fails for a file that is not there. */
int inference_view_open(struct inference_view *view, const char *path, const char *data_dir,
                        const char *symbol, struct metrics *metrics, struct err *err) MUST_CHECK;
void inference_view_close(struct inference_view *view);
struct infer_view_port inference_view_port(struct inference_view *view);

#endif
