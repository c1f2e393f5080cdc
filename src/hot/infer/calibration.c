/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/calibration.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/crc32c.h"

#define CALIBRATION_VERSION 1
/* Before any outcome: a fair coin, less the share of 10 s spans in which the mid does not
 * move (2.4 % in a real capture), which count as wrong. */
#define CALIBRATION_PRIOR 0.488
#define CALIBRATION_BAND_STEP 0.05
#define CALIBRATION_SCALE_STEP 0.02
/* Bins are half octaves of |return| from 1/64 bp. */
#define CALIBRATION_BIN_OFFSET 12

void calibration_init(struct calibration *calibration, uint64_t model, double band_bp)
{
    memset(calibration, 0, sizeof(*calibration));
    calibration->model = model;
    calibration->slot = INT64_MIN;
    calibration->p10_bp = -band_bp;
    calibration->p90_bp = band_bp;
    calibration->scale_bp = band_bp;
}

static int calibration_bin(double return_bp)
{
    double position = floor(2 * log2(fabs(return_bp))) + CALIBRATION_BIN_OFFSET;
    if (!(position > 0)) /* also for log2(0) */
        return 0;
    return position < CALIBRATION_BINS - 1 ? (int)position : CALIBRATION_BINS - 1;
}

/* Hit rates per bin with the prior mixed in, pooled with their neighbours until they do not
 * fall (pool adjacent violators). */
