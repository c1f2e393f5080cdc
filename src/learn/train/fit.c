/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/prng.h"

#define FIT_MAGIC UINT64_C(0x3254494654534143) /* CASTFIT2 */
/* Validation rows are looked at in blocks of five minutes: neighbours share most of their 10 s. */
#define FIT_BLOCK 150
/* So many standard errors are no noise. */
#define FIT_BEYOND_NOISE 2.0
#define FIT_PI           3.14159265358979323846

/* What a saved state begins with; then histories, blocks, the net's state, the kept state. */
struct fit_progress {
    uint64_t magic, identity;
    uint64_t steps, best_steps;
    double best_error, least_error; /* of the epoch that is kept; of any */
    int64_t epoch, best_epoch, worse;
};

struct fit {
    struct fit_options options;
    struct fit_data data;
    struct train_mirror mirror;
    struct train_net *net;
    struct fit_progress at;
    double train_error[FIT_EPOCHS_MAX], valid_error[FIT_EPOCHS_MAX];
    uint32_t *rows;
    double *block, *least; /* validation errors by block: of this epoch, of the least one */
    size_t blocks, state_size;
    float *best;
    float *scratch;
};

static int fit_check(const struct fit_options *o, const struct fit_data *data, struct err *err)
{
    if (o->batch < 1 || o->epochs < 1 || o->epochs > FIT_EPOCHS_MAX || o->patience < 1)
        return err_set(err, ERR_INVALID, "batch, epochs (at most %d), patience have to be positive",
                       FIT_EPOCHS_MAX);
    if (!(o->learning_rate > 0.0f) || !(o->weight_decay >= 0.0f) || !(o->scale_weight >= 0.0f) ||
        !(o->mean_epochs >= 0.0f) || !(o->final_rate >= 0.0f && o->final_rate <= 1.0f))
        return err_set(err, ERR_INVALID, "learning rate, decay and weights have to be positive");
    if (o->net.widths[0] != FEATURE_COUNT)
        return err_set(err, ERR_INVALID, "a net has %d inputs", FEATURE_COUNT);
    if (data->train.end <= data->train.begin || data->valid.end <= data->valid.begin ||
        data->train.end >= TRAIN_MIRRORED)
        return err_set(err, ERR_EMPTY, "no rows to train on, or none to validate");
    return ERR_OK;
}

static uint64_t fit_mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t fit_mix_float(uint64_t hash, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return fit_mix(hash, bits);
}

/* Options and rows that a saved state belongs to. */
static uint64_t fit_identity(const struct fit_options *o, const struct fit_data *data)
{
    uint64_t hash = fit_mix(FIT_MAGIC, (uint64_t)o->net.layers);
    for (int i = 0; i <= o->net.layers; i++)
        hash = fit_mix(hash, (uint64_t)o->net.widths[i]);
    hash = fit_mix(fit_mix(hash, o->net.seed), (uint64_t)o->batch);
    hash = fit_mix(fit_mix(hash, (uint64_t)o->patience), (uint64_t)o->epochs);
    hash = fit_mix_float(hash, o->final_rate);
    hash = fit_mix_float(fit_mix_float(hash, o->learning_rate), o->weight_decay);
    hash = fit_mix_float(fit_mix_float(hash, o->scale_weight), o->mean_epochs);
    hash = fit_mix(hash, o->mirror);
    hash = fit_mix(fit_mix(hash, data->train.begin), data->train.end);
    hash = fit_mix(fit_mix(hash, data->valid.begin), data->valid.end);
    const struct split_range parts[] = {data->train, data->valid};
    for (int i = 0; i < 2; i++) {
        size_t from = parts[i].begin, rows = parts[i].end - from;
        hash = fit_mix(hash, crc32c(0, data->y + from, rows * sizeof(float)));
        hash = fit_mix(
            hash, crc32c(0, data->x + from * FEATURE_COUNT, rows * FEATURE_COUNT * sizeof(float)));
    }
    return hash;
}

