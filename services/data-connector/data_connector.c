/* The data-connector: wiring of the archive agent, its streams, DuckDB, the spool and the
 * lake. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "edge/duckdb/duckdb_archive.h"
#include "edge/lake/block_journal.h"
#include "edge/lake/place_file.h"
#include "edge/redis/redis_stream.h"
#include "learn/lake/archiver.h"
#include "services/cli/commands.h"
#include "services/cli/ports.h"
#include "services/data-connector/connector_backup.h"
#include "services/data-connector/connector_etl.h"
#include "services/data-connector/connector_lake.h"
#include "services/data-connector/connector_models.h"
#include "services/data-connector/connector_options.h"
#include "services/data-connector/connector_served.h"
#include "services/data-connector/connector_store.h"
#include "services/service_options.h"

#define DATA_CONNECTOR_CONSUMER "data-connector"
#define DATA_CONNECTOR_WAIT_US  20000
#define DATA_CONNECTOR_BOARD_US 100000
/* What is open when the service ends gets so long to become durable. */
#define DATA_CONNECTOR_STOP_US (4 * CLOCK_US_PER_S)
/* … and so much of it goes to reading what is in the streams, to waiting for Redis. */
#define DATA_CONNECTOR_READ_US  (2500 * CLOCK_US_PER_MS)
#define DATA_CONNECTOR_REDIS_US (500 * CLOCK_US_PER_MS)
/* Behind by more than this is no good health. */
#define DATA_CONNECTOR_LAG_US (120 * CLOCK_US_PER_S)

/* For the HTTP thread. */
struct data_connector_board {
    struct archiver_status archiver;
    struct archive_status archive;
    struct duckdb_archive_counters counters;
    struct connector_store_status store;
    struct connector_etl_status etl;
    struct connector_models_status models;
    bool redis;
    int64_t lag_us; /* -1: nothing archived yet */
};

struct data_connector {
    struct service service;
    struct connector_options options;
    char lake[LAKE_FILE_PATH_SIZE / 2], folder[LAKE_FILE_PATH_SIZE / 2];
    struct place_file place;
    struct redis_link *link; /* tells whether Redis is there */
    struct redis_consumer *consumer;
    struct connector_lake objects;
    struct connector_store store;
    struct connector_served served;
    struct connector_etl *etl; /* NULL: the lake is no folder, or none is wanted */
    struct connector_etl_metrics etl_metrics;
    uint64_t etl_blocks;             /* that it was told of */
    struct connector_models *models; /* NULL: no registry */
    struct connector_backup backup;
    struct lake_spool *spool;
    struct block_journal *journal;
    struct duckdb_archive *engine;
    struct archive_port archive;
    struct archiver *archiver;
    struct http_board *board;
    int64_t board_us;
};

/* --- HTTP thread -------------------------------------------------------------------- */

static void data_connector_health_text(const struct data_connector_board *board,
                                       struct text *components)
{
    const struct archiver_status *archiver = &board->archiver;
    text_add_format(components, "\"redis_cluster\":{\"status\":\"%s\"},",
                    board->redis ? "healthy" : "degraded");
    text_add_format(components,
                    "\"archive\":{\"status\":\"%s\",\"paused\":%s,\"lag_ms\":%lld,"
                    "\"open_blocks\":%d,\"epoch\":%llu,\"seq\":%llu,\"records\":%llu,"
                    "\"blocks\":%llu,\"holes\":%llu,\"records_missing\":%llu},",
                    archiver->paused ? "degraded" : "healthy", archiver->paused ? "true" : "false",
                    (long long)(board->lag_us < 0 ? -1 : board->lag_us / CLOCK_US_PER_MS),
                    archiver->open_blocks, (unsigned long long)archiver->epoch,
                    (unsigned long long)archiver->seq, (unsigned long long)archiver->records,
                    (unsigned long long)board->counters.blocks, (unsigned long long)archiver->holes,
                    (unsigned long long)archiver->records_missing);
    text_add_format(components,
                    "\"store\":{\"status\":\"%s\",\"rows_loaded\":%llu,\"rows_waiting\":%d,"
                    "\"rows_refused\":%llu},",
                    !board->store.wanted     ? "off"
                    : board->store.connected ? "healthy"
                                             : "degraded",
                    (unsigned long long)board->store.loaded, board->store.waiting,
                    (unsigned long long)board->store.refused);
    connector_models_health(&board->models, components);
    text_add_char(components, ',');
    connector_etl_health(&board->etl, components);
    text_add_format(components,
                    "\"lake\":{\"status\":\"%s\",\"spool_files\":%llu,\"spool_bytes\":%llu,"
                    "\"spool_bytes_max\":%llu,\"journal_bytes\":%llu,\"files_not_made\":%llu}",
                    board->archive.lake_ready ? "healthy" : "degraded",
                    (unsigned long long)board->archive.spool_files,
                    (unsigned long long)board->archive.spool_bytes,
                    (unsigned long long)board->archive.spool_bytes_max,
                    (unsigned long long)board->archive.journal_bytes,
                    (unsigned long long)board->counters.failed);
}

