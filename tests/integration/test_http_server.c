/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/log.h"
#include "edge/http_server/http_server.h"
#include "integration/http_fixture.h"

#define REPLY_SIZE (8u * 1024u * 1024u)
#define CLOSE      "Host: x\r\nConnection: close\r\n"

static char *reply;
static _Atomic int changed;

static void answer_echo(void *context, const struct http_request *request, struct http_reply *out)
{
    (void)context;
    char symbol[16] = "-";
    http_query(request, "symbol", symbol, sizeof(symbol));
    text_add_format(&out->body, "%s %s %s %zu ", request->method, request->path, symbol,
                    request->body.size);
    text_add_bytes(&out->body, request->body.data, request->body.size);
}

static void answer_change(void *context, const struct http_request *request, struct http_reply *out)
{
    (void)context;
    (void)request;
    atomic_fetch_add(&changed, 1);
    text_add(&out->body, "{\"done\":true}");
}

/* ?bytes=N of 'x'. */
static void answer_large(void *context, const struct http_request *request, struct http_reply *out)
{
    (void)context;
    char bytes[16] = "0";
    http_query(request, "bytes", bytes, sizeof(bytes));
    out->content_type = "text/plain";
    for (long left = atol(bytes); left > 0; left--)
        text_add_char(&out->body, 'x');
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/echo", .fn = answer_echo},
    {.method = "POST", .path = "/echo", .fn = answer_echo},
    {.method = "POST", .path = "/change", .fn = answer_change, .changes = true},
    {.method = "GET", .path = "/large", .fn = answer_large},
    {.method = "GET", .path = "/events"},
    {.method = "GET", .path = "/other"},
};

