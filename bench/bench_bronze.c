/* Bronze: frames of a real market's mix into Parquet files, one thread, beside DuckDB's own
 * COPY of the very same rows from tables in its memory; then the whole archive (agent's copy,
 * thread, spool, lake) fed with 100,000 frames a second. In memory-backed files, so that no
 * disk is measured. Prints name<TAB>value<TAB>unit. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "edge/duckdb/archive_job.h"
#include "edge/duckdb/duckdb_archive.h"
#include "edge/lake/folder_objects.h"
#include "edge/loop/loop.h"
#include "learn/lake/bronze_key.h"
#include "wire/sbe.h"

#define SYMBOL     "BTCUSDT"
#define SEQS       ((uint64_t)3 * ARCHIVE_BLOCK_SEQS)
#define BEGIN_US   1763640000000000LL
#define LEVELS     18 /* a side */
#define TRADES     3  /* a frame */
#define FEED_RATE  100000
#define FEED_S     5
#define KINDS_DATA 3
#define TURN       1024 /* divides ARCHIVE_BLOCK_SEQS */
#define FRAME_MAX  4096 /* of these frames */

static char folder[64], lake[80], spool_folder[80];
static struct prng prng;
static uint8_t frame[64 * 1024];
static int64_t mid = 6183763, trade_id = 3300000000, book_id = 52000000000;

static void die(const char *what)
{
    fprintf(stderr, "bench_bronze: %s\n", what);
    exit(1);
}

static void row(const char *name, double value, const char *unit)
{
    printf("%s\t%.6g\t%s\n", name, value, unit);
    fflush(stdout);
}

/* Of this thread, which does all of it: a machine with other work does not count. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Of all other threads. */
static int64_t others_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - cpu_ns();
}

static void folders_remove(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        fprintf(stderr, "bench_bronze: %s stays behind\n", folder);
}

