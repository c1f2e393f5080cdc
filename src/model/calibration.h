/* The map from signal strength to the probability that the forecast's sign is right
 * (DESIGN.md section 5, Confidence), one per age bucket of the features, as fitted after
 * training and carried in the model's metadata. Pure.
 *
 * As text: buckets by growing age separated by ';', each `AGE_S/X:P,X:P,...` with growing
 * strengths X >= 0 and probabilities P in 0..1: `2/0:0.5,1:0.56,3:0.61;5/0:0.5,3:0.55`.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MODEL_CALIBRATION_H
#define BTCAST_MODEL_CALIBRATION_H

#include "base/err.h"
#include "base/text.h"

#define CALIBRATION_BUCKETS_MAX 4
#define CALIBRATION_KNOTS_MAX   32
/* Room for the longest text calibration_format writes. */
#define CALIBRATION_TEXT_SIZE 8192

struct calibration_bucket {
    float age_s_max; /* for features up to this age */
    int count;
    struct calibration_knot {
        float strength, probability;
    } knots[CALIBRATION_KNOTS_MAX];
};

/* count 0: the model brings none. */
struct calibration {
    int count;
    struct calibration_bucket buckets[CALIBRATION_BUCKETS_MAX];
};

/* text: not NUL-terminated, size bytes. ERR_MALFORMED says where. */
int calibration_parse(const char *text, size_t size, struct calibration *calibration,
                      struct err *err) MUST_CHECK;
void calibration_format(const struct calibration *calibration, struct text *text);
/* Linear between knots, constant outside, from the first bucket whose age_s_max is not
 * below age_s; 0 when the features are older than every bucket ("no usable forecast"), -1
 * without calibration. */
double calibration_probability(const struct calibration *calibration, double strength,
                               double age_s);

#endif
