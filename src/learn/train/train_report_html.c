/* The page for people: no script, no link, plots as inline SVG.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "learn/train/train_report.h"

#define PAGE_WIDTH  520.0
#define PAGE_HEIGHT 260.0
#define PAGE_MARGIN 46.0

/* --- plots ---------------------------------------------------------------------------- */

struct plot {
    struct text *out;
    double x_low, x_high, y_low, y_high;
};

static double plot_x(const struct plot *plot, double x)
{
    double share = (x - plot->x_low) / (plot->x_high - plot->x_low);
    return PAGE_MARGIN + share * (PAGE_WIDTH - PAGE_MARGIN - 12.0);
}

static double plot_y(const struct plot *plot, double y)
{
    double share = (y - plot->y_low) / (plot->y_high - plot->y_low);
    return PAGE_HEIGHT - 28.0 - share * (PAGE_HEIGHT - 28.0 - 12.0);
}

static void plot_begin(struct plot *plot)
{
    if (!(plot->x_high > plot->x_low))
        plot->x_high = plot->x_low + 1.0;
    if (!(plot->y_high > plot->y_low))
        plot->y_high = plot->y_low + 1.0;
    text_add_format(plot->out, "<svg viewBox=\"0 0 %g %g\" role=\"img\">\n", PAGE_WIDTH,
                    PAGE_HEIGHT);
    for (int i = 0; i <= 4; i++) {
        double y = plot->y_low + (plot->y_high - plot->y_low) * i / 4.0;
        text_add_format(plot->out,
                        "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                        PAGE_MARGIN, PAGE_WIDTH - 12.0, plot_y(plot, y), plot_y(plot, y),
                        PAGE_MARGIN - 5.0, plot_y(plot, y) + 4.0, y);
    }
    for (int i = 0; i <= 4; i++) {
        double x = plot->x_low + (plot->x_high - plot->x_low) * i / 4.0;
        text_add_format(plot->out,
                        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.4g</text>\n",
                        plot_x(plot, x), PAGE_HEIGHT - 10.0, x);
    }
}

static void plot_line_begin(const struct plot *plot, const char *class)
{
    text_add_format(plot->out, "<polyline class=\"%s\" points=\"", class);
}

static void plot_point(const struct plot *plot, double x, double y)
{
    text_add_format(plot->out, "%.1f,%.1f ", plot_x(plot, x), plot_y(plot, y));
}

static void plot_line_end(const struct plot *plot)
{
    text_add(plot->out, "\"/>\n");
}

static void plot_end(const struct plot *plot)
{
    text_add(plot->out, "</svg>\n");
}

/* --- sections ------------------------------------------------------------------------- */

static void html_head(const struct report *report, struct text *out)
{
    text_add_format(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<title>%s</title>\n<style>\n"
        "body{font:15px/1.5 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;"
        "color:#1b1f24}\n"
        "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}\n"
        "table{border-collapse:collapse}td,th{padding:.2em .8em .2em 0;text-align:right;"
        "font-variant-numeric:tabular-nums}td:first-child,th:first-child{text-align:left}\n"
        "th{border-bottom:1px solid #999}tr+tr td{border-top:1px solid #e5e5e5}\n"
        "svg{width:100%%;max-width:%gpx;height:auto}svg text{font-size:11px;fill:#57606a}\n"
        ".grid{stroke:#e5e5e5}.model{fill:none;stroke:#0b62c4;stroke-width:2}"
        ".zero{fill:none;stroke:#8c959f;stroke-width:1.5;stroke-dasharray:4 3}"
        ".dot{fill:#0b62c4}.bar{fill:#0b62c4}.minus{fill:#c4410b}\n"
        ".note{background:#fff4d6;border-left:4px solid #d9a400;padding:.6em 1em}\n"
        ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(22em,1fr));gap:2em}\n"
        "</style></head><body>\n<h1>Model %s</h1>\n",
        report->version, PAGE_WIDTH, report->version);
    char refusal[1024];
    report_refusal(report, refusal, sizeof(refusal));
    if (report->test->indicative)
        text_add(out, "<p class=\"note\"><b>Indicative.</b> Too few independent labels: these "
                      "figures are no evidence.</p>\n");
    text_add_format(out, "<p class=\"note\">%s%s</p>\n",
                    refusal[0] != '\0' ? "Promotion refused. " : "A candidate for promotion: ",
                    refusal[0] != '\0' ? refusal
                                       : "better than no change, ridge and the imbalance's sign "
                                         "beyond the intervals.");
}

