/* Links that have to find their server: TLS, sentinels and their passwords, redirects. Real
 * servers where they do what is wanted, a scripted one where a moment has to be exact.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/redis/redis_link.h"
#include "tests/lib/redis_fixture.h"

#define PATIENCE_US (10 * CLOCK_US_PER_S)
#define PEERS_MAX   32

/* Answers commands with canned replies; NULL closes the connection. */
typedef const char *(*script_fn)(const char *command, const char *argument);

struct fake {
    int listener, port;
    script_fn script;
    int peers[PEERS_MAX], accepted;
    redisReader *readers[PEERS_MAX];
};

static struct fake fakes[2];
static struct loop *loop;
static struct redis_link *link_under_test;
static char here[64], states[64], text[64];
static int answers, result_seen;

static void fake_open(struct fake *fake, script_fn script)
{
    *fake = (struct fake){.script = script, .port = temp_port()};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)fake->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1;
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fake->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    assert_int_equal(bind(fake->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fake->listener, 16), 0);
}

static void fake_hang_up(struct fake *fake, int i)
{
    if (fake->readers[i] == NULL)
        return;
    close(fake->peers[i]);
    redisReaderFree(fake->readers[i]);
    fake->readers[i] = NULL;
}

static void fake_close(struct fake *fake)
{
    if (fake->listener <= 0)
        return;
    for (int i = 0; i < fake->accepted; i++)
        fake_hang_up(fake, i);
    close(fake->listener);
    *fake = (struct fake){0};
}

static void fake_serve(struct fake *fake, int i)
{
    char buffer[4096];
    void *command = NULL;
    ssize_t size = recv(fake->peers[i], buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size > 0)
        redisReaderFeed(fake->readers[i], buffer, (size_t)size);
    while (redisReaderGetReply(fake->readers[i], &command) == REDIS_OK && command != NULL) {
        redisReply *words = command;
        const char *reply =
            fake->script(words->element[0]->str, words->elements > 1 ? words->element[1]->str : "");
        freeReplyObject(words);
        if (reply == NULL) {
            fake_hang_up(fake, i);
            return;
        }
        assert_int_equal(send(fake->peers[i], reply, strlen(reply), MSG_NOSIGNAL), strlen(reply));
    }
}

static void fakes_work(void)
{
    for (int f = 0; f < 2; f++) {
        struct fake *fake = &fakes[f];
        if (fake->listener <= 0)
            continue;
        int peer = accept(fake->listener, NULL, NULL);
        if (peer >= 0) {
            assert_true(fake->accepted < PEERS_MAX);
            fake->peers[fake->accepted] = peer;
            fake->readers[fake->accepted++] = redisReaderCreate();
        }
        for (int i = 0; i < fake->accepted; i++)
            if (fake->readers[i] != NULL)
                fake_serve(fake, i);
    }
}

static void turn(void)
{
    fakes_work();
    redis_link_do_work(link_under_test, loop_mono_us());
    loop_run_once(loop, 1000);
}

static bool connects(void)
{
    for (int64_t until = loop_mono_us() + PATIENCE_US;
         !redis_link_connected(link_under_test) && loop_mono_us() < until;)
        turn();
    return redis_link_connected(link_under_test);
}

/* Until the last error contains the words. */
static void fails_with(const char *words)
{
    for (int64_t until = loop_mono_us() + PATIENCE_US;
         strstr(redis_link_error(link_under_test), words) == NULL;) {
        if (loop_mono_us() > until)
            fail_msg("\"%s\" is not in \"%s\"", words, redis_link_error(link_under_test));
        assert_false(redis_link_connected(link_under_test));
        turn();
    }
}

static void see(void *context, int result, const redisReply *reply)
{
    (void)context;
    answers++;
    result_seen = result;
    snprintf(text, sizeof(text), "%.60s", reply != NULL && reply->str != NULL ? reply->str : "");
}

static void see_state(void *context, bool connected)
{
    (void)context;
    size_t size = strlen(states);
    snprintf(states + size, sizeof(states) - size, "%s", connected ? "U" : "D");
}

