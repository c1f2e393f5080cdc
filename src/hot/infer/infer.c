/* The slot machine: when to read, what to predict. Publishing is infer_outbox.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/infer.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/decimal.h"
#include "hot/infer/infer_outbox.h"

/* Where a model brings no band: 10 s returns of 3.7 bp rms (a real capture), normal. */
#define INFER_BAND_BP 4.7
/* A model that says more than this of 10 s says nothing; scales are kept within bounds that
 * leave prices finite. */
#define INFER_RETURN_BP_MAX 2000.0f
#define INFER_SCALE_BP_MIN  1e-3
#define INFER_SCALE_BP_MAX  1000.0

/* A new record, from what the model brings. */
static void infer_start_track(struct infer *infer, uint64_t identity)
{
    const struct model_spec *spec = infer->model == NULL ? NULL : model_spec(infer->model);
    bool has_scale = spec != NULL && spec->layers[spec->layer_count - 1].outputs > 1;
    double band = has_scale ? INFER_BAND_BP / TRACK_SCALE_BP : INFER_BAND_BP;
    struct track_start start = {.has_scale = has_scale, .p10 = -band, .p90 = band};
    if (spec != NULL && spec->has_band) {
        start.p10 = (double)spec->band_p10;
        start.p90 = (double)spec->band_p90;
    }
    start.is_calibrated = spec != NULL && spec->calibration.count > 0;
    track_init(&infer->track, identity, &start);
}

int infer_open(struct infer *infer, const struct infer_options *options,
               const struct infer_port *port, const struct infer_observer *observer,
               struct clock_now now, struct err *err)
{
    memset(infer, 0, sizeof(*infer));
    infer->options = *options;
    infer->port = *port;
    infer->observer = *observer;
    slew_init(&infer->grid, now);
    degrade_init(&infer->degrade);
    infer_start_track(infer, 0);
    infer->slot = clock_slot(now.wall_us) + 1;
    infer->saved_slot = INT64_MIN;
    infer->refill_after = INT64_MAX;
    int result = journal_open(&infer->outbox, options->journal_capacity, err);
    return result == ERR_OK ? journal_open(&infer->recent, INFER_RECENT, err) : result;
}

void infer_close(struct infer *infer)
{
    journal_close(&infer->outbox);
    journal_close(&infer->recent);
}

static uint64_t infer_model_identity(const struct model *model)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char *c = model_version(model); *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3ULL;
    return hash;
}

int infer_set_model(struct infer *infer, const struct model *model)
{
    if (infer->phase != INFER_IDLE)
        return ERR_BAD_STATE;
    infer->model = model;
    uint64_t identity = model == NULL ? 0 : infer_model_identity(model);
    if (infer->track.model == identity)
        return ERR_OK;
    if (infer->port.model != NULL)
        infer->port.model(infer->port.self, identity);
    infer_start_track(infer, identity);
    return ERR_OK;
}

int infer_set_shadow(struct infer *infer, const struct model *model)
{
    if (infer->phase != INFER_IDLE)
        return ERR_BAD_STATE;
    infer->shadow = model;
    return ERR_OK;
}

/* --- reading ------------------------------------------------------------------------ */

static void infer_adopt_track(struct infer *infer, struct bytes saved)
{
    struct track loaded;
    if (saved.size == 0)
        return;
    if (track_load(&loaded, saved, NULL) != ERR_OK) {
        infer->counters.track_refused++;
        return;
    }
    if (loaded.model == infer->track.model && loaded.slot >= infer->track.slot)
        infer->track = loaded;
}

static void infer_adopt_price(struct infer *infer, const struct state_read *state)
{
    struct state_decimal bid = state->best_bid;
    if (state->has_vector) {
        infer->mid = state->mid;
        infer->has_mid = true;
    } else if (bid.mantissa > 0 && !infer->has_mid) {
        infer->mid = bid;
        infer->has_mid = true;
    }
}

