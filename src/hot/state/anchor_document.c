/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/anchor_document.h"

#include <string.h>

#include "wire/json_scan.h"

static void anchor_document_text(struct text *out, const char *name, const char *value)
{
    text_add_char(out, '"');
    text_add(out, name);
    text_add(out, "\":");
    text_add_json_string(out, value, strlen(value));
    text_add_char(out, ',');
}

static void anchor_document_raw(struct text *out, const char *name, struct bytes raw)
{
    if (raw.size == 0)
        return;
    text_add(out, name);
    text_add_bytes(out, raw.data, raw.size);
}

void anchor_document_write(const struct anchor_document *document, struct bytes depth,
                           struct text *out)
{
    text_add_char(out, '{');
    anchor_document_text(out, "symbol", document->symbol);
    anchor_document_text(out, "token", document->token);
    anchor_document_text(out, "cause", document->cause);
    text_add(out, "\"requested_us\":");
    text_add_i64(out, document->requested_us);
    text_add(out, ",\"received_us\":");
    text_add_i64(out, document->received_us);
    if (document->levels > 0) {
        text_add(out, ",\"levels\":");
        text_add_i64(out, document->levels);
    }
    text_add(out, ",\"depth\":");
    text_add_bytes(out, depth.data, depth.size);
    anchor_document_raw(out, ",\"aggTrades\":", document->agg_trades);
    anchor_document_raw(out, ",\"klines\":", document->klines);
    text_add_char(out, '}');
}

/* A string member of at most size - 1 bytes, as written. */
static void anchor_document_member(struct json_scan *scan, char *out, size_t size)
{
    struct bytes value;
    if (!json_scan_string(scan, &value))
        return;
    if (value.size >= size) {
        (void)json_scan_fail(scan);
        return;
    }
    if (value.size > 0)
        memcpy(out, value.data, value.size);
    out[value.size] = 0;
}

int anchor_document_read(struct bytes json, struct anchor_document *document, struct err *err)
{
    struct json_scan scan = json_scan_begin(json);
    struct bytes key;
    memset(document, 0, sizeof(*document));
    if (json_scan_object(&scan))
        while (json_scan_member(&scan, &key)) {
            if (JSON_SCAN_IS(key, "symbol"))
                anchor_document_member(&scan, document->symbol, sizeof(document->symbol));
            else if (JSON_SCAN_IS(key, "token"))
                anchor_document_member(&scan, document->token, sizeof(document->token));
            else if (JSON_SCAN_IS(key, "cause"))
                anchor_document_member(&scan, document->cause, sizeof(document->cause));
            else if (JSON_SCAN_IS(key, "requested_us"))
                (void)json_scan_i64(&scan, &document->requested_us);
            else if (JSON_SCAN_IS(key, "received_us"))
                (void)json_scan_i64(&scan, &document->received_us);
            else if (JSON_SCAN_IS(key, "levels"))
                (void)json_scan_i64(&scan, &document->levels);
            else if (JSON_SCAN_IS(key, "aggTrades"))
                (void)json_scan_skip(&scan, &document->agg_trades);
            else if (JSON_SCAN_IS(key, "klines"))
                (void)json_scan_skip(&scan, &document->klines);
            else
                (void)json_scan_skip(&scan, NULL);
        }
    if (!json_scan_finish(&scan))
        return err_set(err, ERR_MALFORMED, "anchor document: unreadable at byte %zu of %zu",
                       json_scan_offset(&scan), json.size);
    if (document->symbol[0] == 0 || document->token[0] == 0)
        return err_set(err, ERR_MALFORMED, "anchor document: no symbol or no token");
    return ERR_OK;
}
