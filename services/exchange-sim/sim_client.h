/* One WebSocket client of the simulated exchange: its subscriptions, its bounded queue of
 * ready-made WebSocket frames, the control requests and the rules about them (BINANCE.md
 * section 3). Pure: the server moves the bytes. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_CLIENT_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "services/exchange-sim/sim_feed.h"

/* Streams per connection, and their names' length. */
#define SIM_SUBSCRIPTIONS_MAX 1024
#define SIM_STREAM_NAME_SIZE  64
/* Client messages in any second; more closes the connection with 1008. */
#define SIM_CLIENT_MESSAGES_MAX 5
/* Longest control request: 1024 names. */
#define SIM_CONTROL_MAX (SIM_SUBSCRIPTIONS_MAX * SIM_STREAM_NAME_SIZE)
/* With so much waiting, quotes are culled: only the newest of the symbol waits. */
#define SIM_CULL_BYTES        (64u * 1024u)
#define SIM_CLOSE_REASON_SIZE 100

enum sim_opcode { SIM_TEXT = 1, SIM_BINARY = 2, SIM_PING = 9 };

struct sim_client_options {
    bool json;     /* JSON streams; else SBE */
    bool combined; /* JSON messages are wrapped with their stream's name */
    size_t queue_bytes;
    const char *symbol; /* borrowed */
};

struct sim_client {
    struct sim_client_options options;
    uint8_t *queue;
    uint64_t put, taken; /* bytes ever queued and taken */
    uint8_t culled[256]; /* a frame of the newest quote while quotes are culled */
    size_t culled_size;
    char (*names)[SIM_STREAM_NAME_SIZE];
    int name_count;
    uint32_t mask;                                       /* of enum sim_stream */
    char spoken[SIM_STREAM_COUNT][SIM_STREAM_NAME_SIZE]; /* names as subscribed */
    int64_t opened_us, ping_us, pong_us;                 /* monotonic */
    int64_t message_us[SIM_CLIENT_MESSAGES_MAX];
    int message_at;
    bool overrun; /* the queue was full: it must go */
    int close_code;
    char close_reason[SIM_CLOSE_REASON_SIZE];
    int64_t close_at_us;        /* monotonic; 0: no appointment */
    int64_t stalled_until_us;   /* wall; nothing of the streams is delivered */
    int64_t half_open_until_us; /* wall; nothing at all happens on the socket */
    uint64_t sent, quotes_culled, withheld;
};

int sim_client_open(struct sim_client *client, const struct sim_client_options *options,
                    int64_t mono_us, struct err *err) MUST_CHECK;
void sim_client_close(struct sim_client *client);
/* Adds one stream by name, known or not, as the exchange does. ERR_FULL over the limit,
 * ERR_INVALID for a name that is empty or too long. */
int sim_client_subscribe(struct sim_client *client, const char *name) MUST_CHECK;
void sim_client_unsubscribe(struct sim_client *client, const char *name);
/* Names separated by '/', as in ?streams=a/b/c. */
int sim_client_subscribe_path(struct sim_client *client, const char *names) MUST_CHECK;
/* Queues a stream's message if subscribed. */
void sim_client_deliver(struct sim_client *client, enum sim_stream stream, struct bytes message);
/* Queues any other frame. */
void sim_client_send(struct sim_client *client, enum sim_opcode opcode, struct bytes payload);
/* A client message came (text or pong): false when it was one too many in a second. */
bool sim_client_allowed(struct sim_client *client, int64_t mono_us);
/* Answers a control request in text (sim_control.c). */
void sim_client_request(struct sim_client *client, struct bytes json);
/* What can be written next, at most `most` bytes in one piece; empty when nothing waits. */
struct bytes sim_client_peek(struct sim_client *client, size_t most);
void sim_client_took(struct sim_client *client, size_t size);
void sim_client_ask_close(struct sim_client *client, int code, const char *reason);

#endif