/* Why the hot state cannot carry a prediction, or NULL. */
static const char *infer_state_reason(struct infer *infer, const struct state_read *state)
{
    if (!state->consistent) {
        infer->counters.read_inconsistent++;
        return "keys missing";
    }
    if (!state->has_vector)
        return "no features yet";
    if (infer->model != NULL && state->schema != model_spec(infer->model)->feature_schema) {
        infer->counters.schema_mismatches++;
        return "feature schema differs";
    }
    return NULL;
}

static void infer_predict(struct infer *infer, int64_t mono_us);

static void infer_adopt(struct infer *infer, const struct infer_read *read)
{
    infer_adopt_price(infer, &read->state);
    infer_adopt_track(infer, read->calibration);
    infer->state_reason = infer_state_reason(infer, &read->state);
    infer->state_ok = infer->state_reason == NULL;
    infer->state = read->state;
}

/* The first read after a sleep costs twice, so one comes before the slot. Its answer is what
 * the slot rests on if the read at the slot fails. */
static void infer_warmed(void *context, int result, const struct infer_read *read)
{
    struct infer *infer = context;
    if (result != ERR_OK || infer->phase != INFER_IDLE)
        return;
    infer_adopt(infer, read);
    infer->early_slot = infer->slot;
}

/* The read at the slot gave nothing: the one before it stands in, if there is one. */
static void infer_read_failed(struct infer *infer, const char *reason)
{
    if (!infer->state_ok)
        infer->state_reason = reason;
}

static void infer_read_done(void *context, int result, const struct infer_read *read)
{
    const struct infer_call *call = context;
    struct infer *infer = call->infer;
    if (infer->phase != INFER_READING || infer->slot != call->slot)
        return; /* too late: the slot went on without it */
    int64_t now_ns = infer_now_ns(infer);
    infer->timing.read_ns = now_ns - infer->started_ns;
    if (result != ERR_OK) {
        infer->counters.read_failures += result != ERR_EMPTY;
        infer_read_failed(infer, result == ERR_EMPTY ? "keys missing" : "redis failed");
    } else {
        infer_adopt(infer, read);
    }
    infer_predict(infer, now_ns / 1000);
}

static void infer_begin(struct infer *infer, int64_t mono_us)
{
    infer->timing = (struct infer_timing){.slot = infer->slot};
    infer->timing.late_us = slew_at_us(&infer->grid, mono_us) - clock_slot_us(infer->slot);
    infer->served = false;
    if (infer->early_slot != infer->slot) {
        infer->state_ok = false;
        infer->state_reason = "redis away";
    }
    infer->phase = INFER_READING;
    struct infer_call *call = &infer->calls[infer->slot & (INFER_CALLS - 1)];
    *call = (struct infer_call){.infer = infer, .slot = infer->slot};
    infer->deadline_mono_us = mono_us + INFER_READ_TIMEOUT_US;
    infer->started_ns = infer_now_ns(infer);
    if (infer->port.read(infer->port.self, infer_read_done, call) == ERR_OK)
        return;
    infer->counters.read_failures++;
    infer_predict(infer, mono_us);
}

/* --- predicting --------------------------------------------------------------------- */

/* What this slot's features come from; NULL: there are none. */
static const struct state_read *infer_basis(const struct infer *infer)
{
    if (infer->state_ok)
        return &infer->state;
    return infer->view_ok && infer->view.has_vector ? &infer->view : NULL;
}

/* The hot state could not be read: the REST view stands in, if there is one. */
static void infer_look_at_view(struct infer *infer)
{
    const struct infer_view_port *port = &infer->options.view;
    infer->view_ok = !infer->state_ok && port->read != NULL &&
                     port->read(port->self, clock_slot_us(infer->slot), &infer->view);
    if (!infer->view_ok)
        return;
    infer->mid = infer->view.mid;
    infer->has_mid = true;
    if (infer->view.has_vector && infer->model != NULL &&
        infer->view.schema != model_spec(infer->model)->feature_schema) {
        infer->counters.schema_mismatches++;
        infer->view.has_vector = false;
    }
}

