/* SPDX-License-Identifier: Apache-2.0 */
#include "services/inference/inference_board.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void inference_board_latencies(struct inference_board *board, struct metrics *metrics)
{
    board->total = metrics_histogram(metrics, "inference_total_latency_seconds", NULL,
                                     "Slot begun to prediction acknowledged.");
    board->read = metrics_histogram(metrics, "inference_redis_read_duration_seconds", NULL,
                                    "The one atomic read of the hot state.");
    board->features = metrics_histogram(metrics, "inference_feature_extraction_duration_seconds",
                                        NULL, "State to model inputs, calibration included.");
    board->mlp = metrics_histogram(metrics, "inference_model_prediction_duration_seconds", NULL,
                                   "The model's forward pass.");
    board->output = metrics_histogram(metrics, "inference_output_duration_seconds", NULL,
                                      "Serialization, publishing script and its answer.");
    board->late = metrics_histogram(metrics, "inference_publish_lateness_seconds", NULL,
                                    "Prediction acknowledged after its slot's time.");
    board->feature_age = metrics_histogram(metrics, "inference_feature_age_seconds", NULL,
                                           "Age of the feature vector at the slot.");
}

static void inference_board_counts(struct inference_board *board, struct metrics *metrics)
{
    board->predictions = metrics_counter(metrics, "inference_predictions_total", NULL,
                                         "Predictions made, whatever they rest on.");
    board->fallback = metrics_counter(metrics, "inference_fallback_predictions_total", NULL,
                                      "Predictions made without the hot state.");
    board->missed = metrics_counter(metrics, "inference_slots_missed_total", NULL,
                                    "Slots that passed while the process was stopped.");
    board->waiting = metrics_counter(metrics, "inference_slots_waiting_total", NULL,
                                     "Slots before any price was seen.");
    board->published = metrics_counter(metrics, "inference_published_total", "by=\"self\"",
                                       "Slots by the replica whose record is the slot's.");
    board->existed = metrics_counter(metrics, "inference_published_total", "by=\"other\"",
                                     "Slots by the replica whose record is the slot's.");
    board->read_failures = metrics_counter(metrics, "inference_redis_read_failures_total", NULL,
                                           "Reads refused, lost or too late for the slot.");
    board->publish_failures = metrics_counter(metrics, "inference_publish_failures_total", NULL,
                                              "Publishing attempts that failed; retried.");
    board->clock_steps = metrics_counter(metrics, "inference_clock_steps_total", NULL,
                                         "Wall-clock steps over 100 ms, not followed at once.");
    board->moves = metrics_counter(metrics, "inference_mode_changes_total", NULL,
                                   "Moves between live, stale, degraded, fallback and blind.");
}

static void inference_board_gauges(struct inference_board *board, struct metrics *metrics)
{
    board->confidence = metrics_gauge(metrics, "inference_confidence_score", NULL,
                                      "Confidence of the last prediction.");
    board->completeness = metrics_gauge(metrics, "inference_feature_completeness", NULL,
                                        "Share of model inputs present in the last slot.");
    board->outbox =
        metrics_gauge(metrics, "inference_outbox_length", NULL, "Predictions waiting for Redis.");
    board->hit_rate = metrics_gauge(metrics, "model_directional_accuracy", NULL,
                                    "Share of moved outcomes whose sign was predicted.");
    board->hit_rate_all = metrics_gauge(metrics, "model_directional_accuracy_all", NULL,
                                        "The same, an unchanged mid counted as wrong.");
    board->mae = metrics_gauge(metrics, "model_mean_absolute_error", NULL,
                               "Mean |outcome - predicted| in basis points.");
    board->mae_zero = metrics_gauge(metrics, "model_mean_absolute_error_zero_change", NULL,
                                    "Mean |outcome| in basis points: the error of no change.");
    board->coverage =
        metrics_gauge(metrics, "model_band_coverage", NULL, "Share of outcomes within p10..p90.");
    board->calibration_error = metrics_gauge(metrics, "model_calibration_error", NULL,
                                             "Expected calibration error of the confidence.");
    board->outcomes =
        metrics_gauge(metrics, "model_outcomes", NULL, "Outcomes behind the figures above.");
}

