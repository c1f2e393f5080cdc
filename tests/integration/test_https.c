/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <stdio.h>

#include "base/log.h"
#include "edge/http_server/http_server.h"
#include "edge/https/https.h"
#include "integration/http_fixture.h"

static struct loop *loop;
static struct https *https;
static struct http_server *server;

struct answer {
    int count, result, status;
    char why[256];
    char body[64];
    size_t size;
    struct answer *again; /* send once more from the callback */
};

static void answer_echo(void *context, const struct http_request *request, struct http_reply *out)
{
    (void)context;
    out->status = strstr(request->query, "teapot") != NULL ? 418 : 200;
    text_add_format(&out->body, "%s ", request->method);
    text_add_bytes(&out->body, request->body.data, request->body.size);
}

static void answer_large(void *context, const struct http_request *request, struct http_reply *out)
{
    (void)context;
    (void)request;
    for (int i = 0; i < 3000000; i++)
        text_add_char(&out->body, 'y');
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/echo", .fn = answer_echo},
    {.method = "POST", .path = "/echo", .fn = answer_echo},
    {.method = "GET", .path = "/large", .fn = answer_large},
    {.method = "GET", .path = "/silent"},
};

static int start(void **state)
{
    (void)state;
    struct err err = {0};
    struct http_server_options options = {.address = "127.0.0.1",
                                          .routes = routes,
                                          .route_count = sizeof(routes) / sizeof(routes[0])};
    struct https_options client = {0};
    assert_int_equal(http_server_open(&options, &server, &err), ERR_OK);
    assert_int_equal(loop_open(&loop, &err), ERR_OK);
    assert_int_equal(https_open(&client, loop, &https, &err), ERR_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    https_close(https);
    loop_close(loop);
    http_server_close(server);
    return 0;
}

static int send_to(const char *method, int port, const char *path, struct bytes body,
                   int64_t timeout_us, struct answer *answer);

static void on_reply(void *context, const struct https_reply *reply)
{
    struct answer *answer = context;
    answer->count++;
    answer->result = reply->result;
    answer->status = reply->status;
    answer->size = reply->body.size;
    snprintf(answer->why, sizeof(answer->why), "%s", reply->why);
    snprintf(answer->body, sizeof(answer->body), "%.*s",
             (int)(reply->body.size < 60 ? reply->body.size : 60),
             reply->body.size > 0 ? (const char *)reply->body.data : "");
    if (answer->again != NULL)
        assert_int_equal(send_to("GET", http_server_port(server), "/echo", bytes_of("", 0), 1000000,
                                 answer->again),
                         ERR_OK);
}

static int send_to(const char *method, int port, const char *path, struct bytes body,
                   int64_t timeout_us, struct answer *answer)
{
    char url[128];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
    struct https_request request = {
        .method = method, .url = url, .body = body, .timeout_us = timeout_us};
    return https_send(https, &request, on_reply, answer);
}

static void wait_for(const struct answer *answer)
{
    for (int i = 0; i < 1000 && answer->count == 0; i++)
        loop_run_once(loop, 10000);
    assert_int_equal(answer->count, 1);
}

static void https_brings_status_and_body(void **state)
{
    (void)state;
    struct answer answer = {0};
    int port = http_server_port(server);
    assert_int_equal(send_to("GET", port, "/echo", bytes_of("", 0), 2000000, &answer), ERR_OK);
    assert_int_equal(answer.count, 0);
    wait_for(&answer);
    assert_int_equal(answer.result, ERR_OK);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "GET ");
    struct answer post = {0};
    assert_int_equal(
        send_to("POST", port, "/echo?teapot=1", BYTES_LITERAL("hello"), 2000000, &post), ERR_OK);
    wait_for(&post);
    assert_int_equal(post.status, 418);
    assert_string_equal(post.body, "POST hello");
}

static void https_runs_calls_side_by_side_up_to_its_limit(void **state)
{
    (void)state;
    struct answer answers[HTTPS_IN_FLIGHT_MAX] = {0};
    struct answer refused = {0};
    int port = http_server_port(server);
    for (int i = 0; i < HTTPS_IN_FLIGHT_MAX; i++)
        assert_int_equal(send_to("GET", port, i == 0 ? "/large" : "/echo", bytes_of("", 0), 9000000,
                                 &answers[i]),
                         ERR_OK);
    assert_int_equal(send_to("GET", port, "/echo", bytes_of("", 0), 1000000, &refused), ERR_AGAIN);
    for (int i = 0; i < HTTPS_IN_FLIGHT_MAX; i++) {
        wait_for(&answers[i]);
        assert_int_equal(answers[i].result, ERR_OK);
    }
    assert_int_equal(answers[0].size, 3000000);
    assert_int_equal(refused.count, 0);
}

static void https_may_send_from_a_callback(void **state)
{
    (void)state;
    struct answer second = {0};
    struct answer first = {.again = &second};
    assert_int_equal(
        send_to("GET", http_server_port(server), "/echo", bytes_of("", 0), 1000000, &first),
        ERR_OK);
    wait_for(&second);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.status, 200);
}

