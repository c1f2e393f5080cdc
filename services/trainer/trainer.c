/* The trainer: by schedule or on request it trains on what the lake holds, publishes what came out,
 * and says how far it is. Each training is a process of its own, behind everything else.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "services/cli/commands.h"
#include "services/cli/ports.h"
#include "services/service_folder.h"
#include "services/service_options.h"
#include "services/trainer/train_source.h"
#include "services/trainer/trainer_job.h"
#include "services/trainer/trainer_options.h"

#define TRAINER_WAIT_US    200000
#define TRAINER_RETRY_US   (60 * CLOCK_US_PER_S)
#define TRAINER_HOUR_US    (3600 * CLOCK_US_PER_S)
#define TRAINER_FIRST_FLAG "--simulate"
#define TRAINER_TIME       24
/* Tries of one training that ends on its own without a result. */
#define TRAINER_TRIES_MAX 3

enum trainer_ask { TRAINER_NOT_ASKED, TRAINER_ASKED };

/* For the HTTP thread. */
struct trainer_board {
    bool training;
    char what[64], line[TRAINER_JOB_LINE_SIZE], last[TRAINER_JOB_LINE_SIZE];
    int64_t started_us, ended_us, next_in_s;
    uint64_t done, failed;
};

struct trainer {
    struct service service;
    struct trainer_options options;
    char folder[384], lake[448], marker[448];
    struct trainer_job job;
    char what[64], last[TRAINER_JOB_LINE_SIZE];
    int64_t next_us, ended_us; /* mono, wall */
    int tries;
    bool recalled;
    uint64_t done_count, failed_count;
    struct metric *done, *failed, *training, *seconds;
    struct http_board *board;
    _Atomic int ask; /* enum trainer_ask; the range below is the asker's until ASKED */
    int64_t ask_from_us, ask_to_us;
};

/* --- HTTP thread -------------------------------------------------------------------- */

static void trainer_status(void *context, const struct http_request *request,
                           struct http_reply *reply)
{
    struct trainer *self = context;
    struct trainer_board board;
    (void)request;
    if (http_board_read(self->board, &board, sizeof(board)) != sizeof(board)) {
        reply->status = 503;
        return;
    }
    text_add_format(&reply->body,
                    "{\"state\":\"%s\",\"what\":", board.training ? "training" : "idle");
    text_add_json_string(&reply->body, board.what, strlen(board.what));
    text_add(&reply->body, ",\"progress\":");
    text_add_json_string(&reply->body, board.line, strlen(board.line));
    text_add(&reply->body, ",\"last_result\":");
    text_add_json_string(&reply->body, board.last, strlen(board.last));
    text_add_format(&reply->body,
                    ",\"started_ms\":%" PRId64 ",\"ended_ms\":%" PRId64 ",\"next_in_s\":%" PRId64
                    ",\"done\":%" PRIu64 ",\"failed\":%" PRIu64 "}",
                    (int64_t)(board.started_us / 1000), (int64_t)(board.ended_us / 1000),
                    board.next_in_s, board.done, board.failed);
}

static int trainer_ask_time(const struct http_request *request, const char *name, int64_t *us,
                            struct err *err)
{
    char text[TRAINER_TIME + 8];
    if (!http_query(request, name, text, sizeof(text)))
        return ERR_OK;
    return train_source_time(name, text, us, err);
}

static void trainer_refuse(struct http_reply *reply, int status, const char *why)
{
    reply->status = status;
    text_add(&reply->body, "{\"error\":");
    text_add_json_string(&reply->body, why, strlen(why));
    text_add_char(&reply->body, '}');
}

/* POST /train?from=…&to=…; without them what the schedule would take. One at a time. */
static void trainer_post(void *context, const struct http_request *request,
                         struct http_reply *reply)
{
    struct trainer *self = context;
    struct trainer_board board;
    struct err err = {0};
    int64_t from_us = 0, to_us = 0;
    if (trainer_ask_time(request, "from", &from_us, &err) != ERR_OK ||
        trainer_ask_time(request, "to", &to_us, &err) != ERR_OK) {
        trainer_refuse(reply, 400, err.text);
        return;
    }
    if ((to_us > 0 && to_us <= from_us) || (from_us > 0) != (to_us > 0)) {
        trainer_refuse(reply, 400, "from and to belong together, from before to");
        return;
    }
    bool busy =
        http_board_read(self->board, &board, sizeof(board)) == sizeof(board) && board.training;
    if (busy || atomic_load(&self->ask) != TRAINER_NOT_ASKED) {
        trainer_refuse(reply, 409, "a training runs already");
        return;
    }
    self->ask_from_us = from_us;
    self->ask_to_us = to_us;
    atomic_store(&self->ask, TRAINER_ASKED);
    loop_wake(self->service.loop);
    reply->status = 202;
    text_add(&reply->body, "{\"accepted\":true}");
}

