/* The REST ingestor: wiring of the minute's polls, the backfill and the REST view over one
 * REST desk, the archive, Redis (whose absence costs only the backfill's news and the shared
 * silence) and the files under the data folder. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "edge/file/progress_file.h"
#include "edge/file/view_file.h"
#include "edge/redis/redis_gap_feed.h"
#include "hot/ingest/tick_schedule.h"
#include "recover/backfill/backfill.h"
#include "recover/poll/poller.h"
#include "recover/poll/view_maker.h"
#include "services/cli/commands.h"
#include "services/cli/ports.h"
#include "services/rest-ingestor/rest_archive.h"
#include "services/rest-ingestor/rest_ingestor_options.h"
#include "services/service_folder.h"
#include "services/service_options.h"

#define REST_INGESTOR_WAIT_US    5000
#define REST_INGESTOR_BOARD_US   100000
#define REST_INGESTOR_TIMEOUT_US 10000000 /* CONTRACTS.md section 7, row 1 */
/* Health: polls are late after so many periods. */
#define REST_INGESTOR_LATE 3

struct rest_ingestor_board {
    int64_t wall_us, started_us, blocked_until_us;
    int64_t weight_used, weight_limit;
    bool redis, archive_open;
    struct archive_status archive;
    struct poller_status poller;
    struct view_maker_status view;
    struct backfill_status backfill;
};

struct rest_ingestor {
    struct service service;
    struct rest_ingestor_options options;
    struct redis_link *link;
    struct https_rest rest;
    struct redis_silence silence;
    struct rest_desk desk;
    struct rest_archive archive;
    bool archive_open;
    struct progress_file poll_file, backfill_file;
    struct redis_gap_feed feed;
    struct view_file *view_file;
    struct poller *poller;
    struct backfill *backfill;
    struct view_maker *view;
    struct http_board *board; /* struct rest_ingestor_board for the HTTP thread */
    int64_t board_us;
};

/* --- HTTP thread -------------------------------------------------------------------- */

static const char *rest_ingestor_word(bool good)
{
    return good ? "healthy" : "degraded";
}

static bool rest_ingestor_polls_come(const struct rest_ingestor *self,
                                     const struct rest_ingestor_board *board)
{
    int64_t late_us = REST_INGESTOR_LATE * self->options.poll_period_s * CLOCK_US_PER_S;
    int64_t oldest_us = board->poller.depth_us < board->poller.trades_us ? board->poller.depth_us
                                                                         : board->poller.trades_us;
    if (board->poller.klines_us < oldest_us)
        oldest_us = board->poller.klines_us;
    if (oldest_us == 0)
        oldest_us = board->started_us;
    return !self->options.poll || (board->archive_open && board->wall_us - oldest_us <= late_us);
}

static bool rest_ingestor_view_comes(const struct rest_ingestor *self,
                                     const struct rest_ingestor_board *board)
{
    return !self->options.view || (board->view.written_us != 0 &&
                                   board->wall_us - board->view.written_us <= REST_VIEW_OLD_US);
}

