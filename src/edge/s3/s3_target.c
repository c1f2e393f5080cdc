/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/s3/s3_target.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/https/https.h"
#include "edge/s3/sigv4.h"

#define S3_TARGET_REGION "us-east-1"
#define S3_TARGET_SAFE   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=._-"

int s3_target_parse(const char *url, struct s3_target *target, struct err *err)
{
    if (strncmp(url, "s3://", 5) != 0)
        return err_set(err, ERR_CONFIG, "expected s3://bucket/prefix, found \"%s\"", url);
    const char *bucket = url + 5;
    size_t size = strcspn(bucket, "/");
    const char *prefix = bucket[size] == '/' ? bucket + size + 1 : "";
    size_t length = strlen(prefix);
    if (size < 3 || size > 63 || strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != size)
        return err_set(err, ERR_CONFIG,
                       "expected a bucket of 3 to 63 lower-case letters, digits, dots and dashes, "
                       "found \"%.*s\"",
                       (int)(size < 80 ? size : 80), bucket);
    if (length + 2 > sizeof(target->prefix) || strspn(prefix, S3_TARGET_SAFE "/") != length ||
        prefix[0] == '/' || strstr(prefix, "//") != NULL)
        return err_set(err, ERR_CONFIG,
                       "expected a prefix of letters, digits and \"=._-/\", found "
                       "\"%.80s\"",
                       prefix);
    snprintf(target->bucket, sizeof(target->bucket), "%.*s", (int)size, bucket);
    snprintf(target->prefix, sizeof(target->prefix), "%s%s", prefix,
             length > 0 && prefix[length - 1] != '/' ? "/" : "");
    return ERR_OK;
}

/* The first of the names that is set and not empty. */
static const char *s3_target_env(const char *first, const char *second)
{
    const char *value = getenv(first);
    if ((value == NULL || value[0] == '\0') && second != NULL)
        value = getenv(second);
    return value != NULL ? value : "";
}

static int s3_target_take(const char *value, char *out, size_t size, const char *name,
                          struct err *err)
{
    if (strlen(value) >= size || strpbrk(value, "\r\n") != NULL)
        return err_set(err, ERR_CONFIG, "%s is too long, or holds a line end", name);
    snprintf(out, size, "%s", value);
    return ERR_OK;
}

int s3_target_environment(struct s3_target *target, struct err *err)
{
    const char *region = s3_target_env("AWS_REGION", "AWS_DEFAULT_REGION");
    int result = s3_target_take(s3_target_env("AWS_ACCESS_KEY_ID", NULL), target->key_id,
                                sizeof(target->key_id), "AWS_ACCESS_KEY_ID", err);
    if (result == ERR_OK)
        result = s3_target_take(s3_target_env("AWS_SECRET_ACCESS_KEY", NULL), target->secret,
                                sizeof(target->secret), "AWS_SECRET_ACCESS_KEY", err);
    if (result == ERR_OK)
        result = s3_target_take(s3_target_env("AWS_SESSION_TOKEN", NULL), target->token,
                                sizeof(target->token), "AWS_SESSION_TOKEN", err);
    if (result == ERR_OK)
        result = s3_target_take(region[0] != '\0' ? region : S3_TARGET_REGION, target->region,
                                sizeof(target->region), "AWS_REGION", err);
    if (result == ERR_OK)
        result =
            s3_target_take(s3_target_env("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
                           target->endpoint, sizeof(target->endpoint), "AWS_ENDPOINT_URL", err);
    return result == ERR_OK ? s3_target_finish(target, err) : result;
}

/* Scheme, host and port as a request will carry them: no port where it is the scheme's own. */
static int s3_target_split(const char *url, char *scheme, char *host, size_t size, struct err *err)
{
    int result = https_check_url(url, err);
    if (result != ERR_OK)
        return result;
    char *parts[4] = {NULL};
    CURLU *parsed = curl_url();
    bool good = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parsed, CURLUPART_SCHEME, &parts[0], 0) == CURLUE_OK &&
                curl_url_get(parsed, CURLUPART_HOST, &parts[1], 0) == CURLUE_OK &&
                curl_url_get(parsed, CURLUPART_PATH, &parts[3], 0) == CURLUE_OK;
    if (good && curl_url_get(parsed, CURLUPART_PORT, &parts[2], CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
        parts[2] = NULL;
    good = good && strcmp(parts[3], "/") == 0 && strlen(parts[1]) + 8 < size;
    if (good) {
        snprintf(scheme, 8, "%s", parts[0]);
        snprintf(host, size, "%s%s%s", parts[1], parts[2] != NULL ? ":" : "",
                 parts[2] != NULL ? parts[2] : "");
    }
    for (int i = 0; i < 4; i++)
        curl_free(parts[i]);
    curl_url_cleanup(parsed);
    return good ? ERR_OK
                : err_set(err, ERR_CONFIG,
                          "AWS_ENDPOINT_URL: expected http://host:port, found "
                          "\"%s\"",
                          url);
}

int s3_target_finish(struct s3_target *target, struct err *err)
{
    char scheme[8] = "https", server[256];
    if (target->key_id[0] == '\0' || target->secret[0] == '\0')
        return err_set(err, ERR_CONFIG, "%s is not set (s3://%s needs it)",
                       target->key_id[0] == '\0' ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                       target->bucket);
    if (target->region[0] == '\0' ||
        strspn(target->region, S3_TARGET_SAFE) != strlen(target->region))
        return err_set(err, ERR_CONFIG, "AWS_REGION: \"%s\" is none", target->region);
    bool in_path = target->endpoint[0] != '\0' || strchr(target->bucket, '.') != NULL;
    if (target->endpoint[0] != '\0') {
        int result = s3_target_split(target->endpoint, scheme, server, sizeof(server), err);
        if (result != ERR_OK)
            return result;
    } else {
        snprintf(server, sizeof(server), "s3.%s.amazonaws.com", target->region);
    }
    snprintf(target->host, sizeof(target->host), "%s%s%s", in_path ? "" : target->bucket,
             in_path ? "" : ".", server);
    snprintf(target->base, sizeof(target->base), "%s://%s", scheme, target->host);
    snprintf(target->place, sizeof(target->place), "/%s%s", in_path ? target->bucket : "",
             in_path ? "/" : "");
    struct text root = text_begin(target->root, sizeof(target->root));
    text_add(&root, target->place);
    sigv4_encode(&root, target->prefix, true);
    text_end(&root);
    return root.truncated ? err_set(err, ERR_CONFIG, "the prefix is too long") : ERR_OK;
}