static void ask(const char *command, const char *key)
{
    struct bytes argv[2] = {bytes_text(command), bytes_text(key)};
    int before = answers;
    assert_int_equal(redis_link_send(link_under_test, argv, 2, see, NULL), ERR_OK);
    redis_link_flush(link_under_test);
    for (int64_t until = loop_mono_us() + PATIENCE_US; answers == before && loop_mono_us() < until;)
        turn();
    assert_int_equal(answers, before + 1);
}

static void open_link(struct redis_link_options options)
{
    struct err err = {0};
    options.seed = 7;
    options.quiet = true;
    if (redis_link_open(&options, loop, &link_under_test, &err) != ERR_OK)
        fail_msg("%s", err.text);
    redis_link_on_state(link_under_test, see_state, NULL);
}

static void open_target(const char *format, int a, int b)
{
    struct redis_link_options options = {0};
    int size = snprintf(options.target, sizeof(options.target), "%s", format);
    (void)size;
    char *at;
    char number[12];
    int ports[2] = {a, b};
    for (int i = 0; (at = strchr(options.target, '%')) != NULL; i++) {
        size_t length = (size_t)snprintf(number, sizeof(number), "%d", ports[i]);
        memmove(at + length, at + 1, strlen(at));
        memcpy(at, number, length);
    }
    open_link(options);
}

static int setup(void **state)
{
    (void)state;
    states[0] = '\0';
    answers = 0;
    return loop_open(&loop, NULL);
}

static int teardown(void **state)
{
    (void)state;
    redis_link_close(link_under_test);
    link_under_test = NULL;
    fake_close(&fakes[0]);
    fake_close(&fakes[1]);
    loop_close(loop);
    return 0;
}

/* --- a cluster ---------------------------------------------------------------------- */

static const char *cluster_owner(const char *command, const char *argument)
{
    if (strcmp(command, "CLUSTER") == 0)
        return "*0\r\n";
    if (strcmp(command, "EXISTS") == 0)
        return ":1\r\n";
    if (strcmp(argument, "foreign") == 0)
        return "-MOVED 1 127.0.0.1:1\r\n";
    if (strcmp(argument, "leaving") == 0)
        return "-ASK 8473 127.0.0.1:1\r\n";
    if (strcmp(argument, "unserved") == 0)
        return "-CLUSTERDOWN Hash slot not served\r\n";
    return strcmp(command, "GET") == 0 ? "$5\r\nvalue\r\n" : "+PONG\r\n";
}

static char moved[64];

static const char *cluster_other(const char *command, const char *argument)
{
    (void)argument;
    return strcmp(command, "CLUSTER") == 0                                 ? "*0\r\n"
           : strcmp(command, "EXISTS") == 0 || strcmp(command, "GET") == 0 ? moved
                                                                           : "+PONG\r\n";
}

static void a_bound_link_is_up_only_at_the_owner_of_its_slot(void **state)
{
    (void)state;
    fake_open(&fakes[0], cluster_other);
    fake_open(&fakes[1], cluster_owner);
    snprintf(moved, sizeof(moved), "-MOVED 8473 127.0.0.1:%d\r\n", fakes[1].port);
    snprintf(here, sizeof(here), "127.0.0.1:%d", fakes[1].port);
    open_target("cluster:127.0.0.1:%", fakes[0].port, 0);
    redis_link_bind(link_under_test, "ob:{BTCUSDT}");
    assert_true(connects());
    assert_string_equal(redis_link_server(link_under_test), here);
    assert_string_equal(states, "U");
    ask("GET", "ob:{BTCUSDT}");
    assert_string_equal(text, "value");
    assert_int_equal(redis_link_stats(link_under_test)->redirects, 1);
}

static void a_link_that_is_not_bound_follows_the_first_moved(void **state)
{
    (void)state;
    fake_open(&fakes[0], cluster_other);
    fake_open(&fakes[1], cluster_owner);
    snprintf(moved, sizeof(moved), "-MOVED 8473 127.0.0.1:%d\r\n", fakes[1].port);
    open_target("cluster:127.0.0.1:%", fakes[0].port, 0);
    assert_true(connects());
    ask("GET", "ob:{BTCUSDT}");
    assert_int_equal(result_seen, ERR_CONNECTION); /* not executed: its owner says it again */
    assert_true(connects());
    ask("GET", "ob:{BTCUSDT}");
    assert_string_equal(text, "value");
    assert_string_equal(states, "UDU");
    assert_int_equal(redis_link_stats(link_under_test)->failovers, 1);
}

