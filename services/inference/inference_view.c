/* SPDX-License-Identifier: Apache-2.0 */
#include "services/inference/inference_view.h"

#include <stdio.h>

#include "hot/state/rest_view_state.h"

int inference_view_open(struct inference_view *view, const char *path, const char *data_dir,
                        const char *symbol, struct metrics *metrics, struct err *err)
{
    char made[512];
    view_file_path(data_dir, symbol, made, sizeof(made));
    view->reads = metrics_counter(metrics, "inference_rest_view_reads_total", "status=\"ok\"",
                                  "Looks at the REST view, when the hot state was not there.");
    view->refused =
        metrics_counter(metrics, "inference_rest_view_reads_total", "status=\"refused\"",
                        "Looks at the REST view, when the hot state was not there.");
    return view_file_open_read(path[0] != '\0' ? path : made, &view->file, err);
}

void inference_view_close(struct inference_view *view)
{
    if (view->file != NULL)
        view_file_close(view->file);
}

static bool inference_view_read(void *self, int64_t slot_us, struct state_read *state)
{
    struct inference_view *view = self;
    struct rest_view read;
    int result = view_file_read(view->file, &read, NULL);
    bool good = (result == ERR_OK || result == ERR_SCHEMA) &&
                slot_us - read.received_us <= REST_VIEW_OLD_US && read.mid2 > 0;
    metric_add(good ? view->reads : view->refused, 1);
    if (good)
        rest_view_state(&read, state);
    return good;
}

struct infer_view_port inference_view_port(struct inference_view *view)
{
    return (struct infer_view_port){.self = view, .read = inference_view_read};
}