static void calibration_monotone(const struct calibration *calibration, enum calibration_map map,
                                 double rate[CALIBRATION_BINS])
{
    double value[CALIBRATION_BINS];
    double weight[CALIBRATION_BINS];
    int size[CALIBRATION_BINS];
    int blocks = 0;
    for (int bin = 0; bin < CALIBRATION_BINS; bin++) {
        weight[blocks] = calibration->seen[map][bin] + CALIBRATION_PRIOR_WEIGHT;
        value[blocks] =
            (calibration->hits[map][bin] + CALIBRATION_PRIOR * CALIBRATION_PRIOR_WEIGHT) /
            weight[blocks];
        size[blocks++] = 1;
        while (blocks > 1 && value[blocks - 2] > value[blocks - 1]) {
            double both = weight[blocks - 2] + weight[blocks - 1];
            value[blocks - 2] = (value[blocks - 2] * weight[blocks - 2] +
                                 value[blocks - 1] * weight[blocks - 1]) /
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

double calibration_confidence(const struct calibration *calibration, enum calibration_map map,
                              double return_bp)
{
    PRE((int)map >= 0 && map < CALIBRATION_MAPS);
    if (return_bp == 0 || !isfinite(return_bp))
        return 0;
    double rate[CALIBRATION_BINS];
    calibration_monotone(calibration, map, rate);
    return rate[calibration_bin(return_bp)];
}

uint32_t calibration_seen(const struct calibration *calibration, enum calibration_map map,
                          double return_bp)
{
    return calibration->seen[map][calibration_bin(return_bp)];
}

void calibration_add(struct calibration *calibration, const struct calibration_pending *pending)
{
    PRE(pending->map >= 0 && pending->map < CALIBRATION_MAPS);
    if (pending->slot <= calibration->slot)
        return;
    if (calibration->pending_count == CALIBRATION_PENDING_MAX) {
        memmove(calibration->pending, calibration->pending + 1,
                sizeof(calibration->pending) - sizeof(calibration->pending[0]));
        calibration->pending_count--;
        calibration->accuracy.dropped++;
    }
    calibration->pending[calibration->pending_count++] = *pending;
    calibration->slot = pending->slot;
}

static int calibration_sign(double value)
{
    return (value > 0) - (value < 0);
}

static void calibration_learn_bin(struct calibration *calibration, int64_t map, double return_bp,
                                  bool hit)
{
    int bin = calibration_bin(return_bp);
    uint32_t *seen = &calibration->seen[map][bin];
    uint32_t *hits = &calibration->hits[map][bin];
    if (*seen >= CALIBRATION_BIN_MAX) {
        *seen /= 2;
        *hits /= 2;
    }
    *seen += 1;
    *hits += hit;
}

/* One step of stochastic quantile approximation on the residual. */
static void calibration_learn_band(struct calibration *calibration, double residual_bp)
{
    calibration->scale_bp += CALIBRATION_SCALE_STEP * (fabs(residual_bp) - calibration->scale_bp);
    double step = CALIBRATION_BAND_STEP * (calibration->scale_bp + 1e-3);
    calibration->p10_bp += step * (0.1 - (residual_bp < calibration->p10_bp));
    calibration->p90_bp += step * (0.9 - (residual_bp < calibration->p90_bp));
}

static void calibration_learn_accuracy(struct calibration *calibration,
                                       const struct calibration_pending *pending,
                                       double outcome_bp, bool hit)
{
    struct calibration_accuracy *accuracy = &calibration->accuracy;
    accuracy->outcomes++;
    accuracy->moved += outcome_bp != 0;
    accuracy->hits += hit;
    accuracy->covered += outcome_bp >= pending->p10_bp && outcome_bp <= pending->p90_bp;
    accuracy->abs_error_bp_sum += fabs(outcome_bp - pending->return_bp);
    accuracy->abs_zero_bp_sum += fabs(outcome_bp);
    int bin = (int)(pending->confidence * CALIBRATION_RELIABILITY_BINS);
    if (bin >= CALIBRATION_RELIABILITY_BINS)
        bin = CALIBRATION_RELIABILITY_BINS - 1;
    if (bin < 0)
        bin = 0;
    calibration->reliability[bin].seen++;
    calibration->reliability[bin].hits += hit;
    calibration->reliability[bin].confidence_sum += pending->confidence;
}

static void calibration_learn(struct calibration *calibration,
                              const struct calibration_pending *pending, double outcome_mid)
{
    double outcome_bp = 1e4 * log(outcome_mid / pending->mid);
    bool hit = pending->return_bp != 0 &&
               calibration_sign(outcome_bp) == calibration_sign(pending->return_bp);
    calibration_learn_bin(calibration, pending->map, pending->return_bp, hit);
    if (pending->map != CALIBRATION_LIVE)
        return;
    calibration_learn_band(calibration, outcome_bp - pending->return_bp);
    calibration_learn_accuracy(calibration, pending, outcome_bp, hit);
}

static const struct calibration_outcome *
calibration_find(const struct calibration_outcome *outcomes, int count, int64_t slot)
{
    for (int i = 0; i < count; i++)
        if (outcomes[i].slot == slot)
            return &outcomes[i];
    return NULL;
}

void calibration_fold(struct calibration *calibration, int64_t slot,
                      const struct calibration_outcome *outcomes, int count)
{
    uint32_t due = 0;
    while (due < calibration->pending_count &&
           calibration->pending[due].slot <= slot - CALIBRATION_DELAY_SLOTS) {
        const struct calibration_pending *pending = &calibration->pending[due++];
        const struct calibration_outcome *outcome =
            calibration_find(outcomes, count, pending->slot + CLOCK_HORIZON_SLOTS);
        if (outcome == NULL || !outcome->valid || !(outcome->mid > 0) || !(pending->mid > 0))
            calibration->accuracy.dropped++;
        else
            calibration_learn(calibration, pending, outcome->mid);
    }
    calibration->pending_count -= due;
    memmove(calibration->pending, calibration->pending + due,
            calibration->pending_count * sizeof(calibration->pending[0]));
}

double calibration_error(const struct calibration *calibration)
{
    double error = 0;
    double total = 0;
    for (int bin = 0; bin < CALIBRATION_RELIABILITY_BINS; bin++) {
        double seen = (double)calibration->reliability[bin].seen;
        error += fabs(calibration->reliability[bin].confidence_sum -
                      (double)calibration->reliability[bin].hits);
        total += seen;
    }
    return total > 0 ? error / total : 0;
}

/* Saved form: u32 version, u32 size, the struct, u32 CRC. The struct's layout is fixed by its
 * member types on the one ABI that is supported; its size is part of the check. */
size_t calibration_save(const struct calibration *calibration, uint8_t *out)
{
    size_t size = sizeof(*calibration);
    _Static_assert(sizeof(struct calibration) + 12 <= CALIBRATION_SAVED_MAX, "fits");
    bytes_store_u32(out, CALIBRATION_VERSION);
    bytes_store_u32(out + 4, (uint32_t)size);
    memcpy(out + 8, calibration, size);
    bytes_store_u32(out + 8 + size, crc32c(0, out, 8 + size));
    return size + 12;
}

static bool calibration_is_sane(const struct calibration *calibration)
{
    bool sane = calibration->pending_count <= CALIBRATION_PENDING_MAX &&
                isfinite(calibration->p10_bp) && isfinite(calibration->p90_bp) &&
                isfinite(calibration->scale_bp);
    for (uint32_t i = 0; sane && i < calibration->pending_count; i++) {
        const struct calibration_pending *pending = &calibration->pending[i];
        sane = pending->map >= 0 && pending->map < CALIBRATION_MAPS && isfinite(pending->return_bp) &&
               isfinite(pending->confidence);
    }
    return sane;
}

int calibration_load(struct calibration *calibration, struct bytes saved, struct err *err)
{
    size_t size = sizeof(*calibration);
    if (saved.size != size + 12 || bytes_load_u32(saved.data) != CALIBRATION_VERSION ||
        bytes_load_u32(saved.data + 4) != size)
        return err_set(err, ERR_MALFORMED, "calibration: %zu bytes, expected %zu of version %d",
                       saved.size, size + 12, CALIBRATION_VERSION);
    if (bytes_load_u32(saved.data + 8 + size) != crc32c(0, saved.data, 8 + size))
        return err_set(err, ERR_CORRUPT, "calibration: checksum mismatch");
    struct calibration loaded;
    memcpy(&loaded, saved.data + 8, size);
    if (!calibration_is_sane(&loaded))
        return err_set(err, ERR_MALFORMED, "calibration: values out of range");
    *calibration = loaded;
    return ERR_OK;
}