static void a_key_of_another_slot_does_not_carry_the_link_away(void **state)
{
    (void)state;
    fake_open(&fakes[0], cluster_owner);
    open_target("cluster:127.0.0.1:%", fakes[0].port, 0);
    redis_link_bind(link_under_test, "ob:{BTCUSDT}");
    assert_true(connects());
    ask("GET", "foreign");
    assert_string_equal(text, "MOVED 1 127.0.0.1:1");
    ask("GET", "leaving");
    assert_string_equal(text, "ASK 8473 127.0.0.1:1");
    ask("GET", "unserved");
    assert_string_equal(text, "CLUSTERDOWN Hash slot not served");
    assert_string_equal(states, "U");
    assert_int_equal(redis_link_stats(link_under_test)->redirects, 2);
}

static const char *cluster_nonsense(const char *command, const char *argument)
{
    static int turns;
    static const char *const nonsense[] = {"-MOVED\r\n",
                                           "-MOVED x y\r\n",
                                           "-MOVED 8473\r\n",
                                           "-MOVED 99999 127.0.0.1:1\r\n",
                                           "-MOVED 8473 127.0.0.1:0\r\n",
                                           "-MOVED -1 127.0.0.1:1\r\n",
                                           "-MOVED 8473 a b:c\r\n"};
    if (strcmp(command, "CLUSTER") == 0)
        return "*3\r\n*3\r\n:1\r\n$1\r\nx\r\n*0\r\n*3\r\n:0\r\n:9999\r\n*2\r\n*-1\r\n:5\r\n:7\r\n";
    if (strcmp(argument, "key") == 0)
        return nonsense[turns++ % 7];
    return strcmp(command, "EXISTS") == 0 ? ":0\r\n" : "+PONG\r\n";
}

static void nonsense_from_a_cluster_is_an_error_reply_and_no_more(void **state)
{
    (void)state;
    fake_open(&fakes[0], cluster_nonsense);
    open_target("cluster:127.0.0.1:%", fakes[0].port, 0);
    redis_link_bind(link_under_test, "ob:{BTCUSDT}");
    assert_true(connects());
    for (int i = 0; i < 7; i++) {
        ask("GET", "key");
        assert_memory_equal(text, "MOVED", 5);
    }
    assert_string_equal(states, "U");
}

static const char *hangs_up(const char *command, const char *argument)
{
    (void)command;
    (void)argument;
    return NULL;
}

/* However many candidates a round has, and however fast they fail. */
static void connections_are_begun_within_a_budget(void **state)
{
    (void)state;
    struct redis_link_options options = {.backoff_min_us = 1, .backoff_max_us = 2};
    fake_open(&fakes[0], hangs_up);
    fake_close(&fakes[0]);
    snprintf(options.target, sizeof(options.target),
             "cluster:127.0.0.1:%d,127.0.0.2:%d,127.0.0.3:%d", temp_port(), temp_port(),
             temp_port());
    open_link(options);
    int64_t begin_us = loop_mono_us();
    while (loop_mono_us() - begin_us < 500000)
        turn();
    int64_t spent_us = loop_mono_us() - begin_us;
    uint64_t budget = 64 + 64 * (uint64_t)spent_us / CLOCK_US_PER_S + 1;
    assert_in_range(redis_link_stats(link_under_test)->failures, 64, budget);
}

/* --- sentinels ---------------------------------------------------------------------- */

static char primary_reply[64];
static const char *role_reply, *get_reply;

static const char *sentinel_script(const char *command, const char *argument)
{
    if (strcmp(command, "SENTINEL") != 0)
        return strcmp(command, "SUBSCRIBE") == 0 ? "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"
                                                 : "+PONG\r\n";
    return strcmp(argument, "GET-MASTER-ADDR-BY-NAME") == 0 ? primary_reply : "*0\r\n";
}

static const char *server_script(const char *command, const char *argument)
{
    (void)argument;
    if (strcmp(command, "ROLE") == 0)
        return role_reply;
    return strcmp(command, "GET") == 0 ? get_reply : "+PONG\r\n";
}

