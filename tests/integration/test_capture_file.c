/* Capture files, line files and the spool on a real disk. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/prng.h"
#include "edge/file/capture_writer.h"
#include "edge/file/line_reader.h"
#include "edge/file/spool_file.h"
#include "tests/lib/temp_dir.h"

struct fixture {
    char folder[TEMP_DIR_SIZE];
    char path[TEMP_DIR_SIZE + 32];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    temp_dir_make(fixture->folder);
    snprintf(fixture->path, sizeof(fixture->path), "%s/a.cap", fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    temp_dir_remove(fixture->folder);
    free(fixture);
    return 0;
}

static struct capture_writer *open_writer(struct fixture *fixture, int64_t bytes_max)
{
    struct capture_writer *writer = NULL;
    struct err err = {0};
    struct capture_writer_options options = {
        .path = fixture->path, .header = {.symbol = "BTCUSDT"}, .bytes_max = bytes_max};
    if (capture_writer_open(&options, 0, &writer, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return writer;
}

static void add(struct capture_writer *writer, uint8_t kind, uint64_t epoch, uint64_t seq,
                const char *payload)
{
    struct record record = {.epoch = epoch,
                            .seq = seq,
                            .recv_us = (int64_t)seq * 1000,
                            .kind = kind,
                            .payload = bytes_text(payload)};
    assert_int_equal(capture_writer_add(writer, &record, 0, NULL), ERR_OK);
}

static struct capture_file *open_file(struct fixture *fixture)
{
    struct capture_file *file = NULL;
    struct err err = {0};
    if (capture_file_open(fixture->path, &file, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return file;
}

/* The order of a file as "kind:seq " words. */
static void read_order(struct capture_file *file, char *out, size_t size)
{
    struct record record;
    size_t used = 0;
    out[0] = '\0';
    while (capture_file_next(file, &record) == ERR_OK)
        used += (size_t)snprintf(out + used, size - used, "%d:%llu ", record.kind,
                                 (unsigned long long)record.seq);
}

static void capture_file_puts_controls_right_after_their_record(void **state)
{
    struct fixture *fixture = *state;
    char order[256];
    struct capture_writer *writer = open_writer(fixture, 0);
    add(writer, RECORD_FRAME, 7, 1, "a");
    add(writer, RECORD_TICK, 7, 2, "");
    add(writer, RECORD_FRAME, 7, 3, "b");
    add(writer, RECORD_FRAME, 8, 1, "c");
    add(writer, RECORD_ANCHOR, 7, 2, "late");
    add(writer, RECORD_HOLE, 8, 1, "end");
    add(writer, RECORD_ANCHOR, 7, 0, "first");
    assert_int_equal(capture_writer_close(writer, NULL), ERR_OK);
    struct capture_file *file = open_file(fixture);
    assert_string_equal(capture_file_header(file)->symbol, "BTCUSDT");
    assert_int_equal(capture_file_counters(file)->records, 7);
    assert_int_equal(capture_file_counters(file)->controls, 3);
    for (int round = 0; round < 2; round++) {
        read_order(file, order, sizeof(order));
        assert_string_equal(order, "3:0 1:1 2:2 3:2 1:3 1:1 4:1 ");
        capture_file_rewind(file);
    }
    capture_file_close(file);
}

static void capture_file_delivers_once_what_a_restarted_recorder_brought_twice(void **state)
{
    struct fixture *fixture = *state;
    char order[256];
    for (int round = 0; round < 2; round++) {
        struct capture_writer *writer = open_writer(fixture, 0);
        for (uint64_t seq = 1; seq <= 2 + (uint64_t)round; seq++)
            add(writer, RECORD_FRAME, 7, seq, "a");
        add(writer, RECORD_ANCHOR, 7, 1, "anchor");
        assert_int_equal(capture_writer_close(writer, NULL), ERR_OK);
    }
    struct capture_file *file = open_file(fixture);
    read_order(file, order, sizeof(order));
    assert_string_equal(order, "1:1 3:1 1:2 1:3 ");
    capture_file_close(file);
}