static enum service_health trainer_health(void *context, struct text *components)
{
    struct trainer *self = context;
    struct trainer_board board;
    if (http_board_read(self->board, &board, sizeof(board)) != sizeof(board))
        return SERVICE_UNHEALTHY;
    text_add_format(components, "\"training\":{\"status\":\"%s\",\"running\":%s,\"progress\":",
                    board.failed > board.done ? "degraded" : "healthy",
                    board.training ? "true" : "false");
    text_add_json_string(components, board.line, strlen(board.line));
    text_add(components, ",\"last_result\":");
    text_add_json_string(components, board.last, strlen(board.last));
    text_add_char(components, '}');
    return board.failed > board.done ? SERVICE_DEGRADED : SERVICE_HEALTHY;
}

static bool trainer_ready(void *context)
{
    struct trainer_board board;
    return http_board_read(((struct trainer *)context)->board, &board, sizeof(board)) != 0;
}

/* --- what is trained ---------------------------------------------------------------- */

/* Settings that every training has. `out` is a folder of its own below ours. */
static int trainer_words(struct trainer *self, const char *out, struct err *err)
{
    const struct trainer_options *options = &self->options;
    struct trainer_job *job = &self->job;
    const struct {
        const char *flag;
        int64_t value;
    } numbers[] = {{"--trials", options->trials},
                   {"--epochs", options->epochs},
                   {"--folds", options->folds},
                   {"--threads", options->threads},
                   {"--seed", options->seed}};
    const char *const texts[][2] = {
        {"--symbol", options->symbol}, {"--gold", self->lake}, {"--name", options->model_name}};
    int rc = trainer_job_add(job, err, "--out");
    if (rc == ERR_OK)
        rc = trainer_job_add(job, err, "%s/%s", self->folder, out);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && rc == ERR_OK; i++)
        rc = trainer_job_add(job, err, "%s=%" PRId64, numbers[i].flag, numbers[i].value);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && rc == ERR_OK; i++)
        rc = trainer_job_add(job, err, "%s=%s", texts[i][0], texts[i][1]);
    if (rc == ERR_OK && options->database[0] != '\0')
        rc = trainer_job_add(job, err, "--register");
    return rc;
}

static int trainer_plan_first(struct trainer *self, struct err *err)
{
    const struct trainer_options *options = &self->options;
    trainer_job_clear(&self->job);
    int rc = trainer_job_add(&self->job, err, TRAINER_FIRST_FLAG "=%" PRId64,
                             options->first_simulated_h);
    if (rc == ERR_OK)
        rc = trainer_job_add(&self->job, err, "--sim-seed=%" PRId64, options->first_seed);
    snprintf(self->what, sizeof(self->what), "%" PRId64 " simulated hours",
             options->first_simulated_h);
    return rc == ERR_OK ? trainer_words(self, "first", err) : rc;
}

/* Of a folder lake the raw data, which need no other service to have run. Of one on S3 the store's
 * rows, where there is a store: they need not be fetched again. */
static int trainer_plan_range(struct trainer *self, int64_t from_us, int64_t to_us, struct err *err)
{
    trainer_job_clear(&self->job);
    int rc = strncmp(self->lake, "s3:", 3) == 0 && self->options.database[0] != '\0'
                 ? ERR_OK
                 : trainer_job_add(&self->job, err, "--lake=%s", self->lake);
    if (rc == ERR_OK)
        rc = trainer_job_add(&self->job, err, "--from=%" PRId64, (int64_t)(from_us / 1000000));
    if (rc == ERR_OK)
        rc = trainer_job_add(&self->job, err, "--to=%" PRId64, (int64_t)(to_us / 1000000));
    snprintf(self->what, sizeof(self->what), "%.1f hours of the lake",
             (double)(to_us - from_us) / 3600e6);
    return rc == ERR_OK ? trainer_words(self, "latest", err) : rc;
}

