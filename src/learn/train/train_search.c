/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/train_search.h"

#include <math.h>

#include "base/prng.h"

#define SEARCH_HIDDEN 2

#define SEARCH_DECAY_ROWS  34000.0
#define SEARCH_DECAY_LEAST 0.01
#define SEARCH_DECAY_MOST  1.0

static const int search_widths[][SEARCH_HIDDEN] = {{64, 32}, {32, 16}, {48, 24}, {96, 48}};
static const int search_batches[] = {128, 256, 512};

/* What weights decay by is a prior: it counts as much as so many rows say, and less the more there
 * are. Of 24, 93 and 187 simulated hours 0.5 to 1, 0.2 and 0.1 were best. */
static float search_decay(size_t rows)
{
    double decay = SEARCH_DECAY_ROWS / (double)(rows > 0 ? rows : 1);
    return (float)fmin(SEARCH_DECAY_MOST, fmax(SEARCH_DECAY_LEAST, decay));
}

void search_defaults(uint64_t seed, int epochs, size_t rows, struct fit_options *options)
{
    *options = (struct fit_options){
        .net = {.layers = SEARCH_HIDDEN + 1, .widths = {FEATURE_COUNT, 64, 32, 2}, .seed = seed},
        .batch = 256,
        .epochs = epochs,
        .patience = 5,
        .final_rate = 0.01f,
        .learning_rate = 2e-3f,
        .weight_decay = search_decay(rows),
        .scale_weight = 0.2f,
        .mean_epochs = 1.0f,
        .mirror = true};
}

static float search_between(struct prng *prng, double low, double high)
{
    return (float)exp(log(low) + prng_f64(prng) * (log(high) - log(low)));
}

void search_draw(const struct fit_options *base, uint64_t seed, struct fit_options *trials,
                 int count)
{
    struct prng prng;
    prng_init(&prng, seed);
    trials[0] = *base;
    for (int i = 1; i < count; i++) {
        trials[i] = *base;
        const int *widths =
            search_widths[prng_below(&prng, sizeof(search_widths) / sizeof(search_widths[0]))];
        trials[i].net.widths[1] = widths[0];
        trials[i].net.widths[2] = widths[1];
        trials[i].net.seed = prng_u64(&prng);
        trials[i].batch = search_batches[prng_below(&prng, 3)];
        trials[i].learning_rate = search_between(&prng, 5e-4, 5e-3);
        trials[i].weight_decay = base->weight_decay * search_between(&prng, 0.3, 3.0);
        trials[i].scale_weight = search_between(&prng, 0.05, 0.5);
    }
}

void search_begin(struct search *search, int trials)
{
    search->count = trials;
    search->epochs = trials > 1 ? SEARCH_FIRST_EPOCHS : FIT_EPOCHS_MAX;
    for (int i = 0; i < trials; i++)
        search->alive[i] = i;
}

void search_halve(struct search *search, const double *errors)
{
    int order[SEARCH_TRIALS_MAX], kept[SEARCH_TRIALS_MAX];
    for (int i = 0; i < search->count; i++) {
        int at = i;
        for (; at > 0 && errors[order[at - 1]] > errors[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    int count = (search->count + 1) / 2;
    for (int i = 0; i < count; i++)
        kept[i] = search->alive[order[i]];
    for (int i = 0; i < count; i++)
        search->alive[i] = kept[i];
    search->count = count;
    search->epochs = count > 1 ? 2 * search->epochs : FIT_EPOCHS_MAX;
}

double search_error(const struct fit *fit, int epochs)
{
    double least = INFINITY;
    for (int i = 0; i < epochs && i < fit_epochs(fit); i++)
        least = fmin(least, fit_valid_error(fit, i));
    return least;
}
