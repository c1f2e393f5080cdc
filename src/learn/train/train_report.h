/* A training as a report: JSON for programs, one self-contained HTML page for people. Holds
 * no clock and no path, so the same training gives the same bytes. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_REPORT_H
#define BTCAST_LEARN_TRAIN_REPORT_H

#include "base/text.h"
#include "learn/train/evaluation.h"
#include "learn/train/train_search.h"

#define REPORT_FOLDS_MAX 16
/* Room for the longest report of either kind. */
#define REPORT_SIZE_MAX (4u << 20)

struct report_trial {
    struct fit_options options;
    int epochs;
    double error; /* least validation error, in shares of the label's mean square */
};

struct report_fold {
    struct split_range train, test;
    size_t independent;
    double r2[EVALUATED], hit[EVALUATED];
};

struct report {
    const struct dataset *dataset;
    const struct split *split;
    const char *version;
    uint64_t data_hash, seed;
    const struct report_trial *trials;
    int trial_count, chosen;
    const struct fit *fit; /* the chosen one, for its curves */
    const struct report_fold *folds;
    int fold_count;
    const struct evaluation *test;
};

void report_json(const struct report *report, struct text *out);
void report_html(const struct report *report, struct text *out);
/* Why this model is no candidate for promotion, one sentence each, joined by blanks; empty
 * when it is one. */
void report_refusal(const struct report *report, char *out, size_t size);

#endif
