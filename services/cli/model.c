/* `btcast model`: the registry of models. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/postgres/pq_registry.h"
#include "learn/registry/model_rules.h"
#include "services/built_in_model.h"
#include "services/cli/commands.h"
#include "services/cli/db_target.h"
#include "services/inference/inference_model.h"
#include "services/service.h"
#include "services/service_options.h"

#define MODEL_CLI_NAME      "btcast"
#define MODEL_CLI_WORDS_MAX 3
#define MODEL_CLI_PATH_SIZE 512

struct model_cli {
    const char *words[MODEL_CLI_WORDS_MAX]; /* verb, then models or a file */
    int word_count;
    const char *data, *name, *reason, *symbol;
    bool force;
    struct pq_sync sync;
};

static int model_cli_parse(int argc, char **argv, struct model_cli *cli, struct err *err)
{
    static const char *const known[] = {"--data",   "--name",  "--reason",
                                        "--symbol", "--force", NULL};
    int result = ERR_OK;
    cli->data = ".btcast";
    cli->name = MODEL_CLI_NAME;
    cli->reason = "by hand";
    cli->symbol = "BTCUSDT";
    for (int at = 1; at < argc && result == ERR_OK; at++) {
        if (service_options_flag(argc, argv, &at, "--data", &cli->data, &result, err) ||
            service_options_flag(argc, argv, &at, "--name", &cli->name, &result, err) ||
            service_options_flag(argc, argv, &at, "--symbol", &cli->symbol, &result, err) ||
            service_options_flag(argc, argv, &at, "--reason", &cli->reason, &result, err))
            continue;
        if (strcmp(argv[at], "--force") == 0)
            cli->force = true;
        else if (argv[at][0] != '-' && cli->word_count < MODEL_CLI_WORDS_MAX)
            cli->words[cli->word_count++] = argv[at];
        else
            result = service_options_unknown(argv[at], known, err);
    }
    if (result == ERR_OK && cli->word_count == 0)
        result = err_set(err, ERR_CONFIG,
                         "expected list, show, add, compare, shadow, promote, "
                         "archive or rollback");
    return result;
}

static struct pq_registry_cause model_cli_cause(const struct model_cli *cli)
{
    const char *user = getenv("USER");
    return (struct pq_registry_cause){.actor = user != NULL && user[0] != '\0' ? user : "operator",
                                      .reason = cli->reason};
}

static int model_cli_list(struct model_cli *cli, struct err *err)
{
    struct pq_rows rows;
    int result =
        pq_sync_run(&cli->sync,
                    "SELECT model_name, version, stage, stage_reason, "
                    "to_char(created_at, 'YYYY-MM-DD HH24:MI'), left(artifact_sha256, 12), "
                    "experiment_id FROM model_registry ORDER BY model_name, CASE stage WHEN "
                    "'production' THEN 0 WHEN 'shadow' THEN 1 WHEN 'staging' THEN 2 ELSE 3 "
                    "END, model_id DESC",
                    NULL, 0, &rows, err);
    if (result != ERR_OK)
        return result;
    printf("%-12s %-24s %-11s %-12s %-17s %-13s %s\n", "name", "version", "stage", "why", "since",
           "sha-256", "experiment");
    for (int i = 0; i < rows.count; i++)
        printf("%-12s %-24s %-11s %-12s %-17s %-13s %s\n", pq_rows_text(&rows, i, 0),
               pq_rows_text(&rows, i, 1), pq_rows_text(&rows, i, 2), pq_rows_text(&rows, i, 3),
               pq_rows_text(&rows, i, 4), pq_rows_text(&rows, i, 5), pq_rows_text(&rows, i, 6));
    pq_rows_free(&rows);
    return ERR_OK;
}