static void https_says_what_went_wrong(void **state)
{
    (void)state;
    struct answer answer = {0};
    assert_int_equal(
        send_to("GET", http_server_port(server), "/silent", bytes_of("", 0), 50000, &answer),
        ERR_OK);
    wait_for(&answer);
    assert_int_equal(answer.result, ERR_TIMEOUT);
    assert_true(answer.why[0] != '\0');
    struct answer refused = {0};
    int free_port = http_server_port(server);
    http_server_close(server);
    assert_int_equal(send_to("GET", free_port, "/echo", bytes_of("", 0), 1000000, &refused),
                     ERR_OK);
    wait_for(&refused);
    assert_int_equal(refused.result, ERR_CONNECTION);
    assert_int_equal(refused.status, 0);
    struct err err = {0};
    struct http_server_options options = {.address = "127.0.0.1"};
    assert_int_equal(http_server_open(&options, &server, &err), ERR_OK);
    struct answer bad = {0};
    struct https_request request = {
        .method = "GET", .url = "file:///etc/passwd", .timeout_us = 1000000};
    assert_int_equal(https_send(https, &request, on_reply, &bad), ERR_OK);
    wait_for(&bad);
    assert_int_equal(bad.result, ERR_INVALID);
    assert_int_equal(bad.size, 0);
}

/* One connection is given raw bytes, then closed. */
static void serve_raw(int listener, const char *reply, struct answer *answer)
{
    int fd = -1;
    for (int i = 0; i < 1000 && fd < 0; i++) {
        loop_run_once(loop, 1000);
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    assert_true(fd >= 0);
    char request[2048];
    for (int i = 0; i < 1000 && recv(fd, request, sizeof(request), 0) <= 0; i++)
        loop_run_once(loop, 1000);
    http_fixture_write(fd, reply);
    close(fd);
    wait_for(answer);
}

static int open_listener(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static struct https_reply last;

static void keep_reply(void *context, const struct https_reply *reply)
{
    last = *reply;
    on_reply(context, reply);
}

static void https_reads_the_exchange_headers(void **state)
{
    (void)state;
    int port;
    int listener = open_listener(&port);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    struct https_request request = {.method = "GET", .url = url, .timeout_us = 5000000};
    struct answer answer = {0};
    assert_int_equal(https_send(https, &request, keep_reply, &answer), ERR_OK);
    serve_raw(listener,
              "HTTP/1.1 429 x\r\nretry-after: 17\r\nX-Mbx-Used-Weight-1m: 6001\r\n"
              "X-MBX-USED-WEIGHT: 5\r\nContent-Length: 2\r\n\r\n{}",
              &answer);
    assert_int_equal(last.status, 429);
    assert_int_equal(last.retry_after_s, 17);
    assert_int_equal(last.used_weight, 6001);
    assert_true(last.duration_us > 0);
    close(listener);
}

static void https_does_not_take_part_of_a_reply_for_a_reply(void **state)
{
    (void)state;
    int port;
    int listener = open_listener(&port);
    struct answer answer = {0};
    assert_int_equal(send_to("GET", port, "/", bytes_of("", 0), 5000000, &answer), ERR_OK);
    serve_raw(listener, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"bids\":", &answer);
    assert_int_equal(answer.result, ERR_CONNECTION);
    struct answer large = {0};
    assert_int_equal(send_to("GET", port, "/", bytes_of("", 0), 5000000, &large), ERR_OK);
    serve_raw(listener, "HTTP/1.1 200 OK\r\n\r\nno length, no end but the connection's", &large);
    assert_int_equal(large.result, ERR_OK);
    struct answer garbage = {0};
    assert_int_equal(send_to("GET", port, "/", bytes_of("", 0), 5000000, &garbage), ERR_OK);
    serve_raw(listener, "\x15\x03\x01 not HTTP at all\r\n\r\n", &garbage);
    assert_int_not_equal(garbage.result, ERR_OK);
    close(listener);
}

static void https_answers_what_is_in_flight_when_it_closes(void **state)
{
    (void)state;
    struct answer answer = {0};
    struct err err = {0};
    struct https_options client = {0};
    assert_int_equal(
        send_to("GET", http_server_port(server), "/silent", bytes_of("", 0), 5000000, &answer),
        ERR_OK);
    for (int i = 0; i < 10; i++)
        loop_run_once(loop, 1000);
    https_close(https);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.result, ERR_CONNECTION);
    assert_int_equal(https_open(&client, loop, &https, &err), ERR_OK);
}

static void https_tells_urls_and_certificates_that_cannot_work(void **state)
{
    (void)state;
    struct err err = {0};
    static const char *const good[] = {"http://127.0.0.1:8089", "https://api.binance.com",
                                       "http://[::1]:80/x"};
    static const char *const bad[] = {
        "", "nonsense", "ftp://host", "http://", "https://:443", "http://host:port", "ws://host"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(https_check_url(good[i], &err), ERR_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(https_check_url(bad[i], &err), ERR_CONFIG);
    struct https_options options = {.ca_file = "/nonexistent/ca.pem"};
    struct https *none = NULL;
    assert_int_equal(https_open(&options, loop, &none, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "/nonexistent/ca.pem"));
}

int main(void)
{
    log_init("test", LOG_ERROR, NULL);
#define ON_BOTH(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        ON_BOTH(https_brings_status_and_body),
        ON_BOTH(https_runs_calls_side_by_side_up_to_its_limit),
        ON_BOTH(https_may_send_from_a_callback),
        ON_BOTH(https_says_what_went_wrong),
        ON_BOTH(https_reads_the_exchange_headers),
        ON_BOTH(https_does_not_take_part_of_a_reply_for_a_reply),
        ON_BOTH(https_answers_what_is_in_flight_when_it_closes),
        ON_BOTH(https_tells_urls_and_certificates_that_cannot_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
