/* `btcast watch`: what the running system predicts, in a terminal.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "services/cli/commands.h"
#include "services/cli/http_get.h"
#include "services/cli/ports.h"
#include "services/cli/prediction_line.h"
#include "services/cli/sse_client.h"
#include "services/cli/watch_view.h"
#include "services/service.h"
#include "services/service_options.h"

#define WATCH_PORT_OFFSET_MAX 50000
#define WATCH_TIMEOUT_US      (800 * CLOCK_US_PER_MS)
#define WATCH_SCREEN_SIZE     16384
/* Without a connection for so long it is said, once. */
#define WATCH_HINT_US (2 * CLOCK_US_PER_S)
/* The prediction and the figures of a replica, then every service's health. */
#define WATCH_GETS (2 + ROSTER_COUNT)

static volatile sig_atomic_t watch_stopped;
static struct loop *watch_loop;

static void watch_on_signal(int number)
{
    (void)number;
    watch_stopped = 1;
    loop_wake(watch_loop);
}

static void watch_catch_signals(void)
{
    struct sigaction action = {.sa_handler = watch_on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int watch_options(int argc, char **argv, int64_t *port_offset, struct err *err)
{
    static const char *const known[] = {"--port-offset", "--help", NULL};
    int result = ERR_OK;
    for (int at = 1; at < argc && result == ERR_OK; at++) {
        const char *value = NULL;
        if (!service_options_flag(argc, argv, &at, "--port-offset", &value, &result, err))
            result = service_options_unknown(argv[at], known, err);
        else if (result == ERR_OK)
            result = service_options_number("--port-offset", value, 0, WATCH_PORT_OFFSET_MAX,
                                            port_offset, err);
    }
    return result;
}

static void watch_on_event(void *context, struct bytes data)
{
    int64_t *last_slot = context;
    struct prediction_line line;
    char buffer[256];
    if (!prediction_line_parse(data, &line) || line.slot <= *last_slot)
        return;
    *last_slot = line.slot;
    struct text text = text_begin(buffer, sizeof(buffer));
    prediction_line_write(&line, false, &text);
    if (printf("%s\n", text_end(&text)) < 0 || fflush(stdout) != 0)
        watch_stopped = 1; /* the reader went away */
}

/* Not a terminal: one line for each prediction. */
static void watch_lines(int port_offset)
{
    struct sse_client client;
    int64_t last_slot = 0;
    const int ports[] = {PORT_INFERENCE + port_offset,
                         PORT_INFERENCE + PORT_REPLICA_STEP + port_offset};
    int64_t hint_us = loop_mono_us() + WATCH_HINT_US;
    sse_client_open(&client, watch_loop, "/events", ports, 2, watch_on_event, &last_slot);
    while (!watch_stopped) {
        if (!client.connected && hint_us != 0 && loop_mono_us() >= hint_us) {
            fprintf(stderr,
                    "btcast watch: nothing answers on ports %d and %d yet; `btcast up` "
                    "starts the system\n",
                    ports[0], ports[1]);
            hint_us = 0;
        }
        int64_t wait_us = sse_client_do_work(&client, loop_mono_us());
        loop_run_once(watch_loop, wait_us);
    }
    sse_client_close(&client);
}

static const char *watch_body(const struct http_get *get, int wanted_status)
{
    return get->answered && (wanted_status == 0 || get->status == wanted_status) ? get->body : NULL;
}

/* One screen. The other replica is asked when the first does not answer. */
static int watch_draw(int port_offset, int *replica_port, char *screen, struct err *err)
{
    struct http_get gets[WATCH_GETS] = {{.port = *replica_port, .path = "/prediction"},
                                        {.port = *replica_port, .path = "/metrics"}};
    for (int i = 0; i < ROSTER_COUNT; i++)
        gets[2 + i] = (struct http_get){.port = roster[i].port + port_offset, .path = "/health"};
    int result = http_get_all(gets, WATCH_GETS, WATCH_TIMEOUT_US, err);
    if (result != ERR_OK)
        return result;
    struct watch_answers answers = {.prediction = watch_body(&gets[0], 200),
                                    .metrics = watch_body(&gets[1], 200)};
    for (int i = 0; i < ROSTER_COUNT; i++)
        answers.health[i] = watch_body(&gets[2 + i], 0);
    struct text text = text_begin(screen, WATCH_SCREEN_SIZE);
    watch_view_write(&answers, loop_wall_us(), getenv("NO_COLOR") == NULL, &text);
    fwrite(text.at, 1, text.size, stdout);
    fflush(stdout);
    if (!gets[0].answered)
        *replica_port = 2 * (PORT_INFERENCE + port_offset) + PORT_REPLICA_STEP - *replica_port;
    http_get_free(gets, WATCH_GETS);
    return ERR_OK;
}

static int watch_screens(int port_offset, struct err *err)
{
    char *screen = malloc(WATCH_SCREEN_SIZE);
    if (screen == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    int replica_port = PORT_INFERENCE + port_offset;
    int result = ERR_OK;
    int64_t next_us = loop_mono_us();
    fputs("\033[?25l\033[2J", stdout); /* no cursor, clear */
    while (!watch_stopped && result == ERR_OK) {
        result = watch_draw(port_offset, &replica_port, screen, err);
        next_us += CLOCK_US_PER_S;
        int64_t wait_us = next_us - loop_mono_us();
        if (wait_us <= 0)
            next_us -= wait_us;
        else if (!watch_stopped)
            loop_run_once(watch_loop, wait_us);
    }
    fputs("\033[?25h\n", stdout);
    free(screen);
    return result;
}

static int watch_run(int argc, char **argv)
{
    struct err err = {0};
    int64_t port_offset = 0;
    int result = watch_options(argc, argv, &port_offset, &err);
    if (result == ERR_OK)
        result = loop_open(&watch_loop, &err);
    if (result == ERR_OK) {
        watch_catch_signals();
        if (isatty(STDOUT_FILENO))
            result = watch_screens((int)port_offset, &err);
        else
            watch_lines((int)port_offset);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        loop_close(watch_loop);
    }
    if (result == ERR_OK)
        return 0;
    fprintf(stderr, "btcast watch: %s\n", err.text);
    return result == ERR_CONFIG ? SERVICE_EXIT_CONFIG : SERVICE_EXIT_FAILURE;
}

const struct command command_watch = {
    .name = "watch",
    .summary = "terminal view: price, prediction, latencies, accuracy so far",
    .usage = "usage: btcast watch [--port-offset N]\n\n"
             "On a terminal a view that is drawn each second; otherwise one line for each\n"
             "prediction. Ctrl-C ends it.\n",
    .run = watch_run,
};
