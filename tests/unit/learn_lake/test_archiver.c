/* The archive agent against a model of the streams and of the archive, with deliveries,
 * restarts and refusals in every order. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "learn/lake/archive_controls.h"
#include "learn/lake/archiver.h"
#include "learn/lake/bronze_key.h"
#include "wire/envelope.h"

#define SYMBOL   "BTCUSDT"
#define MINUTE   29394000LL /* a minute of 2025 */
#define AT(n, s) ((MINUTE + (n)) * BRONZE_KEY_MINUTE_US + (int64_t)((s)*1e6))

/* --- the streams: entries in memory, positions are their indexes + 1 --------------------- */

#define ENTRIES_MAX 4096
struct entry {
    uint8_t *data;
    size_t size;
    uint64_t epoch, last_seq;
};
struct model_stream {
    struct entry entries[ENTRIES_MAX];
    int count, next, first; /* first: trimmed before it */
};

struct model_object {
    struct archive_block identity;
    char rows[512 * 24]; /* "epoch.seq.kind " */
    int row_count;
};

#define OBJECTS_MAX 512
#define JOURNAL_MAX 4096
static struct {
    struct model_stream streams[STREAM_COUNT];
    unsigned mask;
    uint64_t followed;
    int batch; /* entries a stream and delivery */
    struct stream_position committed[STREAM_COUNT];

    struct model_object open[OBJECTS_MAX], lake[OBJECTS_MAX];
    int open_count, lake_count;
    struct {
        struct model_object object;
        archive_done_fn done;
        void *context;
    } asked[OBJECTS_MAX];
    int asked_count;
    bool refuse_append, fail_next, hold;
    int written, refused;

    struct kept {
        struct archive_block identity;
        struct record record; /* payloads are literals */
        bool flushed;
    } journal[JOURNAL_MAX];
    int journal_count, journal_next;
    bool journal_off, journal_refuses;

    uint8_t place[ARCHIVE_PLACE_SIZE];
    size_t place_size;
    bool place_broken;
} model;

static struct archiver *archiver;
static int64_t mono_us;

static int follow(void *self, unsigned mask, const struct stream_position *from)
{
    (void)self;
    model.mask = mask;
    model.followed++;
    for (int i = 0; i < STREAM_COUNT; i++)
        if ((mask & 1u << i) != 0) {
            int at = atoi(from[i].text);
            model.streams[i].next = at < model.streams[i].first ? model.streams[i].first : at;
        }
    return ERR_OK;
}

static int commit(void *self, const struct stream_position *positions)
{
    (void)self;
    for (int i = 0; i < STREAM_COUNT; i++)
        if ((model.mask & 1u << i) != 0)
            model.committed[i] = positions[i];
    return ERR_OK;
}

static int consume(void *self, int64_t now_us)
{
    (void)self;
    (void)now_us;
    int delivered = 0;
    const uint64_t followed = model.followed;
    for (int i = 0; i < STREAM_COUNT; i++)
        for (int n = 0; n < model.batch && model.followed == followed; n++) {
            struct model_stream *stream = &model.streams[i];
            if ((model.mask & 1u << i) == 0 || stream->next >= stream->count)
                break;
            const struct entry *entry = &stream->entries[stream->next++];
            char position[32];
            snprintf(position, sizeof(position), "%d", stream->next);
            struct stream_record record = {.stream = (enum stream_name)i,
                                           .epoch = entry->epoch,
                                           .last_seq = entry->last_seq,
                                           .data = bytes_of(entry->data, entry->size)};
            archiver_on_record(archiver, &record, position);
            delivered++;
        }
    return delivered;
}

static bool ready(void *self)
{
    (void)self;
    return true;
}

static bool drained(void *self)
{
    (void)self;
    for (int i = 0; i < STREAM_COUNT; i++)
        if (model.streams[i].next < model.streams[i].count)
            return false;
    return true;
}