static void html_row(struct text *out, const char *name, const struct estimate *estimate)
{
    text_add_format(out, "<tr><td>%s</td><td>%.4f</td><td>%.4f</td><td>%.4f</td></tr>\n", name,
                    estimate->value, estimate->low, estimate->high);
}

static void html_scores(const struct report *report, struct text *out)
{
    const struct evaluation *test = report->test;
    char money[512];
    text_add_format(out,
                    "<h2>Against the baselines</h2>\n<p>%zu test rows of which %zu moved; %zu "
                    "independent labels (10 s that do not overlap). Intervals: 95 %%, moving-block "
                    "bootstrap.</p>\n<table><tr><th></th><th>value</th><th>from</th><th>to</th>"
                    "</tr>\n",
                    test->rows, test->moved, test->independent);
    html_row(out, "R² against no change", &test->r2[EVALUATED_MODEL]);
    html_row(out, "R² of ridge", &test->r2[EVALUATED_RIDGE]);
    html_row(out, "R² over ridge", &test->r2_over_ridge);
    if (test->has_oracle) {
        html_row(out, "R² of the simulator's oracle", &test->r2[EVALUATED_ORACLE]);
        html_row(out, "share of the oracle's R²", &test->oracle_share);
    }
    html_row(out, "hit rate on moved rows", &test->hit[EVALUATED_MODEL]);
    html_row(out, "hit rate of ridge", &test->hit[EVALUATED_RIDGE]);
    html_row(out, "hit rate of the imbalance's sign", &test->hit[EVALUATED_IMBALANCE]);
    html_row(out, "hit rate over the imbalance's", &test->hit_over_imbalance);
    html_row(out, "mean absolute error, bp", &test->mae_bp[EVALUATED_MODEL]);
    html_row(out, "… of no change, bp", &test->mae_zero_bp);
    html_row(out, "… gained over no change, bp", &test->mae_gain_bp);
    evaluation_money(test, money, sizeof(money));
    text_add_format(out, "</table>\n<p>%s</p>\n", money);
}

static void html_reliability(const struct evaluation *test, struct text *out)
{
    struct plot plot = {.out = out, .x_low = 1.0, .y_low = 1.0};
    for (int b = 0; b < EVALUATION_BINS; b++) {
        plot.x_low = fmin(plot.x_low, fmin(test->bin[b].confidence, test->bin[b].right));
        plot.x_high = fmax(plot.x_high, fmax(test->bin[b].confidence, test->bin[b].right));
    }
    plot.x_low = plot.y_low = floor(plot.x_low * 20.0) / 20.0;
    plot.x_high = plot.y_high = ceil(plot.x_high * 20.0) / 20.0;
    text_add_format(out,
                    "<div><h2>Reliability</h2><p>Confidence (across) and how often the sign was "
                    "right (up), ten bins of equal mass; calibration error %.4f.</p>\n",
                    test->calibration_error);
    plot_begin(&plot);
    plot_line_begin(&plot, "zero");
    plot_point(&plot, plot.x_low, plot.x_low);
    plot_point(&plot, plot.x_high, plot.x_high);
    plot_line_end(&plot);
    for (int b = 0; b < EVALUATION_BINS; b++)
        text_add_format(out, "<circle class=\"dot\" r=\"4\" cx=\"%.1f\" cy=\"%.1f\"/>\n",
                        plot_x(&plot, test->bin[b].confidence), plot_y(&plot, test->bin[b].right));
    plot_end(&plot);
    text_add(out, "</div>\n");
}

