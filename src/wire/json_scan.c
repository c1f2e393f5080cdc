/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_scan.h"

#include "base/check.h"

struct json_scan json_scan_begin(struct bytes text)
{
    /* A part that is not there has no bytes to point behind. */
    const uint8_t *end = text.data != NULL ? text.data + text.size : NULL;
    return (struct json_scan){.begin = text.data, .at = text.data, .end = end, .fresh = true};
}

bool json_scan_fail(struct json_scan *scan)
{
    scan->failed = true;
    return false;
}

size_t json_scan_offset(const struct json_scan *scan)
{
    return (size_t)(scan->at - scan->begin);
}

static void json_scan_space(struct json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

/* The next byte behind white space, or -1. */
static int json_scan_peek(struct json_scan *scan)
{
    json_scan_space(scan);
    return scan->failed || scan->at == scan->end ? -1 : *scan->at;
}

static bool json_scan_byte(struct json_scan *scan, int wanted)
{
    if (json_scan_peek(scan) != wanted)
        return json_scan_fail(scan);
    scan->at++;
    return true;
}

enum json_kind json_scan_kind(struct json_scan *scan)
{
    int c = json_scan_peek(scan);
    switch (c) {
    case '{':
        return JSON_SCAN_OBJECT;
    case '[':
        return JSON_SCAN_ARRAY;
    case '"':
        return JSON_SCAN_STRING;
    case 't':
        return JSON_SCAN_TRUE;
    case 'f':
        return JSON_SCAN_FALSE;
    case 'n':
        return JSON_SCAN_NULL;
    default:
        return c == '-' || (c >= '0' && c <= '9') ? JSON_SCAN_NUMBER : JSON_SCAN_NONE;
    }
}

static bool json_scan_open(struct json_scan *scan, int bracket)
{
    if (!json_scan_byte(scan, bracket))
        return false;
    if (scan->depth == JSON_SCAN_DEPTH_MAX)
        return json_scan_fail(scan);
    scan->depth++;
    scan->fresh = true;
    return true;
}

/* True if another item follows; behind the closing bracket false. */
static bool json_scan_more(struct json_scan *scan, int bracket)
{
    int c = json_scan_peek(scan);
    if (c == bracket) {
        scan->at++;
        PRE(scan->depth > 0);
        scan->depth--;
        scan->fresh = false;
        return false;
    }
    if (scan->fresh)
        scan->fresh = false;
    else if (!json_scan_byte(scan, ','))
        return false;
    return !scan->failed;
}

bool json_scan_object(struct json_scan *scan)
{
    return json_scan_open(scan, '{');
}

bool json_scan_member(struct json_scan *scan, struct bytes *key)
{
    return json_scan_more(scan, '}') && json_scan_string(scan, key) && json_scan_byte(scan, ':');
}

bool json_scan_array(struct json_scan *scan)
{
    return json_scan_open(scan, '[');
}

bool json_scan_element(struct json_scan *scan)
{
    return json_scan_more(scan, ']');
}

static bool json_scan_is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind a backslash: the escape's length, or 0. */
static size_t json_scan_escape(const uint8_t *at, const uint8_t *end)
{
    static const char plain[] = "\"\\/bfnrt";
    if (at == end)
        return 0;
    if (*at != 'u')
        return memchr(plain, *at, sizeof(plain) - 1) != NULL ? 1 : 0;
    if (end - at < 5)
        return 0;
    for (int i = 1; i < 5; i++)
        if (!json_scan_is_hex(at[i]))
            return 0;
    return 5;
}

bool json_scan_string(struct json_scan *scan, struct bytes *value)
{
    if (!json_scan_byte(scan, '"'))
        return false;
    const uint8_t *from = scan->at;
    while (scan->at < scan->end) {
        uint8_t c = *scan->at;
        if (c == '"') {
            *value = bytes_of(from, (size_t)(scan->at - from));
            scan->at++;
            return true;
        }
        if (c < 0x20)
            return json_scan_fail(scan);
        scan->at++;
        if (c == '\\') {
            size_t length = json_scan_escape(scan->at, scan->end);
            if (length == 0)
                return json_scan_fail(scan);
            scan->at += length;
        }
    }
    return json_scan_fail(scan);
}

static size_t json_scan_digits(struct json_scan *scan)
{
    const uint8_t *from = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return (size_t)(scan->at - from);
}

static bool json_scan_at(const struct json_scan *scan, uint8_t c)
{
    return scan->at < scan->end && *scan->at == c;
}

/* "-"? digits without leading zeros */
static bool json_scan_integer(struct json_scan *scan)
{
    if (json_scan_kind(scan) != JSON_SCAN_NUMBER)
        return json_scan_fail(scan);
    if (*scan->at == '-')
        scan->at++;
    bool zero = json_scan_at(scan, '0');
    size_t digits = json_scan_digits(scan);
    return digits == 0 || (zero && digits > 1) ? json_scan_fail(scan) : true;
}

bool json_scan_number(struct json_scan *scan, struct bytes *value)
{
    json_scan_space(scan);
    const uint8_t *from = scan->at;
    if (!json_scan_integer(scan))
        return false;
    if (json_scan_at(scan, '.')) {
        scan->at++;
        if (json_scan_digits(scan) == 0)
            return json_scan_fail(scan);
    }
    if (json_scan_at(scan, 'e') || json_scan_at(scan, 'E')) {
        scan->at++;
        if (json_scan_at(scan, '+') || json_scan_at(scan, '-'))
            scan->at++;
        if (json_scan_digits(scan) == 0)
            return json_scan_fail(scan);
    }
    *value = bytes_of(from, (size_t)(scan->at - from));
    return true;
}

bool json_scan_i64(struct json_scan *scan, int64_t *value)
{
    json_scan_space(scan);
    const uint8_t *at = scan->at;
    if (!json_scan_integer(scan))
        return false;
    if (json_scan_at(scan, '.') || json_scan_at(scan, 'e') || json_scan_at(scan, 'E'))
        return json_scan_fail(scan);
    bool negative = *at == '-';
    int64_t sum = 0;
    /* Downwards, so that the smallest number fits too. */
    for (at += negative; at < scan->at; at++)
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_sub_overflow(sum, *at - '0', &sum))
            return json_scan_fail(scan);
    if (!negative && sum == INT64_MIN)
        return json_scan_fail(scan);
    *value = negative ? sum : -sum;
    return true;
}

