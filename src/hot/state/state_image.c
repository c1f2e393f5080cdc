/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/state_image.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/decimal.h"
#include "base/text.h"

/* Digits after the point of values that are not exact decimals; enough for a return of
 * a hundredth of a basis point to keep six digits. */
#define STATE_REAL_DIGITS 12
#define STATE_REAL_MAX    9.0e6

/* The image being written, with its text. */
struct state_writer {
    struct state_image *image;
    struct text text;
    enum state_key hash;
};

#define LEVEL_NAMES(side, part)                                                                    \
    {                                                                                              \
        side "1" part, side "2" part, side "3" part, side "4" part, side "5" part, side "6" part,  \
            side "7" part, side "8" part, side "9" part, side "10" part                            \
    }
static const char *const state_bid_price[WORLD_LEVELS] = LEVEL_NAMES("bid", "_p");
static const char *const state_bid_qty[WORLD_LEVELS] = LEVEL_NAMES("bid", "_q");
static const char *const state_ask_price[WORLD_LEVELS] = LEVEL_NAMES("ask", "_p");
static const char *const state_ask_qty[WORLD_LEVELS] = LEVEL_NAMES("ask", "_q");

static void state_writer_pair(struct state_writer *writer, const char *field, struct bytes value)
{
    struct state_image *image = writer->image;
    int index = image->count[writer->hash]++;
    CHECK(index < STATE_PAIRS_MAX);
    image->pairs[writer->hash][index] = (struct state_pair){bytes_text(field), value};
}

/* The pair whose value is what was added to the text since start. */
static void state_writer_end(struct state_writer *writer, const char *field, size_t start)
{
    CHECK(!writer->text.truncated);
    state_writer_pair(writer, field, bytes_of(writer->text.at + start, writer->text.size - start));
}

static void state_writer_u64(struct state_writer *writer, const char *field, uint64_t value)
{
    size_t start = writer->text.size;
    text_add_u64(&writer->text, value);
    state_writer_end(writer, field, start);
}

static void state_writer_i64(struct state_writer *writer, const char *field, int64_t value)
{
    size_t start = writer->text.size;
    text_add_i64(&writer->text, value);
    state_writer_end(writer, field, start);
}

static void state_writer_decimal(struct state_writer *writer, const char *field, int64_t mantissa,
                                 int exponent)
{
    size_t start = writer->text.size;
    text_add_decimal(&writer->text, mantissa, exponent);
    state_writer_end(writer, field, start);
}

/* A real number with a fixed count of digits: cheaper than the shortest form, and the
 * readers of these fields are people and dashboards (the model reads `vec`). */
static void state_writer_real(struct state_writer *writer, const char *field, double value)
{
    size_t start = writer->text.size;
    if (!isfinite(value))
        text_add(&writer->text, "0");
    else if (fabs(value) < STATE_REAL_MAX)
        text_add_decimal(&writer->text, llround(value * 1e12), -STATE_REAL_DIGITS);
    else
        text_add_f64(&writer->text, value);
    state_writer_end(writer, field, start);
}

/* Half of mid2, exactly: one digit more than the prices have. */
static void state_add_mid(struct text *text, int64_t mid2, int exponent)
{
    int64_t mantissa;
    if (__builtin_mul_overflow(mid2, 5, &mantissa))
        mantissa = 0;
    text_add_decimal(text, mantissa, exponent - 1);
}

/* What every hash carries. */
static void state_write_common(struct state_writer *writer, const struct state_image_input *input)
{
    const struct world_view *view = input->view;
    state_writer_u64(writer, STATE_FIELD_EPOCH, view->epoch);
    state_writer_u64(writer, STATE_FIELD_SEQ, view->seq);
    state_writer_i64(writer, STATE_FIELD_LAST_UPDATE_ID, view->book_id);
}

static void state_write_side(struct state_writer *writer, const struct world_view *view,
                             const struct world_level *levels, int count,
                             const char *const *price_names, const char *const *qty_names)
{
    for (int i = 0; i < count; i++) {
        state_writer_decimal(writer, price_names[i], levels[i].price, view->price_exponent);
        state_writer_decimal(writer, qty_names[i], levels[i].qty, view->qty_exponent);
    }
}

