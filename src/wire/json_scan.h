/* A pull scanner for JSON (RFC 8259): no tree, no allocation, one pass. The public JSON
 * streams bring up to 100,000 messages a second; building a tree of each (jansson) takes
 * some seven times as long as reading the few members that are wanted.
 *
 * Every function looks at the next value. A mistake in the text, or a value of another
 * kind than asked for, sets `failed`; from then on every call fails, so a caller may
 * check once at the end with json_scan_finish. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_JSON_SCAN_H
#define BTCAST_WIRE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Open objects and arrays at a time. */
#define JSON_SCAN_DEPTH_MAX 32

enum json_kind {
    JSON_SCAN_NONE, /* failed, or the text ends */
    JSON_SCAN_OBJECT,
    JSON_SCAN_ARRAY,
    JSON_SCAN_STRING,
    JSON_SCAN_NUMBER,
    JSON_SCAN_TRUE,
    JSON_SCAN_FALSE,
    JSON_SCAN_NULL,
};

struct json_scan {
    const uint8_t *begin, *at, *end;
    int depth;
    bool failed;
    bool fresh; /* right behind an opening bracket: no comma before the next item */
};

/* text is borrowed while scanning; the views handed out point into it. */
struct json_scan json_scan_begin(struct bytes text);
/* What the next value is, by its first byte. Reads nothing. */
enum json_kind json_scan_kind(struct json_scan *scan);

/* `if (json_scan_object(s)) while (json_scan_member(s, &key)) …value…`
 * json_scan_member returns false behind the last member; each value must be read or
 * skipped. Keys are given as written, escapes not resolved. */
bool json_scan_object(struct json_scan *scan);
bool json_scan_member(struct json_scan *scan, struct bytes *key);
/* `if (json_scan_array(s)) while (json_scan_element(s)) …value…` */
bool json_scan_array(struct json_scan *scan);
bool json_scan_element(struct json_scan *scan);

/* As written, without quotes, escapes not resolved. */
bool json_scan_string(struct json_scan *scan, struct bytes *value);
/* A number without fraction and exponent that fits. */
bool json_scan_i64(struct json_scan *scan, int64_t *value);
/* Any number, as written. */
bool json_scan_number(struct json_scan *scan, struct bytes *value);
bool json_scan_bool(struct json_scan *scan, bool *value);
/* Any value, checked like the others. raw (may be NULL): the value's bytes. */
bool json_scan_skip(struct json_scan *scan, struct bytes *raw);
/* Fails the scan: for callers that dislike a value. Returns false. */
bool json_scan_fail(struct json_scan *scan);

/* True if nothing failed and only white space is left. */
bool json_scan_finish(struct json_scan *scan);
/* Where the scan stands: the byte of the mistake after a failure. */
size_t json_scan_offset(const struct json_scan *scan);

/* key == literal */
#define JSON_SCAN_IS(key, literal)                                                                 \
    ((key).size == sizeof(literal) - 1 && memcmp((key).data, literal, sizeof(literal) - 1) == 0)

#endif