static int model_cli_history(struct model_cli *cli, const char *version, struct err *err)
{
    const char *params[] = {cli->name, version};
    struct pq_rows rows;
    int result =
        pq_sync_run(&cli->sync,
                    "SELECT to_char(created_at, 'YYYY-MM-DD HH24:MI:SS'), deployment_type, "
                    "coalesce(from_stage, '-'), to_stage, coalesce(previous_version, '-'), "
                    "actor, reason FROM model_deployment_log WHERE model_name = $1 AND "
                    "version = $2 ORDER BY deployment_id",
                    params, 2, &rows, err);
    if (result != ERR_OK)
        return result;
    for (int i = 0; i < rows.count; i++)
        printf("  %s  %-8s %s -> %s (before: %s) by %s: %s\n", pq_rows_text(&rows, i, 0),
               pq_rows_text(&rows, i, 1), pq_rows_text(&rows, i, 2), pq_rows_text(&rows, i, 3),
               pq_rows_text(&rows, i, 4), pq_rows_text(&rows, i, 5), pq_rows_text(&rows, i, 6));
    pq_rows_free(&rows);
    return ERR_OK;
}

static int model_cli_show(struct model_cli *cli, struct err *err)
{
    const char *params[] = {cli->name, cli->words[1]};
    struct pq_rows rows;
    int result =
        pq_sync_run(&cli->sync,
                    "SELECT jsonb_pretty(to_jsonb(m)) FROM model_registry m WHERE model_name "
                    "= $1 AND version = $2",
                    params, 2, &rows, err);
    if (result == ERR_OK && rows.count == 0)
        result = err_set(err, ERR_NOT_FOUND, "there is no model %s %s", cli->name, cli->words[1]);
    if (result == ERR_OK)
        printf("%s\nmoves:\n", pq_rows_text(&rows, 0, 0));
    pq_rows_free(&rows);
    return result == ERR_OK ? model_cli_history(cli, cli->words[1], err) : result;
}

static int model_cli_add(struct model_cli *cli, struct err *err)
{
    char path[MODEL_CLI_PATH_SIZE];
    struct model *model;
    int result = inference_model_load(cli->words[1], MLP_KERNEL_AUTO, &model, err);
    if (result != ERR_OK)
        return result;
    if (realpath(cli->words[1], path) == NULL)
        snprintf(path, sizeof(path), "%s", cli->words[1]);
    const struct model_spec *spec = model_spec(model);
    struct pq_registry_cause cause = model_cli_cause(cli);
    struct pq_registry_model row = {.name = cli->name,
                                    .version = spec->version,
                                    .sha256 = model_sha256(model),
                                    .artifact_path = path,
                                    .feature_schema = spec->feature_schema,
                                    .metrics_json = "{}"};
    result = pq_registry_add(&cli->sync, &row, &cause, err);
    if (result == ERR_OK)
        printf("%s %s is registered\n", cli->name, spec->version);
    model_close(model);
    return result;
}

/* Two models on the slots that both have predicted and whose outcomes are known. */
static int model_cli_duel(struct model_cli *cli, const char *a, const char *b,
                          struct model_duel *duel, struct err *err)
{
    const char *params[] = {cli->symbol, a, b};
    struct pq_rows rows;
    int result =
        pq_sync_run(&cli->sync,
                    "SELECT a.absolute_error * 1e4, b.absolute_error * 1e4 FROM "
                    "predictions_log a JOIN predictions_log b ON b.symbol = a.symbol AND "
                    "b.slot = a.slot AND b.prediction_ts = a.prediction_ts WHERE a.symbol = "
                    "$1 AND a.model_version = $2 AND b.model_version = $3 AND "
                    "a.outcome_valid AND b.outcome_valid ORDER BY a.slot",
                    params, 3, &rows, err);
    if (result != ERR_OK)
        return result;
    for (int i = 0; i < rows.count; i++)
        model_duel_add(duel, pq_rows_f64(&rows, i, 0), pq_rows_f64(&rows, i, 1));
    pq_rows_free(&rows);
    return ERR_OK;
}

static void model_cli_print_duel(const struct model_duel *duel, const char *a, const char *b)
{
    double mean, error;
    double count = duel->outcomes > 0 ? (double)duel->outcomes : 1;
    bool known = model_duel_difference(duel, &mean, &error);
    printf("outcomes on the same slots: %llu\n", (unsigned long long)duel->outcomes);
    printf("mean absolute error: %s %.4f bp, %s %.4f bp\n", a, duel->loss_a / count, b,
           duel->loss_b / count);
    if (known)
        printf("difference: %.4f +- %.4f bp (standard error over blocks of %d slots)\n", mean,
               error, MODEL_DUEL_BLOCK);
    printf("verdict on %s: %s\n", b,
           model_verdict_name(model_rules_promote(duel, &model_rules_defaults)));
}