static enum service_health data_connector_health(void *context, struct text *components)
{
    struct data_connector *self = context;
    struct data_connector_board board;
    if (http_board_read(self->board, &board, sizeof(board)) != sizeof(board))
        return SERVICE_UNHEALTHY;
    data_connector_health_text(&board, components);
    if (board.archive.spool_full)
        return SERVICE_UNHEALTHY;
    return board.redis && board.archive.lake_ready && !board.archiver.paused &&
                   board.lag_us < DATA_CONNECTOR_LAG_US &&
                   board.store.connected == board.store.wanted &&
                   board.models.connected == board.models.wanted
               ? SERVICE_HEALTHY
               : SERVICE_DEGRADED;
}

static bool data_connector_ready(void *context)
{
    struct data_connector *self = context;
    struct data_connector_board board;
    return http_board_read(self->board, &board, sizeof(board)) == sizeof(board) &&
           board.archiver.following && board.redis;
}

/* --- the loop ----------------------------------------------------------------------- */

static void data_connector_show(struct data_connector *self, struct clock_now now)
{
    struct data_connector_board board = {.redis = redis_link_connected(self->link), .lag_us = -1};
    archiver_status(self->archiver, &board.archiver);
    self->archive.status(self->archive.self, &board.archive);
    board.store = connector_store_status(&self->store);
    connector_etl_status(self->etl, &board.etl);
    connector_etl_metrics_count(&self->etl_metrics, &board.etl);
    connector_models_status(self->models, &board.models);
    board.counters = *duckdb_archive_counters(self->engine);
    if (board.archiver.newest_us > 0)
        board.lag_us = now.wall_us - board.archiver.newest_us;
    http_board_write(self->board, bytes_of(&board, sizeof(board)));
    self->board_us = now.mono_us + DATA_CONNECTOR_BOARD_US;
}

/* Blocks that were not there at the last look are in the lake. */
static void data_connector_tell(struct data_connector *self)
{
    const uint64_t blocks = duckdb_archive_counters(self->engine)->blocks;
    if (blocks == self->etl_blocks || lake_spool_files(self->spool) > 0)
        return;
    self->etl_blocks = blocks;
    connector_etl_poke(self->etl);
}

static int64_t data_connector_step(void *context, struct clock_now now)
{
    struct data_connector *self = context;
    int done = archiver_do_work(self->archiver, now);
    done += self->archive.do_work(self->archive.self, now.mono_us);
    done += connector_store_do_work(&self->store, now.mono_us);
    done += connector_served_do_work(&self->served, now);
    data_connector_tell(self);
    done += connector_models_do_work(self->models, now.mono_us);
    redis_link_do_work(self->link, now.mono_us);
    connector_backup_do_work(&self->backup, now.mono_us);
    if (now.mono_us >= self->board_us)
        data_connector_show(self, now);
    return done > 0 ? 0 : DATA_CONNECTOR_WAIT_US;
}

