/* The WebSocket client against a server made by hand in this test, so that every byte of
 * the conversation is chosen here. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h> /* before OpenSSL's own headers */
#include "edge/websocket/ws_client.h"
#include "edge/websocket/ws_url.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#define PATIENCE_US 10000000
#define WS_GUID     "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct fixture {
    struct loop *loop;
    struct ws_client *client;
    int listener, peer;
    char url[128];
    char request[4096];
    size_t request_size;
    int opened, messages, closed;
    bool last_text;
    uint8_t *last;
    size_t last_size;
    int code;
    char reason[256];
};

static void on_opened(void *context, int line)
{
    struct fixture *fixture = context;
    assert_in_range(line, 0, WS_CLIENT_LINES_MAX - 1);
    fixture->opened++;
}

static void on_message(void *context, int line, bool is_text, struct bytes message)
{
    struct fixture *fixture = context;
    (void)line;
    fixture->messages++;
    fixture->last_text = is_text;
    assert_true(message.size <= WS_CLIENT_MESSAGE_MAX);
    memcpy(fixture->last, message.data, message.size);
    fixture->last_size = message.size;
}

static void on_closed(void *context, int line, int code, const char *reason)
{
    struct fixture *fixture = context;
    (void)line;
    fixture->closed++;
    fixture->code = code;
    snprintf(fixture->reason, sizeof(fixture->reason), "%s", reason);
}

static void listen_somewhere(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fixture->listener, 4), 0);
    assert_int_equal(getsockname(fixture->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(fixture->url, sizeof(fixture->url), "ws://127.0.0.1:%d/stream?streams=a@trade/b",
             ntohs(address.sin_port));
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct err err = {0};
    fixture->peer = -1;
    fixture->last = malloc(WS_CLIENT_MESSAGE_MAX);
    listen_somewhere(fixture);
    assert_int_equal(loop_open(&fixture->loop, &err), ERR_OK);
    struct ws_client_options options = {
        .context = fixture, .opened = on_opened, .message = on_message, .closed = on_closed};
    if (ws_client_open(&options, fixture->loop, &fixture->client, &err) != ERR_OK)
        fail_msg("%s", err.text);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ws_client_close(fixture->client);
    loop_close(fixture->loop);
    close(fixture->listener);
    if (fixture->peer >= 0)
        close(fixture->peer);
    free(fixture->last);
    free(fixture);
    return 0;
}

/* Serves until *counter reaches value; the test's timeout is a failure, not a measure. */
static void serve_until(struct fixture *fixture, const int *counter, int value)
{
    const int64_t end_us = loop_mono_us() + PATIENCE_US;
    while (*counter < value && loop_mono_us() < end_us)
        ws_client_service(fixture->client, 1000);
    assert_true(*counter >= value);
}

static void serve_for(struct fixture *fixture, int64_t us)
{
    const int64_t end_us = loop_mono_us() + us;
    while (loop_mono_us() < end_us)
        ws_client_service(fixture->client, 1000);
}

/* Takes the connection and reads the upgrade request. */
static void accept_request(struct fixture *fixture)
{
    const int64_t end_us = loop_mono_us() + PATIENCE_US;
    fixture->request_size = 0;
    memset(fixture->request, 0, sizeof(fixture->request));
    while (loop_mono_us() < end_us && strstr(fixture->request, "\r\n\r\n") == NULL) {
        ws_client_service(fixture->client, 1000);
        if (fixture->peer < 0)
            fixture->peer = accept4(fixture->listener, NULL, NULL, SOCK_NONBLOCK);
        ssize_t got = recv(fixture->peer, fixture->request + fixture->request_size,
                           sizeof(fixture->request) - 1 - fixture->request_size, 0);
        fixture->request_size += got > 0 ? (size_t)got : 0;
    }
    assert_non_null(strstr(fixture->request, "\r\n\r\n"));
}

/* Sends all, serving the client meanwhile. */
static void send_bytes(struct fixture *fixture, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t sent = send(fixture->peer, at, size, MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            size -= (size_t)sent;
        }
        ws_client_service(fixture->client, 0);
    }
}