static void rest_ingestor_components(const struct rest_ingestor *self,
                                     const struct rest_ingestor_board *board, struct text *out)
{
    text_add_format(out,
                    "\"rest_api\":{\"status\":\"%s\",\"weight_used\":%lld,\"weight_limit\":%lld,"
                    "\"blocked_until_us\":%lld},",
                    rest_ingestor_word(board->blocked_until_us == 0), (long long)board->weight_used,
                    (long long)board->weight_limit, (long long)board->blocked_until_us);
    text_add_format(out,
                    "\"polls\":{\"status\":\"%s\",\"depth_us\":%lld,\"agg_trades_us\":%lld,"
                    "\"klines_us\":%lld,\"next_agg_id\":%lld,\"next_open_us\":%lld,"
                    "\"lost_ids\":%llu,\"trading\":%s},",
                    rest_ingestor_word(rest_ingestor_polls_come(self, board)),
                    (long long)board->poller.depth_us, (long long)board->poller.trades_us,
                    (long long)board->poller.klines_us, (long long)board->poller.next_agg_id,
                    (long long)board->poller.next_open_us,
                    (unsigned long long)board->poller.lost_ids,
                    board->poller.trading ? "true" : "false");
    text_add_format(out,
                    "\"rest_view\":{\"status\":\"%s\",\"written\":%llu,\"yields\":%llu,"
                    "\"has_vector\":%s,\"written_us\":%lld},",
                    rest_ingestor_word(rest_ingestor_view_comes(self, board)),
                    (unsigned long long)board->view.written, (unsigned long long)board->view.yields,
                    board->view.has_vector ? "true" : "false", (long long)board->view.written_us);
    text_add_format(out,
                    "\"backfill\":{\"status\":\"%s\",\"busy\":%s,\"waiting\":%d,\"done\":%llu,"
                    "\"trades\":%llu,\"lost\":%llu},",
                    rest_ingestor_word(board->redis && board->archive_open),
                    board->backfill.busy ? "true" : "false", board->backfill.waiting,
                    (unsigned long long)board->backfill.done,
                    (unsigned long long)board->backfill.trades,
                    (unsigned long long)board->backfill.lost);
    text_add_format(
        out,
        "\"archive\":{\"status\":\"%s\",\"open\":%s,\"lake_ready\":%s,"
        "\"spool_bytes\":%llu,\"spool_files\":%llu},"
        "\"redis_cluster\":{\"status\":\"%s\"}",
        rest_ingestor_word(board->archive_open && board->archive.lake_ready),
        board->archive_open ? "true" : "false", board->archive.lake_ready ? "true" : "false",
        (unsigned long long)board->archive.spool_bytes,
        (unsigned long long)board->archive.spool_files, rest_ingestor_word(board->redis));
}

static enum service_health rest_ingestor_health(void *context, struct text *components)
{
    struct rest_ingestor *self = context;
    struct rest_ingestor_board board;
    if (http_board_read(self->board, &board, sizeof(board)) != sizeof(board))
        return SERVICE_UNHEALTHY;
    rest_ingestor_components(self, &board, components);
    bool polls = rest_ingestor_polls_come(self, &board);
    bool view = rest_ingestor_view_comes(self, &board);
    if (!polls && !view)
        return SERVICE_UNHEALTHY;
    return polls && view && board.redis && board.blocked_until_us == 0 ? SERVICE_HEALTHY
                                                                       : SERVICE_DEGRADED;
}

/* Something useful comes out: a view, or polls that are durable. */
static bool rest_ingestor_ready(void *context)
{
    struct rest_ingestor *self = context;
    struct rest_ingestor_board board;
    if (http_board_read(self->board, &board, sizeof(board)) != sizeof(board))
        return false;
    return board.view.written_us != 0 || board.poller.pages > 0;
}

/* --- the loop ----------------------------------------------------------------------- */

static void rest_ingestor_tell(struct rest_ingestor *self, struct clock_now now)
{
    struct rest_ingestor_board board = {
        .wall_us = now.wall_us,
        .started_us = self->service.started_wall_us,
        .blocked_until_us = rest_desk_blocked_until_us(&self->desk),
        .weight_used = self->desk.budget.used,
        .weight_limit = self->desk.budget.limit,
        .redis = redis_link_connected(self->link),
        .archive_open = self->archive_open,
    };
    if (self->archive_open)
        self->archive.port.status(self->archive.port.self, &board.archive);
    if (self->poller != NULL)
        poller_status(self->poller, &board.poller);
    if (self->view != NULL)
        view_maker_status(self->view, &board.view);
    if (self->backfill != NULL)
        backfill_status(self->backfill, &board.backfill);
    http_board_write(self->board, bytes_of(&board, sizeof(board)));
}

