/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct text text_begin(char *buffer, size_t capacity)
{
    PRE(buffer != NULL && capacity > 0);
    return (struct text){.at = buffer, .size = 0, .capacity = capacity - 1, .truncated = false};
}

void text_add_bytes(struct text *text, const void *data, size_t size)
{
    size_t room = text->capacity - text->size;
    if (size > room) {
        text->truncated = true;
        size = room;
    }
    if (size > 0)
        memcpy(text->at + text->size, data, size);
    text->size += size;
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char c)
{
    text_add_bytes(text, &c, 1);
}

/* Digits of value, right-aligned in a 20-byte buffer; returns the first one. */
static char *text_digits(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return end;
}

void text_add_u64(struct text *text, uint64_t value)
{
    char buffer[20];
    char *end = buffer + sizeof(buffer);
    char *at = text_digits(end, value);
    text_add_bytes(text, at, (size_t)(end - at));
}

static uint64_t text_magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

void text_add_i64(struct text *text, int64_t value)
{
    if (value < 0)
        text_add_char(text, '-');
    text_add_u64(text, text_magnitude(value));
}

void text_add_f64(struct text *text, double value)
{
    if (!isfinite(value)) {
        text_add(text, "null");
        return;
    }
    char buffer[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buffer, sizeof(buffer), "%.*g", digits, value);
        if (strtod(buffer, NULL) == value)
            break;
    }
    text_add(text, buffer);
}

void text_add_decimal(struct text *text, int64_t mantissa, int exponent)
{
    char buffer[20];
    char *end = buffer + sizeof(buffer);
    char *at = text_digits(end, text_magnitude(mantissa));
    size_t digits = (size_t)(end - at);
    if (mantissa < 0)
        text_add_char(text, '-');
    if (exponent >= 0) {
        text_add_bytes(text, at, digits);
        for (int i = 0; i < exponent && mantissa != 0; i++)
            text_add_char(text, '0');
        return;
    }
    size_t fraction = (size_t)-exponent;
    if (digits > fraction) {
        text_add_bytes(text, at, digits - fraction);
        at += digits - fraction;
        digits = fraction;
    } else {
        text_add_char(text, '0');
    }
    text_add_char(text, '.');
    for (size_t i = digits; i < fraction; i++)
        text_add_char(text, '0');
    text_add_bytes(text, at, digits);
}

void text_add_format(struct text *text, const char *format, ...)
{
    size_t room = text->capacity - text->size;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text->at + text->size, room + 1, format, args);
    va_end(args);
    if (size < 0 || (size_t)size > room) {
        text->truncated = true;
        size = (int)room;
    }
    text->size += (size_t)size;
}

/* Length of a valid UTF-8 sequence at s (at most size bytes), or 0. The second byte's range
 * keeps out overlong forms, surrogates and what lies above U+10FFFF (RFC 3629, section 4). */
static size_t text_utf8_length(const unsigned char *s, size_t size)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (length == 0 || length > size || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

void text_add_json_string(struct text *text, const char *string, size_t size)
{
    const unsigned char *s = (const unsigned char *)string;
    text_add_char(text, '"');
    for (size_t i = 0; i < size;) {
        size_t length = text_utf8_length(s + i, size - i);
        if (length == 1 && (s[i] == '"' || s[i] == '\\')) {
            text_add_char(text, '\\');
            text_add_char(text, (char)s[i]);
        } else if (length == 0 || s[i] < 0x20) {
            text_add_format(text, "\\u%04x", s[i]);
            length = 1;
        } else {
            text_add_bytes(text, s + i, length);
        }
        i += length;
    }
    text_add_char(text, '"');
}

void text_hex(struct bytes data, char *out)
{
    for (size_t i = 0; i < data.size; i++) {
        *out++ = "0123456789abcdef"[data.data[i] >> 4];
        *out++ = "0123456789abcdef"[data.data[i] & 15];
    }
    *out = '\0';
}

const char *text_end(struct text *text)
{
    text->at[text->size] = '\0';
    return text->at;
}