int fit_open(const struct fit_options *options, const struct fit_data *data, struct fit **out,
             struct err *err)
{
    int rc = fit_check(options, data, err);
    if (rc != ERR_OK)
        return rc;
    struct fit *fit = calloc(1, sizeof(*fit));
    if (fit == NULL)
        return err_set(err, ERR_MEMORY, "no memory to train");
    fit->options = *options;
    fit->data = *data;
    for (int k = 0; k < FEATURE_COUNT; k++)
        fit->mirror.from[k] = (uint16_t)feature_mirror(k, &fit->mirror.sign[k]);
    rc = train_net_open(&options->net, &fit->net, err);
    if (rc == ERR_OK) {
        fit->state_size = train_net_state_size(fit->net);
        fit->best = calloc(fit->state_size, sizeof(float));
        fit->scratch = calloc(fit->state_size, sizeof(float));
        fit->rows = malloc((data->train.end - data->train.begin) * sizeof(uint32_t));
        fit->blocks = (data->valid.end - data->valid.begin + FIT_BLOCK - 1) / FIT_BLOCK;
        fit->block = calloc(fit->blocks, sizeof(double));
        fit->least = calloc(fit->blocks, sizeof(double));
        if (fit->best == NULL || fit->scratch == NULL || fit->rows == NULL || fit->block == NULL ||
            fit->least == NULL)
            rc = err_set(err, ERR_MEMORY, "no memory to train");
    }
    if (rc != ERR_OK) {
        fit_close(fit);
        return rc;
    }
    fit->at = (struct fit_progress){.magic = FIT_MAGIC,
                                    .identity = fit_identity(options, data),
                                    .best_error = INFINITY,
                                    .least_error = INFINITY};
    train_net_save(fit->net, fit->best, &fit->at.best_steps);
    *out = fit;
    return ERR_OK;
}

void fit_close(struct fit *fit)
{
    if (fit == NULL)
        return;
    train_net_close(fit->net);
    free(fit->best);
    free(fit->scratch);
    free(fit->rows);
    free(fit->block);
    free(fit->least);
    free(fit);
}

/* --- an epoch ------------------------------------------------------------------------- */

/* Half of the rows, the other half in the next epoch. */
static uint32_t fit_mirrored(const struct fit *fit, size_t row)
{
    uint64_t side =
        (fit_mix(fit_mix(fit->options.net.seed, row), row) >> 63) ^ ((uint64_t)fit->at.epoch & 1);
    return fit->options.mirror && side != 0 ? TRAIN_MIRRORED : 0;
}

/* Fisher and Yates from the epoch's own seed: an epoch's order needs no history. */
static void fit_shuffle(struct fit *fit)
{
    struct prng prng;
    size_t count = fit->data.train.end - fit->data.train.begin;
    prng_init(&prng, fit_mix(fit->options.net.seed, (uint64_t)fit->at.epoch + 1));
    for (size_t i = 0; i < count; i++)
        fit->rows[i] = (uint32_t)(fit->data.train.begin + i) | fit_mirrored(fit, i);
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = (size_t)prng_below(&prng, i + 1);
        uint32_t swap = fit->rows[i];
        fit->rows[i] = fit->rows[other];
        fit->rows[other] = swap;
    }
}

/* A running mean that starts as the plain mean. */
static float fit_mean_share(const struct fit *fit, size_t batches)
{
    double reach = fmax(1.0, (double)fit->options.mean_epochs * (double)batches);
    return (float)(1.0 / fmin(reach, (double)fit->at.steps + 1.0));
}

/* Half a cosine from the whole rate at the start to final_rate of it at the end. High, it finds
 * its way quickly; what it then knows of single rows is averaged out as it falls. */
static float fit_rate(const struct fit *fit, double share_of_epoch)
{
    const struct fit_options *o = &fit->options;
    double at = ((double)fit->at.epoch + share_of_epoch) / (double)o->epochs;
    double left = (double)o->final_rate;
    return (float)((double)o->learning_rate *
                   (left + (1.0 - left) * 0.5 * (1.0 + cos(FIT_PI * at))));
}

