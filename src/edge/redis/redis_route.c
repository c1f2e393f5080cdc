/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_route.h"

#include <stdio.h>
#include <string.h>

bool redis_address_equal(const struct redis_address *a, const struct redis_address *b)
{
    return a->is_unix == b->is_unix && strcmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}

const char *redis_address_text(const struct redis_address *address,
                               char text[REDIS_ADDRESS_TEXT_SIZE])
{
    if (address->is_unix)
        snprintf(text, REDIS_ADDRESS_TEXT_SIZE, "unix:%s", address->host);
    else if (strchr(address->host, ':') != NULL)
        snprintf(text, REDIS_ADDRESS_TEXT_SIZE, "[%s]:%s", address->host, address->port);
    else
        snprintf(text, REDIS_ADDRESS_TEXT_SIZE, "%s:%s", address->host, address->port);
    return text;
}

bool redis_address_make(struct redis_address *address, const char *host, size_t host_size,
                        const char *port, size_t port_size)
{
    char text[REDIS_ADDRESS_TEXT_SIZE];
    bool ipv6 = memchr(host, ':', host_size) != NULL;
    int size = snprintf(text, sizeof(text), ipv6 ? "[%.*s]:%.*s" : "%.*s:%.*s", (int)host_size,
                        host, (int)port_size, port);
    return host_size < REDIS_DIAL_HOST_SIZE && size > 0 && (size_t)size < sizeof(text) &&
           redis_dial_parse(text, address, NULL) == ERR_OK && !address->is_unix;
}

static int redis_route_find(const struct redis_route_list *list,
                            const struct redis_address *address)
{
    for (int i = 0; i < list->count; i++)
        if (redis_address_equal(&list->address[i], address))
            return i;
    return -1;
}

/* The newest in front, so that what is heard now is tried before what was configured. */
static void redis_route_put(struct redis_route_list *list, const struct redis_address *address)
{
    int at = redis_route_find(list, address);
    bool tried = at >= 0 && list->tried[at];
    if (at < 0)
        at = list->count < REDIS_ROUTE_KNOWN_MAX ? list->count++ : REDIS_ROUTE_KNOWN_MAX - 1;
    memmove(&list->address[1], &list->address[0], (size_t)at * sizeof(list->address[0]));
    memmove(&list->tried[1], &list->tried[0], (size_t)at * sizeof(list->tried[0]));
    list->address[0] = *address;
    list->tried[0] = tried;
}

void redis_route_init(struct redis_route *route, const struct redis_target *target)
{
    memset(route, 0, sizeof(*route));
    route->target = *target;
    struct redis_route_list *list =
        target->kind == REDIS_TARGET_SENTINEL ? &route->sentinels : &route->servers;
    for (int i = target->count - 1; i >= 0; i--)
        redis_route_put(list, &target->address[i]);
}

/* The first becomes the last: another sentinel answers the next round's questions. */
static void redis_route_rotate(struct redis_route_list *list)
{
    if (list->count < 2)
        return;
    struct redis_address first = list->address[0];
    memmove(&list->address[0], &list->address[1],
            (size_t)(list->count - 1) * sizeof(list->address[0]));
    list->address[list->count - 1] = first;
}

void redis_route_begin(struct redis_route *route)
{
    redis_route_rotate(&route->sentinels);
    memset(route->sentinels.tried, 0, sizeof(route->sentinels.tried));
    memset(route->servers.tried, 0, sizeof(route->servers.tried));
    route->named_tried = route->answered = false;
}

static bool redis_route_take(struct redis_route_list *list, struct redis_address *address)
{
    for (int i = 0; i < list->count; i++) {
        if (list->tried[i])
            continue;
        list->tried[i] = true;
        *address = list->address[i];
        return true;
    }
    return false;
}

static bool redis_route_take_named(struct redis_route *route, struct redis_address *address)
{
    if (!route->has_named || route->named_tried)
        return false;
    *address = route->named;
    route->named_tried = true;
    int at = redis_route_find(&route->servers, address);
    if (at >= 0)
        route->servers.tried[at] = true;
    return true;
}

bool redis_route_next(struct redis_route *route, struct redis_hop *hop)
{
    hop->kind = REDIS_HOP_SERVER;
    if (route->told && redis_route_take_named(route, &hop->address)) {
        route->told = false;
        return true;
    }
    if (route->target.kind == REDIS_TARGET_SENTINEL && !route->answered &&
        redis_route_take(&route->sentinels, &hop->address)) {
        hop->kind = REDIS_HOP_SENTINEL;
        return true;
    }
    return redis_route_take_named(route, &hop->address) ||
           redis_route_take(&route->servers, &hop->address);
}

void redis_route_answered(struct redis_route *route)
{
    route->answered = true;
}

void redis_route_name(struct redis_route *route, const struct redis_address *address, bool told)
{
    int at = redis_route_find(&route->servers, address);
    bool same = route->has_named && redis_address_equal(&route->named, address);
    /* A round that is over has no tries; redis_route_begin clears them. */
    route->named_tried = same ? route->named_tried : at >= 0 && route->servers.tried[at];
    route->named = *address;
    route->has_named = true;
    route->told = told;
    redis_route_put(&route->servers, address);
}

void redis_route_forget(struct redis_route *route)
{
    route->has_named = route->told = false;
}

void redis_route_learn(struct redis_route *route, enum redis_hop_kind kind,
                       const struct redis_address *address)
{
    struct redis_route_list *list =
        kind == REDIS_HOP_SENTINEL ? &route->sentinels : &route->servers;
    if (redis_route_find(list, address) < 0)
        redis_route_put(list, address);
}