static void html_over_time(const struct evaluation *test, struct text *out)
{
    struct plot plot = {.out = out};
    for (int p = 0; p < test->points; p++)
        plot.y_high = fmax(plot.y_high, fmax(test->point[p].zero_bp, test->point[p].model_bp));
    plot.x_high = test->points > 0
                      ? (double)(test->point[test->points - 1].slot - test->point[0].slot) / 1800.0
                      : 1.0;
    text_add(out, "<div><h2>Error over time</h2><p>Mean absolute error in bp of the model (line) "
                  "and of no change (dashes), by hours of the test.</p>\n");
    plot_begin(&plot);
    for (int zero = 0; zero < 2; zero++) {
        plot_line_begin(&plot, zero ? "zero" : "model");
        for (int p = 0; p < test->points; p++)
            plot_point(&plot, (double)(test->point[p].slot - test->point[0].slot) / 1800.0,
                       zero ? test->point[p].zero_bp : test->point[p].model_bp);
        plot_line_end(&plot);
    }
    plot_end(&plot);
    text_add(out, "</div>\n");
}

static void html_curves(const struct report *report, struct text *out)
{
    struct plot plot = {.out = out, .x_low = 1.0, .y_low = INFINITY};
    int epochs = fit_epochs(report->fit);
    plot.x_high = epochs;
    for (int i = 0; i < epochs; i++) {
        double train = fit_train_error(report->fit, i), valid = fit_valid_error(report->fit, i);
        plot.y_low = fmin(plot.y_low, fmin(train, valid));
        plot.y_high = i == 0 ? fmax(train, valid) : fmax(plot.y_high, fmax(train, valid));
    }
    text_add_format(
        out,
        "<div><h2>Training</h2><p>Squared error by epoch, validation (line) and "
        "training (dashes), in shares of the label's mean square; kept: epoch %d.</p>\n",
        fit_best_epoch(report->fit) + 1);
    plot_begin(&plot);
    for (int train = 0; train < 2; train++) {
        plot_line_begin(&plot, train ? "zero" : "model");
        for (int i = 0; i < epochs; i++)
            plot_point(&plot, i + 1,
                       train ? fit_train_error(report->fit, i) : fit_valid_error(report->fit, i));
        plot_line_end(&plot);
    }
    plot_end(&plot);
    text_add(out, "</div>\n");
}