int inference_board_open(struct inference_board *board, struct metrics *metrics, struct err *err)
{
    memset(board, 0, sizeof(*board));
    inference_board_latencies(board, metrics);
    inference_board_counts(board, metrics);
    inference_board_gauges(board, metrics);
    pthread_mutex_init(&board->lock, NULL);
    size_t size = INFERENCE_HISTORY_MAX * sizeof(*board->history);
    board->history = malloc(size);
    if (board->history == NULL)
        return err_set(err, ERR_MEMORY, "prediction history");
    memset(board->history, 0, size); /* resident from the start: memory stays flat */
    return ERR_OK;
}

void inference_board_close(struct inference_board *board)
{
    free(board->history);
    pthread_mutex_destroy(&board->lock);
}

static void inference_board_counters(struct inference_board *board, const struct infer *infer)
{
    const struct infer_counters *now = &infer->counters;
    struct infer_counters *told = &board->told;
    metric_follow(board->predictions, now->predictions, &told->predictions);
    metric_follow(board->missed, now->missed_slots, &told->missed_slots);
    metric_follow(board->waiting, now->waiting, &told->waiting);
    metric_follow(board->published, now->published, &told->published);
    metric_follow(board->existed, now->existed, &told->existed);
    metric_follow(board->read_failures, now->read_failures, &told->read_failures);
    metric_follow(board->publish_failures, now->publish_failures, &told->publish_failures);
    metric_follow(board->fallback, now->by_mode[DEGRADE_FALLBACK],
                  &told->by_mode[DEGRADE_FALLBACK]);
    metric_follow(board->fallback, now->by_mode[DEGRADE_BLIND], &told->by_mode[DEGRADE_BLIND]);
}

static void inference_board_timing(struct inference_board *board, const struct infer_timing *timing)
{
    metric_observe_ns(board->total, timing->total_ns);
    metric_observe_ns(board->read, timing->read_ns);
    metric_observe_ns(board->features, timing->features_ns);
    metric_observe_ns(board->mlp, timing->mlp_ns);
    metric_observe_ns(board->output, timing->output_ns);
    metric_observe_ns(board->late, timing->published_late_us * 1000);
    if (timing->mode <= DEGRADE_DEGRADED)
        metric_observe_ns(board->feature_age, timing->features_age_us * 1000);
}

static double inference_board_share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void inference_board_accuracy(struct inference_board *board, const struct infer *infer)
{
    const struct track_accuracy *accuracy = &infer->track.accuracy;
    double outcomes = (double)accuracy->outcomes;
    double hits = (double)accuracy->hits;
    metric_set(board->hit_rate, inference_board_share(hits, (double)accuracy->moved));
    metric_set(board->hit_rate_all, inference_board_share(hits, outcomes));
    metric_set(board->mae, inference_board_share(accuracy->abs_error_bp_sum, outcomes));
    metric_set(board->mae_zero, inference_board_share(accuracy->abs_zero_bp_sum, outcomes));
    metric_set(board->coverage, inference_board_share((double)accuracy->covered, outcomes));
    metric_set(board->calibration_error, track_error(&infer->track));
    metric_set(board->outcomes, outcomes);
    metric_set(board->outbox, infer->outbox.count);
    metric_set(board->completeness, infer->state_ok ? 1 : 0);
}

static double inference_board_ms(const struct metric *metric)
{
    return (double)histogram_quantile_ns(&metric->histogram, 0.5) / 1e6;
}