static void capture_file_ends_quietly_at_a_cut_tail(void **state)
{
    struct fixture *fixture = *state;
    char order[256];
    struct stat status;
    struct capture_writer *writer = open_writer(fixture, 0);
    add(writer, RECORD_FRAME, 7, 1, "a");
    add(writer, RECORD_FRAME, 7, 2, "second");
    assert_int_equal(capture_writer_close(writer, NULL), ERR_OK);
    assert_int_equal(stat(fixture->path, &status), 0);
    for (off_t cut = 1; cut < CAPTURE_OVERHEAD + 6; cut++) {
        assert_int_equal(truncate(fixture->path, status.st_size - cut), 0);
        struct capture_file *file = open_file(fixture);
        read_order(file, order, sizeof(order));
        assert_string_equal(order, "1:1 ");
        assert_int_equal(capture_file_counters(file)->corrupt, 0);
        capture_file_close(file);
    }
}

static void capture_file_loses_only_what_damage_hits(void **state)
{
    struct fixture *fixture = *state;
    char order[256];
    struct capture_writer *writer = open_writer(fixture, 0);
    for (uint64_t seq = 1; seq <= 3; seq++)
        add(writer, RECORD_FRAME, 7, seq, "payload");
    assert_int_equal(capture_writer_close(writer, NULL), ERR_OK);
    int fd = open(fixture->path, O_RDWR);
    const off_t second = CAPTURE_HEADER_SIZE + CAPTURE_OVERHEAD + 7 + 42;
    assert_int_equal(pwrite(fd, "X", 1, second), 1);
    close(fd);
    struct capture_file *file = open_file(fixture);
    read_order(file, order, sizeof(order));
    assert_string_equal(order, "1:1 1:3 ");
    assert_int_equal(capture_file_counters(file)->corrupt, 1);
    capture_file_close(file);
}

static void capture_files_are_rotated_and_read_as_one(void **state)
{
    struct fixture *fixture = *state;
    struct record record;
    struct capture_writer *writer = open_writer(fixture, 4096);
    for (uint64_t seq = 1; seq <= 500; seq++)
        add(writer, RECORD_FRAME, 7, seq, "something to fill the file with");
    assert_true(capture_writer_counters(writer)->files > 5);
    assert_int_equal(capture_writer_close(writer, NULL), ERR_OK);
    /* A restarted recorder takes the next free name. */
    writer = open_writer(fixture, 4096);
    assert_null(strstr(capture_writer_path(writer), "a.cap.0001"));
    add(writer, RECORD_FRAME, 8, 1, "again");
    add(writer, RECORD_ANCHOR, 7, 250, "of an earlier file");
    assert_int_equal(capture_writer_close(writer, NULL), ERR_OK);
    struct capture_file *file = open_file(fixture);
    uint64_t count = 0, anchor_at = 0, last = 0;
    while (capture_file_next(file, &record) == ERR_OK) {
        count++;
        if (record.kind == RECORD_ANCHOR)
            anchor_at = last;
        last = record.seq;
    }
    assert_int_equal(count, 502);
    assert_int_equal(anchor_at, 250);
    capture_file_close(file);
}

static void capture_writer_rotates_by_age_and_flushes_by_time(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    struct record record = {.epoch = 1, .seq = 1, .kind = RECORD_TICK};
    struct capture_writer *writer = open_writer(fixture, 0);
    assert_int_equal(capture_writer_add(writer, &record, 0, NULL), ERR_OK);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_size, CAPTURE_HEADER_SIZE);
    assert_int_equal(capture_writer_do_work(writer, CAPTURE_WRITER_FLUSH_US, NULL), ERR_OK);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_size, CAPTURE_HEADER_SIZE + CAPTURE_OVERHEAD);
    assert_int_equal(capture_writer_do_work(writer, CAPTURE_WRITER_SYNC_US_DEFAULT, NULL), ERR_OK);
    assert_int_equal(capture_writer_counters(writer)->syncs, 1);
    assert_int_equal(capture_writer_add(writer, &record, CAPTURE_WRITER_AGE_US_DEFAULT, NULL),
                     ERR_OK);
    assert_int_equal(capture_writer_counters(writer)->files, 2);
    assert_int_equal(capture_writer_close(writer, NULL), ERR_OK);
}

static void capture_writer_names_the_file_it_cannot_create(void **state)
{
    struct capture_writer *writer = NULL;
    struct err err = {0};
    struct capture_writer_options options = {.path = "/no/such/folder/x",
                                             .header = {.symbol = "BTCUSDT"}};
    (void)state;
    assert_int_equal(capture_writer_open(&options, 0, &writer, &err), ERR_IO);
    assert_non_null(strstr(err.text, "/no/such/folder/x"));
}

