/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/prediction_line.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void prediction_line_text(const json_t *object, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(out, size, "%s", text != NULL ? text : "");
}

static int64_t prediction_line_i64(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static double prediction_line_f64(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

bool prediction_line_parse(struct bytes json, struct prediction_line *line)
{
    json_t *object = json_loadb((const char *)json.data, json.size, 0, NULL);
    bool good = json_is_number(json_object_get(object, "timestamp")) &&
                json_is_number(json_object_get(object, "predicted_price_10s"));
    if (good) {
        line->slot = prediction_line_i64(object, "slot");
        line->timestamp_ms = prediction_line_i64(object, "timestamp");
        line->latency_us = prediction_line_i64(object, "latency_us");
        line->age_ms = prediction_line_i64(object, "features_age_ms");
        line->price = prediction_line_f64(object, "current_price");
        line->predicted = prediction_line_f64(object, "predicted_price_10s");
        line->confidence = prediction_line_f64(object, "confidence");
        prediction_line_text(object, "source", line->source, sizeof(line->source));
        prediction_line_text(object, "mode", line->mode, sizeof(line->mode));
        prediction_line_text(object, "model_version", line->model, sizeof(line->model));
    }
    json_decref(object);
    return good;
}

void prediction_line_write(const struct prediction_line *line, bool colour, struct text *out)
{
    time_t seconds = (time_t)(line->timestamp_ms / 1000);
    struct tm tm;
    char clock[16];
    gmtime_r(&seconds, &tm);
    strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    double move_bp = line->price > 0 ? (line->predicted / line->price - 1) * 1e4 : 0;
    const char *paint = !colour ? "" : move_bp > 0 ? "\033[32m" : move_bp < 0 ? "\033[31m" : "";
    text_add_format(out, "%s  %.2f -> %s%.2f  %+.2f bp%s  confidence %.3f  %lld us  %s, %s", clock,
                    line->price, paint, line->predicted, move_bp, paint[0] != '\0' ? "\033[0m" : "",
                    line->confidence, (long long)line->latency_us, line->source, line->mode);
}