static struct http_server *open_server(const char *address, const char *token)
{
    struct http_server *server = NULL;
    struct err err = {0};
    struct http_server_options options = {.address = address,
                                          .bearer_token = token,
                                          .routes = routes,
                                          .route_count = sizeof(routes) / sizeof(routes[0])};
    if (http_server_open(&options, &server, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return server;
}

static int start(void **state)
{
    reply = malloc(REPLY_SIZE);
    *state = open_server("127.0.0.1", NULL);
    return 0;
}

static int stop(void **state)
{
    http_server_close(*state);
    free(reply);
    return 0;
}

static int ask(struct http_server *server, const char *request)
{
    return http_fixture_ask(http_server_port(server), request, reply, REPLY_SIZE);
}

static const char *body(void)
{
    const char *end = strstr(reply, "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

static void server_answers_live_by_itself(void **state)
{
    assert_int_equal(ask(*state, "GET /live HTTP/1.1\r\n" CLOSE "\r\n"), 200);
    assert_string_equal(body(), "{\"alive\":true}\n");
    assert_int_equal(ask(*state, "POST /live HTTP/1.1\r\n" CLOSE "\r\n"), 405);
}

static void server_hands_method_path_query_and_body_to_the_handler(void **state)
{
    assert_int_equal(
        ask(*state, "GET /echo?a=1&symbol=B%25%26+C%3d%55&b HTTP/1.1\r\n" CLOSE "\r\n"), 200);
    assert_string_equal(body(), "GET /echo B%& C=U 0 ");
    assert_int_equal(
        ask(*state, "POST /echo?symbol=E HTTP/1.1\r\n" CLOSE "Content-Length: 5\r\n\r\nhello"),
        200);
    assert_string_equal(body(), "POST /echo E 5 hello");
    assert_int_equal(ask(*state, "POST /echo HTTP/1.1\r\n" CLOSE "\r\n"), 200);
    assert_string_equal(body(), "POST /echo - 0 ");
    assert_int_equal(ask(*state, "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 0\r\n\r\n"), 200);
    assert_string_equal(body(), "POST /echo - 0 ");
}

static void server_closes_what_cannot_carry_another_request(void **state)
{
    static const char *const requests[] = {
        "POST /echo HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 262145\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        int fd = http_fixture_connect(http_server_port(*state));
        http_fixture_write(fd, requests[i]);
        http_fixture_read(fd, reply, REPLY_SIZE, NULL, 0);
        assert_non_null(strstr(reply, "connection: close"));
        assert_true(body()[0] != '\0');
        assert_int_equal(recv(fd, reply, 1, MSG_DONTWAIT), 0);
        close(fd);
    }
}

static void server_refuses_what_it_does_not_have(void **state)
{
    assert_int_equal(ask(*state, "GET /nothing HTTP/1.1\r\n" CLOSE "\r\n"), 404);
    assert_string_equal(body(), "{\"error\":\"no such path\"}\n");
    assert_int_equal(ask(*state, "GET /change HTTP/1.1\r\n" CLOSE "\r\n"), 405);
    assert_int_equal(ask(*state, "DELETE /echo HTTP/1.1\r\n" CLOSE "\r\n"), 405);
    assert_int_equal(ask(*state, "GET /../../etc/passwd HTTP/1.1\r\n" CLOSE "\r\n"), 404);
    assert_int_equal(
        ask(*state, "POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"), 411);
    assert_int_equal(ask(*state, "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 262145\r\n\r\n"),
                     413);
}

static void server_answers_head_without_a_body(void **state)
{
    assert_int_equal(ask(*state, "HEAD /echo HTTP/1.1\r\n" CLOSE "\r\n"), 200);
    assert_string_equal(body(), "");
    assert_non_null(strstr(reply, "content-length: 14"));
}

static void server_takes_the_largest_body_in_pieces(void **state)
{
    int fd = http_fixture_connect(http_server_port(*state));
    http_fixture_write(fd, "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 262144\r\n\r\n");
    char piece[4097];
    memset(piece, 'b', 4096);
    piece[4096] = '\0';
    for (int i = 0; i < 64; i++)
        http_fixture_write(fd, piece);
    http_fixture_read(fd, reply, REPLY_SIZE, NULL, 0);
    close(fd);
    assert_int_equal(strlen(body()), 262144 + strlen("POST /echo - 262144 "));
}

static void server_sends_large_replies_whole_and_larger_ones_not_at_all(void **state)
{
    assert_int_equal(ask(*state, "GET /large?bytes=4000000 HTTP/1.1\r\n" CLOSE "\r\n"), 200);
    assert_int_equal(strlen(body()), 4000000);
    assert_int_equal(ask(*state, "GET /large?bytes=5000000 HTTP/1.1\r\n" CLOSE "\r\n"), 500);
}

static void server_keeps_a_connection_for_many_requests(void **state)
{
    int fd = http_fixture_connect(http_server_port(*state));
    for (int i = 0; i < 50; i++) {
        http_fixture_write(fd, "GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
        http_fixture_read(fd, reply, REPLY_SIZE, "alive\":true}\n", 1);
        assert_int_equal(strncmp(reply, "HTTP/1.1 200", 12), 0);
        http_fixture_write(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        http_fixture_read(fd, reply, REPLY_SIZE, "3 abc", 1);
        assert_int_equal(strncmp(reply, "HTTP/1.1 200", 12), 0);
    }
    close(fd);
}

static void server_survives_garbage(void **state)
{
    static const char *const garbage[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET /echo?symbol=%4 HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /echo HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        int fd = http_fixture_connect(http_server_port(*state));
        http_fixture_write(fd, garbage[i]);
        shutdown(fd, SHUT_WR);
        http_fixture_read(fd, reply, REPLY_SIZE, NULL, 0);
        close(fd);
    }
    char *line = malloc(20000);
    memset(line, 'a', 20000);
    memcpy(line, "GET /echo?symbol=", 17);
    strcpy(line + 19980, " HTTP/1.1\r\n\r\n");
    int fd = http_fixture_connect(http_server_port(*state));
    http_fixture_write(fd, line);
    shutdown(fd, SHUT_WR);
    http_fixture_read(fd, reply, REPLY_SIZE, NULL, 0);
    close(fd);
    free(line);
    assert_int_equal(ask(*state, "GET /live HTTP/1.1\r\n" CLOSE "\r\n"), 200);
}

static void server_serves_a_hundred_clients_and_more_than_it_has_room_for_one_by_one(void **state)
{
    int fds[300];
    for (int i = 0; i < 300; i++)
        fds[i] = http_fixture_connect(http_server_port(*state));
    for (int i = 0; i < 100; i++)
        http_fixture_write(fds[i], "GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        http_fixture_read(fds[i], reply, REPLY_SIZE, "alive\":true}\n", 1);
        assert_int_equal(strncmp(reply, "HTTP/1.1 200", 12), 0);
    }
    for (int i = 0; i < 300; i++)
        close(fds[i]);
    assert_int_equal(ask(*state, "GET /live HTTP/1.1\r\n" CLOSE "\r\n"), 200);
}

static void wait_for_clients(struct http_server *server, int64_t count)
{
    for (int i = 0; i < 5000 && http_server_stats(server).event_clients != count; i++)
        usleep(1000);
    assert_int_equal(http_server_stats(server).event_clients, count);
}

static void channel_gives_each_event_to_each_of_its_clients(void **state)
{
    struct http_server *server = *state;
    int fds[10];
    for (int i = 0; i < 10; i++) {
        fds[i] = http_fixture_connect(http_server_port(server));
        http_fixture_write(fds[i], i < 9 ? "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"
                                         : "GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    wait_for_clients(server, 10);
    http_server_publish(server, "/events", BYTES_LITERAL("{\"n\":1,\n\"x\":2}"));
    http_server_publish(server, "/other", BYTES_LITERAL("{\"n\":9}"));
    http_server_publish(server, "/events", BYTES_LITERAL("{\"n\":2}"));
    for (int i = 0; i < 9; i++) {
        http_fixture_read(fds[i], reply, REPLY_SIZE, "data: ", 2);
        assert_non_null(strstr(reply, "text/event-stream"));
        assert_non_null(strstr(reply, ":\n\n"));
        assert_non_null(strstr(reply, "data: {\"n\":1, \"x\":2}\n\ndata: {\"n\":2}"));
        assert_null(strstr(reply, "{\"n\":9}"));
    }
    http_fixture_read(fds[9], reply, REPLY_SIZE, "data: {\"n\":9}\n\n", 1);
    assert_int_equal(http_fixture_count(reply, "data: "), 1);
    for (int i = 0; i < 10; i++)
        close(fds[i]);
    wait_for_clients(server, 0);
    assert_int_equal(http_server_stats(server).events_dropped, 0);
}

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void quiet_channel_costs_nothing_whatever_its_clients_send(void **state)
{
    int talking = http_fixture_connect(http_server_port(*state));
    int gone = http_fixture_connect(http_server_port(*state));
    http_fixture_write(talking, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    http_fixture_write(gone, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_clients(*state, 2);
    http_fixture_write(talking, "GET /live HTTP/1.1\r\n");
    close(gone);
    double before = cpu_seconds();
    wait_for_clients(*state, 1);
    usleep(500000);
    assert_true(cpu_seconds() - before < 0.2); /* a spinning thread: 0.5 */
    close(talking);
}

static void channel_drops_and_counts_the_oldest_events_of_a_client_that_does_not_read(void **state)
{
    struct http_server *server = *state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(server))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    http_fixture_write(fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_clients(server, 1);
    char event[HTTP_EVENT_MAX];
    memset(event, '1', sizeof(event));
    for (int i = 0; i < 100000 && http_server_stats(server).events_dropped < 100; i++) {
        http_server_publish(server, "/events", bytes_of(event, sizeof(event)));
        usleep(50);
    }
    assert_true(http_server_stats(server).events_dropped >= 100);
    assert_int_equal(ask(server, "GET /live HTTP/1.1\r\n" CLOSE "\r\n"), 200);
    close(fd);
    wait_for_clients(server, 0);
}

static void publishing_too_much_or_nowhere_is_counted(void **state)
{
    struct http_server *server = *state;
    static char large[HTTP_EVENT_MAX + 1];
    http_server_publish(server, "/nowhere", BYTES_LITERAL("{}"));
    http_server_publish(server, "/events", bytes_of(large, sizeof(large)));
    assert_int_equal(http_server_stats(server).events_dropped, 2);
}

static void server_says_that_a_port_is_taken(void **state)
{
    struct http_server *second = NULL;
    struct err err = {0};
    int port = http_server_port(*state);
    struct http_server_options options = {.address = "127.0.0.1", .port = port};
    assert_int_equal(http_server_open(&options, &second, &err), ERR_REFUSED);
    char expected[64];
    snprintf(expected, sizeof(expected), "port %d is in use (on 127.0.0.1)", port);
    assert_string_equal(err.text, expected);
    options.address = "203.0.113.7";
    options.port = 0;
    assert_int_equal(http_server_open(&options, &second, &err), ERR_IO);
    assert_non_null(strstr(err.text, "203.0.113.7"));
    options.address = "localhost:80";
    assert_int_equal(http_server_open(&options, &second, &err), ERR_INVALID);
}

static void changes_on_loopback_need_no_token_but_no_foreign_page(void **state)
{
    atomic_store(&changed, 0);
    assert_int_equal(ask(*state, "POST /change HTTP/1.1\r\n" CLOSE "\r\n"), 200);
    assert_int_equal(
        ask(*state, "POST /change HTTP/1.1\r\n" CLOSE "Origin: http://localhost:8088\r\n\r\n"),
        200);
    assert_int_equal(atomic_load(&changed), 2);
    assert_int_equal(
        ask(*state, "POST /change HTTP/1.1\r\n" CLOSE "Origin: http://evil.example\r\n\r\n"), 403);
    assert_int_equal(
        ask(*state, "POST /change HTTP/1.1\r\n" CLOSE "Origin: http://localhost.evil\r\n\r\n"),
        403);
    assert_int_equal(atomic_load(&changed), 2);
}

static void changes_off_loopback_need_the_bearer_token(void **state)
{
    (void)state;
    atomic_store(&changed, 0);
    struct http_server *server = open_server("0.0.0.0", "s3cret");
    assert_int_equal(ask(server, "GET /echo HTTP/1.1\r\n" CLOSE "\r\n"), 200);
    assert_int_equal(ask(server, "POST /change HTTP/1.1\r\n" CLOSE "\r\n"), 401);
    static const char *const wrong[] = {"Bearer s3cre", "Bearer s3crex", "Bearer s3cret2",
                                        "Basic s3cret", "s3cret",        "Bearer "};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char request[256];
        snprintf(request, sizeof(request),
                 "POST /change HTTP/1.1\r\n" CLOSE "Authorization: %s\r\n\r\n", wrong[i]);
        assert_int_equal(ask(server, request), 401);
    }
    assert_int_equal(atomic_load(&changed), 0);
    assert_int_equal(
        ask(server, "POST /change HTTP/1.1\r\n" CLOSE "Authorization: Bearer s3cret\r\n\r\n"), 200);
    assert_int_equal(atomic_load(&changed), 1);
    http_server_close(server);
    server = open_server("0.0.0.0", "");
    assert_int_equal(ask(server, "POST /change HTTP/1.1\r\n" CLOSE "\r\n"), 403);
    assert_int_equal(
        ask(server, "POST /change HTTP/1.1\r\n" CLOSE "Authorization: Bearer \r\n\r\n"), 403);
    assert_int_equal(atomic_load(&changed), 1);
    http_server_close(server);
}

struct board_run {
    struct http_board *board;
    _Atomic bool done;
};

static void *board_writer(void *context)
{
    struct board_run *run = context;
    uint64_t value[64];
    for (uint64_t n = 1; n <= 200000; n++) {
        for (int i = 0; i < 64; i++)
            value[i] = n;
        http_board_write(run->board, bytes_of(value, sizeof(value)));
    }
    atomic_store(&run->done, true);
    return NULL;
}

static void board_reads_are_whole_and_never_go_back(void **state)
{
    (void)state;
    struct board_run run = {0};
    uint64_t value[64];
    assert_int_equal(http_board_open(sizeof(value), &run.board), ERR_OK);
    assert_int_equal(http_board_read(run.board, value, sizeof(value)), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, board_writer, &run), 0);
    uint64_t last = 0;
    while (last < 200000) {
        bool done = atomic_load(&run.done);
        if (http_board_read(run.board, value, sizeof(value)) == 0)
            continue;
        for (int i = 1; i < 64; i++)
            assert_true(value[i] == value[0]);
        assert_true(value[0] >= last);
        last = value[0];
        assert_true(!done || last == 200000);
    }
    pthread_join(thread, NULL);
    assert_int_equal(http_board_read(run.board, value, 8), 8);
    http_board_close(run.board);
}

int main(void)
{
    log_init("test", LOG_ERROR, NULL);
#define ON_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        ON_SERVER(server_answers_live_by_itself),
        ON_SERVER(server_hands_method_path_query_and_body_to_the_handler),
        ON_SERVER(server_closes_what_cannot_carry_another_request),
        ON_SERVER(server_refuses_what_it_does_not_have),
        ON_SERVER(server_answers_head_without_a_body),
        ON_SERVER(server_takes_the_largest_body_in_pieces),
        ON_SERVER(server_sends_large_replies_whole_and_larger_ones_not_at_all),
        ON_SERVER(server_keeps_a_connection_for_many_requests),
        ON_SERVER(server_survives_garbage),
        ON_SERVER(server_serves_a_hundred_clients_and_more_than_it_has_room_for_one_by_one),
        ON_SERVER(channel_gives_each_event_to_each_of_its_clients),
        ON_SERVER(quiet_channel_costs_nothing_whatever_its_clients_send),
        ON_SERVER(channel_drops_and_counts_the_oldest_events_of_a_client_that_does_not_read),
        ON_SERVER(publishing_too_much_or_nowhere_is_counted),
        ON_SERVER(server_says_that_a_port_is_taken),
        ON_SERVER(changes_on_loopback_need_no_token_but_no_foreign_page),
        ON_SERVER(changes_off_loopback_need_the_bearer_token),
        cmocka_unit_test(board_reads_are_whole_and_never_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