/* A prediction is a function of the order of the world up to the tick whose place it
 * carries, and of the slot: nothing that happened behind that tick and no clock decides its
 * mode or its outcomes, so a replay finds the same one (docs/replay.md). */
static void infer_judge(struct infer *infer, int64_t mono_us)
{
    int64_t now_us = slew_at_us(&infer->grid, mono_us);
    const struct state_read *state = &infer->state;
    const struct state_read *basis = infer_basis(infer);
    struct degrade_inputs inputs = {
        .features_read = infer->state_ok,
        .features_age_us = infer->state_ok ? clock_slot_us(infer->slot) - state->as_of_us : 0,
        .book_live = state->vec_live,
        .rest_book = state->source == STATE_SOURCE_REST,
        .fallback_view = infer->view_ok,
    };
    infer->timing.features_age_us = basis != NULL ? now_us - basis->as_of_us : 0;
    enum degrade_mode from;
    bool moved = degrade_judge(&infer->degrade, &inputs, &from);
    infer->timing.mode = infer->degrade.mode;
    if (infer->state_ok && infer->degrade.mode != DEGRADE_LIVE)
        infer->state_reason = inputs.rest_book   ? "book from rest"
                              : !state->vec_live ? "book not live"
                                                 : "features old";
    if (moved)
        infer->observer.mode(infer->observer.context, from, infer->degrade.mode,
                             infer->state_reason == NULL ? "" : infer->state_reason);
}

static enum track_map infer_map(enum degrade_mode mode)
{
    switch (mode) {
    case DEGRADE_LIVE:
        return TRACK_LIVE;
    case DEGRADE_STALE:
        return TRACK_STALE;
    case DEGRADE_DEGRADED:
        return TRACK_DEGRADED;
    default:
        return TRACK_FALLBACK;
    }
}

static void infer_fold(struct infer *infer)
{
    struct track_outcome outcomes[WORLD_SLOT_MIDS];
    int mids = infer->state_ok ? infer->state.mid_count : 0;
    int count = 0;
    for (int i = 0; i < mids; i++) {
        const struct state_slot_mid *mid = &infer->state.mids[i];
        if (clock_slot_us(mid->slot) >= infer->state.as_of_us)
            continue; /* known since the tick only: a replay at the tick has not seen it */
        outcomes[count++] =
            (struct track_outcome){.slot = mid->slot,
                                   .mid = decimal_to_f64(mid->mid.mantissa, mid->mid.exponent),
                                   .valid = mid->valid};
    }
    track_fold(&infer->track, infer->slot, outcomes, count);
}

/* What the calibration says of features this old; of features that it was not fitted on (no
 * book of our own) nothing is known. */
static double infer_probability(const struct infer *infer, const struct state_read *basis,
                                const struct model_output *output)
{
    const struct calibration *calibration = &model_spec(infer->model)->calibration;
    if (calibration->count == 0 || infer->degrade.mode > DEGRADE_STALE)
        return TRACK_PRIOR;
    double age_s = (double)(clock_slot_us(infer->slot) - basis->as_of_us) / 1e6;
    double probability = calibration_probability(calibration, model_strength(output), age_s);
    return probability > 0 ? probability : TRACK_PRIOR;
}

/* The model's word in basis points; no change without model or features. */
static struct track_forecast infer_forecast(struct infer *infer)
{
    const struct state_read *basis = infer_basis(infer);
    struct track_forecast forecast = {.scale_bp = infer->track.scale_bp,
                                      .probability = TRACK_PRIOR};
    if (infer->model == NULL || basis == NULL)
        return forecast;
    int64_t before_ns = infer_now_ns(infer);
    struct model_output output;
    model_predict(infer->model, basis->values, &output);
    infer->timing.mlp_ns = infer_now_ns(infer) - before_ns;
    if (!output.valid || fabsf(output.mean_bp) > INFER_RETURN_BP_MAX)
        return forecast;
    forecast.return_bp = (double)output.mean_bp;
    forecast.scale_bp = fmin(fmax((double)output.scale_bp, INFER_SCALE_BP_MIN), INFER_SCALE_BP_MAX);
    forecast.probability = infer_probability(infer, basis, &output);
    return forecast;
}

