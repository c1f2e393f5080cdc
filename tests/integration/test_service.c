/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "integration/http_fixture.h"
#include "services/cli/commands.h"
#include "services/cli/metrics_text.h"
#include "services/cli/prediction_line.h"
#include "services/service.h"
#include "services/service_options.h"

struct options {
    struct service_common common;
    int64_t beats;
};

static const struct config_field fields[] = {
    {.path = "beats",
     .type = CONFIG_I64,
     .offset = offsetof(struct options, beats),
     .minimum = 1,
     .maximum = 1000,
     .initial = "3",
     .help = "how often it beats"},
};
static const struct config_schema schema = {"testing", fields, 1, sizeof(struct options)};

static enum service_health health;
static bool ready;

static enum service_health answer_health(void *context, struct text *components)
{
    (void)context;
    text_add(components, "\"heart\":{\"status\":\"beating\"},");
    return health;
}

static bool answer_ready(void *context)
{
    (void)context;
    return ready;
}

static void answer_own(void *context, const struct http_request *request, struct http_reply *reply)
{
    (void)request;
    text_add(&reply->body, context);
}

static char own_context[] = "mine";
static const struct http_route own_route = {.method = "GET", .path = "/own", .fn = answer_own};
static const struct service_definition definition = {.name = "testing",
                                                     .summary = "a service for this test",
                                                     .schema = &schema,
                                                     .default_port = 0,
                                                     .health = answer_health,
                                                     .ready = answer_ready,
                                                     .routes = &own_route,
                                                     .route_count = 1,
                                                     .context = own_context};

static char folder[] = "/tmp/btcast-service-XXXXXX";
static char reply[256 * 1024];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

/* What the call says on stderr and stdout goes into said. */
static int open_with(struct service *service, struct options *options, char **words,
                     int *exit_status, char *said, size_t size)
{
    int argc = 0;
    while (words[argc] != NULL)
        argc++;
    char path[64];
    snprintf(path, sizeof(path), "%s/said", folder);
    fflush(NULL);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int saved_out = dup(STDOUT_FILENO);
    int saved_err = dup(STDERR_FILENO);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    int result = service_open(service, &definition, argc, words, options, exit_status);
    fflush(NULL);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(saved_out);
    close(saved_err);
    ssize_t got = pread(file, said, size - 1, 0);
    said[got > 0 ? got : 0] = '\0';
    close(file);
    return result;
}

static void refuses(char **words, int status, const char *message)
{
    struct service service;
    struct options options;
    char said[4096];
    int exit_status = -1;
    assert_int_not_equal(open_with(&service, &options, words, &exit_status, said, sizeof(said)),
                         ERR_OK);
    assert_int_equal(exit_status, status);
    if (strstr(said, message) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", said, message);
}

#define WORDS(...) ((char *[]){"testing", __VA_ARGS__, NULL})

static void service_explains_wrong_command_lines(void **state)
{
    (void)state;
    refuses(WORDS("--confg", "x"), 2,
            "btcast testing: unknown option --confg; did you mean --config?\n");
    refuses(WORDS("--set"), 2, "btcast testing: --set: expected a value, found nothing\n");
    refuses(WORDS("--set", "beats=1e3"), 2,
            "btcast testing: --set beats: expected an integer 1..1000, found \"1e3\"\n");
    refuses(WORDS("--port-offset=x"), 2,
            "btcast testing: --port-offset: expected an integer 0..50000, found \"x\"\n");
    refuses(WORDS("--log-level", "loud"), 2,
            "--set log.level: expected one of debug, info, warn, error, found \"loud\"\n");
    refuses(WORDS("--config", "/nonexistent.yaml"), 2, "cannot read /nonexistent.yaml: ");
    refuses(WORDS("--set", "http.port=60000", "--port-offset", "10000"), 2, "70000 is no port");
    refuses(WORDS("--data", "/proc/nope"), 1, "cannot make the folder /proc/nope");
    refuses(WORDS("--help"), 0, "beats                        an integer 1..1000 [3]");
}

struct run {
    struct service service;
    struct options options;
    int steps;
};

static int64_t step(void *context, struct clock_now now)
{
    struct run *run = context;
    assert_true(now.wall_us > 0 && now.mono_us > 0);
    if (++run->steps == run->options.beats)
        raise(SIGTERM);
    return 1000;
}

static int ask(const struct service *service, const char *path)
{
    char request[128];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             path);
    return http_fixture_ask(http_server_port(service->http), request, reply, sizeof(reply));
}

