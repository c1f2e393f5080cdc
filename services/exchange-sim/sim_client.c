/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"

#define CLIENT_HEADER_MAX 10

int sim_client_open(struct sim_client *client, const struct sim_client_options *options,
                    int64_t mono_us, struct err *err)
{
    memset(client, 0, sizeof(*client));
    client->options = *options;
    client->opened_us = client->ping_us = client->pong_us = mono_us;
    for (int i = 0; i < SIM_CLIENT_MESSAGES_MAX; i++)
        client->message_us[i] = mono_us - CLOCK_US_PER_S;
    client->queue = malloc(options->queue_bytes);
    client->names = malloc(SIM_SUBSCRIPTIONS_MAX * sizeof(client->names[0]));
    if (client->queue && client->names)
        return ERR_OK;
    sim_client_close(client);
    return err_set(err, ERR_MEMORY, "queue of a client");
}

void sim_client_close(struct sim_client *client)
{
    free(client->queue);
    free(client->names);
    client->queue = NULL;
    client->names = NULL;
}

static int client_find(const struct sim_client *client, const char *name)
{
    for (int i = 0; i < client->name_count; i++)
        if (strcmp(client->names[i], name) == 0)
            return i;
    return -1;
}

int sim_client_subscribe(struct sim_client *client, const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size >= SIM_STREAM_NAME_SIZE)
        return ERR_INVALID;
    if (client_find(client, name) >= 0)
        return ERR_OK;
    if (client->name_count == SIM_SUBSCRIPTIONS_MAX)
        return ERR_FULL;
    memcpy(client->names[client->name_count++], name, size + 1);
    int stream = sim_stream_parse(client->options.symbol, name, client->options.json);
    if (stream >= 0) {
        client->mask |= 1u << stream;
        memcpy(client->spoken[stream], name, size + 1);
    }
    return ERR_OK;
}

int sim_client_subscribe_path(struct sim_client *client, const char *names)
{
    for (const char *at = names; *at;) {
        char name[SIM_STREAM_NAME_SIZE];
        size_t size = strcspn(at, "/");
        if (size >= sizeof(name))
            return ERR_INVALID;
        memcpy(name, at, size);
        name[size] = '\0';
        int rc = sim_client_subscribe(client, name);
        if (rc != ERR_OK)
            return rc;
        at += size + (at[size] == '/');
    }
    return client->name_count > 0 ? ERR_OK : ERR_INVALID;
}

/* Two names can mean one stream (depth20, depth20@100ms): it ends with the last of them. */
void sim_client_unsubscribe(struct sim_client *client, const char *name)
{
    int at = client_find(client, name);
    if (at < 0)
        return;
    client->name_count--;
    memmove(client->names[at], client->names[at + 1],
            (size_t)(client->name_count - at) * sizeof(client->names[0]));
    client->mask = 0;
    for (int i = 0; i < client->name_count; i++) {
        int stream =
            sim_stream_parse(client->options.symbol, client->names[i], client->options.json);
        if (stream < 0)
            continue;
        client->mask |= 1u << stream;
        memcpy(client->spoken[stream], client->names[i], SIM_STREAM_NAME_SIZE);
    }
}

/* Server frames are never masked (RFC 6455 section 5.1). */
static size_t client_header(enum sim_opcode opcode, size_t size, uint8_t *out)
{
    out[0] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        out[1] = (uint8_t)size;
        return 2;
    }
    if (size <= UINT16_MAX) {
        out[1] = 126;
        out[2] = (uint8_t)(size >> 8);
        out[3] = (uint8_t)size;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
    return CLIENT_HEADER_MAX;
}

static size_t client_waiting(const struct sim_client *client)
{
    return (size_t)(client->put - client->taken);
}

