/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/s3/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "edge/file/sha256_hex.h"

#define SIGV4_CANONICAL_MAX 8192
#define SIGV4_MAC_SIZE      32
#define SIGV4_PART_MAX      2048

void sigv4_time(int64_t wall_us, char out[SIGV4_TIME_SIZE])
{
    time_t seconds = (time_t)(wall_us / CLOCK_US_PER_S);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(out, SIGV4_TIME_SIZE, "%Y%m%dT%H%M%SZ", &parts);
    POST(size == SIGV4_TIME_SIZE - 1);
}

void sigv4_encode(struct text *out, const char *value, bool keep_slash)
{
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) != NULL || (keep_slash && c == '/');
        if (plain)
            text_add_char(out, (char)c);
        else
            text_add_format(out, "%%%02X", c);
    }
}

static int sigv4_compare(const void *a, const void *b)
{
    const struct sigv4_pair *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : strcmp(left->value, right->value);
}

/* By encoded name, then value: the encoding itself changes the order of bytes. */
void sigv4_query(struct text *out, const struct sigv4_pair *pairs, int count)
{
    char buffer[SIGV4_CANONICAL_MAX];
    struct text encoded = text_begin(buffer, sizeof(buffer));
    struct sigv4_pair sorted[SIGV4_PAIRS_MAX];
    PRE(count <= SIGV4_PAIRS_MAX);
    for (int i = 0; i < count; i++) {
        sorted[i].name = buffer + encoded.size;
        sigv4_encode(&encoded, pairs[i].name, false);
        text_add_char(&encoded, '\0');
        sorted[i].value = buffer + encoded.size;
        sigv4_encode(&encoded, pairs[i].value, false);
        text_add_char(&encoded, '\0');
    }
    if (encoded.truncated) {
        out->truncated = true;
        return;
    }
    qsort(sorted, (size_t)count, sizeof(sorted[0]), sigv4_compare);
    for (int i = 0; i < count; i++)
        text_add_format(out, "%s%s=%s", i > 0 ? "&" : "", sorted[i].name, sorted[i].value);
}

static void sigv4_mac(const void *key, size_t key_size, const char *text,
                      uint8_t out[SIGV4_MAC_SIZE])
{
    unsigned size = 0;
    CHECK(HMAC(EVP_sha256(), key, (int)key_size, (const uint8_t *)text, strlen(text), out, &size) !=
              NULL &&
          size == SIGV4_MAC_SIZE);
}

/* The key of one day, region and service. */
static void sigv4_signing_key(const struct sigv4_request *request, const char *day,
                              uint8_t key[SIGV4_MAC_SIZE])
{
    char first[SIGV4_PART_MAX];
    snprintf(first, sizeof(first), "AWS4%s", request->secret);
    sigv4_mac(first, strlen(first), day, key);
    sigv4_mac(key, SIGV4_MAC_SIZE, request->region, key);
    sigv4_mac(key, SIGV4_MAC_SIZE, request->service, key);
    sigv4_mac(key, SIGV4_MAC_SIZE, "aws4_request", key);
    OPENSSL_cleanse(first, sizeof(first));
}

static void sigv4_signed_names(const struct sigv4_pair *headers, int count, struct text *out)
{
    for (int i = 0; i < count; i++)
        text_add_format(out, "%s%s", i > 0 ? ";" : "", headers[i].name);
}

static void sigv4_canonical(const struct sigv4_request *request, const struct sigv4_pair *headers,
                            struct text *out)
{
    text_add_format(out, "%s\n%s\n%s\n", request->method, request->path, request->query);
    for (int i = 0; i < request->header_count; i++)
        text_add_format(out, "%s:%s\n", headers[i].name, headers[i].value);
    text_add_char(out, '\n');
    sigv4_signed_names(headers, request->header_count, out);
    text_add_format(out, "\n%s", request->payload_sha256);
}

bool sigv4_authorize(const struct sigv4_request *request, char out[SIGV4_AUTHORIZATION_SIZE])
{
    struct sigv4_pair headers[SIGV4_PAIRS_MAX];
    char buffer[SIGV4_CANONICAL_MAX], scope[256], words[512], hash[SHA256_HEX_SIZE], day[9];
    uint8_t key[SIGV4_MAC_SIZE];
    PRE(request->header_count <= SIGV4_PAIRS_MAX && strlen(request->time) == SIGV4_TIME_SIZE - 1);
    if (request->header_count > 0)
        memcpy(headers, request->headers, sizeof(headers[0]) * (size_t)request->header_count);
    qsort(headers, (size_t)request->header_count, sizeof(headers[0]), sigv4_compare);
    struct text canonical = text_begin(buffer, sizeof(buffer));
    sigv4_canonical(request, headers, &canonical);
    snprintf(day, sizeof(day), "%.8s", request->time);
    snprintf(scope, sizeof(scope), "%s/%s/%s/aws4_request", day, request->region, request->service);
    sha256_hex(bytes_of(buffer, canonical.size), hash);
    snprintf(words, sizeof(words), "AWS4-HMAC-SHA256\n%s\n%s\n%s", request->time, scope, hash);
    sigv4_signing_key(request, day, key);
    sigv4_mac(key, SIGV4_MAC_SIZE, words, key);
    text_hex(bytes_of(key, sizeof(key)), hash);
    OPENSSL_cleanse(key, sizeof(key));
    struct text header = text_begin(out, SIGV4_AUTHORIZATION_SIZE);
    text_add_format(&header, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", request->key_id,
                    scope);
    sigv4_signed_names(headers, request->header_count, &header);
    text_add_format(&header, ", Signature=%s", hash);
    text_end(&header);
    return !canonical.truncated && !header.truncated &&
           strlen(request->secret) < SIGV4_PART_MAX - 8;
}