static void html_importance(const struct evaluation *test, struct text *out)
{
    int order[FEATURE_COUNT];
    double most = 1e-12;
    for (int i = 0; i < FEATURE_COUNT; i++) {
        int at = i;
        for (; at > 0 && test->importance[order[at - 1]] < test->importance[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
        most = fmax(most, fabs(test->importance[i]));
    }
    text_add(out, "<div><h2>Importance</h2><p>What R² loses when one feature is shuffled.</p>\n");
    text_add_format(out, "<svg viewBox=\"0 0 %g %d\" role=\"img\">\n", PAGE_WIDTH,
                    16 * FEATURE_COUNT);
    for (int i = 0; i < FEATURE_COUNT; i++) {
        double value = test->importance[order[i]];
        double width = fabs(value) / most * (PAGE_WIDTH - 240.0);
        text_add_format(out,
                        "<text x=\"150\" y=\"%d\" text-anchor=\"end\">%s</text>"
                        "<rect class=\"%s\" x=\"156\" y=\"%d\" width=\"%.1f\" height=\"10\"/>"
                        "<text x=\"%.1f\" y=\"%d\">%.5f</text>\n",
                        16 * i + 12, feature_name(order[i]), value < 0.0 ? "minus" : "bar",
                        16 * i + 3, width, 160.0 + width, 16 * i + 12, value);
    }
    text_add(out, "</svg></div>\n");
}

static void html_band(const struct evaluation *test, struct text *out)
{
    text_add_format(
        out,
        "<h2>Band p10 to p90</h2>\n<table><tr><th></th><th>coverage</th></tr>\n"
        "<tr><td>adapting online</td><td>%.4f</td></tr>\n"
        "<tr><td>as fitted</td><td>%.4f</td></tr>\n"
        "<tr><td>calm third</td><td>%.4f</td></tr>\n<tr><td>middle third</td><td>%.4f</td></tr>\n"
        "<tr><td>wild third</td><td>%.4f</td></tr></table>\n"
        "<p>Pinball loss %.4f bp; quantiles of the last hour: %.4f bp.</p>\n",
        test->coverage, test->coverage_fixed, test->coverage_tercile[0], test->coverage_tercile[1],
        test->coverage_tercile[2], test->pinball_bp, test->pinball_rolling_bp);
}

static void html_folds(const struct report *report, struct text *out)
{
    text_add(out, "<h2>Walking forward</h2>\n<table><tr><th>train rows</th><th>test rows</th>"
                  "<th>R²</th><th>ridge</th><th>hit rate</th><th>ridge</th><th>imbalance</th>"
                  "</tr>\n");
    for (int i = 0; i < report->fold_count; i++) {
        const struct report_fold *fold = &report->folds[i];
        text_add_format(out,
                        "<tr><td>%zu</td><td>%zu</td><td>%.4f</td><td>%.4f</td><td>%.4f</td>"
                        "<td>%.4f</td><td>%.4f</td></tr>\n",
                        fold->train.end - fold->train.begin, fold->test.end - fold->test.begin,
                        fold->r2[EVALUATED_MODEL], fold->r2[EVALUATED_RIDGE],
                        fold->hit[EVALUATED_MODEL], fold->hit[EVALUATED_RIDGE],
                        fold->hit[EVALUATED_IMBALANCE]);
    }
    text_add(out, "</table>\n");
}

static void html_data(const struct report *report, struct text *out)
{
    const struct dataset *dataset = report->dataset;
    text_add_format(out,
                    "<h2>Data</h2>\n<p>Hash %016" PRIx64 ", features %016" PRIx64 ", seed %" PRIu64
                    "; %zu rows kept of %" PRIu64 " offered. Between slices: "
                    "purge %" PRId64 " slots, embargo %" PRId64 " slots%s.</p>\n<table>"
                    "<tr><th>slice</th><th>rows</th><th>first slot</th><th>last slot</th></tr>\n",
                    report->data_hash, feature_schema_hash(), report->seed, dataset->count,
                    dataset->counts.offered, report->split->purge_slots,
                    report->split->embargo_slots,
                    report->split->embargo_short ? " (shortened: too few data)" : "");
    for (int i = 0; i < SPLIT_SLICES; i++) {
        struct split_range range = report->split->slice[i];
        text_add_format(
            out, "<tr><td>%s</td><td>%zu</td><td>%" PRId64 "</td><td>%" PRId64 "</td></tr>\n",
            split_slice_name(i), range.end - range.begin, dataset->slot[range.begin],
            dataset->slot[range.end - 1]);
    }
    text_add(out, "</table>\n<p>Left out: ");
    for (int i = 0; i < DATASET_CAUSES; i++)
        text_add_format(out, "%s%s %" PRIu64, i > 0 ? ", " : "", dataset_cause_name(i),
                        dataset->counts.left_out[i]);
    text_add(out, ".</p>\n");
}

static void html_trials(const struct report *report, struct text *out)
{
    text_add(out, "<h2>Search</h2>\n<table><tr><th>trial</th><th>net</th><th>batch</th><th>rate"
                  "</th><th>decay</th><th>epochs</th><th>validation error</th></tr>\n");
    for (int i = 0; i < report->trial_count; i++) {
        const struct fit_options *o = &report->trials[i].options;
        text_add_format(out,
                        "<tr><td>%d%s</td><td>%d-%d</td><td>%d</td><td>%.2g</td><td>%.2g</td>"
                        "<td>%d</td><td>%.6f</td></tr>\n",
                        i + 1, i == report->chosen ? " (chosen)" : "", o->net.widths[1],
                        o->net.widths[2], o->batch, (double)o->learning_rate,
                        (double)o->weight_decay, report->trials[i].epochs, report->trials[i].error);
    }
    text_add(out, "</table>\n");
}

void report_html(const struct report *report, struct text *out)
{
    html_head(report, out);
    html_scores(report, out);
    text_add(out, "<div class=\"pair\">\n");
    html_reliability(report->test, out);
    html_over_time(report->test, out);
    html_curves(report, out);
    html_importance(report->test, out);
    text_add(out, "</div>\n");
    html_band(report->test, out);
    html_folds(report, out);
    html_trials(report, out);
    html_data(report, out);
    text_add(out, "</body></html>\n");
}
