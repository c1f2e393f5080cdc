/* The JSON half. SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/train_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void report_append(char *out, size_t size, const char *sentence)
{
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s", used > 0 ? " " : "", sentence);
}

void report_refusal(const struct report *report, char *out, size_t size)
{
    const struct evaluation *test = report->test;
    char line[160];
    out[0] = '\0';
    if (test->indicative) {
        snprintf(line, sizeof(line),
                 "Indicative only: %zu independent labels in the test, %d are needed.",
                 test->independent, EVALUATION_INDEPENDENT_MIN);
        report_append(out, size, line);
    }
    if (report->split->embargo_short)
        report_append(out, size, "The data are too short for the whole embargo.");
    if (!(test->r2[EVALUATED_MODEL].low > 0.0))
        report_append(out, size, "Not better than no change beyond noise.");
    if (!(test->r2_over_ridge.low > 0.0))
        report_append(out, size, "Not better than ridge beyond noise.");
    if (!(test->hit_over_imbalance.low > 0.0))
        report_append(out, size, "Not better than the imbalance's sign beyond noise.");
}

/* --- pieces --------------------------------------------------------------------------- */

static void report_number(struct text *out, const char *name, double value)
{
    text_add_format(out, ",\"%s\":", name);
    text_add_f64(out, value);
}

static void report_estimate(struct text *out, const char *name, const struct estimate *estimate)
{
    text_add_format(out, ",\"%s\":{\"value\":", name);
    text_add_f64(out, estimate->value);
    report_number(out, "low", estimate->low);
    report_number(out, "high", estimate->high);
    text_add_char(out, '}');
}

static void report_range(struct text *out, const struct dataset *dataset, struct split_range range)
{
    text_add_format(out, "{\"rows\":%zu,\"from_slot\":%" PRId64 ",\"to_slot\":%" PRId64 "}",
                    range.end - range.begin, dataset->slot[range.begin],
                    dataset->slot[range.end - 1]);
}

static void report_data(const struct report *report, struct text *out)
{
    const struct dataset *dataset = report->dataset;
    text_add_format(out,
                    "\"data\":{\"hash\":\"%016" PRIx64 "\",\"schema\":\"%016" PRIx64
                    "\",\"rows\":%zu,\"offered\":%" PRIu64 ",\"left_out\":{",
                    report->data_hash, feature_schema_hash(), dataset->count,
                    dataset->counts.offered);
    for (int i = 0; i < DATASET_CAUSES; i++)
        text_add_format(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", dataset_cause_name(i),
                        dataset->counts.left_out[i]);
    text_add_format(out,
                    "},\"purge_slots\":%" PRId64 ",\"embargo_slots\":%" PRId64
                    ",\"embargo_short\":%s,\"slices\":{",
                    report->split->purge_slots, report->split->embargo_slots,
                    report->split->embargo_short ? "true" : "false");
    for (int i = 0; i < SPLIT_SLICES; i++) {
        text_add_format(out, "%s\"%s\":", i > 0 ? "," : "", split_slice_name(i));
        report_range(out, dataset, report->split->slice[i]);
    }
    text_add(out, "}}");
}

static void report_options(struct text *out, const struct report_trial *trial)
{
    const struct fit_options *o = &trial->options;
    text_add(out, "{\"widths\":[");
    for (int i = 0; i <= o->net.layers; i++)
        text_add_format(out, "%s%d", i > 0 ? "," : "", o->net.widths[i]);
    text_add_format(out, "],\"seed\":\"%" PRIu64 "\",\"batch\":%d", o->net.seed, o->batch);
    report_number(out, "learning_rate", (double)o->learning_rate);
    report_number(out, "weight_decay", (double)o->weight_decay);
    report_number(out, "scale_weight", (double)o->scale_weight);
    text_add_format(out, ",\"epochs\":%d", trial->epochs);
    report_number(out, "valid_error", trial->error);
    text_add_char(out, '}');
}

static void report_training(const struct report *report, struct text *out)
{
    text_add_format(out, ",\"training\":{\"seed\":\"%" PRIu64 "\",\"chosen\":%d,\"best_epoch\":%d",
                    report->seed, report->chosen, fit_best_epoch(report->fit));
    text_add(out, ",\"trials\":[");
    for (int i = 0; i < report->trial_count; i++) {
        text_add(out, i > 0 ? "," : "");
        report_options(out, &report->trials[i]);
    }
    text_add(out, "],\"train_error\":[");
    for (int i = 0; i < fit_epochs(report->fit); i++) {
        text_add(out, i > 0 ? "," : "");
        text_add_f64(out, fit_train_error(report->fit, i));
    }
    text_add(out, "],\"valid_error\":[");
    for (int i = 0; i < fit_epochs(report->fit); i++) {
        text_add(out, i > 0 ? "," : "");
        text_add_f64(out, fit_valid_error(report->fit, i));
    }
    text_add(out, "]}");
}

