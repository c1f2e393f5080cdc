/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/watch_view.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "services/cli/health_line.h"
#include "services/cli/metrics_text.h"
#include "services/cli/prediction_line.h"

/* Ends a line and clears what stood there before. */
#define WATCH_EOL "\033[K\r\n"

static void watch_view_title(int64_t wall_us, struct text *out)
{
    time_t seconds = (time_t)(wall_us / CLOCK_US_PER_S);
    struct tm tm;
    char date[32];
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm);
    text_add_format(out, "\033[H btcast %s   %s" WATCH_EOL WATCH_EOL, BTCAST_VERSION, date);
}

static void watch_view_prediction(const char *json, int64_t wall_us, bool colour, struct text *out)
{
    struct prediction_line line;
    if (json == NULL || !prediction_line_parse(bytes_text(json), &line)) {
        text_add(out, "  no prediction yet" WATCH_EOL WATCH_EOL WATCH_EOL WATCH_EOL);
        return;
    }
    double move_bp = line.price > 0 ? (line.predicted / line.price - 1) * 1e4 : 0;
    const char *paint = !colour || move_bp == 0 ? "" : move_bp > 0 ? "\033[32m" : "\033[31m";
    text_add_format(out, "  price       %12.2f" WATCH_EOL, line.price);
    text_add_format(out, "  in 10 s     %s%12.2f   %+.2f bp%s   confidence %.3f" WATCH_EOL, paint,
                    line.predicted, move_bp, paint[0] != '\0' ? "\033[0m" : "", line.confidence);
    text_add_format(
        out,
        "  made        %.1f s ago from %s (%s), features %lld ms old, model %s" WATCH_EOL WATCH_EOL,
        (double)(wall_us - line.timestamp_ms * CLOCK_US_PER_MS) / 1e6, line.source, line.mode,
        (long long)line.age_ms, line.model);
}

static void watch_view_quantile(const char *page, const char *metric, double q, struct text *out)
{
    double seconds;
    if (metrics_text_quantile(page, metric, q, &seconds))
        text_add_format(out, "%12.1f us", seconds * 1e6);
    else
        text_add(out, "              -");
}

static void watch_view_stages(const char *page, struct text *out)
{
    static const char *const stages[][2] = {
        {"redis read", "inference_redis_read_duration_seconds"},
        {"features", "inference_feature_extraction_duration_seconds"},
        {"model", "inference_model_prediction_duration_seconds"},
        {"output", "inference_output_duration_seconds"},
        {"whole", "inference_total_latency_seconds"},
    };
    text_add(out, "  stage                  p50            p99" WATCH_EOL);
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        text_add_format(out, "  %-12s", stages[i][0]);
        watch_view_quantile(page, stages[i][1], 0.5, out);
        watch_view_quantile(page, stages[i][1], 0.99, out);
        text_add(out, WATCH_EOL);
    }
    text_add(out, WATCH_EOL);
}

static void watch_view_accuracy(const char *page, struct text *out)
{
    double outcomes = 0;
    double hits = 0;
    double error_bp = 0;
    double zero_bp = 0;
    if (!metrics_text_value(page, "model_outcomes", &outcomes) || outcomes < 1) {
        text_add(out,
                 "  accuracy    no outcomes yet (the first comes after 10 s)" WATCH_EOL WATCH_EOL);
        return;
    }
    metrics_text_value(page, "model_directional_accuracy", &hits);
    metrics_text_value(page, "model_mean_absolute_error", &error_bp);
    metrics_text_value(page, "model_mean_absolute_error_zero_change", &zero_bp);
    text_add_format(out,
                    "  accuracy    %.0f outcomes, direction right %.1f %%, mean error %.3f bp "
                    "(no change: %.3f bp)" WATCH_EOL WATCH_EOL,
                    outcomes, hits * 100, error_bp, zero_bp);
}

static const char *watch_view_string(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static json_t *watch_view_component(const struct watch_answers *answers, const char *service,
                                    const char *component, json_t **health)
{
    *health = NULL;
    for (int i = 0; i < ROSTER_COUNT; i++)
        if (strcmp(roster[i].name, service) == 0 && answers->health[i] != NULL)
            *health = json_loads(answers->health[i], 0, NULL);
    return json_object_get(json_object_get(*health, "components"), component);
}

/* Who serves, how the one beside it does, and what the trainer is at. */
static void watch_view_learning(const struct watch_answers *answers, struct text *out)
{
    json_t *connector;
    json_t *trainer;
    json_t *models = watch_view_component(answers, "data-connector", "models", &connector);
    json_t *training = watch_view_component(answers, "trainer", "training", &trainer);
    const char *production = watch_view_string(models, "production");
    if (strcmp(watch_view_string(models, "status"), "off") != 0 && models != NULL)
        text_add_format(out, "  learning    serving %.60s; %.200s" WATCH_EOL,
                        production[0] != '\0' ? production : "the built-in model",
                        watch_view_string(models, "judgement"));
    if (watch_view_string(models, "last_move")[0] != '\0')
        text_add_format(out, "              %.160s" WATCH_EOL,
                        watch_view_string(models, "last_move"));
    if (training != NULL) {
        bool runs = json_is_true(json_object_get(training, "running"));
        const char *last = watch_view_string(training, "last_result");
        text_add_format(out, "  training    %s: %.160s" WATCH_EOL, runs ? "now" : "last",
                        runs              ? watch_view_string(training, "progress")
                        : last[0] != '\0' ? last
                                          : "none yet");
    }
    if (models != NULL || training != NULL)
        text_add(out, WATCH_EOL);
    json_decref(connector);
    json_decref(trainer);
}

static void watch_view_services(const struct watch_answers *answers, bool colour, struct text *out)
{
    for (int i = 0; i < ROSTER_COUNT; i++) {
        const char *json = answers->health[i];
        if (json == NULL && !roster[i].expected)
            continue;
        json_t *health = json != NULL ? json_loads(json, 0, NULL) : NULL;
        health_line_write(roster[i].name, health, colour, out);
        text_add(out, WATCH_EOL);
        json_decref(health);
    }
}

void watch_view_write(const struct watch_answers *answers, int64_t wall_us, bool colour,
                      struct text *out)
{
    watch_view_title(wall_us, out);
    watch_view_prediction(answers->prediction, wall_us, colour, out);
    watch_view_stages(answers->metrics != NULL ? answers->metrics : "", out);
    watch_view_accuracy(answers->metrics != NULL ? answers->metrics : "", out);
    watch_view_learning(answers, out);
    watch_view_services(answers, colour, out);
    text_add(out, "\033[J");
}