static void inference_board_write(struct inference_board *board, const struct infer *infer,
                                  bool redis_connected, struct text *out)
{
    uint64_t made = metric_count(board->predictions);
    double missed = (double)metric_count(board->missed);
    text_add_format(
        out, "\"model\":{\"status\":\"%s\",\"version\":", infer->model == NULL ? "none" : "loaded");
    const char *version = infer->model == NULL ? "none" : model_version(infer->model);
    text_add_json_string(out, version, strlen(version));
    text_add_format(out,
                    ",\"last_prediction\":%lld,\"avg_inference_ms\":%.6f,"
                    "\"predictions_per_minute\":30},",
                    (long long)(clock_slot_us(infer->slot - 1) / 1000),
                    inference_board_ms(board->mlp));
    text_add_format(out,
                    "\"redis_connection\":{\"status\":\"%s\",\"avg_read_latency_ms\":%.4f,"
                    "\"feature_freshness_ms\":%lld,\"outbox\":%d},",
                    redis_connected ? "connected" : "away", inference_board_ms(board->read),
                    (long long)(infer->timing.features_age_us / 1000), infer->outbox.count);
    text_add_format(out,
                    "\"prediction_pipeline\":{\"status\":\"%s\",\"frequency_target\":0.5,"
                    "\"avg_total_latency_ms\":%.4f,\"success_rate\":%.6f,\"missed_slots\":%.0f},",
                    degrade_mode_name(infer->degrade.mode), inference_board_ms(board->total),
                    inference_board_share((double)made, (double)made + missed), missed);
    text_add_format(out,
                    "\"feature_quality\":{\"avg_completeness\":%.3f,\"avg_data_age_ms\":%.3f,"
                    "\"stale_feature_rate\":%.6f},",
                    metric_value(board->completeness), inference_board_ms(board->feature_age),
                    inference_board_share((double)infer->counters.by_mode[DEGRADE_STALE] +
                                              (double)infer->counters.by_mode[DEGRADE_DEGRADED],
                                          (double)made));
    text_add_format(out,
                    "\"accuracy\":{\"outcomes\":%.0f,\"hit_rate\":%.4f,\"hit_rate_all\":%.4f,"
                    "\"mae_bp\":%.4f,\"mae_zero_change_bp\":%.4f,\"band_coverage\":%.4f,"
                    "\"calibration_error\":%.4f}",
                    metric_value(board->outcomes), metric_value(board->hit_rate),
                    metric_value(board->hit_rate_all), metric_value(board->mae),
                    metric_value(board->mae_zero), metric_value(board->coverage),
                    metric_value(board->calibration_error));
}

static struct inference_history_entry *inference_board_entry(struct inference_board *board,
                                                             int index)
{
    return &board->history[(board->history_first + index) % INFERENCE_HISTORY_MAX];
}

static void inference_board_remember(struct inference_board *board, int64_t slot, struct bytes json)
{
    int count = board->history_count;
    struct inference_history_entry *entry = NULL;
    for (int i = count; i > 0 && i > count - 8 && entry == NULL; i--)
        if (inference_board_entry(board, i - 1)->slot == slot)
            entry = inference_board_entry(board, i - 1);
    if (entry == NULL && count == INFERENCE_HISTORY_MAX)
        board->history_first = (board->history_first + 1) % INFERENCE_HISTORY_MAX;
    else if (entry == NULL)
        board->history_count++;
    if (entry == NULL)
        entry = inference_board_entry(board, board->history_count - 1);
    CHECK(json.size < sizeof(entry->json));
    entry->slot = slot;
    memcpy(entry->json, json.data, json.size);
    entry->json[json.size] = '\0';
}

void inference_board_served(struct inference_board *board, const struct infer *infer,
                            const struct infer_timing *timing, struct bytes json,
                            bool redis_connected, int64_t mono_us)
{
    inference_board_counters(board, infer);
    inference_board_timing(board, timing);
    inference_board_accuracy(board, infer);
    atomic_store(&board->served_mono_us, mono_us);
    atomic_store(&board->mode, (int)timing->mode);
    atomic_store(&board->has_model, infer->model != NULL);
    pthread_mutex_lock(&board->lock);
    inference_board_remember(board, timing->slot, json);
    struct text components = text_begin(board->components, sizeof(board->components));
    inference_board_write(board, infer, redis_connected, &components);
    CHECK(!components.truncated);
    board->components_size = components.size;
    pthread_mutex_unlock(&board->lock);
}

void inference_board_components(struct inference_board *board, struct text *out)
{
    pthread_mutex_lock(&board->lock);
    if (board->components_size == 0)
        text_add(out, "\"prediction_pipeline\":{\"status\":\"waiting\"}");
    text_add_bytes(out, board->components, board->components_size);
    pthread_mutex_unlock(&board->lock);
}

void inference_board_predictions(struct inference_board *board, int limit, struct text *out)
{
    text_add_char(out, '[');
    pthread_mutex_lock(&board->lock);
    for (int i = 0; i < limit && i < board->history_count; i++) {
        if (i > 0)
            text_add_char(out, ',');
        text_add(out, inference_board_entry(board, board->history_count - 1 - i)->json);
    }
    pthread_mutex_unlock(&board->lock);
    text_add_char(out, ']');
}

bool inference_board_latest(struct inference_board *board, struct text *out)
{
    pthread_mutex_lock(&board->lock);
    bool any = board->history_count > 0;
    if (any)
        text_add(out, inference_board_entry(board, board->history_count - 1)->json);
    pthread_mutex_unlock(&board->lock);
    return any;
}
