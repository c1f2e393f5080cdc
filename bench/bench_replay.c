/* Frames a second through decode, world and vectors: the real capture's records in memory,
 * over and over, each pass through a fresh world; the median pass counts, opening the world
 * does not. `bench_replay N` makes N passes and no more, for instruction counts.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "edge/file/capture_file.h"
#include "edge/loop/loop.h"
#include "services/replay/replay_json.h"
#include "services/replay/replay_slots.h"

#define CAPTURES   BTCAST_SOURCE_DIR "/../shared/data/capture/"
#define CAPTURE    CAPTURES "binance-spot-btcusdt-20240808.jsonl.gz"
#define RUN_US     2000000
#define PASSES_MAX 1024

struct tape {
    struct record *records;
    size_t count, capacity;
};

static void tape_add(void *context, const struct record *record)
{
    struct tape *tape = context;
    if (tape->count == tape->capacity) {
        tape->capacity = tape->capacity == 0 ? 65536 : tape->capacity * 2;
        tape->records = realloc(tape->records, tape->capacity * sizeof(*tape->records));
    }
    uint8_t *copy = malloc(record->payload.size + 1);
    if (record->payload.size > 0)
        memcpy(copy, record->payload.data, record->payload.size);
    tape->records[tape->count] = *record;
    tape->records[tape->count++].payload.data = copy;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Frames a second of one pass. */
static double run_pass(const struct tape *tape)
{
    struct replay_slots_options options = {.symbol = "BTCUSDT"};
    struct replay_slots *replay = NULL;
    CHECK(replay_slots_open(&options, &replay, NULL) == ERR_OK);
    int64_t started_us = loop_mono_us();
    for (size_t i = 0; i < tape->count; i++)
        replay_slots_apply(replay, &tape->records[i]);
    int64_t elapsed_us = loop_mono_us() - started_us;
    double frames = (double)replay_slots_counters(replay)->frames;
    replay_slots_close(replay);
    return frames * 1e6 / (double)elapsed_us;
}

/* Frames a second of one pass from a capture file, payload checks included. */
static double run_file(struct capture_file *file)
{
    struct replay_slots_options options = {.symbol = "BTCUSDT"};
    struct replay_slots *replay = NULL;
    struct record record;
    CHECK(replay_slots_open(&options, &replay, NULL) == ERR_OK);
    int64_t started_us = loop_mono_us();
    capture_file_rewind(file);
    while (capture_file_next(file, &record) == ERR_OK)
        replay_slots_apply(replay, &record);
    int64_t elapsed_us = loop_mono_us() - started_us;
    double frames = (double)replay_slots_counters(replay)->frames;
    CHECK(capture_file_counters(file)->corrupt == 0);
    replay_slots_close(replay);
    return frames * 1e6 / (double)elapsed_us;
}

/* The same records as a btcast capture in a temporary file. */
static struct capture_file *write_file(const struct tape *tape, char *path)
{
    static uint8_t out[CAPTURE_OVERHEAD + RECORD_PAYLOAD_MAX];
    struct capture_header header = {.symbol = "BTCUSDT"};
    struct capture_file *file = NULL;
    FILE *stream = fdopen(mkstemp(path), "w");
    CHECK(stream != NULL);
    capture_write_header(&header, out);
    fwrite(out, 1, CAPTURE_HEADER_SIZE, stream);
    for (size_t i = 0; i < tape->count; i++)
        fwrite(out, 1, capture_write_record(&tape->records[i], out, sizeof(out)), stream);
    CHECK(fclose(stream) == 0 && capture_file_open(path, &file, NULL) == ERR_OK);
    return file;
}

int main(int argc, char **argv)
{
    static double rates[PASSES_MAX];
    struct tape tape = {0};
    struct replay_json_counters json;
    struct err err = {0};
    if (replay_json(CAPTURE, "BTCUSDT", tape_add, &tape, &json, &err) != ERR_OK) {
        fprintf(stderr, "bench_replay: skipped: %s\n", err.text);
        return 0;
    }
    int wanted = argc > 1 ? atoi(argv[1]) : PASSES_MAX;
    int passes = 0;
    int64_t started_us = loop_mono_us();
    while (passes < wanted && passes < PASSES_MAX &&
           (argc > 1 || loop_mono_us() - started_us < RUN_US))
        rates[passes++] = run_pass(&tape);
    CHECK(passes > 0);
    qsort(rates, (size_t)passes, sizeof(rates[0]), compare);
    printf("replay.frames\t%.0f\tframes/s\n", rates[passes / 2]);
    char path[] = "/tmp/btcast-bench-XXXXXX";
    struct capture_file *file = write_file(&tape, path);
    for (int i = 0; i < passes; i++)
        rates[i] = run_file(file);
    qsort(rates, (size_t)passes, sizeof(rates[0]), compare);
    printf("replay.frames_from_capture\t%.0f\tframes/s\n", rates[passes / 2]);
    capture_file_close(file);
    unlink(path);
    return 0;
}
