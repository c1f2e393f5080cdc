/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/track.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/crc32c.h"

#define TRACK_VERSION 2
/* Steps of the band, as shares of the residuals' mean size. A model with a scale has its
 * band fitted on thousands of outcomes, and the scale follows the market. */
#define TRACK_BAND_STEP       0.05
#define TRACK_BAND_STEP_SCALE 0.02
#define TRACK_SCALE_STEP      0.02
/* Bins of |return| are half octaves from 1/64 bp … */
#define TRACK_BIN_OFFSET 12
/* … and those of the probability this wide, from here. */
#define TRACK_BIN_WIDTH 0.025
#define TRACK_BIN_FIRST 0.4

void track_init(struct track *track, uint64_t model, const struct track_start *start)
{
    memset(track, 0, sizeof(*track));
    track->model = model;
    track->slot = INT64_MIN;
    track->is_calibrated = start->is_calibrated;
    track->p10 = start->p10;
    track->p90 = start->p90;
    track->spread = (start->p90 - start->p10) / 2;
    track->band_step = start->has_scale ? TRACK_BAND_STEP_SCALE : TRACK_BAND_STEP;
    track->scale_bp = start->has_scale ? TRACK_SCALE_BP : 1.0;
}

static double track_bin_middle(int bin)
{
    return TRACK_BIN_FIRST + TRACK_BIN_WIDTH * (bin + 0.5);
}

static int track_bin(const struct track *track, const struct track_forecast *forecast)
{
    double position = track->is_calibrated
                          ? floor((forecast->probability - TRACK_BIN_FIRST) / TRACK_BIN_WIDTH)
                          : floor(2 * log2(fabs(forecast->return_bp))) + TRACK_BIN_OFFSET;
    if (!(position > 0)) /* also for log2(0) */
        return 0;
    return position < TRACK_BINS - 1 ? (int)position : TRACK_BINS - 1;
}

/* Hit rates per bin with the prior mixed in, pooled with their neighbours until they do not
 * fall (pool adjacent violators). */
static void track_monotone(const struct track *track, enum track_map map, double rate[TRACK_BINS])
{
    double value[TRACK_BINS];
    double weight[TRACK_BINS];
    int size[TRACK_BINS];
    uint32_t prior_weight = track->is_calibrated ? TRACK_CALIBRATED_WEIGHT : TRACK_PRIOR_WEIGHT;
    int blocks = 0;
    for (int bin = 0; bin < TRACK_BINS; bin++) {
        double prior = track->is_calibrated ? track_bin_middle(bin) : TRACK_PRIOR;
        weight[blocks] = track->seen[map][bin] + prior_weight;
        value[blocks] = (track->hits[map][bin] + prior * prior_weight) / weight[blocks];
        size[blocks++] = 1;
        while (blocks > 1 && value[blocks - 2] > value[blocks - 1]) {
            double both = weight[blocks - 2] + weight[blocks - 1];
            value[blocks - 2] =
                (value[blocks - 2] * weight[blocks - 2] + value[blocks - 1] * weight[blocks - 1]) /
                both;
            weight[blocks - 2] = both;
            size[blocks - 2] += size[blocks - 1];
            blocks--;
        }
    }
    int bin = 0;
    for (int block = 0; block < blocks; block++)
        for (int i = 0; i < size[block]; i++)
            rate[bin++] = value[block];
}

/* The curve through (middle of the bin, its rate), parallel to the prior beyond its ends: a
 * track that has seen nothing says exactly what the calibration says. */
static double track_curve(const double rate[TRACK_BINS], double probability)
{
    double at = (probability - track_bin_middle(0)) / TRACK_BIN_WIDTH;
    int last = TRACK_BINS - 1;
    if (at <= 0 || at >= last) {
        int end = at <= 0 ? 0 : last;
        return fmin(fmax(rate[end] + probability - track_bin_middle(end), 0), 1);
    }
    int bin = (int)at;
    return rate[bin] + (rate[bin + 1] - rate[bin]) * (at - bin);
}

