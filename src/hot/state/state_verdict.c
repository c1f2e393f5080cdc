/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/state_verdict.h"

#include <string.h>

#include "wire/json_scan.h"

static void state_verdict_action(struct json_scan *scan, struct state_verdict *verdict)
{
    struct bytes word;
    if (!json_scan_string(scan, &word))
        return;
    if (JSON_SCAN_IS(word, "anchor"))
        verdict->action = STATE_VERDICT_ANCHOR;
    else if (JSON_SCAN_IS(word, "ignore"))
        verdict->action = STATE_VERDICT_IGNORE;
    else if (JSON_SCAN_IS(word, "wait"))
        verdict->action = STATE_VERDICT_WAIT;
    else
        (void)json_scan_fail(scan);
}

static void state_verdict_number(struct json_scan *scan, uint64_t *value)
{
    int64_t number = 0;
    if (json_scan_i64(scan, &number) && number >= 0)
        *value = (uint64_t)number;
    else
        (void)json_scan_fail(scan);
}

int state_verdict_read(struct bytes json, struct state_verdict *verdict, struct err *err)
{
    struct json_scan scan = json_scan_begin(json);
    struct bytes key;
    *verdict = (struct state_verdict){.action = STATE_VERDICT_NONE};
    if (json.size == 0)
        return ERR_OK;
    if (json_scan_object(&scan))
        while (json_scan_member(&scan, &key)) {
            if (JSON_SCAN_IS(key, "action"))
                state_verdict_action(&scan, verdict);
            else if (JSON_SCAN_IS(key, "until_ms"))
                (void)json_scan_i64(&scan, &verdict->until_ms);
            else if (JSON_SCAN_IS(key, "epoch"))
                state_verdict_number(&scan, &verdict->epoch);
            else if (JSON_SCAN_IS(key, "seq"))
                state_verdict_number(&scan, &verdict->seq);
            else
                (void)json_scan_skip(&scan, NULL);
        }
    if (json_scan_finish(&scan) && verdict->action != STATE_VERDICT_NONE)
        return ERR_OK;
    *verdict = (struct state_verdict){.action = STATE_VERDICT_NONE};
    return err_set(err, ERR_MALFORMED, "verdict: unreadable at byte %zu of %zu",
                   json_scan_offset(&scan), json.size);
}