/* --- the archive ------------------------------------------------------------------------ */

static int find(const struct model_object *list, int count, const struct archive_block *identity)
{
    for (int i = 0; i < count; i++)
        if (bronze_key_block_equal(&list[i].identity, identity))
            return i;
    return -1;
}

static int append(void *self, const struct archive_block *block, const struct record *record)
{
    (void)self;
    if (model.refuse_append) {
        model.refused++;
        return ERR_AGAIN;
    }
    int index = find(model.open, model.open_count, block);
    if (index < 0) {
        index = model.open_count++;
        assert_true(index < OBJECTS_MAX);
        model.open[index] = (struct model_object){.identity = *block};
    }
    struct model_object *object = &model.open[index];
    char row[64];
    snprintf(row, sizeof(row), "%llu.%llu.%u ", (unsigned long long)record->epoch,
             (unsigned long long)record->seq, record->kind);
    assert_true(strlen(object->rows) + strlen(row) < sizeof(object->rows));
    snprintf(object->rows + strlen(object->rows), sizeof(object->rows) - strlen(object->rows), "%s",
             row);
    object->row_count++;
    return ERR_OK;
}

static int finish(void *self, const struct archive_block *block, archive_done_fn done,
                  void *context)
{
    (void)self;
    int index = find(model.open, model.open_count, block);
    assert_true(index >= 0 && model.asked_count < OBJECTS_MAX);
    model.asked[model.asked_count].object = model.open[index];
    model.asked[model.asked_count].done = done;
    model.asked[model.asked_count++].context = context;
    model.open[index] = model.open[--model.open_count];
    return ERR_OK;
}

static void discard(void *self, const struct archive_block *block)
{
    (void)self;
    int index = find(model.open, model.open_count, block);
    if (index >= 0)
        model.open[index] = model.open[--model.open_count];
}

static void status(void *self, struct archive_status *out)
{
    (void)self;
    *out = (struct archive_status){.lake_ready = true, .spool_bytes_max = 1};
}

static int archive_work(void *self, int64_t now_us)
{
    (void)self;
    (void)now_us;
    if (model.hold || model.asked_count == 0)
        return 0;
    const struct model_object object = model.asked[0].object;
    const archive_done_fn done = model.asked[0].done;
    void *context = model.asked[0].context;
    memmove(&model.asked[0], &model.asked[1], (size_t)--model.asked_count * sizeof(model.asked[0]));
    struct archive_reply reply = {.result = model.fail_next ? ERR_FULL : ERR_OK, .text = ""};
    model.fail_next = false;
    if (reply.result == ERR_OK) {
        int index = find(model.lake, model.lake_count, &object.identity);
        if (index < 0)
            index = model.lake_count++;
        assert_true(index < OBJECTS_MAX);
        model.lake[index] = object;
        model.written++;
    } else {
        model.open[model.open_count++] = object;
    }
    done(context, &reply);
    return 1;
}

static int load(void *self, uint8_t *out, size_t capacity, size_t *size)
{
    (void)self;
    if (model.place_size == 0)
        return ERR_NOT_FOUND;
    assert_true(model.place_size <= capacity);
    memcpy(out, model.place, model.place_size);
    *size = model.place_size;
    return ERR_OK;
}

static int save(void *self, struct bytes text)
{
    (void)self;
    if (model.place_broken)
        return ERR_IO;
    memcpy(model.place, text.data, text.size);
    model.place_size = text.size;
    return ERR_OK;
}

/* --- the journal ------------------------------------------------------------------------ */

static int journal_append(void *self, const struct archive_block *block,
                          const struct record *record)
{
    (void)self;
    if (model.journal_refuses)
        return ERR_AGAIN;
    assert_true(model.journal_count < JOURNAL_MAX);
    struct kept *kept = &model.journal[model.journal_count++];
    *kept = (struct kept){.identity = *block, .record = *record};
    kept->record.payload = record->kind == RECORD_TICK ? bytes_of(NULL, 0) : BYTES_LITERAL("frame");
    return ERR_OK;
}

