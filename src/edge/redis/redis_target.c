/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_target.h"

#include <string.h>

static const struct {
    const char *prefix;
    enum redis_target_kind kind;
    bool tls;
} redis_target_forms[] = {
    {"rediss://", REDIS_TARGET_SINGLE, true},       {"sentinel:", REDIS_TARGET_SENTINEL, false},
    {"sentinel+tls:", REDIS_TARGET_SENTINEL, true}, {"cluster:", REDIS_TARGET_CLUSTER, false},
    {"cluster+tls:", REDIS_TARGET_CLUSTER, true},
};

static int redis_target_add(const char *text, size_t size, struct redis_target *target,
                            struct err *err)
{
    char one[REDIS_DIAL_HOST_SIZE + 16];
    if (target->count == REDIS_TARGET_ADDRESSES_MAX)
        return err_set(err, ERR_CONFIG, "more than %d addresses", REDIS_TARGET_ADDRESSES_MAX);
    if (size >= sizeof(one))
        return err_set(err, ERR_CONFIG, "an address is too long");
    memcpy(one, text, size);
    one[size] = '\0';
    struct redis_address *address = &target->address[target->count++];
    int result = redis_dial_parse(one, address, err);
    if (result == ERR_OK && address->is_unix && target->kind != REDIS_TARGET_SINGLE)
        return err_set(err, ERR_CONFIG, "a unix socket among addresses that servers tell");
    return result;
}

static int redis_target_parse_list(const char *list, size_t size, struct redis_target *target,
                                   struct err *err)
{
    const char *end = list + size;
    for (;;) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma != NULL ? comma : end;
        int result = redis_target_add(list, (size_t)(stop - list), target, err);
        if (result != ERR_OK || comma == NULL)
            return result;
        list = comma + 1;
    }
}

/* "addresses/name": the name is what `sentinel monitor NAME …` says. */
static int redis_target_parse_sentinel(const char *text, struct redis_target *target,
                                       struct err *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *slash = strchr(text, '/');
    const char *name = slash != NULL ? slash + 1 : "";
    size_t length = strlen(name);
    if (length == 0 || length >= sizeof(target->master) || name[strspn(name, allowed)] != '\0')
        return err_set(err, ERR_CONFIG, "expected the primary's name behind a slash");
    memcpy(target->master, name, length + 1);
    return redis_target_parse_list(text, (size_t)(slash - text), target, err);
}

static int redis_target_parse_form(const char *text, struct redis_target *target, struct err *err)
{
    for (size_t i = 0; i < sizeof(redis_target_forms) / sizeof(redis_target_forms[0]); i++) {
        size_t length = strlen(redis_target_forms[i].prefix);
        if (strncmp(text, redis_target_forms[i].prefix, length) != 0)
            continue;
        target->kind = redis_target_forms[i].kind;
        target->tls = redis_target_forms[i].tls;
        text += length;
        break;
    }
    if (target->kind == REDIS_TARGET_SENTINEL)
        return redis_target_parse_sentinel(text, target, err);
    if (target->kind == REDIS_TARGET_CLUSTER)
        return redis_target_parse_list(text, strlen(text), target, err);
    int result = redis_target_add(text, strlen(text), target, err);
    if (result == ERR_OK && target->tls && target->address[0].is_unix)
        return err_set(err, ERR_CONFIG, "TLS needs host:port");
    return result;
}

int redis_target_parse(const char *text, struct redis_target *target, struct err *err)
{
    struct err reason = {0};
    memset(target, 0, sizeof(*target));
    if (redis_target_parse_form(text, target, &reason) == ERR_OK)
        return ERR_OK;
    return err_set(err, ERR_CONFIG,
                   "redis target \"%.200s\": %.160s (unix:/path, host:port, rediss://host:port, "
                   "sentinel:host:port,…/name or cluster:host:port,…)",
                   text, reason.text);
}