static void folders_make(void)
{
    snprintf(folder, sizeof(folder), "%s/btcast-bench-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL)
        die("no temporary folder");
    atexit(folders_remove);
    snprintf(lake, sizeof(lake), "%s/lake", folder);
    snprintf(spool_folder, sizeof(spool_folder), "%s/spool", folder);
}

/* --- frames: 81 quotes, 10 diffs, 9.4 trade events (DESIGN.md section 11) ----------------- */

static const struct sbe_scale scale = {-2, -8};

static int64_t quantity(void)
{
    return 1000 * (int64_t)(1 + prng_below(&prng, 300000));
}

static size_t make_diff(int64_t now_us)
{
    struct sbe_level bids[LEVELS], asks[LEVELS];
    for (int i = 0; i < LEVELS; i++) {
        bids[i] = (struct sbe_level){mid - 1 - (int64_t)prng_below(&prng, 2000), quantity()};
        asks[i] = (struct sbe_level){mid + (int64_t)prng_below(&prng, 2000), quantity()};
    }
    book_id += 40;
    return sbe_encode_diff(frame, sizeof(frame), SYMBOL, scale, now_us, book_id - 39, book_id, bids,
                           LEVELS, asks, LEVELS);
}

static size_t make_trades(int64_t now_us)
{
    struct trade trades[TRADES];
    for (int i = 0; i < TRADES; i++)
        trades[i] = (struct trade){.id = trade_id++,
                                   .price = mid,
                                   .qty = quantity(),
                                   .is_buyer_maker = prng_below(&prng, 2) == 0};
    return sbe_encode_trades(frame, sizeof(frame), SYMBOL, scale, now_us, now_us - 100, trades,
                             TRADES);
}

static size_t make_quote(int64_t now_us)
{
    mid += (int64_t)prng_below(&prng, 3) - 1;
    return sbe_encode_quote(frame, sizeof(frame), SYMBOL, scale, now_us, ++book_id,
                            (struct sbe_level){mid - 1, quantity()},
                            (struct sbe_level){mid, quantity()});
}

static enum archive_kind make_record(uint64_t seq, int64_t recv_us, struct record *record)
{
    const uint64_t dice = prng_below(&prng, 1004);
    enum archive_kind kind = dice < 810 ? ARCHIVE_BBA : dice < 910 ? ARCHIVE_DEPTH : ARCHIVE_TRADES;
    size_t size = kind == ARCHIVE_BBA     ? make_quote(recv_us - 900)
                  : kind == ARCHIVE_DEPTH ? make_diff(recv_us - 900)
                                          : make_trades(recv_us - 900);
    *record = (struct record){.epoch = 1,
                              .seq = seq,
                              .recv_us = recv_us,
                              .kind = RECORD_FRAME,
                              .payload = bytes_of(frame, size)};
    return kind;
}

/* --- one thread against COPY ------------------------------------------------------------ */

struct one {
    struct folder_objects *objects;
    struct lake_spool *spool;
    struct archive_maker maker;
};

static void one_open(struct one *one)
{
    struct err err = {0};
    if (folder_objects_open(lake, &one->objects, &err) != ERR_OK)
        die(err.text);
    struct lake_spool_options options = {.folder = spool_folder,
                                         .objects = folder_objects_port(one->objects)};
    if (lake_spool_open(&options, &one->spool, &err) != ERR_OK ||
        archive_maker_open(&one->maker, NULL, 0, one->spool, &err) != ERR_OK)
        die(err.text);
}

static void one_close(struct one *one)
{
    archive_maker_close(&one->maker);
    lake_spool_close(one->spool);
    folder_objects_close(one->objects);
}

/* Seconds that DuckDB needs to copy the block's rows out of a table of its own. */
static double native_copy(struct one *one, struct block_memory *block)
{
    struct duckdb_session *session = &one->maker.session;
    char select[BLOCK_TABLE_SQL_SIZE], sql[BLOCK_TABLE_SQL_SIZE + 256];
    struct err err = {0};
    block_table_set(one->maker.blocks, block);
    block_table_select(&block->identity, select);
    snprintf(sql, sizeof(sql), "CREATE TABLE native AS %s", select);
    if (duckdb_session_run(session, sql, &err) != ERR_OK)
        die(err.text);
    snprintf(sql, sizeof(sql), "COPY native TO '%s/native.parquet' (" ARCHIVE_JOB_FORMAT ")",
             folder);
    const int64_t begin_ns = cpu_ns();
    if (duckdb_session_run(session, sql, &err) != ERR_OK)
        die(err.text);
    const double seconds = (double)(cpu_ns() - begin_ns) / 1e9;
    if (duckdb_session_run(session, "DROP TABLE native", &err) != ERR_OK)
        die(err.text);
    return seconds;
}

static double append_seconds, write_seconds, native_seconds;
static uint64_t rows_written, bytes_written, frame_bytes;

static void write_block(struct one *one, struct block_memory *block)
{
    struct archive_job job = {.block = block};
    const int64_t begin_ns = cpu_ns();
    archive_maker_run(&one->maker, &job);
    write_seconds += (double)(cpu_ns() - begin_ns) / 1e9;
    if (job.result != ERR_OK)
        die(job.err.text);
    if (lake_spool_add(one->spool, job.path, &job.err) != ERR_OK)
        die(job.err.text);
    rows_written += job.rows;
    native_seconds += native_copy(one, block);
    block_memory_free(block);
}

/* Frames of one turn of reading, made before the clock runs. */
struct turn {
    struct record records[TURN];
    enum archive_kind kinds[TURN];
    uint8_t *bytes; /* of the payloads */
    int count;
};

static void turn_make(struct turn *turn, uint64_t *seq)
{
    size_t used = 0;
    for (turn->count = 0; turn->count < TURN && *seq < SEQS; (*seq)++) {
        struct record *record = &turn->records[turn->count];
        turn->kinds[turn->count] = make_record(*seq, BEGIN_US + (int64_t)*seq * 10, record);
        uint8_t *copy = turn->bytes + used;
        memcpy(copy, record->payload.data, record->payload.size);
        record->payload.data = copy;
        used += record->payload.size;
        frame_bytes += record->payload.size;
        turn->count++;
    }
}

static void turn_copy_in(const struct turn *turn, struct block_memory **blocks)
{
    const int64_t begin_ns = cpu_ns();
    for (int i = 0; i < turn->count; i++) {
        struct archive_block identity;
        struct block_memory **block = &blocks[turn->kinds[i]];
        bronze_key_block(turn->kinds[i], SYMBOL, &turn->records[i], &identity);
        if ((*block == NULL && (*block = block_memory_new(&identity)) == NULL) ||
            block_memory_add(*block, &turn->records[i]) != ERR_OK)
            die("out of memory");
    }
    append_seconds += (double)(cpu_ns() - begin_ns) / 1e9;
}

static void bench_write_rows(void)
{
    const double seconds = append_seconds + write_seconds;
    row("bronze.write", (double)rows_written / seconds, "rows/s");
    row("bronze.duckdb_copy", (double)rows_written / native_seconds, "rows/s");
    row("bronze.copy_in", append_seconds * 1e9 / (double)SEQS, "ns/frame");
    row("bronze.make_file", write_seconds * 1e9 / (double)SEQS, "ns/frame");
    row("bronze.write_frames", (double)SEQS / seconds, "frames/s");
    row("bronze.bytes_a_frame", (double)bytes_written / (double)SEQS, "B");
    row("bronze.raw_bytes_a_frame", (double)frame_bytes / (double)SEQS, "B");
}

static void bench_write(void)
{
    struct one one;
    static struct turn turn;
    one_open(&one);
    if ((turn.bytes = malloc((size_t)TURN * FRAME_MAX)) == NULL)
        die("out of memory");
    for (uint64_t seq = 0; seq < SEQS;) {
        struct block_memory *blocks[KINDS_DATA] = {0};
        do {
            turn_make(&turn, &seq);
            turn_copy_in(&turn, blocks);
        } while (seq % ARCHIVE_BLOCK_SEQS != 0);
        for (int i = 0; i < KINDS_DATA; i++)
            if (blocks[i] != NULL)
                write_block(&one, blocks[i]);
    }
    bytes_written = lake_spool_bytes(one.spool);
    free(turn.bytes);
    one_close(&one);
    bench_write_rows();
}

/* --- the whole archive under load ------------------------------------------------------- */

static int unanswered;

static void on_done(void *context, const struct archive_reply *reply)
{
    (void)context;
    if (reply->result != ERR_OK)
        die(reply->text);
    unanswered--;
}

static void bench_feed(void)
{
    struct one one = {0};
    struct duckdb_archive *archive;
    struct err err = {0};
    struct archive_block blocks[KINDS_DATA] = {0};
    bool open[KINDS_DATA] = {false};
    if (folder_objects_open(lake, &one.objects, &err) != ERR_OK)
        die(err.text);
    struct lake_spool_options spool = {.folder = spool_folder,
                                       .objects = folder_objects_port(one.objects)};
    if (lake_spool_open(&spool, &one.spool, &err) != ERR_OK)
        die(err.text);
    struct duckdb_archive_options options = {.spool = one.spool};
    if (duckdb_archive_open(&options, &archive, &err) != ERR_OK)
        die(err.text);
    struct archive_port port = duckdb_archive_port(archive);
    uint64_t spool_most = 0, refused = 0;
    int pending_most = 0;
    const int64_t begin_us = loop_mono_us(), begin_cpu_ns = others_cpu_ns();
    for (uint64_t seq = 1; seq <= (uint64_t)FEED_RATE * FEED_S;) {
        const int64_t now_us = loop_mono_us();
        const uint64_t due = (uint64_t)((now_us - begin_us) * FEED_RATE / 1000000);
        port.do_work(port.self, now_us);
        if (seq > due)
            usleep(500);
        for (; seq <= due && seq <= (uint64_t)FEED_RATE * FEED_S; seq++) {
            struct record record;
            const enum archive_kind kind = make_record(seq, BEGIN_US + (int64_t)seq * 10, &record);
            struct archive_block identity;
            bronze_key_block(kind, SYMBOL, &record, &identity);
            if (open[kind] && !bronze_key_block_equal(&identity, &blocks[kind])) {
                unanswered++;
                if (port.finish(port.self, &blocks[kind], on_done, NULL) != ERR_OK)
                    die("a block could not be finished");
            }
            blocks[kind] = identity;
            open[kind] = true;
            while (port.append(port.self, &identity, &record) != ERR_OK) {
                refused++;
                port.do_work(port.self, loop_mono_us());
                usleep(200);
            }
        }
        if (lake_spool_bytes(one.spool) > spool_most)
            spool_most = lake_spool_bytes(one.spool);
        if (duckdb_archive_pending(archive) > pending_most)
            pending_most = duckdb_archive_pending(archive);
    }
    const double fed = (double)(loop_mono_us() - begin_us) / 1e6;
    while (unanswered > 0 || lake_spool_files(one.spool) > 0) {
        port.do_work(port.self, loop_mono_us());
        usleep(200);
    }
    const double busy = (double)(others_cpu_ns() - begin_cpu_ns) / 1e9;
    row("bronze.feed", FEED_RATE * FEED_S / fed, "frames/s");
    row("bronze.feed_writer_busy", 100 * busy / FEED_S, "%");
    row("bronze.feed_pending_most", pending_most, "files");
    row("bronze.feed_spool_most", (double)spool_most / 1e6, "MB");
    row("bronze.feed_refused", (double)refused, "appends");
    duckdb_archive_close(archive);
    lake_spool_close(one.spool);
    folder_objects_close(one.objects);
}

int main(void)
{
    prng_init(&prng, 1);
    folders_make();
    bench_write();
    bench_feed();
    return 0;
}