static void open_behind_sentinel(void)
{
    char port[12];
    fake_open(&fakes[0], sentinel_script);
    fake_open(&fakes[1], server_script);
    int length = snprintf(port, sizeof(port), "%d", fakes[1].port);
    snprintf(primary_reply, sizeof(primary_reply), "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", length,
             port);
    /* The first sentinel does not exist. */
    open_target("sentinel:127.0.0.1:%,127.0.0.1:%/btcast", temp_port(), fakes[0].port);
}

static void a_replica_is_never_written_to(void **state)
{
    (void)state;
    role_reply = "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:1\r\n$9\r\nconnected\r\n:1\r\n";
    open_behind_sentinel();
    fails_with("slave, not the primary");
    /* Promoted, before any sentinel has said so. */
    role_reply = "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n";
    get_reply = "$5\r\nvalue\r\n";
    assert_true(connects());
    ask("GET", "key");
    assert_string_equal(text, "value");
    /* Demoted with the connection open. */
    get_reply = "-READONLY You can't write against a read only replica.\r\n";
    ask("GET", "key");
    assert_int_equal(result_seen, ERR_CONNECTION);
    assert_string_equal(states, "UD");
    assert_true(connects());
    /* A script may have caught the error. */
    redis_link_distrust(link_under_test, "WRONGTYPE of a key");
    assert_true(redis_link_connected(link_under_test));
    redis_link_distrust(link_under_test, "READONLY You can't write");
    assert_false(redis_link_connected(link_under_test));
}

static void a_sentinel_that_does_not_know_the_name_is_said(void **state)
{
    (void)state;
    role_reply = "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n";
    open_behind_sentinel();
    snprintf(primary_reply, sizeof(primary_reply), "*-1\r\n");
    fails_with("knows no primary \"btcast\"");
    assert_string_equal(states, "");
}

static void a_link_moves_when_a_sentinel_announces_the_primary(void **state)
{
    (void)state;
    struct redis_fixture other;
    redis_fixture_start(&other, &(struct redis_fixture_options){.tcp = true});
    role_reply = "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n";
    open_behind_sentinel();
    assert_true(connects());
    char message[256], payload[128];
    int size = snprintf(payload, sizeof(payload), "btcast 127.0.0.1 %d 127.0.0.1 %d", fakes[1].port,
                        other.port);
    snprintf(message, sizeof(message),
             "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%d\r\n%s\r\n", size, payload);
    snprintf(here, sizeof(here), "127.0.0.1:%d", other.port);
    for (int64_t until = loop_mono_us() + PATIENCE_US;
         strcmp(redis_link_server(link_under_test), here) != 0 && loop_mono_us() < until;) {
        /* The sentinel's subscriber is among its connections; the others hang up at this. */
        for (int i = 0; i < fakes[0].accepted; i++)
            if (fakes[0].readers[i] != NULL)
                send(fakes[0].peers[i], message, strlen(message), MSG_NOSIGNAL);
        for (int i = 0; i < 50; i++)
            turn();
    }
    assert_true(connects());
    assert_string_equal(redis_link_server(link_under_test), here);
    assert_true(redis_link_stats(link_under_test)->failovers > 0);
    redis_fixture_stop(&other);
}

static void sentinels_and_servers_have_passwords_of_their_own(void **state)
{
    (void)state;
    struct redis_fixture sentinel, server;
    char path[TEMP_DIR_SIZE + 16];
    redis_fixture_start(&server, &(struct redis_fixture_options){.tcp = true, .password = "s1"});
    redis_fixture_start(&sentinel, &(struct redis_fixture_options){0});
    snprintf(path, sizeof(path), "%s/s.conf", sentinel.folder);
    int port = temp_port();
    FILE *file = fopen(path, "w");
    fprintf(file,
            "port %d\nbind 127.0.0.1\ndir %s\nrequirepass s2\nlogfile sentinel.log\n"
            "sentinel monitor btcast 127.0.0.1 %d 1\nsentinel auth-pass btcast s1\n",
            port, sentinel.folder, server.port);
    fclose(file);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when an assertion ends the test */
        if (getppid() == parent)
            execlp("redis-server", "redis-server", path, "--sentinel", (char *)NULL);
        _exit(127);
    }
    struct redis_link_options options = {.password = "s1"};
    snprintf(options.target, sizeof(options.target), "sentinel:127.0.0.1:%d/btcast", port);
    open_link(options);
    fails_with("NOAUTH");
    redis_link_close(link_under_test);
    snprintf(options.sentinel_password, sizeof(options.sentinel_password), "s2");
    open_link(options);
    assert_true(connects());
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    redis_fixture_stop(&sentinel);
    redis_fixture_stop(&server);
}