static void state_write_book(struct state_writer *writer, const struct state_image_input *input)
{
    const struct world_view *view = input->view;
    writer->hash = STATE_OB;
    state_write_common(writer, input);
    state_writer_pair(writer, STATE_FIELD_SOURCE, bytes_text(input->source));
    state_writer_pair(writer, STATE_FIELD_BOOK_LIVE, bytes_text(view->book_live ? "1" : "0"));
    state_writer_i64(writer, STATE_FIELD_TS_US, view->recv_us);
    if (view->book_event_us != 0)
        state_writer_i64(writer, "event_us", view->book_event_us);
    if (view->bid_count > 0)
        state_writer_decimal(writer, STATE_FIELD_BEST_BID, view->bids[0].price,
                             view->price_exponent);
    if (view->ask_count > 0)
        state_writer_decimal(writer, STATE_FIELD_BEST_ASK, view->asks[0].price,
                             view->price_exponent);
    if (view->bid_count > 0 && view->ask_count > 0)
        state_writer_decimal(writer, "spread", view->asks[0].price - view->bids[0].price,
                             view->price_exponent);
    state_write_side(writer, view, view->bids, view->bid_count, state_bid_price, state_bid_qty);
    state_write_side(writer, view, view->asks, view->ask_count, state_ask_price, state_ask_qty);
}

/* CONTRACTS.md section 1, rows "tr 1s" and "tr 5s": interarr_ only in the short one. */
static void state_write_window(struct state_writer *writer, const struct state_image_input *input,
                               enum state_key hash)
{
    const struct world_view *view = input->view;
    const struct world_window *window =
        hash == STATE_TR_1S ? &view->one_second : &view->five_seconds;
    writer->hash = hash;
    state_write_common(writer, input);
    state_writer_u64(writer, "count", window->count);
    state_writer_decimal(writer, "vol", window->vol, view->qty_exponent);
    state_writer_decimal(writer, "signed_vol", window->signed_vol, view->qty_exponent);
    state_writer_real(writer, "vwap_minus_mid", window->vwap_minus_mid);
    if (hash == STATE_TR_1S) {
        state_writer_real(writer, "interarr_mean", window->interarr_mean_s);
        state_writer_real(writer, "interarr_var", window->interarr_var_s2);
    }
    state_writer_i64(writer, "last_ts_us", window->last_us);
    state_writer_i64(writer, STATE_FIELD_TS_US, view->recv_us);
}

/* (bid value - ask value) / their sum over the ten levels: CONTRACTS.md section 1. */
static double state_book_imbalance(const struct world_view *view)
{
    double bid = 0;
    double ask = 0;
    for (int i = 0; i < view->bid_count; i++)
        bid += (double)view->bids[i].price * (double)view->bids[i].qty;
    for (int i = 0; i < view->ask_count; i++)
        ask += (double)view->asks[i].price * (double)view->asks[i].qty;
    return bid + ask > 0 ? (bid - ask) / (bid + ask) : 0;
}

static double state_spread_bp(const struct world_view *view)
{
    if (view->bid_count == 0 || view->ask_count == 0)
        return 0;
    double spread = (double)(view->asks[0].price - view->bids[0].price);
    double mid = (double)(view->asks[0].price + view->bids[0].price) / 2;
    return spread / mid * 1e4;
}

/* CONTRACTS.md section 1, row "feat": formulas over the same view as the other hashes,
 * but the returns, which exist at ticks only. */
static void state_write_named(struct state_writer *writer, const struct world_view *view)
{
    const struct world_window *window = &view->one_second;
    const float *returns = view->vector.values;
    double imbalance = window->vol > 0 ? (double)window->signed_vol / (double)window->vol : 0;
    state_writer_real(writer, "ret_1s", (double)returns[FEATURE_RET_1S_BP] / 1e4);
    state_writer_real(writer, "ret_5s", (double)returns[FEATURE_RET_5S_BP] / 1e4);
    state_writer_real(writer, "vol_imbalance", imbalance);
    state_writer_real(writer, "spread_bp", state_spread_bp(view));
    state_writer_real(writer, "ob_imbalance", state_book_imbalance(view));
    state_writer_u64(writer, "trade_intensity", window->count);
    state_writer_decimal(writer, "ts", view->recv_us, -6);
    state_writer_i64(writer, STATE_FIELD_TS_US, view->recv_us);
}