static int journal_flush(void *self)
{
    (void)self;
    for (int i = 0; i < model.journal_count; i++)
        model.journal[i].flushed = true;
    return ERR_OK;
}

static void journal_keep(bool (*gone)(const struct kept *, const void *), const void *what)
{
    int count = 0;
    for (int i = 0; i < model.journal_count; i++)
        if (!gone(&model.journal[i], what))
            model.journal[count++] = model.journal[i];
    model.journal_count = count;
}

struct settled {
    enum archive_kind kind;
    uint64_t epoch, seq;
};

static bool is_settled(const struct kept *kept, const void *what)
{
    const struct settled *at = what;
    return kept->identity.kind == at->kind &&
           record_compare(kept->record.epoch, kept->record.seq, at->epoch, at->seq) <= 0;
}

static bool is_forgotten(const struct kept *kept, const void *what)
{
    return bronze_key_block_equal(&kept->identity, what);
}

static bool is_lost(const struct kept *kept, const void *what)
{
    (void)what;
    return !kept->flushed;
}

static void journal_settle(void *self, enum archive_kind kind, uint64_t epoch, uint64_t seq)
{
    (void)self;
    journal_keep(is_settled, &(struct settled){kind, epoch, seq});
}

static void journal_forget(void *self, const struct archive_block *block)
{
    (void)self;
    journal_keep(is_forgotten, block);
}

static int journal_next(void *self, enum archive_kind *kind, struct record *record)
{
    (void)self;
    /* Of one kind as they came: that is their order. */
    for (; model.journal_next < ARCHIVE_KINDS * JOURNAL_MAX; model.journal_next++) {
        const int index = model.journal_next % JOURNAL_MAX;
        if (index >= model.journal_count ||
            model.journal[index].identity.kind !=
                (enum archive_kind)(model.journal_next / JOURNAL_MAX))
            continue;
        *kind = model.journal[index].identity.kind;
        *record = model.journal[index].record;
        model.journal_next++;
        return ERR_OK;
    }
    return ERR_EMPTY;
}

/* --- driving ---------------------------------------------------------------------------- */

static void start(void)
{
    struct archiver_options options = {
        .symbol = SYMBOL,
        .archive = {.append = append,
                    .finish = finish,
                    .discard = discard,
                    .status = status,
                    .do_work = archive_work},
        .consumer = {.follow = follow,
                     .commit = commit,
                     .do_work = consume,
                     .ready = ready,
                     .drained = drained},
        .place = {.load = load, .save = save},
    };
    if (!model.journal_off)
        options.journal = (struct archive_journal_port){.append = journal_append,
                                                        .flush = journal_flush,
                                                        .settle = journal_settle,
                                                        .forget = journal_forget,
                                                        .next = journal_next};
    assert_int_equal(archiver_open(&options, &archiver, NULL), ERR_OK);
}

/* As kill -9: what was in memory is gone. */
static void crash(void)
{
    archiver_close(archiver);
    model.open_count = model.asked_count = model.journal_next = 0;
    journal_keep(is_lost, NULL);
    start();
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < STREAM_COUNT; i++)
        for (int k = 0; k < model.streams[i].count; k++)
            free(model.streams[i].entries[k].data);
    memset(&model, 0, sizeof(model));
    model.batch = 4;
    mono_us = 1000000;
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    archiver_close(archiver);
    archiver = NULL;
    for (int i = 0; i < STREAM_COUNT; i++) {
        for (int k = 0; k < model.streams[i].count; k++)
            free(model.streams[i].entries[k].data);
        model.streams[i].count = 0;
    }
    return 0;
}

static void work(int times)
{
    for (int i = 0; i < times; i++) {
        mono_us += 100000;
        archiver_do_work(archiver, (struct clock_now){.wall_us = mono_us, .mono_us = mono_us});
        archive_work(NULL, mono_us);
    }
}