/* --- TLS ---------------------------------------------------------------------------- */

static void make_certificate(const char *folder, const char *name, const char *subject)
{
    char command[512];
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-keyout %s/%s.key -out %s/%s.pem -subj /CN=redis -addext subjectAltName=%s "
             ">/dev/null 2>&1",
             folder, name, folder, name, subject);
    assert_int_equal(system(command), 0);
}

static void tls_carries_large_replies_and_verifies_the_server(void **state)
{
    (void)state;
    char folder[TEMP_DIR_SIZE], port[8], pem[100], key[100];
    struct redis_fixture server;
    temp_dir_make(folder);
    make_certificate(folder, "own", "IP:127.0.0.1");
    make_certificate(folder, "other", "IP:127.0.0.1");
    snprintf(port, sizeof(port), "%d", temp_port());
    snprintf(pem, sizeof(pem), "%s/own.pem", folder);
    snprintf(key, sizeof(key), "%s/own.key", folder);
    /* It wants a certificate of its clients too. */
    struct redis_fixture_options with_tls = {.arguments = {"--tls-port", port, "--tls-cert-file",
                                                           pem, "--tls-key-file", key,
                                                           "--tls-ca-cert-file", pem}};
    redis_fixture_start(&server, &with_tls);
    struct redis_link_options options = {0};
    snprintf(options.target, sizeof(options.target), "rediss://127.0.0.1:%s", port);
    snprintf(options.tls_ca_file, sizeof(options.tls_ca_file), "%s", pem);
    snprintf(options.tls_cert_file, sizeof(options.tls_cert_file), "%s", pem);
    snprintf(options.tls_key_file, sizeof(options.tls_key_file), "%s", key);
    open_link(options);
    assert_true(connects());
    static char value[3000000];
    memset(value, 'v', sizeof(value) - 1);
    struct bytes set[3] = {BYTES_LITERAL("SET"), BYTES_LITERAL("k"), bytes_text(value)};
    assert_int_equal(redis_link_send(link_under_test, set, 3, NULL, NULL), ERR_OK);
    ask("GETRANGE", "k"); /* too few arguments: an error, in its turn */
    ask("STRLEN", "k");
    assert_int_equal(redis_fixture_integer(&server, "STRLEN k"), sizeof(value) - 1);
    for (int i = 0; i < 3; i++)
        ask("GET", "k");
    assert_int_equal(text[0], 'v');
    redis_link_close(link_under_test);

    snprintf(options.tls_ca_file, sizeof(options.tls_ca_file), "%s/other.pem", folder);
    open_link(options);
    fails_with("certificate");
    redis_link_close(link_under_test);

    snprintf(options.tls_ca_file, sizeof(options.tls_ca_file), "%s", pem);
    snprintf(options.target, sizeof(options.target), "rediss://localhost:%s", port);
    open_link(options);
    fails_with("mismatch");
    redis_link_close(link_under_test);

    struct err err = {0};
    snprintf(options.tls_ca_file, sizeof(options.tls_ca_file), "%s/none.pem", folder);
    assert_int_equal(redis_link_open(&options, loop, &link_under_test, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "none.pem"));
    link_under_test = NULL;
    redis_fixture_stop(&server);
    temp_dir_remove(folder);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_bound_link_is_up_only_at_the_owner_of_its_slot),
        EACH(a_link_that_is_not_bound_follows_the_first_moved),
        EACH(a_key_of_another_slot_does_not_carry_the_link_away),
        EACH(nonsense_from_a_cluster_is_an_error_reply_and_no_more),
        EACH(connections_are_begun_within_a_budget),
        EACH(a_replica_is_never_written_to),
        EACH(a_sentinel_that_does_not_know_the_name_is_said),
        EACH(a_link_moves_when_a_sentinel_announces_the_primary),
        EACH(sentinels_and_servers_have_passwords_of_their_own),
        EACH(tls_carries_large_replies_and_verifies_the_server),
    };
    return cmocka_run_group_tests_name("redis_hop", tests, NULL, NULL);
}
