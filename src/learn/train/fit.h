/* One training: epochs over shuffled rows while the learning rate falls along half a cosine.
 * What is kept is the running mean of the parameters at the last epoch whose validation error
 * is not worse than the least one beyond noise; too many that are end it early. A function of
 * options and data alone; a saved state goes on as if it had never stopped. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_FIT_H
#define BTCAST_LEARN_TRAIN_FIT_H

#include "base/bytes.h"
#include "learn/train/dataset.h"
#include "learn/train/train_net.h"

#define FIT_EPOCHS_MAX 1000

struct fit_options {
    struct train_net_options net;
    int batch;
    int epochs;   /* at most FIT_EPOCHS_MAX */
    int patience; /* epochs in a row that are worse than the best beyond noise, until the end */
    float learning_rate, weight_decay;
    float final_rate;   /* share of the learning rate that is left in the last epoch */
    float scale_weight; /* of the log scale's loss */
    float mean_epochs;  /* the running mean reaches back so many epochs */
    bool mirror;        /* rows are seen as both sides of the market see them, in turns */
};

/* Borrowed; x and y of train_scaler_apply. */
struct fit_data {
    const float *x, *y;
    struct split_range train, valid;
};

struct fit; /* opaque */

int fit_open(const struct fit_options *options, const struct fit_data *data, struct fit **fit,
             struct err *err) MUST_CHECK;
void fit_close(struct fit *fit);
/* One more epoch; false when there is nothing more to do (the limit, or no patience left). */
bool fit_epoch(struct fit *fit);
/* The next epoch would have something to do. */
bool fit_is_done(const struct fit *fit);
int fit_epochs(const struct fit *fit);
int fit_best_epoch(const struct fit *fit);
/* Mean squared error over the validation rows, in units of the label's deviation: of the epoch
 * that is kept so far (infinite before the first one). */
double fit_best_error(const struct fit *fit);
/* … and by epoch, of training (before each step) and validation rows. */
double fit_train_error(const struct fit *fit, int epoch);
double fit_valid_error(const struct fit *fit, int epoch);
const struct fit_options *fit_options(const struct fit *fit);
/* The layers at the epoch that is kept: weights[outputs][inputs], bias[outputs]. */
void fit_best_layer(struct fit *fit, int layer, float *weights, float *bias);

/* State as bytes with version, options and CRC; size fit_save_size. */
size_t fit_save_size(const struct fit *fit);
void fit_save(const struct fit *fit, uint8_t *out);
/* ERR_CORRUPT, ERR_SCHEMA (of other options or other data): the fit is as it was. */
int fit_load(struct fit *fit, struct bytes saved, struct err *err) MUST_CHECK;

#endif