static int64_t rest_ingestor_step(void *context, struct clock_now now)
{
    struct rest_ingestor *self = context;
    redis_link_do_work(self->link, now.mono_us);
    rest_desk_do_work(&self->desk, now);
    if (self->view != NULL)
        view_maker_do_work(self->view, now);
    if (self->archive_open)
        self->archive.port.do_work(self->archive.port.self, now.mono_us);
    if (self->poller != NULL)
        poller_do_work(self->poller, now);
    if (self->backfill != NULL)
        backfill_do_work(self->backfill, now);
    if (now.mono_us >= self->board_us) {
        rest_ingestor_tell(self, now);
        self->board_us = now.mono_us + REST_INGESTOR_BOARD_US;
    }
    return REST_INGESTOR_WAIT_US;
}

static void rest_ingestor_put_view(void *context, const struct rest_view *view)
{
    view_file_put(((struct rest_ingestor *)context)->view_file, view);
}

/* --- wiring ------------------------------------------------------------------------- */

static int rest_ingestor_open_redis(struct rest_ingestor *self, struct err *err)
{
    int result = redis_settings_open(&self->options.redis, "rest-ingestor", &self->service.metrics,
                                     self->service.loop, &self->link, err);
    if (result == ERR_OK)
        rest_settings_silence(&self->options.redis, self->link, self->options.symbol,
                              &self->silence);
    return result;
}

static int rest_ingestor_open_desk(struct rest_ingestor *self, struct err *err)
{
    const struct rest_ingestor_options *options = &self->options;
    int result = rest_settings_open(&options->rest, self->service.loop, REST_INGESTOR_TIMEOUT_US,
                                    &self->rest, err);
    if (result != ERR_OK)
        return result;
    rest_desk_open(&self->desk,
                   &(struct rest_desk_options){.symbol = options->symbol,
                                               .rest = https_rest_port(&self->rest),
                                               .silence = redis_silence_port(&self->silence),
                                               .metrics = &self->service.metrics,
                                               .seed = (uint64_t)loop_mono_ns()});
    return ERR_OK;
}

static int rest_ingestor_open_view(struct rest_ingestor *self, struct err *err)
{
    char path[512];
    if (!self->options.view)
        return ERR_OK;
    view_file_path(self->options.common.data_dir, self->options.symbol, path, sizeof(path));
    int result = view_file_open_write(path, &self->view_file, err);
    if (result != ERR_OK)
        return result;
    return view_maker_open(&(struct view_maker_options){.symbol = self->options.symbol,
                                                        .desk = &self->desk,
                                                        .next_tick_us = tick_schedule_next_us,
                                                        .put = rest_ingestor_put_view,
                                                        .context = self,
                                                        .metrics = &self->service.metrics},
                           &self->view, err);
}

static int rest_ingestor_open_poller(struct rest_ingestor *self, struct err *err)
{
    const struct rest_ingestor_options *options = &self->options;
    snprintf(self->poll_file.path, sizeof(self->poll_file.path), "%s/poll-%s.txt",
             options->common.data_dir, options->symbol);
    return poller_open(
        &(struct poller_options){.symbol = options->symbol,
                                 .period_us = options->poll_period_s * CLOCK_US_PER_S,
                                 .lookback_us = options->poll_lookback_s * CLOCK_US_PER_S,
                                 .page_limit = (int)options->poll_page_limit,
                                 .desk = &self->desk,
                                 .archive = &self->archive.port,
                                 .progress = progress_file_port(&self->poll_file),
                                 .metrics = &self->service.metrics},
        &self->poller, err);
}

static int rest_ingestor_open_backfill(struct rest_ingestor *self, struct err *err)
{
    const struct rest_ingestor_options *options = &self->options;
    snprintf(self->backfill_file.path, sizeof(self->backfill_file.path), "%s/backfill-%s.txt",
             options->common.data_dir, options->symbol);
    return backfill_open(
        &(struct backfill_options){
            .symbol = options->symbol,
            .desk = &self->desk,
            .archive = &self->archive.port,
            .feed = redis_gap_feed_open(&self->feed, self->link,
                                        (enum state_key_style)options->redis.key_style,
                                        options->symbol),
            .progress = progress_file_port(&self->backfill_file),
            .metrics = &self->service.metrics},
        &self->backfill, err);
}

