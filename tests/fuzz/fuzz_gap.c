/* covers: src/hot/state/gap_event.c src/recover/gap/gap_json.c */
/* Any bytes as an entry of gap-events (lines of field=value), as an override and as a memory.
 * What is read can be written again. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/check.h"
#include "hot/state/gap_event.h"
#include "recover/gap/gap_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_event(const uint8_t *data, size_t size)
{
    struct gap_event_reader reader, again;
    gap_event_begin(&reader, "BTCUSDT");
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t line = end != NULL ? (size_t)(end - data) - at : size - at;
        const uint8_t *equals = line > 0 ? memchr(data + at, '=', line) : NULL;
        if (equals != NULL) {
            size_t name = (size_t)(equals - data) - at;
            gap_event_field(&reader, bytes_of(data + at, name),
                            bytes_of(equals + 1, line - name - 1));
        }
        at += line + 1;
    }
    if (!gap_event_finish(&reader))
        return;
    char buffer[GAP_EVENT_BYTES];
    struct state_pair pairs[GAP_EVENT_PAIRS_MAX];
    struct text text = text_begin(buffer, sizeof(buffer));
    int count = gap_event_write(&reader.event, "BTCUSDT", &text, pairs);
    gap_event_begin(&again, "BTCUSDT");
    for (int i = 0; i < count; i++)
        gap_event_field(&again, pairs[i].field, pairs[i].value);
    CHECK(gap_event_finish(&again));
    CHECK(again.event.kind == reader.event.kind && again.event.seq == reader.event.seq);
    CHECK(strcmp(again.event.cause, reader.event.cause) == 0);
}

static void fuzz_json(const uint8_t *data, size_t size)
{
    struct gap_override override, override_again;
    struct gap_memory memory, memory_again;
    char buffer[2 * GAP_JSON_SIZE];
    if (gap_json_read_override(bytes_of(data, size), &override, NULL) == ERR_OK && size > 0) {
        struct text text = text_begin(buffer, sizeof(buffer));
        gap_json_override(&override, &text);
        CHECK(gap_json_read_override(bytes_of(buffer, text.size), &override_again, NULL) == ERR_OK);
        CHECK(override_again.mode == override.mode && override_again.at_ms == override.at_ms);
    }
    if (gap_json_read_memory(bytes_of(data, size), &memory, NULL) == ERR_OK) {
        struct text text = text_begin(buffer, sizeof(buffer));
        gap_json_memory(&memory, &text);
        CHECK(!text.truncated);
        CHECK(gap_json_read_memory(bytes_of(buffer, text.size), &memory_again, NULL) == ERR_OK);
        CHECK(memory_again.state == memory.state && strcmp(memory_again.id, memory.id) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_event(data, size);
    fuzz_json(data, size);
    return 0;
}
