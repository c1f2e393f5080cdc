/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/track.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/crc32c.h"

#define TRACK_VERSION 1
/* Before any outcome: a fair coin, less the share of 10 s spans in which the mid does not
 * move (2.4 % in a real capture), which count as wrong. */
#define TRACK_PRIOR      0.488
#define TRACK_BAND_STEP  0.05
#define TRACK_SCALE_STEP 0.02
/* Bins are half octaves of |return| from 1/64 bp. */
#define TRACK_BIN_OFFSET 12

void track_init(struct track *track, uint64_t model, double p10_bp, double p90_bp)
{
    memset(track, 0, sizeof(*track));
    track->model = model;
    track->slot = INT64_MIN;
    track->p10_bp = p10_bp;
    track->p90_bp = p90_bp;
    track->scale_bp = (p90_bp - p10_bp) / 2;
}

static int track_bin(double return_bp)
{
    double position = floor(2 * log2(fabs(return_bp))) + TRACK_BIN_OFFSET;
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
    int blocks = 0;
    for (int bin = 0; bin < TRACK_BINS; bin++) {
        weight[blocks] = track->seen[map][bin] + TRACK_PRIOR_WEIGHT;
        value[blocks] = (track->hits[map][bin] + TRACK_PRIOR * TRACK_PRIOR_WEIGHT) / weight[blocks];
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

double track_confidence(const struct track *track, enum track_map map, double return_bp)
{
    PRE((int)map >= 0 && map < TRACK_MAPS);
    if (return_bp == 0 || !isfinite(return_bp))
        return 0;
    double rate[TRACK_BINS];
    track_monotone(track, map, rate);
    return rate[track_bin(return_bp)];
}

uint32_t track_seen(const struct track *track, enum track_map map, double return_bp)
{
    return track->seen[map][track_bin(return_bp)];
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

static void track_learn_bin(struct track *track, int64_t map, double return_bp, bool hit)
{
    int bin = track_bin(return_bp);
    uint32_t *seen = &track->seen[map][bin];
    uint32_t *hits = &track->hits[map][bin];
    if (*seen >= TRACK_BIN_MAX) {
        *seen /= 2;
        *hits /= 2;
    }
    *seen += 1;
    *hits += hit;
}

/* One step of stochastic quantile approximation on the residual. */
static void track_learn_band(struct track *track, double residual_bp)
{
    track->scale_bp += TRACK_SCALE_STEP * (fabs(residual_bp) - track->scale_bp);
    double step = TRACK_BAND_STEP * (track->scale_bp + 1e-3);
    track->p10_bp += step * (0.1 - (residual_bp < track->p10_bp));
    track->p90_bp += step * (0.9 - (residual_bp < track->p90_bp));
}

static void track_learn_accuracy(struct track *track, const struct track_pending *pending,
                                 double outcome_bp, bool hit)
{
    struct track_accuracy *accuracy = &track->accuracy;
    accuracy->outcomes++;
    accuracy->moved += outcome_bp != 0;
    accuracy->hits += hit;
    accuracy->covered += outcome_bp >= pending->p10_bp && outcome_bp <= pending->p90_bp;
    accuracy->abs_error_bp_sum += fabs(outcome_bp - pending->return_bp);
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
    bool hit = pending->return_bp != 0 && track_sign(outcome_bp) == track_sign(pending->return_bp);
    track_learn_bin(track, pending->map, pending->return_bp, hit);
    if (pending->map != TRACK_LIVE)
        return;
    track_learn_band(track, outcome_bp - pending->return_bp);
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
    bool sane = track->pending_count <= TRACK_PENDING_MAX && isfinite(track->p10_bp) &&
                isfinite(track->p90_bp) && isfinite(track->scale_bp);
    for (uint32_t i = 0; sane && i < track->pending_count; i++) {
        const struct track_pending *pending = &track->pending[i];
        sane = pending->map >= 0 && pending->map < TRACK_MAPS && isfinite(pending->return_bp) &&
               isfinite(pending->confidence);
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