static void trainer_start(struct trainer *self, int rc, struct err *err, int64_t mono_us)
{
    if (rc == ERR_OK)
        rc = trainer_job_start(&self->job, err);
    self->next_us = mono_us + TRAINER_RETRY_US;
    if (rc != ERR_OK)
        log_error("training_not_started", "reason=\"%s\"", err->text);
    else
        log_info("training_started", "what=\"%s\" pid=%d", self->what, (int)self->job.pid);
}

static void trainer_schedule(struct trainer *self, int64_t mono_us)
{
    self->next_us =
        self->options.every_h > 0 ? mono_us + self->options.every_h * TRAINER_HOUR_US : INT64_MAX;
}

/* What is due now: what was begun, what was asked, the very first, the schedule's. */
static void trainer_begin(struct trainer *self, struct clock_now now)
{
    struct err err = {0};
    bool asked = atomic_load(&self->ask) == TRAINER_ASKED;
    int64_t from_us = now.wall_us - self->options.hours * TRAINER_HOUR_US, to_us = now.wall_us;
    if (!asked && now.mono_us < self->next_us)
        return;
    if (self->recalled) {
        snprintf(self->what, sizeof(self->what), "what was begun before");
        trainer_start(self, ERR_OK, &err, now.mono_us);
        return;
    }
    if (asked && self->ask_from_us > 0) {
        from_us = self->ask_from_us;
        to_us = self->ask_to_us;
    }
    bool first = !asked && self->options.first_simulated_h > 0 && access(self->marker, F_OK) != 0;
    int rc =
        first ? trainer_plan_first(self, &err) : trainer_plan_range(self, from_us, to_us, &err);
    if (asked)
        atomic_store(&self->ask, TRAINER_NOT_ASKED);
    trainer_start(self, rc, &err, now.mono_us);
}

/* The very first training is made once. */
static void trainer_mark(const struct trainer *self)
{
    bool first = strncmp(self->job.text, TRAINER_FIRST_FLAG, strlen(TRAINER_FIRST_FLAG)) == 0;
    FILE *file = first ? fopen(self->marker, "w") : NULL;
    if (file != NULL)
        fclose(file);
}

static void trainer_finish(struct trainer *self, int status, struct clock_now now)
{
    double took_s = (double)(now.wall_us - self->job.started_us) * 1e-6;
    bool good = status == 0;
    snprintf(self->last, sizeof(self->last), "%s", self->job.line);
    self->ended_us = now.wall_us;
    metric_add(good ? self->done : self->failed, 1);
    metric_set(self->seconds, took_s);
    self->done_count += good;
    self->failed_count += !good;
    log_line(good ? LOG_INFO : LOG_WARN, "training_ended",
             "what=\"%s\" exit_status=%d seconds=%.1f result=\"%s\"", self->what, status, took_s,
             self->last);
    self->tries = good ? 0 : self->tries + 1;
    bool again = !good && status != SERVICE_EXIT_CONFIG && self->tries < TRAINER_TRIES_MAX;
    if (good)
        trainer_mark(self);
    if (again) {
        self->recalled = true;
        self->next_us = now.mono_us + TRAINER_RETRY_US;
        return;
    }
    trainer_job_forget(&self->job);
    self->recalled = false;
    self->tries = 0;
    trainer_schedule(self, now.mono_us);
}

/* --- the loop ----------------------------------------------------------------------- */

static void trainer_show(struct trainer *self, struct clock_now now)
{
    struct trainer_board board = {.training = self->job.pid != 0,
                                  .started_us = self->job.started_us,
                                  .ended_us = self->ended_us,
                                  .done = self->done_count,
                                  .failed = self->failed_count};
    board.next_in_s = self->next_us == INT64_MAX    ? -1
                      : self->next_us > now.mono_us ? (self->next_us - now.mono_us) / CLOCK_US_PER_S
                                                    : 0;
    snprintf(board.what, sizeof(board.what), "%s", self->what);
    snprintf(board.line, sizeof(board.line), "%s", self->job.line);
    snprintf(board.last, sizeof(board.last), "%s", self->last);
    http_board_write(self->board, bytes_of(&board, sizeof(board)));
}