double track_confidence(const struct track *track, enum track_map map,
                        const struct track_forecast *forecast)
{
    PRE((int)map >= 0 && map < TRACK_MAPS);
    if (forecast->return_bp == 0 || !isfinite(forecast->return_bp))
        return 0;
    double rate[TRACK_BINS];
    track_monotone(track, map, rate);
    return track->is_calibrated ? track_curve(rate, forecast->probability)
                                : rate[track_bin(track, forecast)];
}

uint32_t track_seen(const struct track *track, enum track_map map,
                    const struct track_forecast *forecast)
{
    return track->seen[map][track_bin(track, forecast)];
}

void track_band(const struct track *track, const struct track_forecast *forecast, double *p10_bp,
                double *p90_bp)
{
    *p10_bp = forecast->return_bp + track->p10 * forecast->scale_bp;
    *p90_bp = forecast->return_bp + track->p90 * forecast->scale_bp;
}

void track_add(struct track *track, const struct track_pending *pending)
{
    PRE(pending->map >= 0 && pending->map < TRACK_MAPS);
    if (pending->slot <= track->slot)
        return;
    if (track->pending_count == TRACK_PENDING_MAX) {
        memmove(track->pending, track->pending + 1,
                sizeof(track->pending) - sizeof(track->pending[0]));
        track->pending_count--;
        track->accuracy.dropped++;
    }
    track->pending[track->pending_count++] = *pending;
    track->slot = pending->slot;
}

static int track_sign(double value)
{
    return (value > 0) - (value < 0);
}

static void track_learn_bin(struct track *track, const struct track_pending *pending, bool hit)
{
    int bin = track_bin(track, &pending->forecast);
    uint32_t *seen = &track->seen[pending->map][bin];
    uint32_t *hits = &track->hits[pending->map][bin];
    if (*seen >= TRACK_BIN_MAX) {
        *seen /= 2;
        *hits /= 2;
    }
    *seen += 1;
    *hits += hit;
}

/* One step of stochastic quantile approximation on the residual in units of the scale. */
static void track_learn_band(struct track *track, const struct track_forecast *forecast,
                             double residual_bp)
{
    double residual = residual_bp / forecast->scale_bp;
    track->spread += TRACK_SCALE_STEP * (fabs(residual) - track->spread);
    double step = track->band_step * (track->spread + 1e-3);
    track->p10 += step * (0.1 - (residual < track->p10));
    track->p90 += step * (0.9 - (residual < track->p90));
    track->scale_bp += TRACK_SCALE_STEP * (forecast->scale_bp - track->scale_bp);
}

static void track_learn_accuracy(struct track *track, const struct track_pending *pending,
                                 double outcome_bp, bool hit)
{
    struct track_accuracy *accuracy = &track->accuracy;
    accuracy->outcomes++;
    accuracy->moved += outcome_bp != 0;
    accuracy->hits += hit;
    accuracy->covered += outcome_bp >= pending->p10_bp && outcome_bp <= pending->p90_bp;
    accuracy->abs_error_bp_sum += fabs(outcome_bp - pending->forecast.return_bp);
    accuracy->abs_zero_bp_sum += fabs(outcome_bp);
    int bin = (int)(pending->confidence * TRACK_RELIABILITY_BINS);
    if (bin >= TRACK_RELIABILITY_BINS)
        bin = TRACK_RELIABILITY_BINS - 1;
    if (bin < 0)
        bin = 0;
    track->reliability[bin].seen++;
    track->reliability[bin].hits += hit;
    track->reliability[bin].confidence_sum += pending->confidence;
}

static void track_learn(struct track *track, const struct track_pending *pending,
                        double outcome_mid)
{
    double outcome_bp = 1e4 * log(outcome_mid / pending->mid);
    double return_bp = pending->forecast.return_bp;
    bool hit = return_bp != 0 && track_sign(outcome_bp) == track_sign(return_bp);
    track_learn_bin(track, pending, hit);
    if (pending->map != TRACK_LIVE)
        return;
    track_learn_band(track, &pending->forecast, outcome_bp - return_bp);
    track_learn_accuracy(track, pending, outcome_bp, hit);
}

