/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/lake/bronze_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "wire/sbe.h"

static const char *const bronze_key_kinds[ARCHIVE_KINDS] = {
    [ARCHIVE_TRADES] = "trades",
    [ARCHIVE_DEPTH] = "depth",
    [ARCHIVE_BBA] = "bba",
    [ARCHIVE_CONTROL] = "control",
};

static const char *const bronze_key_rests[ARCHIVE_RESTS] = {
    [ARCHIVE_REST_DEPTH] = "depth",
    [ARCHIVE_REST_AGG_TRADES] = "aggTrades",
    [ARCHIVE_REST_KLINES] = "klines",
    [ARCHIVE_REST_TRADES] = "historicalTrades",
};

const char *bronze_key_kind_text(enum archive_kind kind)
{
    return bronze_key_kinds[kind];
}

const char *bronze_key_rest_text(enum archive_rest type)
{
    return bronze_key_rests[type];
}

void bronze_key_block(enum archive_kind kind, const char *symbol, const struct record *record,
                      struct archive_block *block)
{
    *block = (struct archive_block){.kind = kind,
                                    .epoch = record->epoch,
                                    .block = record->seq / ARCHIVE_BLOCK_SEQS,
                                    .minute = record->recv_us / BRONZE_KEY_MINUTE_US};
    snprintf(block->symbol, sizeof(block->symbol), "%s", symbol);
}

bool bronze_key_block_equal(const struct archive_block *a, const struct archive_block *b)
{
    return a->kind == b->kind && strcmp(a->symbol, b->symbol) == 0 &&
           bronze_key_block_compare(a, b) == 0;
}

int bronze_key_block_compare(const struct archive_block *a, const struct archive_block *b)
{
    int order = record_compare(a->epoch, a->block, b->epoch, b->block);
    if (order != 0 || a->minute == b->minute)
        return order;
    return a->minute < b->minute ? -1 : 1;
}

static bool bronze_key_time(int64_t minute, struct tm *at)
{
    const time_t seconds = (time_t)(minute * 60);
    return minute >= 0 && minute <= BRONZE_KEY_MINUTE_MAX && gmtime_r(&seconds, at) != NULL;
}

int bronze_key_partition(int64_t minute, char out[11])
{
    struct tm at;
    if (!bronze_key_time(minute, &at)) {
        snprintf(out, 11, "0000-00-00");
        return 0;
    }
    char date[40];
    snprintf(date, sizeof(date), "%04d-%02d-%02d", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday);
    memcpy(out, date, 10);
    out[10] = '\0';
    return at.tm_hour;
}

/* A part of a key begins with no dot. */
static bool bronze_key_symbol(const char *symbol)
{
    return sbe_symbol_valid(bytes_text(symbol)) && symbol[0] != '.';
}

int bronze_key_of_block(const struct archive_block *block, char *out)
{
    struct tm at;
    if (block->kind >= ARCHIVE_KINDS || !bronze_key_symbol(block->symbol) ||
        !bronze_key_time(block->minute, &at))
        return ERR_INVALID;
    const int year = at.tm_year + 1900, month = at.tm_mon + 1;
    snprintf(out, OBJECT_KEY_SIZE,
             "bronze/sbe/%s/year=%04d/month=%02d/day=%02d/hour=%02d/"
             "%s_%04d%02d%02d_%02d%02d_%" PRIu64 "-%" PRIu64 ".parquet",
             block->symbol, year, month, at.tm_mday, at.tm_hour, bronze_key_kinds[block->kind],
             year, month, at.tm_mday, at.tm_hour, at.tm_min, block->epoch, block->block);
    return ERR_OK;
}

int bronze_key_of_reply(const struct archive_rest_reply *reply, char *out)
{
    struct tm at;
    if (reply->type >= ARCHIVE_RESTS || !bronze_key_symbol(reply->symbol) || reply->first_id < 0 ||
        !bronze_key_time(reply->received_us / BRONZE_KEY_MINUTE_US, &at))
        return ERR_INVALID;
    const char *type = bronze_key_rests[reply->type];
    const int year = at.tm_year + 1900, month = at.tm_mon + 1;
    snprintf(out, OBJECT_KEY_SIZE,
             "bronze/rest/%s/%s/year=%04d/month=%02d/day=%02d/"
             "%s_%04d%02d%02d_%02d%02d_%" PRId64 ".parquet",
             reply->symbol, type, year, month, at.tm_mday, type, year, month, at.tm_mday,
             at.tm_hour, at.tm_min, reply->first_id);
    return ERR_OK;
}

int bronze_key_of_symbol(const char *symbol, char *out)
{
    if (!bronze_key_symbol(symbol))
        return ERR_INVALID;
    snprintf(out, OBJECT_KEY_SIZE, "bronze/sbe/%s/", symbol);
    return ERR_OK;
}

/* Days since 1970 of a civil date, by way of the calendar's own functions. */
static int64_t bronze_key_minute(int year, int month, int day, int hour, int minute)
{
    struct tm at = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute};
    return (int64_t)timegm(&at) / 60;
}

int bronze_key_read_block(const char *key, struct archive_block *block)
{
    char kind[16], again[OBJECT_KEY_SIZE];
    int year, month, day, hour, minute, year2, month2, day2, hour2;
    *block = (struct archive_block){.kind = ARCHIVE_KINDS};
    if (sscanf(key,
               "bronze/sbe/%23[^/]/year=%4d/month=%2d/day=%2d/hour=%2d/"
               "%15[a-z]_%4d%2d%2d_%2d%2d_%" SCNu64 "-%" SCNu64,
               block->symbol, &year, &month, &day, &hour, kind, &year2, &month2, &day2, &hour2,
               &minute, &block->epoch, &block->block) != 13)
        return ERR_MALFORMED;
    for (int i = 0; i < ARCHIVE_KINDS; i++)
        if (strcmp(kind, bronze_key_kinds[i]) == 0)
            block->kind = (enum archive_kind)i;
    if (block->kind == ARCHIVE_KINDS)
        return ERR_MALFORMED;
    block->minute = bronze_key_minute(year2, month2, day2, hour2, minute);
    /* Whatever the pattern let through that is not exactly a name of ours. */
    if (bronze_key_of_block(block, again) != ERR_OK || strcmp(again, key) != 0)
        return ERR_MALFORMED;
    return ERR_OK;
}

static bool bronze_key_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '=' ||
           c == '.' || c == '_' || c == '-';
}

bool bronze_key_valid(const char *key)
{
    const size_t size = strnlen(key, OBJECT_KEY_SIZE);
    size_t part = 0; /* characters of the part so far */
    if (size == 0 || size == OBJECT_KEY_SIZE)
        return false;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && key[i] != '/') {
            if (!bronze_key_char(key[i]))
                return false;
            part++;
            continue;
        }
        if (part == 0 || key[i - part] == '.')
            return false;
        part = 0;
    }
    return true;
}