static double fit_train(struct fit *fit)
{
    size_t count = fit->data.train.end - fit->data.train.begin;
    size_t batch = (size_t)fit->options.batch < count ? (size_t)fit->options.batch : count;
    struct train_step step = {.weight_decay = fit->options.weight_decay,
                              .scale_weight = fit->options.scale_weight};
    struct train_loss loss = {0};
    size_t done = 0;
    for (; done + batch <= count; done += batch) {
        step.mean_share = fit_mean_share(fit, count / batch);
        step.learning_rate = fit_rate(fit, (double)done / (double)count);
        train_net_step(fit->net,
                       &(struct train_batch){.x = fit->data.x,
                                             .y = fit->data.y,
                                             .rows = fit->rows + done,
                                             .count = (int)batch,
                                             .mirror = &fit->mirror},
                       &step, &loss);
        fit->at.steps++;
    }
    return 2.0 * loss.error / (double)done;
}

static double fit_validate(struct fit *fit)
{
    struct split_range valid = fit->data.valid;
    double sum = 0.0;
    for (size_t i = 0; i < fit->blocks; i++) {
        struct train_loss loss = {0};
        size_t from = valid.begin + i * FIT_BLOCK, left = valid.end - from;
        train_net_loss(fit->net,
                       &(struct train_batch){.x = fit->data.x + from * FEATURE_COUNT,
                                             .y = fit->data.y + from,
                                             .count = (int)(left < FIT_BLOCK ? left : FIT_BLOCK)},
                       true, &loss);
        fit->block[i] = 2.0 * loss.error;
        sum += fit->block[i];
    }
    return sum / (double)(valid.end - valid.begin);
}

/* Is this epoch worse than the one with the least error by more than chance? The same rows have
 * seen both: what counts are their differences, block by block. */
static bool fit_is_worse(const struct fit *fit, double error)
{
    double mean = 0.0, squares = 0.0, blocks = (double)fit->blocks;
    if (error <= fit->at.least_error || fit->blocks < 2)
        return error > fit->at.least_error;
    for (size_t i = 0; i < fit->blocks; i++)
        mean += (fit->block[i] - fit->least[i]) / blocks;
    for (size_t i = 0; i < fit->blocks; i++) {
        double off = fit->block[i] - fit->least[i] - mean;
        squares += off * off;
    }
    return mean > FIT_BEYOND_NOISE * sqrt(squares / (blocks - 1.0) / blocks);
}

static void fit_judge(struct fit *fit, double error)
{
    struct fit_progress *at = &fit->at;
    bool worse = fit_is_worse(fit, error);
    at->worse = worse ? at->worse + 1 : 0;
    if (!worse) {
        at->best_error = error;
        at->best_epoch = at->epoch;
        train_net_save(fit->net, fit->best, &at->best_steps);
    }
    if (error < at->least_error) {
        at->least_error = error;
        memcpy(fit->least, fit->block, fit->blocks * sizeof(double));
    }
}

bool fit_is_done(const struct fit *fit)
{
    return fit->at.epoch >= fit->options.epochs || fit->at.worse >= fit->options.patience;
}

bool fit_epoch(struct fit *fit)
{
    if (fit_is_done(fit))
        return false;
    fit_shuffle(fit);
    fit->train_error[fit->at.epoch] = fit_train(fit);
    fit->valid_error[fit->at.epoch] = fit_validate(fit);
    fit_judge(fit, fit->valid_error[fit->at.epoch]);
    fit->at.epoch++;
    return !fit_is_done(fit);
}

/* --- what came out -------------------------------------------------------------------- */

int fit_epochs(const struct fit *fit)
{
    return (int)fit->at.epoch;
}

int fit_best_epoch(const struct fit *fit)
{
    return (int)fit->at.best_epoch;
}