static void upgrade(struct fixture *fixture)
{
    char key[128], reply[512];
    unsigned char digest[SHA_DIGEST_LENGTH], accept[64];
    const char *at = strcasestr(fixture->request, "sec-websocket-key: ");
    assert_non_null(at);
    assert_int_equal(sscanf(at + 19, "%60s", key), 1);
    strcat(key, WS_GUID);
    SHA1((const unsigned char *)key, strlen(key), digest);
    EVP_EncodeBlock(accept, digest, sizeof(digest));
    int size = snprintf(reply, sizeof(reply),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    send_bytes(fixture, reply, (size_t)size);
}

static void connect_line(struct fixture *fixture, const char *api_key)
{
    struct err err = {0};
    assert_int_equal(ws_client_connect(fixture->client, 0, fixture->url, api_key, &err), ERR_OK);
    accept_request(fixture);
    upgrade(fixture);
    serve_until(fixture, &fixture->opened, 1);
}

static void send_frame(struct fixture *fixture, uint8_t first, const void *data, size_t size)
{
    uint8_t head[10] = {first};
    size_t head_size = 2;
    if (size < 126) {
        head[1] = (uint8_t)size;
    } else if (size < 65536) {
        head[1] = 126;
        head[2] = (uint8_t)(size >> 8);
        head[3] = (uint8_t)size;
        head_size = 4;
    } else {
        head[1] = 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
        head_size = 10;
    }
    send_bytes(fixture, head, head_size);
    send_bytes(fixture, data, size);
}

static void ws_client_upgrades_with_the_key_and_the_whole_path(void **state)
{
    struct fixture *fixture = *state;
    connect_line(fixture, "sesame");
    assert_non_null(strstr(fixture->request, "GET /stream?streams=a@trade/b HTTP/1.1\r\n"));
    assert_non_null(strcasestr(fixture->request, "\r\nX-MBX-APIKEY: sesame\r\n"));
    assert_null(strcasestr(fixture->request, "Sec-WebSocket-Protocol"));
    assert_null(strcasestr(fixture->request, "Sec-WebSocket-Extensions"));
}

static void ws_client_sends_no_key_header_without_a_key(void **state)
{
    struct fixture *fixture = *state;
    connect_line(fixture, NULL);
    assert_null(strcasestr(fixture->request, "X-MBX-APIKEY"));
}

static void ws_client_delivers_messages_of_every_length_whole(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {
        0, 1, 125, 126, 65535, 65536, 65537, 200000, WS_CLIENT_MESSAGE_MAX};
    uint8_t *data = malloc(WS_CLIENT_MESSAGE_MAX);
    for (size_t i = 0; i < WS_CLIENT_MESSAGE_MAX; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    connect_line(fixture, NULL);
    for (size_t i = 1; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        send_frame(fixture, 0x82, data, sizes[i]);
        serve_until(fixture, &fixture->messages, (int)i);
        assert_false(fixture->last_text);
        assert_int_equal(fixture->last_size, sizes[i]);
        assert_memory_equal(fixture->last, data, sizes[i]);
    }
    free(data);
}

static void ws_client_joins_fragments_and_tells_text_from_binary(void **state)
{
    struct fixture *fixture = *state;
    connect_line(fixture, NULL);
    send_frame(fixture, 0x01, "{\"e\":", 5);
    send_frame(fixture, 0x89, "hi", 2); /* a ping between the fragments */
    send_frame(fixture, 0x00, "\"x\"", 3);
    send_frame(fixture, 0x80, "}", 1);
    serve_until(fixture, &fixture->messages, 1);
    assert_true(fixture->last_text);
    assert_int_equal(fixture->last_size, 9);
    assert_memory_equal(fixture->last, "{\"e\":\"x\"}", 9);
    send_frame(fixture, 0x82, "b", 1);
    serve_until(fixture, &fixture->messages, 2);
    assert_false(fixture->last_text);
}

static void ws_client_answers_a_ping_with_its_payload(void **state)
{
    struct fixture *fixture = *state;
    uint8_t reply[64];
    ssize_t got = -1;
    connect_line(fixture, NULL);
    send_frame(fixture, 0x89, "12345", 5);
    const int64_t end_us = loop_mono_us() + PATIENCE_US;
    while (got <= 0 && loop_mono_us() < end_us) {
        ws_client_service(fixture->client, 1000);
        got = recv(fixture->peer, reply, sizeof(reply), 0);
    }
    assert_int_equal(got, 2 + 4 + 5);
    assert_int_equal(reply[0], 0x8a);
    assert_int_equal(reply[1], 0x80 | 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(reply[6 + i] ^ reply[2 + i % 4], '1' + i);
}

static void ws_client_skips_a_message_over_the_limit_and_goes_on(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *data = calloc(1, WS_CLIENT_MESSAGE_MAX + 1);
    connect_line(fixture, NULL);
    send_frame(fixture, 0x82, data, WS_CLIENT_MESSAGE_MAX + 1);
    send_frame(fixture, 0x82, "good", 4);
    serve_until(fixture, &fixture->messages, 1);
    assert_int_equal(fixture->last_size, 4);
    assert_int_equal(ws_client_counters(fixture->client)->oversize, 1);
    free(data);
}

static void ws_client_reports_the_close_code_and_its_words(void **state)
{
    struct fixture *fixture = *state;
    connect_line(fixture, NULL);
    send_frame(fixture, 0x88, "\x03\xf0Too many requests", 19);
    serve_until(fixture, &fixture->closed, 1);
    assert_int_equal(fixture->code, 1008);
    assert_string_equal(fixture->reason, "Too many requests");
}

static void ws_client_reports_a_cut_connection(void **state)
{
    struct fixture *fixture = *state;
    connect_line(fixture, NULL);
    close(fixture->peer);
    fixture->peer = -1;
    serve_until(fixture, &fixture->closed, 1);
    assert_int_equal(fixture->code, 1006);
}

static void ws_client_reports_a_refused_upgrade_with_its_status(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    static const char reply[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(ws_client_connect(fixture->client, 0, fixture->url, NULL, &err), ERR_OK);
    accept_request(fixture);
    send_bytes(fixture, reply, sizeof(reply) - 1);
    serve_until(fixture, &fixture->closed, 1);
    assert_int_equal(fixture->code, 0);
    assert_non_null(strstr(fixture->reason, "401"));
    assert_int_equal(fixture->opened, 0);
}

static void ws_client_reports_a_port_nobody_listens_on(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    close(fixture->listener);
    assert_int_equal(ws_client_connect(fixture->client, 0, fixture->url, NULL, &err), ERR_OK);
    serve_until(fixture, &fixture->closed, 1);
    assert_int_equal(fixture->code, 0);
    fixture->listener = socket(AF_INET, SOCK_STREAM, 0);
}

static void ws_client_reports_a_name_without_address(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    assert_int_equal(
        ws_client_connect(fixture->client, 0, "ws://no.such.host.invalid:1/x", NULL, &err), ERR_OK);
    serve_until(fixture, &fixture->closed, 1);
    assert_non_null(strstr(fixture->reason, "no.such.host.invalid"));
}

static void ws_client_says_nothing_more_about_a_dropped_line(void **state)
{
    struct fixture *fixture = *state;
    connect_line(fixture, NULL);
    send_frame(fixture, 0x82, "a", 1);
    serve_until(fixture, &fixture->messages, 1);
    ws_client_drop(fixture->client, 0);
    send(fixture->peer, "\x82\x01z", 3, MSG_NOSIGNAL);
    serve_for(fixture, 50000);
    assert_int_equal(fixture->messages, 1);
    assert_int_equal(fixture->closed, 0);
    /* The line is free again. */
    close(fixture->peer);
    fixture->peer = -1;
    fixture->opened = 0;
    connect_line(fixture, NULL);
    send_frame(fixture, 0x82, "b", 1);
    serve_until(fixture, &fixture->messages, 2);
}

static void ws_client_drops_a_line_that_is_still_connecting(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    assert_int_equal(ws_client_connect(fixture->client, 0, fixture->url, NULL, &err), ERR_OK);
    accept_request(fixture);
    ws_client_drop(fixture->client, 0);
    serve_for(fixture, 20000);
    assert_int_equal(fixture->opened + fixture->closed, 0);
}

static void ws_client_spaces_control_messages(void **state)
{
    struct fixture *fixture = *state;
    uint8_t byte[256];
    connect_line(fixture, NULL);
    const int64_t begin_us = loop_mono_us();
    for (int i = 0; i < 3; i++)
        assert_int_equal(ws_client_send(fixture->client, 0, "{}"), ERR_OK);
    const int64_t end_us = loop_mono_us() + PATIENCE_US;
    size_t total = 0;
    while (total < 3 * 8 && loop_mono_us() < end_us) {
        ws_client_service(fixture->client, 100000);
        ssize_t got = recv(fixture->peer, byte, sizeof(byte), 0);
        total += got > 0 ? (size_t)got : 0;
    }
    assert_int_equal(total, 3 * 8);
    /* A slow machine only makes it longer. */
    assert_true(loop_mono_us() - begin_us >= 2 * WS_CLIENT_CONTROL_GAP_US);
    assert_int_equal(ws_client_send(fixture->client, 1, "{}"), ERR_BAD_STATE);
}

static void ws_client_serves_the_nested_loop(void **state)
{
    struct fixture *fixture = *state;
    /* Woken from the nested loop long before the wait is over. */
    loop_wake(fixture->loop);
    const int64_t before_us = loop_mono_us();
    ws_client_service(fixture->client, PATIENCE_US);
    assert_true(loop_mono_us() - before_us < PATIENCE_US);
}

static void ws_url_takes_urls_apart_and_refuses_bad_ones(void **state)
{
    struct ws_url url;
    struct err err = {0};
    (void)state;
    assert_int_equal(ws_url_parse("wss://stream-sbe.binance.com/ws/x", &url, &err), ERR_OK);
    assert_true(url.tls);
    assert_string_equal(url.address.host, "stream-sbe.binance.com");
    assert_string_equal(url.address.port, "443");
    assert_string_equal(url.path, "/ws/x");
    assert_int_equal(ws_url_parse("ws://[::1]:9443", &url, &err), ERR_OK);
    assert_string_equal(url.address.host, "::1");
    assert_string_equal(url.address.port, "9443");
    assert_string_equal(url.path, "/");
    static const char *const bad[] = {"http://x/",  "ws://",         "ws://:80/",     "ws://x:/",
                                      "ws://x:0/",  "ws://x:65536/", "ws://x:80x/",   "ws://[::1/",
                                      "ws://x/a b", "ws://x?y=1",    "ws://x:123456/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ws_url_parse(bad[i], &url, &err) != ERR_CONFIG)
            fail_msg("%s was taken", bad[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(ws_client_upgrades_with_the_key_and_the_whole_path),
        TEST(ws_client_sends_no_key_header_without_a_key),
        TEST(ws_client_delivers_messages_of_every_length_whole),
        TEST(ws_client_joins_fragments_and_tells_text_from_binary),
        TEST(ws_client_answers_a_ping_with_its_payload),
        TEST(ws_client_skips_a_message_over_the_limit_and_goes_on),
        TEST(ws_client_reports_the_close_code_and_its_words),
        TEST(ws_client_reports_a_cut_connection),
        TEST(ws_client_reports_a_refused_upgrade_with_its_status),
        TEST(ws_client_reports_a_port_nobody_listens_on),
        TEST(ws_client_reports_a_name_without_address),
        TEST(ws_client_says_nothing_more_about_a_dropped_line),
        TEST(ws_client_drops_a_line_that_is_still_connecting),
        TEST(ws_client_spaces_control_messages),
        TEST(ws_client_serves_the_nested_loop),
        cmocka_unit_test(ws_url_takes_urls_apart_and_refuses_bad_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
