/* The file behind the REST view: one writer, readers that never see half an image.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/file/progress_file.h"
#include "edge/file/view_file.h"
#include "lib/temp_dir.h"

static char folder[TEMP_DIR_SIZE];

static int make(void **state)
{
    (void)state;
    temp_dir_make(folder);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static struct rest_view view_of(int64_t number)
{
    struct rest_view view = {.symbol = "BTCUSDT",
                             .received_us = 1 + number,
                             .last_update_id = number,
                             .price_exponent = -8,
                             .qty_exponent = -8,
                             .best_bid = 100 + number,
                             .best_ask = 102 + number,
                             .mid2 = 202 + 2 * number,
                             .has_vector = true,
                             .schema = feature_schema_hash(),
                             .as_of_us = number,
                             .slot_mid_count = WORLD_SLOT_MIDS};
    for (int i = 0; i < FEATURE_COUNT; i++)
        view.values[i] = (float)(number % 1000);
    for (int i = 0; i < WORLD_SLOT_MIDS; i++)
        view.slot_mids[i] = (struct world_slot_mid){number, number, true};
    return view;
}

static bool view_is_whole(const struct rest_view *view)
{
    struct rest_view wanted = view_of(view->last_update_id);
    bool whole = view->mid2 == wanted.mid2 && view->received_us == wanted.received_us &&
                 memcmp(view->values, wanted.values, sizeof(wanted.values)) == 0;
    for (int i = 0; i < WORLD_SLOT_MIDS; i++)
        whole = whole && view->slot_mids[i].mid2 == view->last_update_id;
    return whole;
}

struct writer {
    struct view_file *file;
    atomic_bool stopping;
};

static void *write_on(void *context)
{
    struct writer *writer = context;
    for (int64_t number = 1; !atomic_load(&writer->stopping); number++) {
        struct rest_view view = view_of(number);
        view_file_put(writer->file, &view);
        for (int i = 0; i < 100; i++) /* else a reader may never find it at rest */
            sched_yield();
    }
    return NULL;
}

static void a_reader_beside_a_writer_sees_whole_images_only(void **state)
{
    (void)state;
    char path[512];
    struct writer writer = {.file = NULL};
    struct view_file *reader;
    struct rest_view view;
    pthread_t thread;
    struct err err = {0};
    view_file_path(folder, "BTCUSDT", path, sizeof(path));
    assert_int_equal(view_file_open_read(path, &reader, &err), ERR_OK);
    assert_int_equal(view_file_read(reader, &view, &err), ERR_EMPTY);
    assert_int_equal(view_file_open_write(path, &writer.file, &err), ERR_OK);
    assert_int_equal(view_file_read(reader, &view, &err), ERR_EMPTY);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
    int good = 0, bad = 0; /* nothing is asserted while the thread runs */
    int64_t last = 0;
    for (int i = 0; i < 2000000 && good < 2000; i++) {
        int result = view_file_read(reader, &view, &err);
        bad += result != ERR_OK && result != ERR_AGAIN && result != ERR_EMPTY;
        if (result != ERR_OK)
            continue;
        bad += !view_is_whole(&view) || view.last_update_id < last;
        last = view.last_update_id;
        good++;
    }
    atomic_store(&writer.stopping, true);
    pthread_join(thread, NULL);
    assert_int_equal(bad, 0);
    assert_int_equal(good, 2000);
    view_file_close(writer.file);
    view_file_close(reader);
}

static void there_is_one_writer_and_its_successor_goes_on(void **state)
{
    (void)state;
    char path[512];
    struct view_file *writer, *second, *reader;
    struct rest_view view = view_of(1), again;
    struct err err = {0};
    view_file_path(folder, "ETHUSDT", path, sizeof(path));
    assert_int_equal(view_file_open_write(path, &writer, &err), ERR_OK);
    assert_int_equal(view_file_open_write(path, &second, &err), ERR_REFUSED);
    view_file_put(writer, &view);
    view_file_close(writer);
    assert_int_equal(view_file_open_write(path, &second, &err), ERR_OK);
    assert_int_equal(view_file_open_read(path, &reader, &err), ERR_OK);
    assert_int_equal(view_file_read(reader, &again, &err), ERR_OK);
    assert_int_equal(again.last_update_id, 1);
    view = view_of(2);
    view_file_put(second, &view);
    assert_int_equal(view_file_read(reader, &again, &err), ERR_OK);
    assert_int_equal(again.last_update_id, 2);
    view_file_close(second);
    view_file_close(reader);
}