/* Keeps the fold with this prediction in it, ready to be stored if ours is published. */
static void infer_remember(struct infer *infer, const struct prediction_inputs *inputs,
                           const struct track_forecast *forecast)
{
    infer->next = infer->track;
    struct track_pending pending = {.slot = inputs->slot,
                                    .mid = decimal_to_f64(inputs->mid, inputs->mid_exponent),
                                    .forecast = *forecast,
                                    .p10_bp = inputs->p10_bp,
                                    .p90_bp = inputs->p90_bp,
                                    .confidence = inputs->confidence,
                                    .map = infer_map(infer->degrade.mode)};
    track_add(&infer->next, &pending);
    infer->saved_size = track_save(&infer->next, infer->saved);
    infer->saved_slot = inputs->slot;
}

static void infer_inputs(struct infer *infer, const struct track_forecast *forecast,
                         struct prediction_inputs *inputs)
{
    const struct track *track = &infer->track;
    enum track_map map = infer_map(infer->degrade.mode);
    bool usable = infer->model != NULL && infer_basis(infer) != NULL;
    *inputs = (struct prediction_inputs){
        .symbol = infer->options.symbol,
        .model_version = infer->model == NULL ? "none" : model_version(infer->model),
        .source = infer->degrade.mode >= DEGRADE_FALLBACK ? "fallback" : "redis",
        .mode = degrade_mode_name(infer->degrade.mode),
        .reason = infer->state_reason != NULL ? infer->state_reason
                  : infer->model == NULL      ? "no model"
                                              : "",
        .slot = infer->slot,
        .mid = infer->mid.mantissa,
        .mid_exponent = infer->mid.exponent,
        .return_bp = forecast->return_bp,
        .confidence = usable ? track_confidence(track, map, forecast) : 0,
        .features_age_us = infer->timing.features_age_us,
        .epoch = infer->state_ok ? infer->state.vec_epoch : 0,
        .seq = infer->state_ok ? infer->state.vec_seq : 0,
        .outcomes = track_seen(track, map, forecast)};
    track_band(track, forecast, &inputs->p10_bp, &inputs->p90_bp);
    inputs->calibration = inputs->outcomes >= TRACK_ONLINE_MIN ? "online" : "prior";
}

static void infer_predict(struct infer *infer, int64_t mono_us)
{
    int64_t features_from_ns = infer_now_ns(infer);
    infer_look_at_view(infer);
    infer_judge(infer, mono_us);
    infer->phase = INFER_IDLE;
    if (!infer->has_mid) { /* no price ever: nothing to predict from */
        infer->counters.waiting++;
        infer->slot++;
        infer->warmed = false;
        return;
    }
    infer_fold(infer);
    struct prediction_inputs inputs;
    struct track_forecast forecast = infer_forecast(infer);
    infer_inputs(infer, &forecast, &inputs);
    int64_t features_to_ns = infer_now_ns(infer);
    infer->timing.features_ns = features_to_ns - features_from_ns - infer->timing.mlp_ns;
    inputs.latency_us = (features_to_ns - infer->started_ns) / 1000;
    infer->saved_slot = INT64_MIN;
    if (infer->state_ok && infer->model != NULL)
        infer_remember(infer, &inputs, &forecast);
    struct prediction prediction;
    prediction_fill(&prediction, &inputs);
    infer->counters.predictions++;
    infer->counters.by_mode[infer->degrade.mode]++;
    infer->timing.output_ns = features_to_ns; /* begin; the acknowledgement ends it */
    infer->phase = INFER_PUBLISHING;
    infer->deadline_mono_us = mono_us + INFER_SERVE_TIMEOUT_US;
    infer_outbox_put(infer, &prediction, mono_us);
}