static void capture_file_refuses_what_is_no_capture(void **state)
{
    struct fixture *fixture = *state;
    struct capture_file *file = NULL;
    struct err err = {0};
    assert_int_equal(capture_file_open(fixture->path, &file, &err), ERR_NOT_FOUND);
    assert_false(capture_file_is(fixture->path));
    FILE *out = fopen(fixture->path, "w");
    for (int i = 0; i < 100; i++)
        fputs("not a capture\n", out);
    fclose(out);
    assert_false(capture_file_is(fixture->path));
    assert_int_equal(capture_file_open(fixture->path, &file, &err), ERR_MALFORMED);
    assert_non_null(strstr(err.text, fixture->path));
    assert_int_equal(truncate(fixture->path, 3), 0);
    assert_int_equal(capture_file_open(fixture->path, &file, &err), ERR_MALFORMED);
    assert_int_equal(capture_file_open(fixture->folder, &file, &err), ERR_MALFORMED);
}

static void write_lines(const char *path, bool compressed)
{
    char *large = malloc(LINE_READER_LINE_MAX + 10);
    memset(large, 'x', LINE_READER_LINE_MAX + 9);
    large[LINE_READER_LINE_MAX + 9] = '\0';
    gzFile file = gzopen(path, compressed ? "wb" : "wbT");
    for (int i = 0; i < 20000; i++)
        gzprintf(file, "line %d%s", i, i % 2 ? "\r\n" : "\n");
    gzputs(file, large);
    gzputs(file, "\n\nlast");
    gzclose(file);
    free(large);
}

static void check_lines(const char *path)
{
    struct line_reader *reader = NULL;
    struct bytes line;
    char text[32];
    assert_int_equal(line_reader_open(path, &reader, NULL), ERR_OK);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(line_reader_next(reader, &line, NULL), ERR_OK);
        int size = snprintf(text, sizeof(text), "line %d", i);
        assert_int_equal(line.size, size);
        assert_memory_equal(line.data, text, (size_t)size);
    }
    assert_int_equal(line_reader_next(reader, &line, NULL), ERR_OK);
    assert_int_equal(line.size, 0);
    assert_int_equal(line_reader_next(reader, &line, NULL), ERR_OK);
    assert_int_equal(line.size, 4);
    assert_int_equal(line_reader_next(reader, &line, NULL), ERR_EMPTY);
    assert_int_equal(line_reader_oversize(reader), 1);
    line_reader_close(reader);
}

static void line_reader_reads_plain_and_compressed_files(void **state)
{
    struct fixture *fixture = *state;
    for (int compressed = 0; compressed < 2; compressed++) {
        write_lines(fixture->path, compressed == 1);
        check_lines(fixture->path);
    }
}

static void line_reader_tells_of_a_cut_archive(void **state)
{
    struct fixture *fixture = *state;
    struct line_reader *reader = NULL;
    struct bytes line;
    struct stat status;
    struct err err = {0};
    int result;
    write_lines(fixture->path, true);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(truncate(fixture->path, status.st_size / 2), 0);
    assert_int_equal(line_reader_open(fixture->path, &reader, NULL), ERR_OK);
    while ((result = line_reader_next(reader, &line, &err)) == ERR_OK)
        continue;
    assert_int_equal(result, ERR_CORRUPT);
    line_reader_close(reader);
    assert_int_equal(line_reader_open("/no/such/file", &reader, &err), ERR_IO);
}

static void append(struct spool_file *spool, uint64_t seq, size_t size, uint64_t *dropped)
{
    static uint8_t data[SPOOL_FILE_ENTRY_MAX];
    const struct spool_port *port = spool_file_port(spool);
    bytes_store_u64(data, seq);
    struct stream_record record = {STREAM_DEPTH, 5, seq, bytes_of(data, size)};
    assert_int_equal(port->append(port->self, &record, dropped), ERR_OK);
}

static void expect(struct spool_file *spool, uint64_t seq, uint64_t *dropped)
{
    const struct spool_port *port = spool_file_port(spool);
    struct stream_record record;
    assert_int_equal(port->read(port->self, &record, dropped), ERR_OK);
    assert_int_equal(record.last_seq, seq);
    assert_int_equal(record.epoch, 5);
    assert_int_equal(record.stream, STREAM_DEPTH);
    assert_int_equal(bytes_load_u64(record.data.data), seq);
}

