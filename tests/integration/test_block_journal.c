/* The journal of open blocks on a real disk: what was flushed is there for the next process, in
 * order, whatever happened to the end of a file. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/lake/block_journal.h"
#include "learn/lake/bronze_key.h"
#include "wire/capture.h"

#define SYMBOL "BTCUSDT"

static char folder[64];
static struct block_journal *journal;
static struct archive_journal_port port;

static void start(void)
{
    struct block_journal_options options = {.folder = folder, .symbol = SYMBOL};
    struct err err = {0};
    if (block_journal_open(&options, &journal, &err) != ERR_OK)
        fail_msg("%s", err.text);
    port = block_journal_port(journal);
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/btcast-journal-XXXXXX");
    assert_non_null(mkdtemp(folder));
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[96];
    block_journal_close(journal);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static void restart(void)
{
    block_journal_close(journal);
    start();
}

static struct archive_block block(enum archive_kind kind, int64_t minute)
{
    return (struct archive_block){
        .kind = kind, .symbol = SYMBOL, .epoch = 7, .block = 0, .minute = 29394000 + minute};
}

static int put(enum archive_kind kind, int64_t minute, uint64_t seq, struct bytes payload)
{
    const struct archive_block identity = block(kind, minute);
    struct record record = {.epoch = 7,
                            .seq = seq,
                            .recv_us = identity.minute * BRONZE_KEY_MINUTE_US,
                            .kind = RECORD_FRAME,
                            .flags = 2,
                            .payload = payload};
    return port.append(port.self, &identity, &record);
}

/* "kind:seq " of what the journal has, read to its end. */
static const char *found(void)
{
    static char text[4096];
    enum archive_kind kind;
    struct record record;
    text[0] = '\0';
    while (port.next(port.self, &kind, &record) == ERR_OK)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s:%llu ",
                 bronze_key_kind_text(kind), (unsigned long long)record.seq);
    return text;
}

static void path_of(enum archive_kind kind, int64_t minute, char *out)
{
    const struct archive_block identity = block(kind, minute);
    snprintf(out, 256, "%s/%s_7-0_%lld.btc", folder, bronze_key_kind_text(kind),
             (long long)identity.minute);
}

static void records_come_back_by_kind_in_their_order(void **state)
{
    (void)state;
    assert_int_equal(put(ARCHIVE_BBA, 0, 1, BYTES_LITERAL("a")), ERR_OK);
    assert_int_equal(put(ARCHIVE_TRADES, 1, 3, BYTES_LITERAL("b")), ERR_OK);
    assert_int_equal(put(ARCHIVE_BBA, 0, 2, BYTES_LITERAL("c")), ERR_OK);
    assert_int_equal(put(ARCHIVE_TRADES, 2, 4, BYTES_LITERAL("d")), ERR_OK);
    restart();
    assert_string_equal(found(), "trades:3 trades:4 bba:1 bba:2 ");
    /* It goes on where it was. */
    assert_int_equal(put(ARCHIVE_TRADES, 2, 5, BYTES_LITERAL("e")), ERR_OK);
    restart();
    assert_string_equal(found(), "trades:3 trades:4 trades:5 bba:1 bba:2 ");
}

static void what_was_flushed_outlives_a_kill_and_nothing_of_it_is_changed(void **state)
{
    (void)state;
    enum archive_kind kind;
    struct record record;
    uint8_t payload[3000];
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 7);
    pid_t child = fork();
    if (child == 0) {
        for (uint64_t seq = 1; seq <= 900; seq++) /* over the buffer's size */
            if (put(ARCHIVE_DEPTH, 0, seq, bytes_of(payload, sizeof(payload))) != ERR_OK)
                _exit(1);
        if (port.flush(port.self) != ERR_OK)
            _exit(1);
        (void)!put(ARCHIVE_DEPTH, 0, 901, bytes_of(payload, 5));
        raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    restart();
    for (uint64_t seq = 1; seq <= 900; seq++) {
        assert_int_equal(port.next(port.self, &kind, &record), ERR_OK);
        assert_int_equal(record.seq, seq);
        assert_int_equal(record.flags, 2);
        assert_int_equal(record.payload.size, sizeof(payload));
        assert_memory_equal(record.payload.data, payload, sizeof(payload));
    }
    assert_int_equal(port.next(port.self, &kind, &record), ERR_EMPTY);
}

