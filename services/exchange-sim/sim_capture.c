/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "hot/ingest/tick_schedule.h"
#include "market/feature.h"
#include "services/exchange-sim/sim_feed.h"
#include "services/exchange-sim/sim_market.h"
#include "wire/capture.h"

/* From the event to our socket: a floor and an exponential tail. */
#define CAPTURE_LATENCY_US 350
#define CAPTURE_JITTER_US  250.0
/* The anchor comes once the first diffs have been seen. */
#define CAPTURE_ANCHOR_AFTER_US 200000
#define CAPTURE_ANCHOR_LEVELS   5000
#define CAPTURE_FILE_BUFFER     (1u << 20)
#define CAPTURE_SEED_MIX        0x6c617465ULL

struct capture {
    const struct sim_options *options;
    struct sim_market market;
    struct sim_feed feed;
    struct prng latency; /* its own, so that the market does not depend on it */
    FILE *file, *oracle;
    sim_capture_fn record; /* NULL: records go to file */
    void *context;
    struct err *err;
    int code; /* of record */
    uint8_t *out;
    size_t out_size;
    uint64_t epoch, seq;
    int64_t recv_us, next_tick_us, start_us;
    bool anchored, failed;
    struct sim_capture_result result;
};

static void capture_hand_out(struct capture *capture, const struct record *record)
{
    if (!capture->failed)
        capture->code = capture->record(capture->context, record, capture->err);
    capture->failed = capture->failed || capture->code != ERR_OK;
    capture->result.records++;
}

static void capture_put(struct capture *capture, const struct record *record)
{
    if (capture->record != NULL) {
        capture_hand_out(capture, record);
        return;
    }
    size_t size = capture_write_record(record, capture->out, capture->out_size);
    CHECK(size > 0);
    if (fwrite(capture->out, 1, size, capture->file) != size)
        capture->failed = true;
    capture->result.records++;
    capture->result.bytes += size;
}

static void capture_ticks(struct capture *capture, int64_t until_us)
{
    while (capture->next_tick_us <= until_us) {
        capture->recv_us = capture->next_tick_us;
        struct record tick = {.epoch = capture->epoch,
                              .seq = ++capture->seq,
                              .recv_us = capture->recv_us,
                              .kind = RECORD_TICK};
        capture_put(capture, &tick);
        capture->result.ticks++;
        capture->next_tick_us = tick_schedule_next_us(capture->next_tick_us);
    }
}

/* The document the re-anchor service hands over, its depth being the raw REST reply. */
static size_t capture_document(struct capture *capture, char *buffer, size_t capacity)
{
    static struct sbe_level levels[2][CAPTURE_ANCHOR_LEVELS];
    const struct sim_book *book = &capture->market.book;
    struct text text = text_begin(buffer, capacity);
    text_add_format(&text,
                    "{\"symbol\":\"%s\",\"token\":\"capture\",\"cause\":\"start\","
                    "\"requested_us\":%lld,\"received_us\":%lld,\"levels\":%d,\"depth\":",
                    capture->options->symbol, (long long)(capture->recv_us - 1000),
                    (long long)capture->recv_us, CAPTURE_ANCHOR_LEVELS);
    int bids = sim_book_copy(book, SIM_BID, levels[SIM_BID], CAPTURE_ANCHOR_LEVELS);
    int asks = sim_book_copy(book, SIM_ASK, levels[SIM_ASK], CAPTURE_ANCHOR_LEVELS);
    sim_json_depth(&text, book->last_id, levels[SIM_BID], bids, levels[SIM_ASK], asks);
    text_add_char(&text, '}');
    CHECK(!text.truncated);
    return text.size;
}

static void capture_anchor(struct capture *capture)
{
    static char document[RECORD_PAYLOAD_MAX];
    size_t size = capture_document(capture, document, sizeof(document));
    struct record anchor = {.epoch = capture->epoch,
                            .seq = capture->seq,
                            .recv_us = capture->recv_us,
                            .kind = RECORD_ANCHOR,
                            .payload = bytes_of(document, size)};
    capture_put(capture, &anchor);
    capture->anchored = true;
}

static void capture_frame(void *context, enum sim_stream stream, struct bytes message)
{
    struct capture *capture = context;
    (void)stream;
    int64_t late_us =
        CAPTURE_LATENCY_US + (int64_t)(CAPTURE_JITTER_US * prng_exponential(&capture->latency));
    int64_t recv_us = capture->market.now_us + late_us;
    recv_us = recv_us > capture->recv_us ? recv_us : capture->recv_us;
    capture_ticks(capture, recv_us);
    capture->recv_us = recv_us;
    struct record frame = {.epoch = capture->epoch,
                           .seq = ++capture->seq,
                           .recv_us = recv_us,
                           .kind = RECORD_FRAME,
                           .payload = message};
    capture_put(capture, &frame);
    capture->result.frames++;
    if (!capture->anchored && recv_us >= capture->start_us + CAPTURE_ANCHOR_AFTER_US)
        capture_anchor(capture);
}

static int capture_file(const char *path, FILE **file, struct err *err)
{
    *file = fopen(path, "wb");
    if (!*file)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    return ERR_OK;
}