static void put_all(enum stream_name stream, const struct record *records, int count)
{
    static uint8_t buffer[64 * 1024];
    struct envelope_writer writer;
    struct model_stream *to = &model.streams[stream];
    assert_true(to->count < ENTRIES_MAX);
    envelope_begin(&writer, buffer, sizeof(buffer), SYMBOL, records[0].epoch);
    for (int i = 0; i < count; i++)
        assert_int_equal(envelope_add(&writer, &records[i]), ERR_OK);
    struct bytes data = envelope_finish(&writer);
    struct entry *entry = &to->entries[to->count++];
    entry->data = malloc(data.size);
    assert_non_null(entry->data);
    memcpy(entry->data, data.data, data.size);
    entry->size = data.size;
    entry->epoch = records[count - 1].epoch;
    entry->last_seq = records[count - 1].seq;
}

static struct record make(uint64_t epoch, uint64_t seq, int64_t recv_us, enum record_kind kind)
{
    return (struct record){.epoch = epoch,
                           .seq = seq,
                           .recv_us = recv_us,
                           .kind = (uint8_t)kind,
                           .payload =
                               kind == RECORD_TICK ? bytes_of(NULL, 0) : BYTES_LITERAL("frame")};
}

static void put(enum stream_name stream, uint64_t epoch, uint64_t seq, int64_t recv_us)
{
    struct record record = make(epoch, seq, recv_us,
                                stream == STREAM_DEPTH     ? RECORD_TICK
                                : stream == STREAM_CONTROL ? RECORD_ANCHOR
                                                           : RECORD_FRAME);
    put_all(stream, &record, 1);
}

static const char *rows(enum archive_kind kind, uint64_t epoch, uint64_t block, int64_t minute)
{
    struct archive_block identity = {
        .kind = kind, .symbol = SYMBOL, .epoch = epoch, .block = block, .minute = MINUTE + minute};
    int index = find(model.lake, model.lake_count, &identity);
    return index < 0 ? "" : model.lake[index].rows;
}

static struct archiver_status state_now(void)
{
    struct archiver_status out;
    archiver_status(archiver, &out);
    return out;
}

/* --- tests ------------------------------------------------------------------------------ */

static void a_block_is_written_when_its_stream_goes_on(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(0, 2));
    work(5);
    assert_int_equal(model.lake_count, 0);
    put(STREAM_TRADE, 1, 3, AT(1, 0));
    work(5);
    assert_int_equal(model.lake_count, 1);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 1.2.1 ");
    /* The number of the block ends one too. */
    put(STREAM_TRADE, 1, ARCHIVE_BLOCK_SEQS, AT(1, 1));
    work(5);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 1), "1.3.1 ");
}

static void a_quiet_streams_block_is_whole_when_every_number_is_in(void **state)
{
    (void)state;
    put(STREAM_TRADE, 2, 1, AT(0, 1)); /* behind an epoch of which nothing is known: */
    put(STREAM_DEPTH, 2, 2, AT(0, 2));
    work(2);
    put(STREAM_DEPTH, 2, 3, AT(0, 59));
    put(STREAM_DEPTH, 2, 5, AT(1, 1)); /* 4 is missing: it may be a trade of minute 0 */
    work(50);
    assert_string_equal(rows(ARCHIVE_TRADES, 2, 0, 0), "");
    put(STREAM_TRADE, 2, 4, AT(0, 59.5));
    work(5);
    assert_string_equal(rows(ARCHIVE_TRADES, 2, 0, 0), "2.1.1 2.4.1 ");
    assert_string_equal(rows(ARCHIVE_DEPTH, 2, 0, 0), "2.2.2 2.3.2 ");
    assert_int_equal(state_now().holes, 0);
}