/* Without an archive the view goes on: what predictions fall back on needs none. */
static int rest_ingestor_open_archive(struct rest_ingestor *self, struct err *err)
{
    const struct rest_ingestor_options *options = &self->options;
    if (!options->poll && !options->backfill)
        return ERR_OK;
    if (rest_archive_open(&self->archive, options, self->service.loop, &self->service.metrics,
                          err) != ERR_OK) {
        if (!options->view)
            return err_wrap(err, ERR_CONFIG, "archive");
        log_error("archive_off", "reason=\"%s\" consequence=\"neither polls nor backfill\"",
                  err->text);
        return ERR_OK;
    }
    self->archive_open = true;
    int result = options->poll ? rest_ingestor_open_poller(self, err) : ERR_OK;
    if (result == ERR_OK && options->backfill)
        result = rest_ingestor_open_backfill(self, err);
    return result;
}

/* Threads made after this inherit it. */
static void rest_ingestor_nice(const struct rest_ingestor *self)
{
    if (setpriority(PRIO_PROCESS, 0, (int)self->options.nice) != 0)
        log_warn("no_priority", "nice=%lld reason=\"%s\"", (long long)self->options.nice,
                 strerror(errno));
}

static int rest_ingestor_open(struct rest_ingestor *self, struct err *err)
{
    const struct rest_ingestor_options *options = &self->options;
    int result = service_options_symbol(options->symbol, err);
    if (result == ERR_OK)
        result = rest_settings_check(&options->rest, err);
    if (result == ERR_OK)
        result = service_folder_make(options->common.data_dir, err);
    if (result != ERR_OK)
        return result;
    rest_ingestor_nice(self);
    result = http_board_open(sizeof(struct rest_ingestor_board), &self->board);
    if (result != ERR_OK)
        return err_set(err, result, "out of memory");
    result = rest_ingestor_open_redis(self, err);
    if (result == ERR_OK)
        result = rest_ingestor_open_desk(self, err);
    if (result == ERR_OK)
        result = rest_ingestor_open_view(self, err);
    return result == ERR_OK ? rest_ingestor_open_archive(self, err) : result;
}

/* First whoever still calls back, then whom it would call. */
static void rest_ingestor_close(struct rest_ingestor *self)
{
    if (self->rest.https != NULL)
        https_close(self->rest.https);
    if (self->link != NULL)
        redis_link_close(self->link);
    rest_archive_close(&self->archive);
    if (self->poller != NULL)
        poller_close(self->poller);
    if (self->backfill != NULL)
        backfill_close(self->backfill);
    if (self->view != NULL)
        view_maker_close(self->view);
    if (self->view_file != NULL)
        view_file_close(self->view_file);
    if (self->board != NULL)
        http_board_close(self->board);
}

static int rest_ingestor_run(int argc, char **argv)
{
    static struct rest_ingestor self;
    const struct service_definition definition = {
        .name = "rest-ingestor",
        .summary = command_rest_ingestor.summary,
        .schema = &rest_ingestor_schema,
        .default_port = PORT_REST_INGESTOR,
        .health = rest_ingestor_health,
        .ready = rest_ingestor_ready,
        .context = &self,
    };
    int status = 0;
    if (service_open(&self.service, &definition, argc, argv, &self.options, &status) != ERR_OK)
        return status;
    struct err err = {0};
    if (rest_ingestor_open(&self, &err) != ERR_OK) {
        status = service_refuse(definition.name, &err);
    } else if (service_serve(&self.service, &definition, &status) == ERR_OK) {
        log_info("started", "symbol=%s redis=%s rest=%s period_s=%lld", self.options.symbol,
                 self.options.redis.target, self.options.rest.url,
                 (long long)self.options.poll_period_s);
        service_run(&self.service, rest_ingestor_step, &self);
    }
    service_unserve(&self.service);
    rest_ingestor_close(&self);
    service_close(&self.service);
    return status;
}

const struct command command_rest_ingestor = {
    .name = "rest-ingestor",
    .summary = "minute polls and backfill to the lake, and the view without Redis",
    .run = rest_ingestor_run,
    .schema = &rest_ingestor_schema,
    .default_port = PORT_REST_INGESTOR,
};