static const struct track_outcome *track_find(const struct track_outcome *outcomes, int count,
                                              int64_t slot)
{
    for (int i = 0; i < count; i++)
        if (outcomes[i].slot == slot)
            return &outcomes[i];
    return NULL;
}

void track_fold(struct track *track, int64_t slot, const struct track_outcome *outcomes, int count)
{
    uint32_t due = 0;
    while (due < track->pending_count && track->pending[due].slot <= slot - TRACK_DELAY_SLOTS) {
        const struct track_pending *pending = &track->pending[due++];
        const struct track_outcome *outcome =
            track_find(outcomes, count, pending->slot + CLOCK_HORIZON_SLOTS);
        if (outcome == NULL || !outcome->valid || !(outcome->mid > 0) || !(pending->mid > 0))
            track->accuracy.dropped++;
        else
            track_learn(track, pending, outcome->mid);
    }
    track->pending_count -= due;
    memmove(track->pending, track->pending + due, track->pending_count * sizeof(track->pending[0]));
}

double track_error(const struct track *track)
{
    double error = 0;
    double total = 0;
    for (int bin = 0; bin < TRACK_RELIABILITY_BINS; bin++) {
        double seen = (double)track->reliability[bin].seen;
        error +=
            fabs(track->reliability[bin].confidence_sum - (double)track->reliability[bin].hits);
        total += seen;
    }
    return total > 0 ? error / total : 0;
}

/* Saved form: u32 version, u32 size, the struct, u32 CRC. The struct's layout is fixed by its
 * member types on the one ABI that is supported; its size is part of the check. */
size_t track_save(const struct track *track, uint8_t *out)
{
    size_t size = sizeof(*track);
    _Static_assert(sizeof(struct track) + 12 <= TRACK_SAVED_MAX, "fits");
    bytes_store_u32(out, TRACK_VERSION);
    bytes_store_u32(out + 4, (uint32_t)size);
    memcpy(out + 8, track, size);
    bytes_store_u32(out + 8 + size, crc32c(0, out, 8 + size));
    return size + 12;
}

static bool track_is_sane(const struct track *track)
{
    bool sane = track->pending_count <= TRACK_PENDING_MAX && track->is_calibrated <= 1 &&
                isfinite(track->p10) && isfinite(track->p90) && isfinite(track->spread) &&
                isfinite(track->band_step) && isfinite(track->scale_bp) && track->scale_bp > 0;
    for (uint32_t i = 0; sane && i < track->pending_count; i++) {
        const struct track_pending *pending = &track->pending[i];
        const struct track_forecast *forecast = &pending->forecast;
        sane = pending->map >= 0 && pending->map < TRACK_MAPS && isfinite(forecast->return_bp) &&
               isfinite(forecast->scale_bp) && forecast->scale_bp > 0 &&
               isfinite(forecast->probability) && isfinite(pending->confidence);
    }
    return sane;
}

int track_load(struct track *track, struct bytes saved, struct err *err)
{
    size_t size = sizeof(*track);
    if (saved.size != size + 12 || bytes_load_u32(saved.data) != TRACK_VERSION ||
        bytes_load_u32(saved.data + 4) != size)
        return err_set(err, ERR_MALFORMED, "track record: %zu bytes, expected %zu of version %d",
                       saved.size, size + 12, TRACK_VERSION);
    if (bytes_load_u32(saved.data + 8 + size) != crc32c(0, saved.data, 8 + size))
        return err_set(err, ERR_CORRUPT, "track record: checksum mismatch");
    struct track loaded;
    memcpy(&loaded, saved.data + 8, size);
    if (!track_is_sane(&loaded))
        return err_set(err, ERR_MALFORMED, "track record: values out of range");
    *track = loaded;
    return ERR_OK;
}