static void a_hole_is_counted_once_with_its_size_and_holds_nothing_up(void **state)
{
    (void)state;
    put(STREAM_DEPTH, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(0, 1));
    work(2);
    put(STREAM_DEPTH, 1, 6, AT(1, 1)); /* 3, 4, 5 never come */
    work(20);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "");
    for (uint64_t i = 7; i < 160; i++) { /* time goes on meanwhile */
        put(STREAM_DEPTH, 1, i, AT(1, 2));
        work(1);
    }
    assert_int_equal(state_now().holes, 1);
    assert_int_equal(state_now().records_missing, 3);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.2.1 ");
    work(300);
    assert_int_equal(state_now().holes, 1);
}

static void what_comes_twice_is_there_once(void **state)
{
    (void)state;
    struct record records[3] = {make(1, 1, AT(0, 1), RECORD_FRAME),
                                make(1, 2, AT(0, 2), RECORD_FRAME),
                                make(1, 3, AT(0, 3), RECORD_FRAME)};
    put_all(STREAM_TRADE, records, 2);
    put_all(STREAM_TRADE, records, 2);
    put_all(STREAM_TRADE, records + 1, 2);
    put(STREAM_TRADE, 1, 4, AT(1, 0));
    work(10);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 1.2.1 1.3.1 ");
    assert_int_equal(state_now().duplicates, 3);
    assert_int_equal(state_now().records, 4);
}

static void an_entry_over_two_minutes_is_split_and_read_again_by_a_restart(void **state)
{
    (void)state;
    struct record records[4] = {
        make(1, 1, AT(0, 58), RECORD_FRAME), make(1, 2, AT(0, 59), RECORD_FRAME),
        make(1, 3, AT(1, 0), RECORD_FRAME), make(1, 4, AT(1, 1), RECORD_FRAME)};
    put_all(STREAM_TRADE, records, 1);
    put_all(STREAM_TRADE, records + 1, 3);
    work(30);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 1.2.1 ");
    assert_string_equal(model.committed[STREAM_TRADE].text, "1");
    crash();
    put(STREAM_TRADE, 1, 5, AT(2, 0));
    work(30);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 1.2.1 ");
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 1), "1.3.1 1.4.1 ");
}

static void without_room_reading_stops_and_goes_on_where_it_was(void **state)
{
    (void)state;
    struct record records[3] = {make(1, 1, AT(0, 1), RECORD_FRAME),
                                make(1, 2, AT(0, 2), RECORD_FRAME),
                                make(1, 3, AT(1, 3), RECORD_FRAME)};
    work(1);
    model.refuse_append = true;
    put_all(STREAM_TRADE, records, 3);
    put(STREAM_CONTROL, 1, 1, AT(0, 1));
    work(30);
    assert_true(state_now().paused);
    assert_true(model.refused > 0 && model.refused < 12); /* not at every turn */
    assert_int_equal(state_now().controls, 1);
    model.refuse_append = false;
    work(10);
    assert_false(state_now().paused);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 1.2.1 ");
}

static void a_file_that_cannot_be_made_is_tried_again_and_moves_no_place(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(1, 1));
    model.fail_next = true;
    work(4);
    assert_int_equal(model.lake_count, 0);
    assert_string_equal(model.committed[STREAM_TRADE].text, "");
    work(30);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 ");
    assert_string_equal(model.committed[STREAM_TRADE].text, "1");
}

static void a_place_that_cannot_be_saved_is_not_committed(void **state)
{
    (void)state;
    model.place_broken = true;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(1, 1));
    work(30);
    assert_string_equal(model.committed[STREAM_TRADE].text, "");
    assert_true(state_now().saves_failed > 0);
    model.place_broken = false;
    work(20);
    assert_string_equal(model.committed[STREAM_TRADE].text, "1");
}

static void a_broken_place_begins_at_the_oldest_entry(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(1, 1));
    work(30);
    model.place[20] ^= 1;
    crash();
    put(STREAM_TRADE, 1, 3, AT(2, 1));
    work(30);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 ");
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 1), "1.2.1 ");
}

