/* Frames a second through decode, world and vectors: a capture's records in memory, over and
 * over (the real capture when it is there). SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/loop/loop.h"
#include "services/replay/replay_json.h"
#include "services/replay/replay_slots.h"

#define CAPTURE BTCAST_SOURCE_DIR "/../shared/data/capture/binance-spot-btcusdt-20240808.jsonl.gz"
#define RUN_US 2000000

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

int main(void)
{
    struct tape tape = {0};
    struct replay_json_counters json;
    struct err err = {0};
    if (replay_json(CAPTURE, "BTCUSDT", tape_add, &tape, &json, &err) != ERR_OK) {
        fprintf(stderr, "bench_replay: skipped: %s\n", err.text);
        return 0;
    }
    uint64_t frames = 0;
    int64_t started_us = loop_mono_us();
    int64_t elapsed_us;
    do {
        struct replay_slots_options options = {.symbol = "BTCUSDT"};
        struct replay_slots *replay;
        if (replay_slots_open(&options, &replay, &err) != ERR_OK)
            return 1;
        for (size_t i = 0; i < tape.count; i++)
            replay_slots_apply(replay, &tape.records[i]);
        frames += replay_slots_counters(replay)->frames;
        replay_slots_close(replay);
        elapsed_us = loop_mono_us() - started_us;
    } while (elapsed_us < RUN_US);
    printf("replay.frames\t%.0f\tframes/s\n", (double)frames * 1e6 / (double)elapsed_us);
    return 0;
}