/* What the streams hold when the end is asked for belongs to it: this service is the last reader
 * of a Redis that ends with the system. */
static void data_connector_read_rest(struct data_connector *self)
{
    struct archiver_status status;
    struct clock_now now = loop_now();
    const int64_t begin_us = now.mono_us;
    archiver_catch_up(self->archiver);
    archiver_status(self->archiver, &status);
    while (!status.caught_up && !status.paused && now.mono_us - begin_us < DATA_CONNECTOR_READ_US &&
           (redis_link_connected(self->link) || now.mono_us - begin_us < DATA_CONNECTOR_REDIS_US)) {
        const int done = archiver_do_work(self->archiver, now) +
                         self->archive.do_work(self->archive.self, now.mono_us);
        redis_link_do_work(self->link, now.mono_us);
        loop_run_once(self->service.loop, done > 0 ? 0 : 1000);
        archiver_status(self->archiver, &status);
        now = loop_now();
    }
    if (!status.caught_up)
        log_warn("streams_not_read", "paused=%d redis=%d", status.paused,
                 redis_link_connected(self->link));
}

/* Blocks that are not whole go into the lake too: with a Redis that ends with the system
 * there is nothing to build them from again. */
static void data_connector_finish(struct data_connector *self)
{
    struct clock_now now = loop_now();
    const int64_t end_us = now.mono_us + DATA_CONNECTOR_STOP_US;
    bool durable = false;
    data_connector_read_rest(self);
    now = loop_now();
    while (!durable && now.mono_us < end_us) {
        self->archive.do_work(self->archive.self, now.mono_us);
        redis_link_do_work(self->link, now.mono_us);
        connector_store_do_work(&self->store, now.mono_us);
        connector_served_do_work(&self->served, now);
        durable = archiver_flush(self->archiver, now) && lake_spool_files(self->spool) == 0 &&
                  connector_store_status(&self->store).waiting == 0 &&
                  connector_served_waiting(&self->served) == 0;
        if (!durable)
            loop_run_once(self->service.loop, 1000);
        now = loop_now();
    }
    log_line(durable ? LOG_INFO : LOG_WARN, "archive_closed", "durable=%d spool_files=%llu",
             durable, (unsigned long long)lake_spool_files(self->spool));
}

/* --- wiring ------------------------------------------------------------------------- */

/* Threads made after this inherit it. */
static void data_connector_nice(const struct data_connector *self)
{
    if (setpriority(PRIO_PROCESS, 0, (int)self->options.nice) != 0)
        log_warn("no_priority", "nice=%lld reason=\"%s\"", (long long)self->options.nice,
                 strerror(errno));
}

static void data_connector_folder(const char *setting, const char *data, const char *name,
                                  char *out)
{
    if (setting[0] != '\0')
        snprintf(out, LAKE_FILE_PATH_SIZE / 2, "%s", setting);
    else
        snprintf(out, LAKE_FILE_PATH_SIZE / 2, "%s/%s", data, name);
}

static int data_connector_open_redis(struct data_connector *self, struct err *err)
{
    return redis_settings_open(&self->options.redis, "data-connector", &self->service.metrics,
                               self->service.loop, &self->link, err);
}

static void data_connector_on_record(void *context, const struct stream_record *record,
                                     const char *position)
{
    struct data_connector *self = context;
    archiver_on_record(self->archiver, record, position);
}

static int data_connector_open_consumer(struct data_connector *self, struct err *err)
{
    const struct connector_options *options = &self->options;
    struct redis_consumer_options consumer = {
        .link =
            redis_settings_named(&options->redis, "data-connector-stream", &self->service.metrics),
        .style = (enum stream_key_style)options->redis.key_style,
        .name = DATA_CONNECTOR_CONSUMER,
        .record = data_connector_on_record,
        .context = self,
        .metrics = &self->service.metrics};
    snprintf(consumer.symbol, sizeof(consumer.symbol), "%s", options->symbol);
    return redis_consumer_open(&consumer, self->service.loop, &self->consumer, err);
}

