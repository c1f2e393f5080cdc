/* The track record: what the confidence and the band rest on. A pure fold over
 * (published prediction, outcome) in slot order, kept as one value in Redis, so that two
 * replicas, a restart and a replay all agree (DESIGN.md section 5, "Confidence").
 *
 * Confidence is the probability that the sign of the 10 s move is the predicted one; an
 * unchanged mid counts as wrong. Where the model brings a calibration, its probability is
 * the starting point: outcomes are counted per bin of that probability, and each bin's hit
 * rate pulls the curve through it, against the weight of TRACK_CALIBRATED_WEIGHT outcomes.
 * Without one, hit rates are learned per bin of |predicted return|, each from the same
 * prior. Both are made monotone by pooling neighbours; stale features have maps of their
 * own. The band p10..p90 is in units of the model's scale, if it tells one, and follows the
 * quantiles of the residuals by a stochastic approximation step per outcome.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_TRACK_H
#define BTCAST_HOT_INFER_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define TRACK_BINS             16
#define TRACK_PENDING_MAX      8
#define TRACK_RELIABILITY_BINS 10
/* Each bin's prior is worth this many outcomes. */
#define TRACK_PRIOR_WEIGHT 3
/* … and with a calibrated model this many. */
#define TRACK_CALIBRATED_WEIGHT 400
/* Before any outcome: a fair coin, less the share of 10 s spans in which the mid does not
 * move (2.4 % in a real capture), which count as wrong. */
#define TRACK_PRIOR 0.488
/* Typical scale of a 10 s return, where a model that tells one has not spoken yet. */
#define TRACK_SCALE_BP 3.7
/* From so many outcomes on a bin's confidence is called "online", before "prior". */
#define TRACK_ONLINE_MIN 30
/* A bin that has seen so many is halved, so that it follows the market. */
#define TRACK_BIN_MAX 4000
/* An outcome is folded so many slots after its prediction: 5 to the target, one until
 * every record up to the target has been seen. */
#define TRACK_DELAY_SLOTS 6
#define TRACK_SAVED_MAX   2560

/* One map per age of the features (and one without any). */
enum track_map {
    TRACK_LIVE,
    TRACK_STALE,
    TRACK_DEGRADED,
    TRACK_FALLBACK,
    TRACK_MAPS,
};

/* What the model says of a slot. */
struct track_forecast {
    double return_bp;
    double scale_bp;    /* > 0; 1 for a model that tells none */
    double probability; /* calibrated, of the sign being right; 0..1, not used without */
};

struct track_pending {
    int64_t slot;
    double mid;
    struct track_forecast forecast;
    double p10_bp, p90_bp, confidence;
    int64_t map; /* enum track_map; 64 bits so that the struct has no padding */
};

/* How the predictions in mode live have done so far. */
struct track_accuracy {
    uint64_t outcomes, moved, hits; /* hits: sign right */
    uint64_t dropped;               /* outcome invalid (a gap) or not seen */
    uint64_t covered;               /* outcome within p10..p90 */
    double abs_error_bp_sum;        /* |outcome - predicted| */
    double abs_zero_bp_sum;         /* |outcome|: the error of "no change" */
};

struct track {
    uint64_t model; /* identity of the model; another one starts over */
    int64_t slot;   /* of the last prediction folded in as pending */
    uint32_t pending_count;
    uint32_t is_calibrated; /* bins are of the probability, not of |return| */
    struct track_pending pending[TRACK_PENDING_MAX]; /* oldest first */
    uint32_t seen[TRACK_MAPS][TRACK_BINS];
    uint32_t hits[TRACK_MAPS][TRACK_BINS];
    double p10, p90, spread; /* quantiles of residual / scale, and the mean of its size … */
    double band_step;        /* … a share of which is a step */
    double scale_bp;         /* mean of the model's scale; 1 without */
    struct track_accuracy accuracy;
    struct {
        uint64_t seen, hits;
        double confidence_sum;
    } reliability[TRACK_RELIABILITY_BINS]; /* by confidence, mode live */
};

/* A slot's outcome, as the world tells it. */
struct track_outcome {
    int64_t slot;
    double mid;
    bool valid;
};

/* What a model brings. */
struct track_start {
    bool is_calibrated, has_scale;
    double p10, p90; /* of residual / scale (in bp without a scale) */
};

void track_init(struct track *track, uint64_t model, const struct track_start *start);
/* Folds the outcomes that are due at this slot: of predictions up to slot - 6. Those that
 * are not among outcomes, or invalid, are dropped and counted. */
void track_fold(struct track *track, int64_t slot, const struct track_outcome *outcomes, int count);
/* P(sign right); 0 for a prediction of no change. */
double track_confidence(const struct track *track, enum track_map map,
                        const struct track_forecast *forecast);
/* Outcomes behind that number; fewer than TRACK_ONLINE_MIN: mostly the prior's. */
uint32_t track_seen(const struct track *track, enum track_map map,
                    const struct track_forecast *forecast);
/* Where the band lies for a forecast, in bp. */
void track_band(const struct track *track, const struct track_forecast *forecast, double *p10_bp,
                double *p90_bp);
/* Adds a prediction as pending. */
void track_add(struct track *track, const struct track_pending *pending);
/* Expected calibration error in mode live: mean |confidence - hit rate| over the bins of
 * confidence, weighted by outcomes; 0 when there are none. */
double track_error(const struct track *track);

/* The whole state as bytes with version and CRC; size at most TRACK_SAVED_MAX. */
size_t track_save(const struct track *track, uint8_t *out);
int track_load(struct track *track, struct bytes saved, struct err *err) MUST_CHECK;

#endif