static int model_cli_compare(struct model_cli *cli, struct err *err)
{
    struct model_duel duel = {0};
    int result = model_cli_duel(cli, cli->words[1], cli->words[2], &duel, err);
    if (result == ERR_OK)
        model_cli_print_duel(&duel, cli->words[1], cli->words[2]);
    return result;
}

/* The version in production, "" for none. */
static int model_cli_serving(struct model_cli *cli, char *out, size_t size, struct err *err)
{
    struct pq_rows rows;
    int result = pq_sync_run(
        &cli->sync,
        "SELECT version FROM model_registry WHERE model_name = $1 AND stage = 'production'",
        &cli->name, 1, &rows, err);
    if (result == ERR_OK)
        snprintf(out, size, "%s", rows.count > 0 ? pq_rows_text(&rows, 0, 0) : "");
    pq_rows_free(&rows);
    return result;
}

/* The first model takes the built-in one's place, to which a rollback leads. */
static int model_cli_found(struct model_cli *cli, const struct pq_registry_cause *cause,
                           struct err *err)
{
    struct built_in_model built_in;
    struct pq_judge_options options = {.name = cli->name, .symbol = cli->symbol};
    int result = built_in_model(&built_in, err);
    built_in_model_tell(&built_in, &options);
    return result == ERR_OK ? pq_judge_found(&cli->sync, &options, cause, err) : result;
}

/* A model whose own report refuses promotion needs the operator's --force. */
static int model_cli_may(struct model_cli *cli, struct err *err)
{
    const char *params[] = {cli->name, cli->words[1]};
    struct pq_rows rows;
    int result = pq_sync_run(&cli->sync,
                             "SELECT performance_metrics->>'refusal' FROM model_registry WHERE "
                             "model_name = $1 AND version = $2 AND "
                             "performance_metrics->>'refuse_promotion' = 'true'",
                             params, 2, &rows, err);
    if (result == ERR_OK && rows.count > 0)
        result = err_set(err, ERR_REFUSED, "%s is not promoted, its report says: %s (--force)",
                         cli->words[1], pq_rows_text(&rows, 0, 0));
    pq_rows_free(&rows);
    return result;
}

/* Only what is better beyond noise takes the place of another; --force is the operator's word. */
static int model_cli_promote(struct model_cli *cli, struct err *err)
{
    char serving[160];
    struct model_duel duel = {0};
    struct pq_registry_cause cause = model_cli_cause(cli);
    int result = cli->force ? ERR_OK : model_cli_may(cli, err);
    if (result == ERR_OK)
        result = model_cli_found(cli, &cause, err);
    if (result == ERR_OK)
        result = model_cli_serving(cli, serving, sizeof(serving), err);
    if (result == ERR_OK && serving[0] != '\0' && !cli->force) {
        result = model_cli_duel(cli, serving, cli->words[1], &duel, err);
        if (result != ERR_OK)
            return result;
        model_cli_print_duel(&duel, serving, cli->words[1]);
        enum model_verdict verdict = model_rules_promote(&duel, &model_rules_defaults);
        if (verdict != MODEL_BETTER)
            return err_set(err, ERR_REFUSED,
                           "%s is not promoted: %s (--force does it all the same)", cli->words[1],
                           model_verdict_name(verdict));
    }
    cause.serving = serving[0] != '\0' ? serving : NULL;
    if (result == ERR_OK)
        result =
            pq_registry_move(&cli->sync, cli->name, cli->words[1], MODEL_MOVE_PROMOTE, &cause, err);
    if (result == ERR_OK)
        printf("%s %s is in production\n", cli->name, cli->words[1]);
    return result;
}