static void a_late_control_joins_its_block_also_after_a_restart(void **state)
{
    (void)state;
    put(STREAM_DEPTH, 1, 1, AT(0, 1));
    put(STREAM_CONTROL, 1, 1, AT(0, 1));
    put(STREAM_DEPTH, 1, 2, AT(1, 9));
    work(10);
    assert_string_equal(rows(ARCHIVE_CONTROL, 1, 0, 0), "");
    put(STREAM_DEPTH, 1, 3, AT(1, 11));
    work(10);
    assert_string_equal(rows(ARCHIVE_CONTROL, 1, 0, 0), "1.1.3 ");
    crash();
    struct record hole = make(1, 1, AT(0, 2), RECORD_HOLE);
    put_all(STREAM_CONTROL, &hole, 1);
    put_all(STREAM_CONTROL, &hole, 1); /* both aggregators said so */
    work(20);
    assert_string_equal(rows(ARCHIVE_CONTROL, 1, 0, 0), "1.1.3 1.1.4 ");
    /* In the end it is forgotten, and its place goes on. */
    put(STREAM_DEPTH, 1, 4, AT(6, 1));
    work(30);
    assert_string_equal(model.committed[STREAM_CONTROL].text, "3");
}

static void a_new_epoch_ends_the_old_ones_blocks(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_DEPTH, 1, 2, AT(0, 2));
    work(3);
    put(STREAM_DEPTH, 5, 1, AT(0, 20));
    work(10);
    assert_string_equal(rows(ARCHIVE_DEPTH, 1, 0, 0), "1.2.2 ");
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "");
    put(STREAM_DEPTH, 5, 2, AT(1, 11));
    work(10);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 ");
}

static void junk_and_foreign_records_are_counted_and_skipped(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    model.streams[STREAM_TRADE].entries[0].data[30] ^= 1;
    struct record anchor = make(1, 1, AT(0, 1), RECORD_ANCHOR);
    put_all(STREAM_TRADE, &anchor, 1);
    put(STREAM_TRADE, 1, 2, AT(0, 1));
    put(STREAM_TRADE, 1, 3, AT(1, 1));
    work(10);
    assert_int_equal(state_now().malformed, 2);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.2.1 ");
}

static void a_receive_time_that_falls_back_reaches_no_finished_block(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(1, 1));
    work(10);
    put(STREAM_TRADE, 1, 3, AT(0, 30));
    put(STREAM_TRADE, 1, 4, AT(2, 1));
    work(10);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 ");
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 1), "1.2.1 1.3.1 ");
}

static void the_end_writes_what_is_open_and_the_next_start_builds_it_again(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(1, 1));
    put(STREAM_CONTROL, 1, 2, AT(1, 1));
    work(10);
    bool durable = false;
    for (int i = 0; i < 20 && !durable; i++) {
        mono_us += 1000;
        archive_work(NULL, mono_us);
        durable = archiver_flush(archiver, (struct clock_now){.mono_us = mono_us});
    }
    assert_true(durable);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 1), "1.2.1 ");
    assert_string_equal(rows(ARCHIVE_CONTROL, 1, 0, 1), "1.2.3 ");
    crash();
    put(STREAM_TRADE, 1, 3, AT(1, 2));
    put(STREAM_TRADE, 1, 4, AT(2, 2));
    work(30);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 1), "1.2.1 1.3.1 ");
}

static void controls_that_are_read_behind_the_data_stay_together(void **state)
{
    (void)state;
    model.batch = 1;
    for (uint64_t seq = 1; seq <= 60; seq++)
        put(STREAM_TRADE, 1, seq, AT(seq == 1 ? 0 : 10, 1));
    put(STREAM_CONTROL, 1, 1, AT(0, 1));
    for (uint64_t seq = 2; seq < 40; seq++)
        put(STREAM_CONTROL, 1, seq, AT(10, 1));
    struct record late = make(1, 1, AT(0, 1), RECORD_HOLE);
    put_all(STREAM_CONTROL, &late, 1);
    work(200);
    assert_string_equal(rows(ARCHIVE_CONTROL, 1, 0, 0), "1.1.3 1.1.4 ");
}