static void report_scores(const struct evaluation *test, struct text *out)
{
    for (int who = 0; who < EVALUATED; who++) {
        if (who == EVALUATED_ORACLE && !test->has_oracle)
            continue;
        text_add_format(out, ",\"%s\":{\"who\":\"%s\"", evaluated_name(who), evaluated_name(who));
        if (who != EVALUATED_IMBALANCE) {
            report_estimate(out, "mae_bp", &test->mae_bp[who]);
            report_estimate(out, "r2", &test->r2[who]);
        }
        report_estimate(out, "hit_rate", &test->hit[who]);
        text_add_char(out, '}');
    }
    report_estimate(out, "mae_zero_bp", &test->mae_zero_bp);
    report_estimate(out, "mae_gain_bp", &test->mae_gain_bp);
    report_estimate(out, "r2_over_ridge", &test->r2_over_ridge);
    report_estimate(out, "hit_over_ridge", &test->hit_over_ridge);
    report_estimate(out, "hit_over_imbalance", &test->hit_over_imbalance);
    if (test->has_oracle)
        report_estimate(out, "oracle_share", &test->oracle_share);
}

static void report_bins(const struct evaluation *test, struct text *out)
{
    report_number(out, "calibration_error", test->calibration_error);
    text_add(out, ",\"reliability\":[");
    for (int b = 0; b < EVALUATION_BINS; b++) {
        text_add_format(out, "%s{\"count\":%zu", b > 0 ? "," : "", test->bin[b].count);
        report_number(out, "confidence", test->bin[b].confidence);
        report_number(out, "right", test->bin[b].right);
        text_add_char(out, '}');
    }
    text_add(out, "],\"band\":{\"coverage\":");
    text_add_f64(out, test->coverage);
    report_number(out, "coverage_fixed", test->coverage_fixed);
    text_add(out, ",\"coverage_by_volatility\":[");
    for (int t = 0; t < EVALUATION_TERCILES; t++) {
        text_add(out, t > 0 ? "," : "");
        text_add_f64(out, test->coverage_tercile[t]);
    }
    text_add_char(out, ']');
    report_number(out, "pinball_bp", test->pinball_bp);
    report_number(out, "pinball_rolling_bp", test->pinball_rolling_bp);
    text_add_char(out, '}');
}

static void report_test(const struct report *report, struct text *out)
{
    const struct evaluation *test = report->test;
    char money[512];
    evaluation_money(test, money, sizeof(money));
    text_add_format(out, ",\"test\":{\"rows\":%zu,\"independent\":%zu,\"moved\":%zu", test->rows,
                    test->independent, test->moved);
    report_number(out, "label_rms_bp", test->label_rms_bp);
    report_scores(test, out);
    report_bins(test, out);
    text_add_format(out, ",\"profit\":{\"trades\":%zu", test->trades);
    report_number(out, "net_bp_sum", test->net_bp_sum);
    report_number(out, "cost_bp", test->cost_bp);
    report_number(out, "fee_bp", EVALUATION_FEE_BP);
    text_add_format(out, ",\"latency_s\":%d",
                    (int)(EVALUATION_LATENCY_SLOTS * CLOCK_SLOT_US / CLOCK_US_PER_S));
    report_number(out, "strongest_gross_bp", test->strongest_gross_bp);
    text_add(out, ",\"sentence\":");
    text_add_json_string(out, money, strlen(money));
    text_add(out, "},\"importance\":{");
    for (int i = 0; i < FEATURE_COUNT; i++) {
        text_add_format(out, "%s\"%s\":", i > 0 ? "," : "", feature_name(i));
        text_add_f64(out, test->importance[i]);
    }
    text_add(out, "}}");
}

static void report_folds(const struct report *report, struct text *out)
{
    text_add(out, ",\"walk_forward\":[");
    for (int i = 0; i < report->fold_count; i++) {
        const struct report_fold *fold = &report->folds[i];
        text_add(out, i > 0 ? ",{\"train\":" : "{\"train\":");
        report_range(out, report->dataset, fold->train);
        text_add(out, ",\"test\":");
        report_range(out, report->dataset, fold->test);
        text_add_format(out, ",\"independent\":%zu", fold->independent);
        for (int who = 0; who < EVALUATED; who++) {
            char name[32];
            if (who == EVALUATED_ORACLE && !report->test->has_oracle)
                continue;
            snprintf(name, sizeof(name), "%s_r2", evaluated_name(who));
            if (who != EVALUATED_IMBALANCE)
                report_number(out, name, fold->r2[who]);
            snprintf(name, sizeof(name), "%s_hit_rate", evaluated_name(who));
            report_number(out, name, fold->hit[who]);
        }
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

void report_json(const struct report *report, struct text *out)
{
    char refusal[1024];
    report_refusal(report, refusal, sizeof(refusal));
    text_add_format(out, "{\"version\":\"%s\",\"indicative\":%s,\"refuse_promotion\":%s,",
                    report->version, report->test->indicative ? "true" : "false",
                    refusal[0] != '\0' ? "true" : "false");
    text_add(out, "\"refusal\":");
    text_add_json_string(out, refusal, strlen(refusal));
    text_add_char(out, ',');
    report_data(report, out);
    report_training(report, out);
    report_test(report, out);
    report_folds(report, out);
    text_add(out, "}\n");
}