static const char *body(void)
{
    const char *end = strstr(reply, "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

static void check_probes(struct service *service)
{
    health = SERVICE_DEGRADED;
    assert_int_equal(ask(service, "/live"), 200);
    assert_int_equal(ask(service, "/health"), 200);
    json_t *whole = json_loads(body(), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(whole, "status")), "degraded");
    assert_string_equal(json_string_value(json_object_get(whole, "service")), "testing");
    assert_string_equal(json_string_value(json_object_get(whole, "version")), BTCAST_VERSION);
    assert_true(json_is_integer(json_object_get(whole, "timestamp")));
    assert_true(json_is_integer(json_object_get(whole, "uptime_seconds")));
    json_t *heart = json_object_get(json_object_get(whole, "components"), "heart");
    assert_string_equal(json_string_value(json_object_get(heart, "status")), "beating");
    json_decref(whole);
    health = SERVICE_UNHEALTHY;
    assert_int_equal(ask(service, "/health"), 503);
    ready = false;
    assert_int_equal(ask(service, "/ready"), 503);
    ready = true;
    assert_int_equal(ask(service, "/ready"), 200);
    assert_non_null(strstr(body(), "\"ready\":true"));
    assert_int_equal(ask(service, "/own"), 200);
    assert_string_equal(body(), "mine");
}

static void check_metrics(struct service *service)
{
    double value = 0;
    assert_int_equal(ask(service, "/metrics"), 200);
    assert_true(metrics_text_value(body(), "testing_beats_total", &value) && value == 7);
    assert_true(metrics_text_value(body(), "process_resident_memory_bytes", &value) && value > 1e5);
    assert_true(metrics_text_value(body(), "process_open_fds", &value) && value >= 3);
    assert_true(metrics_text_value(body(), "process_cpu_seconds_total", &value));
    assert_true(metrics_text_value(body(), "process_start_time_seconds", &value) && value > 1e9);
    assert_true(metrics_text_value(body(), "btcast_build_info", &value) && value == 1);
    assert_true(metrics_text_value(body(), "http_requests_total", &value) && value >= 6);
}

static void service_answers_probes_and_stops_on_a_signal(void **state)
{
    (void)state;
    struct run run = {0};
    char said[4096];
    char data[64];
    int exit_status = -1;
    snprintf(data, sizeof(data), "%s/a/b", folder);
    assert_int_equal(open_with(&run.service, &run.options,
                               WORDS("--data", data, "--set", "beats=5", "--log-level", "error"),
                               &exit_status, said, sizeof(said)),
                     ERR_OK);
    struct stat status;
    assert_int_equal(stat(data, &status), 0);
    metric_add(metrics_counter(&run.service.metrics, "testing_beats_total", NULL, "Beats."), 7);
    assert_int_equal(service_serve(&run.service, &definition, &exit_status), ERR_OK);
    check_probes(&run.service);
    check_metrics(&run.service);
    service_run(&run.service, step, &run);
    assert_int_equal(run.steps, 5);
    assert_true(run.service.stopping);
    service_close(&run.service);
}

static void service_says_that_its_port_is_taken(void **state)
{
    (void)state;
    struct http_server *other = NULL;
    struct http_server_options options = {.address = "127.0.0.1"};
    assert_int_equal(http_server_open(&options, &other, NULL), ERR_OK);
    struct run run = {0};
    char said[4096];
    char set[32];
    int exit_status = -1;
    snprintf(set, sizeof(set), "http.port=%d", http_server_port(other));
    assert_int_equal(open_with(&run.service, &run.options, WORDS("--data", folder, "--set", set),
                               &exit_status, said, sizeof(said)),
                     ERR_OK);
    assert_int_equal(service_serve(&run.service, &definition, &exit_status), ERR_REFUSED);
    assert_int_equal(exit_status, 1);
    service_close(&run.service);
    http_server_close(other);
}

static void defaults_of_every_command_pass_their_own_checks(void **state)
{
    (void)state;
    for (int i = 0; commands[i] != NULL; i++) {
        const struct command *command = commands[i];
        if (command->schema == NULL)
            continue;
        struct config_schema whole = *command->schema;
        struct err err = {0};
        if (command->usage == NULL)
            assert_int_equal(
                service_options_schema(command->schema, command->default_port, &whole, &err),
                ERR_OK);
        void *options = malloc(whole.options_size);
        /* Nothing may be required either: every service starts without a file. */
        if (config_load(&whole, NULL, NULL, 0, options, &err) != ERR_OK)
            fail_msg("%s", err.text);
        for (int a = 0; a < whole.count; a++) {
            assert_non_null(whole.fields[a].help);
            for (int b = 0; b < a; b++)
                assert_string_not_equal(whole.fields[a].path, whole.fields[b].path);
        }
        free(options);
        if (command->usage == NULL)
            service_options_free(&whole);
    }
}

static void metrics_text_reads_values_and_quantiles(void **state)
{
    (void)state;
    static const char page[] = "# HELP a_total x\na_total_more 9\na_total{b=\"}\"} 1\na_total 2\n"
                               "h_bucket{le=\"0.1\"} 0\nh_bucket{le=\"0.2\"} 10\n"
                               "h_bucket{le=\"+Inf\"} 20\nh_sum 3\nh_count 20\ne_count 0\n";
    double value = 0;
    assert_true(metrics_text_value(page, "a_total_more", &value) && value == 9);
    assert_true(metrics_text_value(page, "h_sum", &value) && value == 3);
    assert_false(metrics_text_value(page, "a", &value));
    assert_true(metrics_text_quantile(page, "h", 0.25, &value));
    assert_true(value > 0.1499 && value < 0.1501);
    assert_true(metrics_text_quantile(page, "h", 0.99, &value) && value == 0.2);
    assert_false(metrics_text_quantile(page, "e", 0.5, &value));
    assert_false(metrics_text_quantile(page, "nothing", 0.5, &value));
}

static void prediction_line_shows_what_was_published(void **state)
{
    (void)state;
    struct prediction_line line;
    char buffer[256];
    struct text text = text_begin(buffer, sizeof(buffer));
    assert_true(prediction_line_parse(
        BYTES_LITERAL("{\"slot\":862398202,\"timestamp\":1724796404000,\"current_price\":60000,"
                      "\"predicted_price_10s\":60006.0,\"confidence\":0.531,\"latency_us\":171,"
                      "\"source\":\"redis\",\"mode\":\"live\"}"),
        &line));
    assert_int_equal(line.slot, 862398202);
    prediction_line_write(&line, false, &text);
    assert_string_equal(text_end(&text), "22:06:44  60000.00 -> 60006.00  +1.00 bp  confidence "
                                         "0.531  171 us  redis, live");
    assert_false(prediction_line_parse(BYTES_LITERAL("{}"), &line));
    assert_false(prediction_line_parse(BYTES_LITERAL("[1"), &line));
    assert_false(prediction_line_parse(BYTES_LITERAL(""), &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_explains_wrong_command_lines),
        cmocka_unit_test(service_answers_probes_and_stops_on_a_signal),
        cmocka_unit_test(service_says_that_its_port_is_taken),
        cmocka_unit_test(defaults_of_every_command_pass_their_own_checks),
        cmocka_unit_test(metrics_text_reads_values_and_quantiles),
        cmocka_unit_test(prediction_line_shows_what_was_published),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
