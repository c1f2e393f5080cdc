/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/prediction.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/decimal.h"

static const struct {
    const char *name;
    bool is_text;
} prediction_fields[PREDICTION_FIELDS] = {
    [PREDICTION_SYMBOL] = {"symbol", true},
    [PREDICTION_TIMESTAMP] = {"timestamp", false},
    [PREDICTION_CURRENT_PRICE] = {"current_price", false},
    [PREDICTION_PREDICTED_PRICE_10S] = {"predicted_price_10s", false},
    [PREDICTION_CONFIDENCE] = {"confidence", false},
    [PREDICTION_LATENCY_MS] = {"latency_ms", false},
    [PREDICTION_MODEL_VERSION] = {"model_version", true},
    [PREDICTION_FEATURES_AGE_MS] = {"features_age_ms", false},
    [PREDICTION_SOURCE] = {"source", true},
    [PREDICTION_LATENCY_US] = {"latency_us", false},
    [PREDICTION_SLOT] = {"slot", false},
    [PREDICTION_INGEST_EPOCH] = {"ingest_epoch", false},
    [PREDICTION_SEQ] = {"seq", false},
    [PREDICTION_P10] = {"p10", false},
    [PREDICTION_P90] = {"p90", false},
    [PREDICTION_MODE] = {"mode", true},
    [PREDICTION_REASON] = {"reason", true},
    [PREDICTION_RETURN_BP] = {"return_bp", false},
    [PREDICTION_CALIBRATION] = {"calibration", true},
    [PREDICTION_OUTCOMES] = {"outcomes", false},
};

const char *prediction_field_name(enum prediction_field field)
{
    PRE((int)field >= 0 && field < PREDICTION_FIELDS);
    return prediction_fields[field].name;
}

static void prediction_text(struct prediction *prediction, enum prediction_field field,
                            const char *text)
{
    snprintf(prediction->value[field], PREDICTION_TEXT_SIZE, "%s", text);
}

static void prediction_number(struct prediction *prediction, enum prediction_field field,
                              int64_t number)
{
    snprintf(prediction->value[field], PREDICTION_TEXT_SIZE, "%lld", (long long)number);
}

static void prediction_real(struct prediction *prediction, enum prediction_field field,
                            const char *format, double number)
{
    CHECK(isfinite(number));
    /* The formats come from prediction_fill alone. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(prediction->value[field], PREDICTION_TEXT_SIZE, format, number);
#pragma GCC diagnostic pop
}

/* A JSON number's characters only, so that a foreign record cannot break the document. */
static bool prediction_is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789+-.e") == strlen(text) && text[0] != '+' &&
           text[0] != '.';
}

/* The exact mid; trailing zeros go, two decimals stay. */
static void prediction_mid(struct prediction *prediction, int64_t mid, int exponent)
{
    char *out = prediction->value[PREDICTION_CURRENT_PRICE];
    struct text text = text_begin(out, PREDICTION_TEXT_SIZE);
    text_add_decimal(&text, mid, exponent);
    text_end(&text);
    char *point = strchr(out, '.');
    if (point == NULL)
        return;
    for (char *end = out + strlen(out) - 1; end > point + 2 && *end == '0'; end--)
        *end = '\0';
}

static double prediction_price(double mid, double return_bp)
{
    return mid * exp(return_bp * 1e-4);
}

void prediction_fill(struct prediction *prediction, const struct prediction_inputs *inputs)
{
    memset(prediction, 0, sizeof(*prediction));
    double mid = decimal_to_f64(inputs->mid, inputs->mid_exponent);
    prediction_text(prediction, PREDICTION_SYMBOL, inputs->symbol);
    prediction_number(prediction, PREDICTION_TIMESTAMP, clock_slot_us(inputs->slot) / 1000);
    prediction_mid(prediction, inputs->mid, inputs->mid_exponent);
    prediction_real(prediction, PREDICTION_PREDICTED_PRICE_10S, "%.6f",
                    prediction_price(mid, inputs->return_bp));
    prediction_real(prediction, PREDICTION_CONFIDENCE, "%.6f", inputs->confidence);
    prediction_number(prediction, PREDICTION_LATENCY_MS, inputs->latency_us / 1000);
    prediction_text(prediction, PREDICTION_MODEL_VERSION, inputs->model_version);
    prediction_number(prediction, PREDICTION_FEATURES_AGE_MS, inputs->features_age_us / 1000);
    prediction_text(prediction, PREDICTION_SOURCE, inputs->source);
    prediction_number(prediction, PREDICTION_LATENCY_US, inputs->latency_us);
    prediction_number(prediction, PREDICTION_SLOT, inputs->slot);
    prediction_number(prediction, PREDICTION_INGEST_EPOCH, (int64_t)inputs->epoch);
    prediction_number(prediction, PREDICTION_SEQ, (int64_t)inputs->seq);
    prediction_real(prediction, PREDICTION_P10, "%.6f", prediction_price(mid, inputs->p10_bp));
    prediction_real(prediction, PREDICTION_P90, "%.6f", prediction_price(mid, inputs->p90_bp));
    prediction_text(prediction, PREDICTION_MODE, inputs->mode);
    prediction_text(prediction, PREDICTION_REASON, inputs->reason);
    prediction_real(prediction, PREDICTION_RETURN_BP, "%.9g", inputs->return_bp);
    prediction_text(prediction, PREDICTION_CALIBRATION, inputs->calibration);
    prediction_number(prediction, PREDICTION_OUTCOMES, (int64_t)inputs->outcomes);
}

static bool prediction_is_printable(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] < 0x20 || value.data[i] > 0x7e)
            return false;
    return true;
}

int prediction_set(struct prediction *prediction, struct bytes name, struct bytes value)
{
    for (int field = 0; field < PREDICTION_FIELDS; field++) {
        const char *known = prediction_fields[field].name;
        if (name.size != strlen(known) || memcmp(name.data, known, name.size) != 0)
            continue;
        if (value.size >= PREDICTION_TEXT_SIZE || !prediction_is_printable(value))
            return ERR_MALFORMED;
        memcpy(prediction->value[field], value.data, value.size);
        prediction->value[field][value.size] = '\0';
        double number;
        if (!prediction_fields[field].is_text &&
            (!prediction_is_number(prediction->value[field]) ||
             !prediction_f64(prediction, (enum prediction_field)field, &number)))
            return ERR_MALFORMED;
        return ERR_OK;
    }
    return ERR_OK;
}

bool prediction_i64(const struct prediction *prediction, enum prediction_field field,
                    int64_t *value)
{
    const char *text = prediction->value[field];
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *value = number;
    return errno == 0 && end != text && *end == '\0';
}

bool prediction_f64(const struct prediction *prediction, enum prediction_field field, double *value)
{
    const char *text = prediction->value[field];
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value);
}

void prediction_json(const struct prediction *prediction, struct text *out)
{
    for (int field = 0; field < PREDICTION_FIELDS; field++) {
        const char *value = prediction->value[field];
        text_add_char(out, field == 0 ? '{' : ',');
        text_add_json_string(out, prediction_fields[field].name,
                             strlen(prediction_fields[field].name));
        text_add_char(out, ':');
        if (prediction_fields[field].is_text)
            text_add_json_string(out, value, strlen(value));
        else
            text_add(out, value[0] == '\0' ? "null" : value);
    }
    text_add_char(out, '}');
}
