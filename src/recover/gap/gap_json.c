/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/gap/gap_json.h"

#include <string.h>

#include "base/check.h"
#include "wire/json_scan.h"

static const char *const gap_action_texts[GAP_ACTIONS] = {"none", "anchor", "ignore", "wait"};
static const char *const gap_mode_texts[GAP_MODES] = {"auto", "force", "ignore"};

const char *gap_action_text(enum gap_action action)
{
    PRE(action >= 0 && action < GAP_ACTIONS);
    return gap_action_texts[action];
}

const char *gap_mode_text(enum gap_mode mode)
{
    PRE(mode >= 0 && mode < GAP_MODES);
    return gap_mode_texts[mode];
}

bool gap_mode_parse(struct bytes name, enum gap_mode *mode)
{
    for (int i = 0; i < GAP_MODES; i++)
        if (name.size == strlen(gap_mode_texts[i]) &&
            memcmp(name.data, gap_mode_texts[i], name.size) == 0) {
            *mode = (enum gap_mode)i;
            return true;
        }
    return false;
}

static void gap_json_string(struct text *out, const char *name, const char *value)
{
    text_add_format(out, "\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
}

static void gap_json_place(struct text *out, uint64_t epoch, uint64_t seq)
{
    text_add_format(out, ",\"epoch\":%llu,\"seq\":%llu", (unsigned long long)epoch,
                    (unsigned long long)seq);
}

void gap_json_verdict(const struct gap_verdict *verdict, struct text *out)
{
    text_add_format(out, "{\"action\":\"%s\",", gap_action_text(verdict->action));
    gap_json_string(out, "cause", verdict->cause);
    text_add_char(out, ',');
    gap_json_string(out, "by", verdict->by);
    text_add_format(out, ",\"until_ms\":%lld", (long long)verdict->until_ms);
    gap_json_place(out, verdict->epoch, verdict->seq);
    text_add_char(out, '}');
}

void gap_json_ask(const struct gap_verdict *verdict, int64_t recv_us, struct text *out)
{
    text_add_char(out, '{');
    gap_json_string(out, "cause", verdict->cause);
    gap_json_place(out, verdict->epoch, verdict->seq);
    text_add_format(out, ",\"recv_us\":%lld,", (long long)recv_us);
    gap_json_string(out, "by", verdict->by);
    text_add_char(out, '}');
}

void gap_json_override(const struct gap_override *override, struct text *out)
{
    text_add_format(out, "{\"mode\":\"%s\",", gap_mode_text(override->mode));
    gap_json_string(out, "by", override->by);
    text_add_format(out, ",\"at_ms\":%lld,\"until_ms\":%lld}", (long long) override->at_ms,
                    (long long) override->until_ms);
}

/* Plain words only: they go into logs and other texts. */
static bool gap_json_word(struct json_scan *scan, char *out, size_t size)
{
    struct bytes word;
    if (!json_scan_string(scan, &word))
        return false;
    bool fits = word.size < size;
    for (size_t i = 0; fits && i < word.size; i++)
        fits = word.data[i] >= ' ' && word.data[i] < 0x7f && word.data[i] != '"' &&
               word.data[i] != '\\';
    if (!fits)
        return json_scan_fail(scan);
    memcpy(out, word.data, word.size);
    out[word.size] = 0;
    return true;
}

static void gap_json_time(struct json_scan *scan, int64_t *value)
{
    if (json_scan_i64(scan, value) && (*value < 0 || *value > INT64_MAX / 4))
        (void)json_scan_fail(scan);
}

static void gap_json_mode(struct json_scan *scan, enum gap_mode *mode)
{
    struct bytes word;
    if (json_scan_string(scan, &word) && !gap_mode_parse(word, mode))
        (void)json_scan_fail(scan);
}

int gap_json_read_override(struct bytes json, struct gap_override *override, struct err *err)
{
    struct json_scan scan = json_scan_begin(json);
    struct bytes key;
    *override = (struct gap_override){.mode = GAP_AUTO};
    if (json.size == 0)
        return ERR_OK;
    if (json_scan_object(&scan))
        while (json_scan_member(&scan, &key)) {
            if (JSON_SCAN_IS(key, "mode"))
                gap_json_mode(&scan, &override->mode);
            else if (JSON_SCAN_IS(key, "by"))
                (void)gap_json_word(&scan, override->by, sizeof(override->by));
            else if (JSON_SCAN_IS(key, "at_ms"))
                gap_json_time(&scan, &override->at_ms);
            else if (JSON_SCAN_IS(key, "until_ms"))
                gap_json_time(&scan, &override->until_ms);
            else
                (void)json_scan_skip(&scan, NULL);
        }
    if (json_scan_finish(&scan) && override->until_ms > 0 && override->at_ms > 0 &&
        override->until_ms - override->at_ms <= GAP_OVERRIDE_MS_MAX)
        return ERR_OK;
    *override = (struct gap_override){.mode = GAP_AUTO};
    return err_set(err, ERR_MALFORMED, "override: unreadable at byte %zu of %zu",
                   json_scan_offset(&scan), json.size);
}

void gap_json_memory(const struct gap_memory *memory, struct text *out)
{
    text_add_char(out, '{');
    gap_json_string(out, "id", memory->id);
    text_add_format(out,
                    ",\"state\":\"%s\",\"since_ms\":%lld,\"cooled_ms\":%lld,\"forced_ms\":%lld,",
                    gap_state_text(memory->state), (long long)memory->since_ms,
                    (long long)memory->cooled_ms, (long long)memory->forced_ms);
    gap_json_string(out, "swapped", memory->swapped);
    text_add(out, ",\"hints\":[");
    for (int i = 0; i < GAP_HINTS; i++)
        text_add_format(out, "%s%lld", i == 0 ? "" : ",", (long long)memory->hint_until_ms[i]);
    text_add(out, "]}");
}

static void gap_json_state(struct json_scan *scan, enum gap_state *state)
{
    char name[32];
    if (gap_json_word(scan, name, sizeof(name)) && !gap_state_parse(name, state))
        (void)json_scan_fail(scan);
}

static void gap_json_hints(struct json_scan *scan, int64_t *hints)
{
    int count = 0;
    if (!json_scan_array(scan))
        return;
    while (json_scan_element(scan)) {
        int64_t until_ms = 0;
        gap_json_time(scan, &until_ms);
        if (count < GAP_HINTS)
            hints[count++] = until_ms;
    }
}

int gap_json_read_memory(struct bytes json, struct gap_memory *memory, struct err *err)
{
    struct json_scan scan = json_scan_begin(json);
    struct bytes key;
    *memory = (struct gap_memory){.state = GAP_LIVE};
    if (json.size == 0)
        return ERR_EMPTY;
    if (json_scan_object(&scan))
        while (json_scan_member(&scan, &key)) {
            if (JSON_SCAN_IS(key, "id"))
                (void)gap_json_word(&scan, memory->id, sizeof(memory->id));
            else if (JSON_SCAN_IS(key, "state"))
                gap_json_state(&scan, &memory->state);
            else if (JSON_SCAN_IS(key, "since_ms"))
                gap_json_time(&scan, &memory->since_ms);
            else if (JSON_SCAN_IS(key, "cooled_ms"))
                gap_json_time(&scan, &memory->cooled_ms);
            else if (JSON_SCAN_IS(key, "forced_ms"))
                gap_json_time(&scan, &memory->forced_ms);
            else if (JSON_SCAN_IS(key, "swapped"))
                (void)gap_json_word(&scan, memory->swapped, sizeof(memory->swapped));
            else if (JSON_SCAN_IS(key, "hints"))
                gap_json_hints(&scan, memory->hint_until_ms);
            else
                (void)json_scan_skip(&scan, NULL);
        }
    if (json_scan_finish(&scan))
        return ERR_OK;
    *memory = (struct gap_memory){.state = GAP_LIVE};
    return err_set(err, ERR_MALFORMED, "memory: unreadable at byte %zu of %zu",
                   json_scan_offset(&scan), json.size);
}