static int data_connector_open_lake(struct data_connector *self, struct err *err)
{
    const struct connector_options *options = &self->options;
    char spool[LAKE_FILE_PATH_SIZE], quarantine[LAKE_FILE_PATH_SIZE];
    data_connector_folder(options->lake, options->common.data_dir, "lake", self->lake);
    data_connector_folder(options->spool, options->common.data_dir, "data-connector", self->folder);
    snprintf(spool, sizeof(spool), "%s/spool", self->folder);
    snprintf(quarantine, sizeof(quarantine), "%s/quarantine", self->folder);
    snprintf(self->place.path, sizeof(self->place.path), "%.400s/place-%s", self->folder,
             options->symbol);
    int result = connector_lake_open(&self->objects, self->lake, self->service.loop, err);
    if (result != ERR_OK)
        return result;
    struct lake_spool_options spool_options = {.folder = spool,
                                               .bytes_max = (uint64_t)options->spool_mb << 20,
                                               .objects = connector_lake_port(&self->objects),
                                               .metrics = &self->service.metrics};
    result = lake_spool_open(&spool_options, &self->spool, err);
    if (result != ERR_OK)
        return result;
    struct duckdb_archive_options engine = {.library = options->duckdb,
                                            .quarantine_folder = quarantine,
                                            .spool = self->spool,
                                            .memory_bytes_max = (size_t)options->memory_mb << 20,
                                            .duckdb_memory_mb = options->duckdb_memory_mb,
                                            .metrics = &self->service.metrics};
    result = duckdb_archive_open(&engine, &self->engine, err);
    if (result == ERR_OK)
        self->archive = duckdb_archive_port(self->engine);
    return result;
}

/* Silver and the store's rows. */
static int data_connector_open_etl(struct data_connector *self, struct err *err)
{
    const struct connector_options *options = &self->options;
    char work[LAKE_FILE_PATH_SIZE / 2];
    if (!options->etl)
        return ERR_OK;
    snprintf(work, sizeof(work), "%.400s/etl", options->common.data_dir);
    struct connector_etl_options etl = {
        .job = {.symbol = options->symbol,
                .lake = self->lake,
                .cache_mb = options->etl_cache_mb,
                .work = work,
                .database = options->database,
                .library = options->duckdb,
                .memory_mb = options->duckdb_memory_mb,
                .settle_us = options->etl_settle_s * CLOCK_US_PER_S,
                .patience_us = options->etl_patience_s * CLOCK_US_PER_S},
        .every_us = options->etl_every_s * CLOCK_US_PER_S};
    connector_etl_metrics_open(&self->etl_metrics, &self->service.metrics);
    return connector_etl_open(&etl, &self->etl, err);
}

static int data_connector_open_store(struct data_connector *self, struct err *err)
{
    const struct connector_options *options = &self->options;
    const enum state_key_style style = (enum state_key_style)options->redis.key_style;
    int result = connector_store_open(&self->store, options->database, options->symbol, style,
                                      self->link, self->service.loop, &self->service.metrics, err);
    if (result != ERR_OK)
        return result;
    const struct store_port *port =
        self->store.store != NULL ? pq_store_port(self->store.store) : NULL;
    return connector_served_open(&self->served, port, options->symbol, style, self->link,
                                 &self->service.metrics, err);
}

static int data_connector_open_models(struct data_connector *self, struct err *err)
{
    struct connector_models_options options = {.database = self->options.database,
                                               .symbol = self->options.symbol,
                                               .name = self->options.model_name,
                                               .folder = self->folder,
                                               .promote = self->options.promote,
                                               .redis = &self->options.redis,
                                               .objects = connector_lake_port(&self->objects)};
    return connector_models_open(&options, self->service.loop, &self->service.metrics,
                                 &self->models, err);
}