double fit_best_error(const struct fit *fit)
{
    return fit->at.best_error;
}

double fit_train_error(const struct fit *fit, int epoch)
{
    PRE(epoch >= 0 && epoch < fit->at.epoch);
    return fit->train_error[epoch];
}

double fit_valid_error(const struct fit *fit, int epoch)
{
    PRE(epoch >= 0 && epoch < fit->at.epoch);
    return fit->valid_error[epoch];
}

const struct fit_options *fit_options(const struct fit *fit)
{
    return &fit->options;
}

void fit_best_layer(struct fit *fit, int layer, float *weights, float *bias)
{
    uint64_t steps;
    train_net_save(fit->net, fit->scratch, &steps);
    train_net_load(fit->net, fit->best, fit->at.best_steps);
    train_net_layer(fit->net, TRAIN_MEAN, layer, weights, bias);
    train_net_load(fit->net, fit->scratch, steps);
}

/* --- state ---------------------------------------------------------------------------- */

static size_t fit_history_size(int64_t epochs)
{
    return 2 * (size_t)epochs * sizeof(double);
}

static size_t fit_size(const struct fit *fit, int64_t epochs)
{
    return sizeof(fit->at) + fit_history_size(epochs) + fit->blocks * sizeof(double) +
           2 * fit->state_size * sizeof(float) + sizeof(uint32_t);
}

size_t fit_save_size(const struct fit *fit)
{
    return fit_size(fit, fit->at.epoch);
}

static uint8_t *fit_put(uint8_t *at, const void *data, size_t size)
{
    memcpy(at, data, size);
    return at + size;
}

void fit_save(const struct fit *fit, uint8_t *out)
{
    uint64_t steps;
    size_t epochs = (size_t)fit->at.epoch * sizeof(double);
    uint8_t *at = fit_put(out, &fit->at, sizeof(fit->at));
    at = fit_put(at, fit->train_error, epochs);
    at = fit_put(at, fit->valid_error, epochs);
    at = fit_put(at, fit->least, fit->blocks * sizeof(double));
    train_net_save(fit->net, fit->scratch, &steps);
    at = fit_put(at, fit->scratch, fit->state_size * sizeof(float));
    at = fit_put(at, fit->best, fit->state_size * sizeof(float));
    bytes_store_u32(at, crc32c(0, out, (size_t)(at - out)));
}

static const uint8_t *fit_get(const uint8_t *at, void *data, size_t size)
{
    memcpy(data, at, size);
    return at + size;
}

int fit_load(struct fit *fit, struct bytes saved, struct err *err)
{
    struct fit_progress progress;
    if (saved.size < fit_size(fit, 0))
        return err_set(err, ERR_CORRUPT, "a training state of %zu bytes is cut", saved.size);
    size_t body = saved.size - sizeof(uint32_t);
    if (crc32c(0, saved.data, body) != bytes_load_u32(saved.data + body))
        return err_set(err, ERR_CORRUPT, "a training state's checksum is wrong");
    const uint8_t *at = fit_get(saved.data, &progress, sizeof(progress));
    if (progress.magic != FIT_MAGIC || progress.identity != fit->at.identity)
        return err_set(err, ERR_SCHEMA, "a training state of other data or other settings");
    if (progress.epoch < 0 || progress.epoch > FIT_EPOCHS_MAX ||
        saved.size != fit_size(fit, progress.epoch))
        return err_set(err, ERR_CORRUPT, "a training state has a wrong size");
    fit->at = progress;
    at = fit_get(at, fit->train_error, (size_t)progress.epoch * sizeof(double));
    at = fit_get(at, fit->valid_error, (size_t)progress.epoch * sizeof(double));
    at = fit_get(at, fit->least, fit->blocks * sizeof(double));
    at = fit_get(at, fit->scratch, fit->state_size * sizeof(float));
    fit_get(at, fit->best, fit->state_size * sizeof(float));
    train_net_load(fit->net, fit->scratch, progress.steps);
    return ERR_OK;
}
