/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Longest number taken, and how much of a wrong value a message repeats. */
#define CONFIG_NUMBER_MAX 64
#define CONFIG_FOUND_MAX  40

static bool config_value_is(struct bytes value, const char *word)
{
    return value.size == strlen(word) && memcmp(value.data, word, value.size) == 0;
}

static size_t config_value_digits(const char *at)
{
    size_t count = 0;
    while (at[count] >= '0' && at[count] <= '9')
        count++;
    return count;
}

/* -?(0|[1-9][0-9]*), and for fractions (\.[0-9]+)?([eE][+-]?[0-9]+)? : nothing that YAML,
 * C and a reader could understand differently (080, 0x50, 1_000, .5, 80x). */
static bool config_value_is_number(const char *at, bool fraction)
{
    if (*at == '-')
        at++;
    size_t digits = config_value_digits(at);
    if (digits == 0 || (digits > 1 && *at == '0'))
        return false;
    at += digits;
    if (fraction && *at == '.') {
        digits = config_value_digits(++at);
        if (digits == 0)
            return false;
        at += digits;
    }
    if (fraction && (*at == 'e' || *at == 'E')) {
        at++;
        if (*at == '+' || *at == '-')
            at++;
        digits = config_value_digits(at);
        if (digits == 0)
            return false;
        at += digits;
    }
    return *at == '\0';
}

/* A terminated copy, since strtoll and strtod want one. */
static bool config_value_copy(struct bytes value, bool fraction, char *out)
{
    if (value.size == 0 || value.size >= CONFIG_NUMBER_MAX)
        return false;
    memcpy(out, value.data, value.size);
    out[value.size] = '\0';
    return strlen(out) == value.size && config_value_is_number(out, fraction);
}

static bool config_value_set_i64(const struct config_field *field, struct bytes value, void *member)
{
    char copy[CONFIG_NUMBER_MAX];
    if (!config_value_copy(value, false, copy))
        return false;
    errno = 0;
    int64_t number = strtoll(copy, NULL, 10);
    if (errno != 0 || (double)number < field->minimum || (double)number > field->maximum)
        return false;
    memcpy(member, &number, sizeof(number));
    return true;
}

static bool config_value_set_f64(const struct config_field *field, struct bytes value, void *member)
{
    char copy[CONFIG_NUMBER_MAX];
    if (!config_value_copy(value, true, copy))
        return false;
    double number = strtod(copy, NULL);
    if (!isfinite(number) || number < field->minimum || number > field->maximum)
        return false;
    memcpy(member, &number, sizeof(number));
    return true;
}

static bool config_value_set_bool(struct bytes value, void *member)
{
    bool truth = config_value_is(value, "true");
    if (!truth && !config_value_is(value, "false"))
        return false;
    memcpy(member, &truth, sizeof(truth));
    return true;
}

static bool config_value_set_choice(const struct config_field *field, struct bytes value,
                                    void *member)
{
    for (int i = 0; field->choices[i] != NULL; i++) {
        if (config_value_is(value, field->choices[i])) {
            memcpy(member, &i, sizeof(i));
            return true;
        }
    }
    return false;
}

static bool config_value_set_text(const struct config_field *field, struct bytes value,
                                  char *member)
{
    if (value.size >= field->size)
        return false;
    if (value.size > 0 && memchr(value.data, '\0', value.size) != NULL)
        return false;
    memset(member, 0, field->size);
    if (value.size > 0)
        memcpy(member, value.data, value.size);
    return true;
}

void config_value_expected(const struct config_field *field, struct text *out)
{
    switch (field->type) {
    case CONFIG_BOOL:
        text_add(out, "true or false");
        break;
    case CONFIG_I64:
        text_add_format(out, "an integer %.0f..%.0f", field->minimum, field->maximum);
        break;
    case CONFIG_F64:
        text_add_format(out, "a number %.15g..%.15g", field->minimum, field->maximum);
        break;
    case CONFIG_CHOICE:
        for (int i = 0; field->choices[i] != NULL; i++)
            text_add_format(out, "%s%s", i == 0 ? "one of " : ", ", field->choices[i]);
        break;
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        text_add_format(out, "text of at most %zu bytes", field->size - 1);
        break;
    }
}

static void config_value_found(const struct config_field *field, enum config_kind kind,
                               struct bytes value, struct text *why)
{
    text_add(why, ", found ");
    if (kind == CONFIG_MAPPING || kind == CONFIG_LIST) {
        text_add(why, kind == CONFIG_MAPPING ? "a mapping" : "a list");
    } else if (value.size == 0) {
        text_add(why, kind == CONFIG_QUOTED ? "empty quotes" : "nothing");
    } else if (field->type == CONFIG_SECRET) {
        text_add_format(why, "%zu bytes", value.size);
    } else if (value.size > CONFIG_FOUND_MAX) {
        text_add_json_string(why, (const char *)value.data, CONFIG_FOUND_MAX);
        text_add_format(why, "… (%zu bytes)", value.size);
    } else {
        text_add_json_string(why, (const char *)value.data, value.size);
        if (kind == CONFIG_QUOTED && field->type != CONFIG_TEXT && field->type != CONFIG_CHOICE)
            text_add(why, " in quotes");
    }
}

static bool config_value_store(const struct config_field *field, enum config_kind kind,
                               struct bytes value, void *member)
{
    if (kind == CONFIG_MAPPING || kind == CONFIG_LIST)
        return false;
    switch (field->type) {
    case CONFIG_BOOL:
        return kind == CONFIG_PLAIN && config_value_set_bool(value, member);
    case CONFIG_I64:
        return kind == CONFIG_PLAIN && config_value_set_i64(field, value, member);
    case CONFIG_F64:
        return kind == CONFIG_PLAIN && config_value_set_f64(field, value, member);
    case CONFIG_CHOICE:
        return config_value_set_choice(field, value, member);
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        /* An unquoted nothing is more often a forgotten value than an empty text. */
        if (kind == CONFIG_PLAIN && value.size == 0)
            return false;
        return config_value_set_text(field, value, member);
    }
    return false;
}

bool config_value_set(const struct config_field *field, enum config_kind kind, struct bytes value,
                      void *options, struct text *why)
{
    if (config_value_store(field, kind, value, (char *)options + field->offset))
        return true;
    text_add(why, "expected ");
    config_value_expected(field, why);
    config_value_found(field, kind, value, why);
    return false;
}