static void state_write_vector(struct state_writer *writer, const struct feature_vector *vector)
{
    if (vector->as_of_us == 0 || !vector->valid)
        return;
    size_t start = writer->text.size;
    text_add_bytes(&writer->text, &vector->schema, sizeof(vector->schema));
    text_add_bytes(&writer->text, vector->values, sizeof(vector->values));
    state_writer_end(writer, STATE_FIELD_VEC, start);
    state_writer_u64(writer, STATE_FIELD_VEC_EPOCH, vector->epoch);
    state_writer_u64(writer, STATE_FIELD_VEC_SEQ, vector->seq);
    state_writer_i64(writer, STATE_FIELD_AS_OF_US, vector->as_of_us);
    state_writer_pair(writer, STATE_FIELD_VEC_LIVE, bytes_text(vector->book_live ? "1" : "0"));
    start = writer->text.size;
    state_add_mid(&writer->text, vector->mid2, vector->price_exponent);
    state_writer_end(writer, STATE_FIELD_MID, start);
}

static void state_write_slot_mids(struct state_writer *writer,
                                  const struct state_image_input *input)
{
    if (input->mid_count == 0)
        return;
    size_t start = writer->text.size;
    for (int i = 0; i < input->mid_count; i++) {
        if (i > 0)
            text_add_char(&writer->text, ' ');
        text_add_i64(&writer->text, input->mids[i].slot);
        text_add_char(&writer->text, ':');
        state_add_mid(&writer->text, input->mids[i].mid2, input->view->price_exponent);
        text_add(&writer->text, input->mids[i].valid ? ":1" : ":0");
    }
    state_writer_end(writer, STATE_FIELD_SLOT_MIDS, start);
}

static void state_write_features(struct state_writer *writer, const struct state_image_input *input)
{
    writer->hash = STATE_FEAT;
    state_write_common(writer, input);
    state_write_named(writer, input->view);
    state_writer_pair(writer, STATE_FIELD_BOOK_LIVE,
                      bytes_text(input->view->book_live ? "1" : "0"));
    state_writer_u64(writer, STATE_FIELD_WRITER, input->writer);
    state_write_vector(writer, &input->view->vector);
    state_write_slot_mids(writer, input);
}

void state_image_make(const struct state_image_input *input, struct state_image *image)
{
    image->epoch = input->view->epoch;
    image->seq = input->view->seq;
    image->recv_us = input->view->recv_us;
    image->event_us = input->view->book_event_us;
    memset(image->count, 0, sizeof(image->count));
    struct state_writer writer = {.image = image,
                                  .text = text_begin(image->bytes, sizeof(image->bytes))};
    state_write_book(&writer, input);
    state_write_window(&writer, input, STATE_TR_1S);
    state_write_window(&writer, input, STATE_TR_5S);
    state_write_features(&writer, input);
}

struct bytes state_image_value(const struct state_image *image, enum state_key hash,
                               const char *field)
{
    PRE(hash < STATE_HASH_COUNT);
    size_t size = strlen(field);
    for (int i = 0; i < image->count[hash]; i++) {
        const struct state_pair *pair = &image->pairs[hash][i];
        if (pair->field.size == size && memcmp(pair->field.data, field, size) == 0)
            return pair->value;
    }
    return (struct bytes){NULL, 0};
}

/* > 0 as a decimal: a digit other than zero and no sign. */
static bool state_image_positive(struct bytes value)
{
    bool digit = false;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == '-')
            return false;
        digit = digit || (value.data[i] >= '1' && value.data[i] <= '9');
    }
    return digit;
}

const char *state_image_judge(const struct state_image *image)
{
    /* spread > 0 says that the ask is above the bid: it is their exact difference. */
    static const char *const wanted[] = {STATE_FIELD_BEST_BID,
                                         STATE_FIELD_BEST_ASK,
                                         "spread",
                                         "bid1_p",
                                         "bid1_q",
                                         "ask1_p",
                                         "ask1_q"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (!state_image_positive(state_image_value(image, STATE_OB, wanted[i])))
            return wanted[i];
    return NULL;
}