/* As a Redis that kept nothing: what was in the streams is gone, they begin anew. */
static void wipe(void)
{
    for (int i = 0; i < STREAM_COUNT; i++)
        model.streams[i].first = model.streams[i].next = model.streams[i].count;
}

static void what_the_streams_lost_comes_from_the_journal(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_DEPTH, 1, 2, AT(0, 2));
    put(STREAM_CONTROL, 1, 2, AT(0, 2));
    work(3);
    wipe();
    crash();
    put(STREAM_TRADE, 1, 3, AT(0, 3));
    put(STREAM_TRADE, 1, 4, AT(1, 20));
    put(STREAM_DEPTH, 1, 5, AT(1, 21));
    work(30);
    assert_int_equal(state_now().recovered, 3);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 1.3.1 ");
    assert_string_equal(rows(ARCHIVE_DEPTH, 1, 0, 0), "1.2.2 ");
    assert_string_equal(rows(ARCHIVE_CONTROL, 1, 0, 0), "1.2.3 ");
    assert_int_equal(state_now().holes, 0);
}

static void without_a_journal_what_the_streams_lost_is_lost(void **state)
{
    (void)state;
    model.journal_off = true;
    crash();
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    work(3);
    wipe();
    crash();
    put(STREAM_TRADE, 1, 2, AT(0, 2));
    put(STREAM_TRADE, 1, 3, AT(1, 2));
    work(30);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.2.1 ");
}

/* What the stop wrote of an open block is written again with more, never with less. */
static void a_stop_and_a_wipe_leave_the_block_as_rich_as_it_was(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    work(3);
    for (int i = 0; i < 20; i++) {
        archive_work(NULL, ++mono_us);
        archiver_flush(archiver, (struct clock_now){.mono_us = mono_us});
    }
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 ");
    wipe();
    crash();
    put(STREAM_TRADE, 1, 2, AT(0, 2));
    put(STREAM_TRADE, 1, 3, AT(1, 2));
    work(30);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 1.2.1 ");
}

static void durable_blocks_leave_the_journal(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(1, 1));
    model.place_broken = true;
    work(30);
    assert_int_equal(model.lake_count, 1);
    assert_int_equal(model.journal_count, 2); /* a restart would build the block again */
    model.place_broken = false;
    work(20);
    assert_int_equal(model.journal_count, 1);
    assert_int_equal(model.journal[0].record.seq, 2);
}

static void a_journal_that_refuses_stops_the_reading_and_nothing_comes_twice(void **state)
{
    (void)state;
    work(1);
    model.journal_refuses = true;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    work(20);
    assert_true(state_now().paused);
    model.journal_refuses = false;
    model.refuse_append = true; /* the journal has it, the archive not yet */
    work(20);
    assert_int_equal(model.journal_count, 1);
    model.refuse_append = false;
    put(STREAM_TRADE, 1, 2, AT(1, 1));
    work(20);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 ");
    assert_int_equal(state_now().records, 2);
}

/* A journal that is larger than the room there is now waits for it with nothing lost. */
static void a_recovery_without_room_goes_on_when_there_is(void **state)
{
    (void)state;
    put(STREAM_TRADE, 1, 1, AT(0, 1));
    put(STREAM_TRADE, 1, 2, AT(0, 2));
    work(3);
    wipe();
    model.refuse_append = true;
    crash();
    work(30);
    assert_true(state_now().recovering);
    assert_false(state_now().following);
    assert_int_equal(model.journal_count, 2);
    model.refuse_append = false;
    put(STREAM_TRADE, 1, 3, AT(1, 1));
    work(30);
    assert_string_equal(rows(ARCHIVE_TRADES, 1, 0, 0), "1.1.1 1.2.1 ");
}