static void client_put(struct sim_client *client, const void *data, size_t size)
{
    size_t capacity = client->options.queue_bytes;
    size_t at = (size_t)(client->put % capacity);
    size_t first = size < capacity - at ? size : capacity - at;
    memcpy(client->queue + at, data, first);
    memcpy(client->queue, (const uint8_t *)data + first, size - first);
    client->put += size;
}

/* One frame out of up to three pieces. A full queue makes the client go: the exchange
 * drops slow readers too, and a frame left out would be a silent gap. */
static void client_frame(struct sim_client *client, enum sim_opcode opcode,
                         const struct bytes *pieces, int count)
{
    uint8_t header[CLIENT_HEADER_MAX];
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].size;
    size_t header_size = client_header(opcode, size, header);
    if (client->overrun ||
        client_waiting(client) + header_size + size > client->options.queue_bytes) {
        client->overrun = true;
        return;
    }
    client_put(client, header, header_size);
    for (int i = 0; i < count; i++)
        client_put(client, pieces[i].data, pieces[i].size);
    client->sent++;
}

void sim_client_send(struct sim_client *client, enum sim_opcode opcode, struct bytes payload)
{
    client_frame(client, opcode, &payload, 1);
}

static void client_release_quote(struct sim_client *client)
{
    if (client->culled_size == 0)
        return;
    struct bytes quote = bytes_of(client->culled, client->culled_size);
    client->culled_size = 0;
    sim_client_send(client, SIM_BINARY, quote);
}

static bool client_cull(struct sim_client *client, enum sim_stream stream, struct bytes message)
{
    if (stream != SIM_STREAM_BEST_BID_ASK || message.size > sizeof(client->culled) ||
        client_waiting(client) < SIM_CULL_BYTES)
        return false;
    client->quotes_culled += client->culled_size > 0;
    memcpy(client->culled, message.data, message.size);
    client->culled_size = message.size;
    return true;
}

void sim_client_deliver(struct sim_client *client, enum sim_stream stream, struct bytes message)
{
    if (!(client->mask & (1u << stream)) || client_cull(client, stream, message))
        return;
    if (stream == SIM_STREAM_BEST_BID_ASK && client->culled_size > 0) {
        client->culled_size = 0; /* this one is newer */
        client->quotes_culled++;
    }
    if (!client->options.json) {
        sim_client_send(client, SIM_BINARY, message);
    } else if (!client->options.combined) {
        sim_client_send(client, SIM_TEXT, message);
    } else {
        char prefix[SIM_STREAM_NAME_SIZE + 32];
        int size = snprintf(prefix, sizeof(prefix),
                            "{\"stream\":\"%s\",\"data\":", client->spoken[stream]);
        const struct bytes pieces[] = {bytes_of(prefix, (size_t)size), message, BYTES_LITERAL("}")};
        client_frame(client, SIM_TEXT, pieces, 3);
    }
}

bool sim_client_allowed(struct sim_client *client, int64_t mono_us)
{
    int64_t *oldest = &client->message_us[client->message_at];
    bool allowed = mono_us - *oldest >= CLOCK_US_PER_S;
    *oldest = mono_us;
    client->message_at = (client->message_at + 1) % SIM_CLIENT_MESSAGES_MAX;
    return allowed;
}

struct bytes sim_client_peek(struct sim_client *client, size_t most)
{
    if (client_waiting(client) < SIM_CULL_BYTES)
        client_release_quote(client);
    size_t capacity = client->options.queue_bytes;
    size_t at = (size_t)(client->taken % capacity);
    size_t size = client_waiting(client);
    size = size < capacity - at ? size : capacity - at;
    return bytes_of(client->queue + at, size < most ? size : most);
}

void sim_client_took(struct sim_client *client, size_t size)
{
    PRE(size <= client_waiting(client));
    client->taken += size;
}

void sim_client_ask_close(struct sim_client *client, int code, const char *reason)
{
    if (client->close_code != 0)
        return;
    client->close_code = code;
    (void)snprintf(client->close_reason, sizeof(client->close_reason), "%s", reason);
}