static void what_a_dead_writer_left_half_is_refused_until_the_next_one(void **state)
{
    (void)state;
    char path[512];
    struct view_file *writer, *reader;
    struct rest_view view = view_of(5), again;
    struct err err = {0};
    view_file_path(folder, "HALF", path, sizeof(path));
    assert_int_equal(view_file_open_write(path, &writer, &err), ERR_OK);
    view_file_put(writer, &view);
    view_file_close(writer);
    FILE *file = fopen(path, "r+b");
    assert_int_equal(fseek(file, 8, SEEK_SET), 0);
    assert_int_equal(fputc(3, file), 3); /* the sequence number of a put under way */
    fclose(file);
    assert_int_equal(view_file_open_read(path, &reader, &err), ERR_OK);
    assert_int_equal(view_file_read(reader, &again, &err), ERR_AGAIN);
    assert_int_equal(again.mid2, 0);
    assert_int_equal(view_file_open_write(path, &writer, &err), ERR_OK);
    view = view_of(6);
    view_file_put(writer, &view);
    assert_int_equal(view_file_read(reader, &again, &err), ERR_OK);
    assert_int_equal(again.last_update_id, 6);
    view_file_close(writer);
    view_file_close(reader);
}

static void a_replaced_or_cut_file_is_found_out(void **state)
{
    (void)state;
    char path[512];
    struct view_file *writer, *reader;
    struct rest_view view = view_of(7), again;
    struct err err = {0};
    view_file_path(folder, "GONE", path, sizeof(path));
    assert_int_equal(view_file_open_write(path, &writer, &err), ERR_OK);
    assert_int_equal(view_file_open_read(path, &reader, &err), ERR_OK);
    view_file_put(writer, &view);
    assert_int_equal(view_file_read(reader, &again, &err), ERR_OK);
    view_file_close(writer);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(view_file_read(reader, &again, &err), ERR_EMPTY);
    assert_int_equal(view_file_open_write(path, &writer, &err), ERR_OK);
    view = view_of(8);
    view_file_put(writer, &view);
    assert_int_equal(view_file_read(reader, &again, &err), ERR_OK);
    assert_int_equal(again.last_update_id, 8);
    view_file_close(writer);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(view_file_read(reader, &again, &err), ERR_EMPTY);
    view_file_close(reader);
}

static void a_progress_file_is_whole_or_the_old_one(void **state)
{
    (void)state;
    struct progress_file file;
    struct err err = {0};
    int64_t a = 1, b = -2, a2 = 0, b2 = 0;
    const struct progress_field out[] = {{"a", &a}, {"b", &b}}, in[] = {{"a", &a2}, {"b", &b2}};
    snprintf(file.path, sizeof(file.path), "%s/progress.txt", folder);
    struct progress_port port = progress_file_port(&file);
    assert_int_equal(progress_load(&port, in, 2, &err), ERR_NOT_FOUND);
    assert_int_equal(progress_save(&port, out, 2, &err), ERR_OK);
    assert_int_equal(progress_load(&port, in, 2, &err), ERR_OK);
    assert_int_equal(a2, 1);
    assert_int_equal(b2, -2);
    /* The successor cannot be written: the old one stays. */
    char next[600];
    snprintf(next, sizeof(next), "%s.next", file.path);
    assert_int_equal(mkdir(next, 0700), 0);
    a = 9;
    assert_int_equal(progress_save(&port, out, 2, &err), ERR_IO);
    assert_int_equal(progress_load(&port, in, 2, &err), ERR_OK);
    assert_int_equal(a2, 1);
    assert_int_equal(rmdir(next), 0);
    /* Damaged: said, and nothing is taken from it. */
    FILE *raw = fopen(file.path, "r+b");
    fputc('z', raw);
    fclose(raw);
    a2 = 77;
    assert_int_equal(progress_load(&port, in, 2, &err), ERR_CORRUPT);
    assert_int_equal(a2, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_beside_a_writer_sees_whole_images_only),
        cmocka_unit_test(there_is_one_writer_and_its_successor_goes_on),
        cmocka_unit_test(what_a_dead_writer_left_half_is_refused_until_the_next_one),
        cmocka_unit_test(a_replaced_or_cut_file_is_found_out),
        cmocka_unit_test(a_progress_file_is_whole_or_the_old_one),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