static int model_cli_rollback(struct model_cli *cli, struct err *err)
{
    char restored[160];
    struct pq_registry_cause cause = model_cli_cause(cli);
    int result =
        pq_registry_rollback(&cli->sync, cli->name, &cause, restored, sizeof(restored), err);
    if (result == ERR_OK)
        printf("in production now: %s\n",
               restored[0] != '\0' ? restored : "none (inference keeps its built-in model)");
    return result;
}

static int model_cli_move(struct model_cli *cli, enum model_move move, struct err *err)
{
    struct pq_registry_cause cause = model_cli_cause(cli);
    int result = pq_registry_move(&cli->sync, cli->name, cli->words[1], move, &cause, err);
    if (result == ERR_OK)
        printf("%s %s: %s\n", cli->name, cli->words[1], model_move_name(move));
    return result;
}

static int model_cli_shadow(struct model_cli *cli, struct err *err)
{
    return model_cli_move(cli, MODEL_MOVE_SHADOW, err);
}

static int model_cli_archive(struct model_cli *cli, struct err *err)
{
    return model_cli_move(cli, MODEL_MOVE_ARCHIVE, err);
}

static const struct {
    const char *verb;
    int words; /* behind the verb */
    int (*run)(struct model_cli *cli, struct err *err);
} model_cli_verbs[] = {
    {"list", 0, model_cli_list},       {"show", 1, model_cli_show},
    {"add", 1, model_cli_add},         {"compare", 2, model_cli_compare},
    {"shadow", 1, model_cli_shadow},   {"promote", 1, model_cli_promote},
    {"archive", 1, model_cli_archive}, {"rollback", 0, model_cli_rollback},
};

static int model_cli_do(struct model_cli *cli, struct err *err)
{
    char target[PQ_TARGET_SIZE];
    int verb = 0, count = (int)(sizeof(model_cli_verbs) / sizeof(model_cli_verbs[0]));
    while (verb < count && strcmp(model_cli_verbs[verb].verb, cli->words[0]) != 0)
        verb++;
    if (verb == count || model_cli_verbs[verb].words != cli->word_count - 1)
        return err_set(err, ERR_CONFIG, "wrong words; see `btcast help model`");
    int result = db_target_choose(cli->data, target, err);
    if (result == ERR_OK)
        result = pq_sync_open(&cli->sync, target, err);
    if (result != ERR_OK)
        return result;
    result = model_cli_verbs[verb].run(cli, err);
    pq_sync_close(&cli->sync);
    if (result == ERR_UNSUPPORTED)
        return err_wrap(err, result, "run `btcast db migrate` first");
    return result;
}

static int model_cli_run(int argc, char **argv)
{
    struct model_cli cli = {0};
    struct err err = {0};
    int result = model_cli_parse(argc, argv, &cli, &err);
    if (result == ERR_OK)
        result = model_cli_do(&cli, &err);
    fflush(stdout);
    if (result == ERR_OK)
        return 0;
    fprintf(stderr, "btcast model: %s\n", err.text);
    return result == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

const struct command command_model = {
    .name = "model",
    .summary = "the registry: list, compare, promote, roll back",
    .usage =
        "usage: btcast model list\n"
        "       btcast model show VERSION\n"
        "       btcast model add FILE.onnx\n"
        "       btcast model compare VERSION VERSION\n"
        "       btcast model shadow VERSION\n"
        "       btcast model promote VERSION [--force]\n"
        "       btcast model archive VERSION\n"
        "       btcast model rollback\n"
        "\n"
        "A model goes from staging to shadow (it predicts beside the live one) to production, and\n"
        "from there to archived. promote refuses what is not better beyond noise on the slots\n"
        "that both have predicted (--force overrules that); rollback takes the serving model out\n"
        "for good and brings back the one before. Each move leaves an audit row.\n"
        "\n"
        "  --name NAME     the family of models (default btcast)\n"
        "  --symbol S      whose predictions are compared (default BTCUSDT)\n"
        "  --reason TEXT   goes into the audit row\n"
        "  --data DIR      the private database of this `btcast up` (default .btcast), unless\n"
        "                  DATABASE_URL is set\n",
    .run = model_cli_run,
};
