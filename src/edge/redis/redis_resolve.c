/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct redis_resolve {
    atomic_int owners; /* the thread and the caller; the last one frees */
    atomic_bool done;
    int event_fd;
    struct redis_address address;
    int result; /* of getaddrinfo */
    struct redis_resolved resolved;
};

static int redis_resolve_lookup(const struct redis_address *address, int flags,
                                struct redis_resolved *out)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int result = getaddrinfo(address->host, address->port, &hints, &list);
    if (result != 0)
        return result;
    out->count = 0;
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        if (out->count == REDIS_DIAL_ADDRESSES_MAX)
            break;
        memcpy(&out->address[out->count], at->ai_addr, at->ai_addrlen);
        out->size[out->count++] = at->ai_addrlen;
    }
    freeaddrinfo(list);
    return 0;
}

bool redis_resolve_numeric(const struct redis_address *address, struct redis_resolved *out)
{
    return redis_resolve_lookup(address, AI_NUMERICHOST, out) == 0 && out->count > 0;
}

static void redis_resolve_release(struct redis_resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->owners, 1) > 1)
        return;
    close(resolve->event_fd);
    free(resolve);
}

static void *redis_resolve_run(void *context)
{
    struct redis_resolve *resolve = context;
    resolve->result = redis_resolve_lookup(&resolve->address, 0, &resolve->resolved);
    atomic_store(&resolve->done, true);
    uint64_t one = 1;
    ssize_t size = write(resolve->event_fd, &one, sizeof(one));
    (void)size;
    redis_resolve_release(resolve);
    return NULL;
}

int redis_resolve_start(const struct redis_address *address, struct redis_resolve **out,
                        struct err *err)
{
    struct redis_resolve *resolve = calloc(1, sizeof(*resolve));
    if (resolve == NULL)
        return err_set(err, ERR_MEMORY, "looking up %s: out of memory", address->host);
    resolve->address = *address;
    atomic_init(&resolve->owners, 2);
    resolve->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_t thread;
    if (resolve->event_fd < 0 || pthread_create(&thread, NULL, redis_resolve_run, resolve) != 0) {
        if (resolve->event_fd >= 0)
            close(resolve->event_fd);
        free(resolve);
        return err_set(err, ERR_IO, "looking up %s: no thread or descriptor", address->host);
    }
    pthread_detach(thread);
    *out = resolve;
    return ERR_OK;
}

int redis_resolve_fd(const struct redis_resolve *resolve)
{
    return resolve->event_fd;
}

int redis_resolve_take(struct redis_resolve *resolve, struct redis_resolved *out, struct err *err)
{
    if (!atomic_load(&resolve->done))
        return ERR_AGAIN;
    if (resolve->result != 0)
        return err_set(err, ERR_CONNECTION, "%s: %s", resolve->address.host,
                       gai_strerror(resolve->result));
    if (resolve->resolved.count == 0)
        return err_set(err, ERR_CONNECTION, "%s: no address", resolve->address.host);
    *out = resolve->resolved;
    return ERR_OK;
}

void redis_resolve_close(struct redis_resolve *resolve)
{
    if (resolve != NULL)
        redis_resolve_release(resolve);
}