static int capture_open_market(struct capture *capture, struct err *err)
{
    const struct sim_options *options = capture->options;
    struct sim_feed_options feed = {
        .tops_max = 1, .depth20 = options->depth20, .frames_only = true};
    snprintf(feed.symbol, sizeof(feed.symbol), "%s", options->symbol);
    int rc = sim_feed_open(&capture->feed, &feed, capture_frame, capture, err);
    if (rc != ERR_OK)
        return rc;
    capture->feed.book = &capture->market.book;
    struct sim_market_options market = {.seed = (uint64_t)options->seed,
                                        .start_us = capture->start_us,
                                        .price = options->price,
                                        .diff_interval_us =
                                            options->diff_interval_ms * CLOCK_US_PER_MS,
                                        .move_scale = 1,
                                        .fast_only = true};
    struct sim_sink sink = sim_feed_sink(&capture->feed);
    rc = sim_market_open(&capture->market, &market, &sink, err);
    if (rc != ERR_OK)
        sim_feed_close(&capture->feed);
    return rc;
}

static int capture_open_oracle(struct capture *capture, struct err *err)
{
    const char *path = capture->options->capture_oracle;
    if (path[0] == '\0')
        return ERR_OK;
    int rc = capture_file(path, &capture->oracle, err);
    if (rc == ERR_OK && fputs("slot,oracle_bp\n", capture->oracle) < 0)
        capture->failed = true;
    return rc;
}

static void capture_header(struct capture *capture)
{
    uint8_t bytes[CAPTURE_HEADER_SIZE];
    struct capture_header header = {.created_us = capture->start_us,
                                    .feature_schema = feature_schema_hash()};
    snprintf(header.symbol, sizeof(header.symbol), "%s", capture->options->symbol);
    capture_write_header(&header, bytes);
    if (fwrite(bytes, 1, sizeof(bytes), capture->file) != sizeof(bytes))
        capture->failed = true;
}

static void capture_run(struct capture *capture)
{
    int64_t end_us = capture->start_us + (int64_t)(capture->options->capture_hours * 3600e6);
    int64_t slot = clock_slot(capture->start_us) + 1;
    for (; clock_slot_us(slot) <= end_us && !capture->failed; slot++) {
        sim_market_run(&capture->market, clock_slot_us(slot));
        capture->result.slots++;
        if (capture->oracle && fprintf(capture->oracle, "%lld,%.6f\n", (long long)slot,
                                       sim_market_oracle_bp(&capture->market)) < 0)
            capture->failed = true;
    }
    sim_market_run(&capture->market, end_us);
    capture_ticks(capture, end_us);
}

static int capture_finish(struct capture *capture, FILE **file, const char *path, struct err *err)
{
    if (!*file)
        return ERR_OK;
    bool closed = fclose(*file) == 0;
    *file = NULL;
    if (closed && !capture->failed)
        return ERR_OK;
    (void)remove(path);
    return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

static int capture_both(struct capture *capture, struct err *err)
{
    const struct sim_options *options = capture->options;
    int rc = capture_file(options->capture_out, &capture->file, err);
    if (rc == ERR_OK)
        rc = capture_open_oracle(capture, err);
    if (rc == ERR_OK) {
        (void)setvbuf(capture->file, NULL, _IOFBF, CAPTURE_FILE_BUFFER);
        capture_header(capture);
        capture_run(capture);
    } else {
        capture->failed = true;
    }
    struct err unused;
    int closed = capture_finish(capture, &capture->oracle, options->capture_oracle,
                                rc == ERR_OK ? err : &unused);
    int closed_out =
        capture_finish(capture, &capture->file, options->capture_out, rc == ERR_OK ? err : &unused);
    return rc != ERR_OK ? rc : closed_out != ERR_OK ? closed_out : closed;
}

static int capture_open(const struct sim_options *options, struct capture **out, struct err *err)
{
    struct capture *capture = calloc(1, sizeof(*capture));
    if (!capture)
        return err_set(err, ERR_MEMORY, "capture");
    *out = capture;
    capture->options = options;
    capture->start_us = options->capture_start_ms * CLOCK_US_PER_MS;
    capture->epoch = (uint64_t)options->capture_start_ms;
    capture->recv_us = capture->start_us;
    capture->next_tick_us = tick_schedule_next_us(capture->start_us);
    capture->out_size = SIM_MESSAGE_MAX + RECORD_PAYLOAD_MAX + CAPTURE_OVERHEAD;
    capture->out = malloc(capture->out_size);
    prng_init(&capture->latency, (uint64_t)options->seed ^ CAPTURE_SEED_MIX);
    int rc = capture->out ? capture_open_market(capture, err) : err_set(err, ERR_MEMORY, "capture");
    if (rc != ERR_OK) {
        free(capture->out);
        free(capture);
    }
    return rc;
}

static void capture_close(struct capture *capture)
{
    sim_market_close(&capture->market);
    sim_feed_close(&capture->feed);
    free(capture->out);
    free(capture);
}

int sim_capture_write(const struct sim_options *options, struct sim_capture_result *result,
                      struct err *err)
{
    struct capture *capture;
    int rc = capture_open(options, &capture, err);
    if (rc != ERR_OK)
        return rc;
    rc = capture_both(capture, err);
    *result = capture->result;
    capture_close(capture);
    return rc;
}

int sim_capture_records(const struct sim_options *options, sim_capture_fn record, void *context,
                        struct sim_capture_result *result, struct err *err)
{
    struct capture *capture;
    int rc = capture_open(options, &capture, err);
    if (rc != ERR_OK)
        return rc;
    capture->record = record;
    capture->context = context;
    capture->err = err;
    rc = capture_open_oracle(capture, err);
    if (rc == ERR_OK) {
        capture_run(capture);
        rc = capture->code;
    }
    struct err unused;
    int closed = capture_finish(capture, &capture->oracle, options->capture_oracle,
                                rc == ERR_OK ? err : &unused);
    rc = rc == ERR_OK ? closed : rc;
    *result = capture->result;
    capture_close(capture);
    return rc;
}