/* A random world, delivered in random pieces with crashes, refusals and failures at random:
 * the lake is the one that an undisturbed archiver would have made. */
static void any_order_of_crashes_and_failures_gives_the_same_lake(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct prng prng;
        teardown(NULL);
        setup(NULL);
        prng_init(&prng, seed);
        uint64_t seq = 0;
        int64_t recv_us = AT(0, 0);
        int crashes = 0, wipes = 0, expected = 0;
        for (int i = 0; i < 400; i++) {
            struct record records[6];
            const enum stream_name stream = (enum stream_name)(prng_u64(&prng) % 3);
            const int count = 1 + (int)(prng_u64(&prng) % 6);
            for (int k = 0; k < count; k++) {
                recv_us += (int64_t)(prng_u64(&prng) % 1000000);
                records[k] =
                    make(3, ++seq, recv_us, stream == STREAM_DEPTH ? RECORD_TICK : RECORD_FRAME);
            }
            put_all(stream, records, count);
            expected += count;
            model.batch = 1 + (int)(prng_u64(&prng) % 8);
            model.refuse_append = prng_u64(&prng) % 20 == 0;
            model.journal_refuses = prng_u64(&prng) % 20 == 0;
            model.fail_next = prng_u64(&prng) % 10 == 0;
            model.hold = prng_u64(&prng) % 4 == 0;
            work(1 + (int)(prng_u64(&prng) % 3));
            if (prng_u64(&prng) % 40 == 0) {
                crash();
                crashes++;
            }
            /* The streams are wiped only when all was read: what nobody had read is lost. */
            if (prng_u64(&prng) % 30 == 0) {
                model.refuse_append = model.journal_refuses = false;
                work(600);
                wipe();
                wipes++;
                if (prng_u64(&prng) % 2 == 0)
                    crash();
            }
        }
        model.refuse_append = model.journal_refuses = model.fail_next = model.hold = false;
        model.batch = 64;
        for (int i = 0; i < 3; i++)
            put((enum stream_name)i, 3, ++seq, AT(30, i));
        work(60);
        int total = 0;
        for (int i = 0; i < model.lake_count; i++)
            total += model.lake[i].row_count;
        assert_int_equal(total, expected);
        assert_int_equal(state_now().holes, 0);
        assert_true(crashes > 0 && wipes > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_block_is_written_when_its_stream_goes_on),
        T(a_quiet_streams_block_is_whole_when_every_number_is_in),
        T(a_hole_is_counted_once_with_its_size_and_holds_nothing_up),
        T(what_comes_twice_is_there_once),
        T(an_entry_over_two_minutes_is_split_and_read_again_by_a_restart),
        T(without_room_reading_stops_and_goes_on_where_it_was),
        T(a_file_that_cannot_be_made_is_tried_again_and_moves_no_place),
        T(a_place_that_cannot_be_saved_is_not_committed),
        T(a_broken_place_begins_at_the_oldest_entry),
        T(a_late_control_joins_its_block_also_after_a_restart),
        T(a_new_epoch_ends_the_old_ones_blocks),
        T(junk_and_foreign_records_are_counted_and_skipped),
        T(a_receive_time_that_falls_back_reaches_no_finished_block),
        T(the_end_writes_what_is_open_and_the_next_start_builds_it_again),
        T(controls_that_are_read_behind_the_data_stay_together),
        T(what_the_streams_lost_comes_from_the_journal),
        T(without_a_journal_what_the_streams_lost_is_lost),
        T(a_stop_and_a_wipe_leave_the_block_as_rich_as_it_was),
        T(durable_blocks_leave_the_journal),
        T(a_journal_that_refuses_stops_the_reading_and_nothing_comes_twice),
        T(a_recovery_without_room_goes_on_when_there_is),
        T(any_order_of_crashes_and_failures_gives_the_same_lake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