static bool json_scan_word(struct json_scan *scan, const char *word, size_t size)
{
    json_scan_space(scan);
    if (scan->failed || (size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0)
        return json_scan_fail(scan);
    scan->at += size;
    return true;
}

bool json_scan_bool(struct json_scan *scan, bool *value)
{
    *value = json_scan_kind(scan) == JSON_SCAN_TRUE;
    return *value ? json_scan_word(scan, "true", 4) : json_scan_word(scan, "false", 5);
}

/* A value that is no container. */
static bool json_scan_skip_plain(struct json_scan *scan)
{
    struct bytes ignored;
    switch (json_scan_kind(scan)) {
    case JSON_SCAN_STRING:
        return json_scan_string(scan, &ignored);
    case JSON_SCAN_NUMBER:
        return json_scan_number(scan, &ignored);
    case JSON_SCAN_TRUE:
        return json_scan_word(scan, "true", 4);
    case JSON_SCAN_FALSE:
        return json_scan_word(scan, "false", 5);
    case JSON_SCAN_NULL:
        return json_scan_word(scan, "null", 4);
    default:
        return json_scan_fail(scan);
    }
}

/* One step: a plain value, or into a container. */
static bool json_scan_skip_value(struct json_scan *scan, bool *is_object)
{
    enum json_kind kind = json_scan_kind(scan);
    if (kind != JSON_SCAN_OBJECT && kind != JSON_SCAN_ARRAY)
        return json_scan_skip_plain(scan);
    *is_object = kind == JSON_SCAN_OBJECT;
    return kind == JSON_SCAN_OBJECT ? json_scan_object(scan) : json_scan_array(scan);
}

bool json_scan_skip(struct json_scan *scan, struct bytes *raw)
{
    /* What each open container is: depth is bounded, so no recursion. */
    bool is_object[JSON_SCAN_DEPTH_MAX + 1] = {false};
    json_scan_space(scan);
    const uint8_t *from = scan->at;
    int outside = scan->depth;
    if (!json_scan_skip_value(scan, &is_object[outside]))
        return false;
    while (scan->depth > outside) {
        struct bytes key;
        bool more =
            is_object[scan->depth - 1] ? json_scan_member(scan, &key) : json_scan_element(scan);
        if (more)
            (void)json_scan_skip_value(scan, &is_object[scan->depth]);
        if (scan->failed)
            return false;
    }
    if (raw != NULL)
        *raw = bytes_of(from, (size_t)(scan->at - from));
    return true;
}

bool json_scan_finish(struct json_scan *scan)
{
    json_scan_space(scan);
    return !scan->failed && scan->depth == 0 && scan->at == scan->end;
}