static int64_t trainer_step(void *context, struct clock_now now)
{
    struct trainer *self = context;
    int status;
    if (trainer_job_ended(&self->job, &status))
        trainer_finish(self, status, now);
    if (self->job.pid == 0)
        trainer_begin(self, now);
    metric_set(self->training, self->job.pid != 0);
    trainer_show(self, now);
    return TRAINER_WAIT_US;
}

/* --- wiring ------------------------------------------------------------------------- */

static void trainer_metrics(struct trainer *self)
{
    struct metrics *metrics = &self->service.metrics;
    self->done = metrics_counter(metrics, "trainer_trainings_total", "result=\"done\"",
                                 "Trainings that ended, by how.");
    self->failed = metrics_counter(metrics, "trainer_trainings_total", "result=\"failed\"", NULL);
    self->training = metrics_gauge(metrics, "trainer_training", NULL, "1 while a training runs.");
    self->seconds =
        metrics_gauge(metrics, "trainer_last_seconds", NULL, "How long the last training took.");
}

static int trainer_open(struct trainer *self, struct err *err)
{
    const struct trainer_options *options = &self->options;
    char file[512];
    int rc = service_options_symbol(options->symbol, err);
    if (rc != ERR_OK)
        return rc;
    /* Trainings find it there, not on a command line that everybody can read. */
    if (options->database[0] != '\0')
        setenv("DATABASE_URL", options->database, 1);
    snprintf(self->folder, sizeof(self->folder), "%s/trainer", options->common.data_dir);
    if (options->lake[0] != '\0')
        snprintf(self->lake, sizeof(self->lake), "%s", options->lake);
    else
        snprintf(self->lake, sizeof(self->lake), "%s/lake", options->common.data_dir);
    snprintf(self->marker, sizeof(self->marker), "%s/first-done", self->folder);
    snprintf(file, sizeof(file), "%s/job", self->folder);
    rc = service_folder_make(self->folder, err);
    if (rc == ERR_OK && http_board_open(sizeof(struct trainer_board), &self->board) != ERR_OK)
        rc = err_set(err, ERR_MEMORY, "out of memory");
    if (rc != ERR_OK)
        return rc;
    trainer_metrics(self);
    trainer_job_init(&self->job, self->service.loop, file, options->nice);
    self->recalled = trainer_job_recall(&self->job);
    bool at_once =
        self->recalled || (options->first_simulated_h > 0 && access(self->marker, F_OK) != 0);
    struct clock_now now = loop_now();
    trainer_schedule(self, now.mono_us);
    if (at_once)
        self->next_us = now.mono_us + options->delay_s * CLOCK_US_PER_S;
    trainer_show(self, now);
    return ERR_OK;
}

static int trainer_run(int argc, char **argv)
{
    static struct trainer self;
    static const struct http_route routes[] = {
        {.method = "GET", .path = "/status", .fn = trainer_status},
        {.method = "POST", .path = "/train", .fn = trainer_post, .changes = true}};
    const struct service_definition definition = {
        .name = "trainer",
        .summary = command_trainer.summary,
        .schema = &trainer_schema,
        .default_port = PORT_TRAINER,
        .health = trainer_health,
        .ready = trainer_ready,
        .routes = routes,
        .route_count = 2,
        .context = &self,
    };
    int status = 0;
    if (service_open(&self.service, &definition, argc, argv, &self.options, &status) != ERR_OK)
        return status;
    struct err err = {0};
    if (trainer_open(&self, &err) != ERR_OK) {
        status = service_refuse(definition.name, &err);
    } else if (service_serve(&self.service, &definition, &status) == ERR_OK) {
        log_info("started", "symbol=%s lake=\"%s\" registry=%d resumes=%d", self.options.symbol,
                 self.lake, self.options.database[0] != '\0', self.recalled);
        service_run(&self.service, trainer_step, &self);
        trainer_job_stop(&self.job);
    }
    service_unserve(&self.service);
    if (self.board != NULL)
        http_board_close(self.board);
    service_close(&self.service);
    return status;
}

const struct command command_trainer = {
    .name = "trainer",
    .summary = "trains models by schedule or on request, and registers them",
    .run = trainer_run,
    .schema = &trainer_schema,
    .default_port = PORT_TRAINER,
};