/* --- the grid ----------------------------------------------------------------------- */

/* When the slot is served: the shadow costs the live prediction nothing. */
static void infer_ask_shadow(struct infer *infer)
{
    struct model_output output;
    if (infer->shadow == NULL || !infer->state_ok || infer->observer.shadow == NULL ||
        model_spec(infer->shadow)->feature_schema != infer->state.schema)
        return;
    model_predict(infer->shadow, infer->state.values, &output);
    struct infer_shadow shadow = {.slot = infer->slot,
                                  .model = infer->shadow,
                                  .mid = infer->state.mid,
                                  .return_bp = output.valid ? (double)output.mean_bp : 0,
                                  .epoch = infer->state.vec_epoch,
                                  .seq = infer->state.vec_seq,
                                  .live = infer->timing.mode == DEGRADE_LIVE};
    infer->observer.shadow(infer->observer.context, &shadow);
}

void infer_finish_slot(struct infer *infer)
{
    infer_ask_shadow(infer);
    infer->phase = INFER_IDLE;
    infer->slot++;
    infer->warmed = false;
}

/* After a pause of the whole process the slots in between are gone: the current one is
 * still worth a late prediction. */
static void infer_catch_up(struct infer *infer, int64_t now_us)
{
    int64_t current = clock_slot(now_us);
    if (current <= infer->slot)
        return;
    infer->counters.missed_slots += (uint64_t)(current - infer->slot);
    infer->slot = current;
}

static int infer_idle_work(struct infer *infer, struct clock_now now)
{
    int64_t now_us = slew_at_us(&infer->grid, now.mono_us);
    int64_t slot_us = clock_slot_us(infer->slot) + infer->options.stagger_us;
    if (now_us >= slot_us) {
        infer_catch_up(infer, now_us - infer->options.stagger_us);
        infer_begin(infer, now.mono_us);
        return 1;
    }
    if (!infer->warmed && now_us >= slot_us - INFER_WARM_US) {
        infer->warmed = true;
        uint64_t steps = infer->grid.steps;
        slew_read_us(&infer->grid, now);
        if (infer->grid.steps != steps)
            infer->observer.clock_step(infer->observer.context, infer->grid.wall_gap_us);
        int result = infer->port.read(infer->port.self, infer_warmed, infer);
        return result == ERR_OK;
    }
    return 0;
}

int infer_do_work(struct infer *infer, struct clock_now now)
{
    int done = 0;
    if (infer->phase == INFER_READING && now.mono_us >= infer->deadline_mono_us) {
        infer->counters.read_failures++;
        infer_read_failed(infer, "redis slow");
        infer_predict(infer, now.mono_us);
        done++;
    }
    if (infer->phase == INFER_PUBLISHING && now.mono_us >= infer->deadline_mono_us) {
        infer_outbox_serve_local(infer, now.mono_us);
        done++;
    }
    if (infer->phase == INFER_IDLE)
        done += infer_idle_work(infer, now);
    return done + infer_outbox_do_work(infer, now.mono_us);
}

int64_t infer_wait_us(const struct infer *infer, int64_t mono_us)
{
    int64_t next_us = infer->deadline_mono_us;
    if (infer->phase == INFER_IDLE) {
        int64_t slot_us = clock_slot_us(infer->slot) + infer->options.stagger_us;
        next_us = slew_mono_us(&infer->grid, slot_us - (infer->warmed ? 0 : INFER_WARM_US));
        if (infer->outbox.count > 0 && infer->retry_mono_us < next_us)
            next_us = infer->retry_mono_us;
    }
    return next_us > mono_us ? next_us - mono_us : 0;
}