static void settled_and_forgotten_blocks_go_and_their_bytes_with_them(void **state)
{
    (void)state;
    for (int64_t minute = 0; minute < 3; minute++)
        assert_int_equal(put(ARCHIVE_TRADES, minute, (uint64_t)minute + 1, BYTES_LITERAL("a")),
                         ERR_OK);
    assert_int_equal(put(ARCHIVE_CONTROL, 0, 1, BYTES_LITERAL("c")), ERR_OK);
    assert_int_equal(port.flush(port.self), ERR_OK);
    const uint64_t each = CAPTURE_HEADER_SIZE + CAPTURE_OVERHEAD + 1;
    assert_int_equal(block_journal_bytes(journal), 4 * each);
    port.settle(port.self, ARCHIVE_TRADES, 7, 2);
    assert_int_equal(block_journal_bytes(journal), 2 * each);
    const struct archive_block control = block(ARCHIVE_CONTROL, 0);
    port.forget(port.self, &control);
    assert_int_equal(block_journal_bytes(journal), each);
    restart();
    assert_string_equal(found(), "trades:3 ");
    port.settle(port.self, ARCHIVE_TRADES, 7, 3);
    assert_int_equal(block_journal_bytes(journal), 0);
}

static void
a_cut_or_damaged_end_is_cut_off_and_the_next_record_follows_the_last_good_one(void **state)
{
    (void)state;
    char path[256];
    struct stat status;
    for (uint64_t seq = 1; seq <= 3; seq++)
        assert_int_equal(put(ARCHIVE_BBA, 0, seq, BYTES_LITERAL("payload")), ERR_OK);
    assert_int_equal(port.flush(port.self), ERR_OK);
    path_of(ARCHIVE_BBA, 0, path);
    assert_int_equal(stat(path, &status), 0);
    const off_t record = CAPTURE_OVERHEAD + 7;
    assert_int_equal(truncate(path, status.st_size - 5), 0); /* cut inside of the third */
    restart();
    assert_string_equal(found(), "bba:1 bba:2 ");
    assert_int_equal(block_journal_counters(journal)->cut_bytes, record - 5);
    assert_int_equal(put(ARCHIVE_BBA, 0, 4, BYTES_LITERAL("payload")), ERR_OK);
    restart();
    assert_string_equal(found(), "bba:1 bba:2 bba:4 ");
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\xff", 1, status.st_size - 2 * record + 20), 1);
    close(fd);
    restart();
    assert_string_equal(found(), "bba:1 ");
    assert_int_equal(block_journal_bytes(journal), CAPTURE_HEADER_SIZE + record);
}

static void files_that_are_nothing_are_left_alone_or_removed(void **state)
{
    (void)state;
    char path[256];
    path_of(ARCHIVE_BBA, 3, path);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, "junk", 4), 4);
    close(fd);
    path_of(ARCHIVE_BBA, 4, path);
    close(open(path, O_WRONLY | O_CREAT, 0644)); /* killed before its head was written */
    char foreign[256];
    snprintf(foreign, sizeof(foreign), "%s/notes.txt", folder);
    close(open(foreign, O_WRONLY | O_CREAT, 0644));
    restart();
    assert_string_equal(found(), "");
    assert_int_equal(block_journal_bytes(journal), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(access(foreign, F_OK), 0);
}

static void a_disk_that_refuses_keeps_what_was_written_and_takes_the_rest_later(void **state)
{
    (void)state;
    struct rlimit before, limit;
    assert_int_equal(put(ARCHIVE_TRADES, 0, 1, BYTES_LITERAL("first")), ERR_OK);
    assert_int_equal(port.flush(port.self), ERR_OK);
    const uint64_t written = block_journal_bytes(journal);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = written + 10; /* half a record fits */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(put(ARCHIVE_TRADES, 0, 2, BYTES_LITERAL("second")), ERR_OK);
    int refused = port.flush(port.self);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(refused, ERR_AGAIN);
    assert_int_equal(block_journal_bytes(journal), written);
    assert_int_equal(block_journal_counters(journal)->failures, 1);
    assert_int_equal(port.flush(port.self), ERR_OK);
    restart();
    assert_string_equal(found(), "trades:1 trades:2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(records_come_back_by_kind_in_their_order),
        T(what_was_flushed_outlives_a_kill_and_nothing_of_it_is_changed),
        T(settled_and_forgotten_blocks_go_and_their_bytes_with_them),
        T(a_cut_or_damaged_end_is_cut_off_and_the_next_record_follows_the_last_good_one),
        T(files_that_are_nothing_are_left_alone_or_removed),
        T(a_disk_that_refuses_keeps_what_was_written_and_takes_the_rest_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