static struct spool_file *open_spool(struct fixture *fixture)
{
    struct spool_file *spool = NULL;
    struct err err = {0};
    if (spool_file_open(fixture->path, SPOOL_FILE_BYTES_MIN, &spool, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return spool;
}

static void spool_file_gives_back_in_order_what_it_was_given(void **state)
{
    struct fixture *fixture = *state;
    struct spool_file *spool = open_spool(fixture);
    const struct spool_port *port = spool_file_port(spool);
    struct stream_record record;
    struct prng prng;
    uint64_t dropped = 0, in = 0, out = 0;
    prng_init(&prng, 3);
    for (int i = 0; i < 4000; i++) {
        if (prng_below(&prng, 2) == 0 || out == in) {
            append(spool, ++in, 8 + prng_below(&prng, 30000), &dropped);
        } else {
            expect(spool, ++out, &dropped);
            port->remove(port->self, 1);
        }
        assert_int_equal(port->count(port->self), in - out);
    }
    port->remove(port->self, in - out);
    assert_int_equal(port->read(port->self, &record, &dropped), ERR_EMPTY);
    assert_int_equal(spool_file_bytes(spool), 0);
    assert_int_equal(dropped, 0);
    spool_file_close(spool);
}

static void spool_file_drops_its_oldest_when_full(void **state)
{
    struct fixture *fixture = *state;
    struct spool_file *spool = open_spool(fixture);
    const struct spool_port *port = spool_file_port(spool);
    uint64_t dropped = 0;
    for (uint64_t seq = 1; seq <= 40; seq++)
        append(spool, seq, 1000000, &dropped);
    assert_true(dropped > 0);
    assert_int_equal(port->count(port->self), 40 - dropped);
    assert_true(spool_file_bytes(spool) <= SPOOL_FILE_BYTES_MIN);
    for (uint64_t seq = dropped + 1; seq <= 40; seq++) {
        expect(spool, seq, &dropped);
        port->remove(port->self, 1);
    }
    spool_file_close(spool);
}

static void spool_file_finds_what_a_killed_process_left(void **state)
{
    struct fixture *fixture = *state;
    struct spool_file *spool = open_spool(fixture);
    uint64_t dropped = 0;
    char path[256];
    for (uint64_t seq = 1; seq <= 12; seq++)
        append(spool, seq, 1000000, &dropped);
    spool_file_close(spool);
    /* The last entry was half written. */
    snprintf(path, sizeof(path), "%s/spool-%012d", fixture->path, 2);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 1), 0);
    spool = open_spool(fixture);
    const struct spool_port *port = spool_file_port(spool);
    assert_int_equal(spool_file_newest_epoch(spool), 5);
    assert_int_equal(port->count(port->self), 11);
    append(spool, 100, 50, &dropped);
    for (uint64_t seq = 1; seq <= 11; seq++) {
        expect(spool, seq, &dropped);
        port->remove(port->self, 1);
    }
    expect(spool, 100, &dropped);
    assert_int_equal(dropped, 0);
    spool_file_close(spool);
}

static void spool_file_counts_what_damage_took(void **state)
{
    struct fixture *fixture = *state;
    struct spool_file *spool = open_spool(fixture);
    const struct spool_port *port = spool_file_port(spool);
    struct stream_record record;
    uint64_t dropped = 0;
    char path[256];
    for (uint64_t seq = 1; seq <= 10; seq++)
        append(spool, seq, 1000000, &dropped);
    snprintf(path, sizeof(path), "%s/spool-%012d", fixture->path, 1);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "damage", 6, 2000100), 6);
    close(fd);
    expect(spool, 1, &dropped);
    port->remove(port->self, 1);
    expect(spool, 2, &dropped);
    port->remove(port->self, 1);
    assert_int_equal(port->read(port->self, &record, &dropped), ERR_OK);
    assert_int_equal(record.last_seq, dropped + 3);
    assert_true(dropped > 0);
    spool_file_close(spool);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(capture_file_puts_controls_right_after_their_record),
        TEST(capture_file_delivers_once_what_a_restarted_recorder_brought_twice),
        TEST(capture_file_ends_quietly_at_a_cut_tail),
        TEST(capture_file_loses_only_what_damage_hits),
        TEST(capture_files_are_rotated_and_read_as_one),
        TEST(capture_writer_rotates_by_age_and_flushes_by_time),
        TEST(capture_writer_names_the_file_it_cannot_create),
        TEST(capture_file_refuses_what_is_no_capture),
        TEST(line_reader_reads_plain_and_compressed_files),
        TEST(line_reader_tells_of_a_cut_archive),
        TEST(spool_file_gives_back_in_order_what_it_was_given),
        TEST(spool_file_drops_its_oldest_when_full),
        TEST(spool_file_finds_what_a_killed_process_left),
        TEST(spool_file_counts_what_damage_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