static int data_connector_open_journal(struct data_connector *self, struct err *err)
{
    char folder[LAKE_FILE_PATH_SIZE];
    snprintf(folder, sizeof(folder), "%s/journal-%s", self->folder, self->options.symbol);
    return block_journal_open(&(struct block_journal_options){.folder = folder,
                                                              .symbol = self->options.symbol,
                                                              .spool = self->spool,
                                                              .metrics = &self->service.metrics},
                              &self->journal, err);
}

static int data_connector_open(struct data_connector *self, struct err *err)
{
    int result = service_options_symbol(self->options.symbol, err);
    if (result != ERR_OK)
        return result;
    data_connector_nice(self);
    result = http_board_open(sizeof(struct data_connector_board), &self->board);
    if (result != ERR_OK)
        return err_set(err, result, "out of memory");
    result = data_connector_open_lake(self, err);
    if (result == ERR_OK)
        result = data_connector_open_journal(self, err);
    if (result == ERR_OK)
        result = data_connector_open_redis(self, err);
    if (result == ERR_OK)
        result = data_connector_open_consumer(self, err);
    if (result == ERR_OK)
        result = data_connector_open_store(self, err);
    if (result == ERR_OK)
        result = data_connector_open_etl(self, err);
    if (result == ERR_OK)
        result = data_connector_open_models(self, err);
    if (result != ERR_OK)
        return result;
    self->backup =
        (struct connector_backup){.database = self->options.backup ? self->options.database : "",
                                  .lake = self->lake,
                                  .data = self->options.common.data_dir,
                                  .keep_days = self->options.backup_keep_days};
    connector_backup_open(&self->backup, &self->service.metrics, loop_now().mono_us);
    result =
        archiver_open(&(struct archiver_options){.symbol = self->options.symbol,
                                                 .archive = self->archive,
                                                 .consumer = redis_consumer_port(self->consumer),
                                                 .place = place_file_port(&self->place),
                                                 .journal = block_journal_port(self->journal),
                                                 .metrics = &self->service.metrics},
                      &self->archiver, err);
    if (result == ERR_OK)
        data_connector_show(self, loop_now());
    return result;
}

/* The engine may owe the archiver an answer: it goes first. */
static void data_connector_close(struct data_connector *self)
{
    connector_etl_close(self->etl);
    connector_backup_close(&self->backup);
    if (self->consumer != NULL)
        redis_consumer_close(self->consumer);
    if (self->link != NULL)
        redis_link_close(self->link);
    connector_models_close(self->models);
    duckdb_archive_close(self->engine);
    block_journal_close(self->journal);
    lake_spool_close(self->spool);
    connector_lake_close(&self->objects);
    connector_store_close(&self->store);
    connector_served_close(&self->served);
    archiver_close(self->archiver);
    if (self->board != NULL)
        http_board_close(self->board);
}

static int data_connector_run(int argc, char **argv)
{
    static struct data_connector self;
    const struct service_definition definition = {
        .name = "data-connector",
        .summary = command_data_connector.summary,
        .schema = &connector_schema,
        .default_port = PORT_DATA_CONNECTOR,
        .health = data_connector_health,
        .ready = data_connector_ready,
        .context = &self,
    };
    int status = 0;
    if (service_open(&self.service, &definition, argc, argv, &self.options, &status) != ERR_OK)
        return status;
    struct err err = {0};
    if (data_connector_open(&self, &err) != ERR_OK) {
        status = service_refuse(definition.name, &err);
    } else if (service_serve(&self.service, &definition, &status) == ERR_OK) {
        log_info("started", "symbol=%s redis=%s lake=\"%s\" spool_files=%llu", self.options.symbol,
                 self.options.redis.target, self.lake,
                 (unsigned long long)lake_spool_files(self.spool));
        service_run(&self.service, data_connector_step, &self);
        data_connector_finish(&self);
    }
    service_unserve(&self.service);
    data_connector_close(&self);
    service_close(&self.service);
    return status;
}

const struct command command_data_connector = {
    .name = "data-connector",
    .summary = "the streams into the lake, as Parquet",
    .run = data_connector_run,
    .schema = &connector_schema,
    .default_port = PORT_DATA_CONNECTOR,
};
