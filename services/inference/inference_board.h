/* What the inference service shows of itself: metrics, the health components, the latest
 * predictions. Written by the slot thread after each slot, read by the HTTP thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_INFERENCE_INFERENCE_BOARD_H
#define BTCAST_SERVICES_INFERENCE_INFERENCE_BOARD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/metrics.h"
#include "base/text.h"
#include "edge/http_server/http_server.h"
#include "hot/infer/infer.h"

/* Predictions kept for GET /predictions: 34 minutes. */
#define INFERENCE_HISTORY_MAX     1024
#define INFERENCE_HISTORY_DEFAULT 100

struct inference_history_entry {
    int64_t slot;
    char json[PREDICTION_JSON_MAX];
};

struct inference_board {
    struct metric *total, *read, *features, *mlp, *output, *late, *feature_age;
    struct metric *predictions, *fallback, *missed, *waiting, *published, *existed;
    struct metric *read_failures, *publish_failures, *clock_steps, *moves;
    struct metric *confidence, *completeness, *outbox, *hit_rate, *hit_rate_all, *mae, *mae_zero;
    struct metric *coverage, *calibration_error, *outcomes;
    struct infer_counters told; /* counters already added to the metrics */

    pthread_mutex_t lock;                    /* guards history and components */
    struct inference_history_entry *history; /* ring by slot */
    int history_first, history_count;
    char components[4096];
    size_t components_size;
    _Atomic int64_t served_mono_us; /* of the last prediction; 0: none yet */
    _Atomic int mode;               /* enum degrade_mode of the last prediction */
    _Atomic bool has_model;
};

int inference_board_open(struct inference_board *board, struct metrics *metrics,
                         struct err *err) MUST_CHECK;
void inference_board_close(struct inference_board *board);
/* After each served prediction: metrics, history (the same slot again replaces its entry) and
 * components. json is the record as served. */
void inference_board_served(struct inference_board *board, const struct infer *infer,
                            const struct infer_timing *timing, struct bytes json,
                            bool redis_connected, int64_t mono_us);
/* The `components` members of /health (HTTP thread). */
void inference_board_components(struct inference_board *board, struct text *out);
/* JSON array, newest first, at most limit entries (HTTP thread). */
void inference_board_predictions(struct inference_board *board, int limit, struct text *out);
/* The newest record; false: none yet (HTTP thread). */
bool inference_board_latest(struct inference_board *board, struct text *out);

#endif
