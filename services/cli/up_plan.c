/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/up_plan.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services/cli/ports.h"
#include "services/redis_settings.h"

/* This very program, also when the file has been replaced since. */
#define UP_PLAN_SELF "/proc/self/exe"

static struct up_child *up_plan_next(struct up_plan *plan, const char *name, int port)
{
    struct up_child *child = &plan->children[plan->count++];
    up_child_init(child, name, port);
    return child;
}

/* The words that every service of ours gets. */
static struct up_child *up_plan_service(struct up_plan *plan, const struct up_options *options,
                                        const struct up_folder *folder, const char *service,
                                        int port, const char *config)
{
    struct up_child *child = up_plan_next(plan, service, port + options->port_offset);
    up_child_add(child, "%s", UP_PLAN_SELF);
    up_child_add(child, "%s", service);
    if (config[0] != '\0') {
        up_child_add(child, "--config");
        up_child_add(child, "%s", config);
    }
    up_child_add(child, "--port-offset");
    up_child_add(child, "%d", options->port_offset);
    up_child_add(child, "--data");
    up_child_add(child, "%s", folder->data);
    return child;
}

static void up_plan_set(struct up_child *child, const char *key, const char *value)
{
    up_child_add(child, "--set");
    up_child_add(child, "%s=%s", key, value);
}

static const char *up_plan_target(const struct up_options *options, const struct up_folder *folder,
                                  char out[REDIS_TARGET_SIZE])
{
    if (options->redis_target[0] != '\0')
        snprintf(out, REDIS_TARGET_SIZE, "%s", options->redis_target);
    else
        snprintf(out, REDIS_TARGET_SIZE, "unix:%s", folder->socket);
    return out;
}

static void up_plan_use_redis(struct up_child *child, const struct up_options *options,
                              const struct up_folder *folder)
{
    char target[REDIS_TARGET_SIZE];
    up_plan_set(child, "redis.target", up_plan_target(options, folder, target));
    up_plan_set(child, "redis.key_style", redis_settings_key_styles[options->redis_key_style]);
    up_plan_set(child, "symbol", options->symbol);
    const char *const more[][2] = {{"redis.username", options->redis_username},
                                   {"redis.sentinel_username", options->redis_sentinel_username},
                                   {"redis.tls_ca_file", options->redis_tls_ca_file},
                                   {"redis.tls_cert_file", options->redis_tls_cert_file},
                                   {"redis.tls_key_file", options->redis_tls_key_file}};
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        if (more[i][1][0] != '\0')
            up_plan_set(child, more[i][0], more[i][1]);
}

/* Everything in it can be made anew, so nothing of it goes to disk; full memory is an error
 * that the writers see, never a silent eviction. */
static void up_plan_redis(struct up_plan *plan, const struct up_options *options,
                          const struct up_folder *folder)
{
    struct up_child *child = up_plan_next(plan, "redis", 0);
    up_child_add(child, "%s", options->redis_server);
    static const char *const fixed[] = {"--port",
                                        "0",
                                        "--save",
                                        "",
                                        "--appendonly",
                                        "no",
                                        "--maxmemory-policy",
                                        "noeviction",
                                        "--daemonize",
                                        "no",
                                        "--unixsocketperm",
                                        "700",
                                        "--loglevel",
                                        "warning"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        up_child_add(child, "%s", fixed[i]);
    up_child_add(child, "--unixsocket");
    up_child_add(child, "%s", folder->socket);
    up_child_add(child, "--dir");
    up_child_add(child, "%s", folder->run);
    up_child_add(child, "--maxmemory");
    up_child_add(child, "%lldmb", (long long)options->redis_memory_mb);
}

static bool up_plan_has_sim(const struct up_options *options)
{
    return options->exchange == UP_SIM || options->exchange == UP_REPLAY;
}

static void up_plan_sim(struct up_plan *plan, const struct up_options *options,
                        const struct up_folder *folder)
{
    struct up_child *child = up_plan_service(plan, options, folder, "exchange-sim",
                                             PORT_EXCHANGE_SIM, options->config_exchange_sim);
    up_plan_set(child, "symbol", options->symbol);
    if (options->exchange == UP_REPLAY) {
        child->ends = true;
        up_child_add(child, "--replay");
        up_child_add(child, "%s", options->replay_file);
    }
}

static void up_plan_ingestor(struct up_plan *plan, const struct up_options *options,
                             const struct up_folder *folder)
{
    struct up_child *child = up_plan_service(plan, options, folder, "sbe-ingestor",
                                             PORT_SBE_INGESTOR, options->config_sbe_ingestor);
    up_plan_use_redis(child, options, folder);
    if (!up_plan_has_sim(options)) {
        up_plan_set(child, "source", options->exchange_text);
        return;
    }
    char lower[sizeof(options->symbol)];
    size_t i = 0;
    for (; options->symbol[i] != '\0'; i++)
        lower[i] = (char)tolower((unsigned char)options->symbol[i]);
    lower[i] = '\0';
    up_plan_set(child, "source", "sim");
    up_child_add(child, "--set");
    up_child_add(child,
                 "source_url=ws://127.0.0.1:%d/stream?streams=%s@trade/%s@bestBidAsk/%s@depth/"
                 "%s@depth20",
                 PORT_EXCHANGE_SIM + options->port_offset, lower, lower, lower, lower);
}

/* Where the exchange's REST calls go. */
static void up_plan_rest(struct up_child *child, const struct up_options *options)
{
    if (up_plan_has_sim(options))
        up_child_add(child, "rest_url=http://127.0.0.1:%d",
                     PORT_EXCHANGE_SIM + options->port_offset);
    else if (options->exchange == UP_BINANCE_PUBLIC)
        up_child_add(child, "rest_url=https://data-api.binance.vision");
    else
        up_child_add(child, "rest_url=https://api.binance.com");
}

static void up_plan_anchor(struct up_plan *plan, const struct up_options *options,
                           const struct up_folder *folder)
{
    struct up_child *child = up_plan_service(plan, options, folder, "re-anchor-service",
                                             PORT_RE_ANCHOR, options->config_re_anchor);
    up_plan_use_redis(child, options, folder);
    up_child_add(child, "--set");
    up_plan_rest(child, options);
}

static void up_plan_gap(struct up_plan *plan, const struct up_options *options,
                        const struct up_folder *folder)
{
    struct up_child *child = up_plan_service(plan, options, folder, "gap-detector",
                                             PORT_GAP_DETECTOR, options->config_gap);
    up_plan_use_redis(child, options, folder);
    up_child_add(child, "--set");
    up_plan_rest(child, options);
}

static void up_plan_polls(struct up_plan *plan, const struct up_options *options,
                          const struct up_folder *folder)
{
    struct up_child *child = up_plan_service(plan, options, folder, "rest-ingestor",
                                             PORT_REST_INGESTOR, options->config_rest_ingestor);
    up_plan_use_redis(child, options, folder);
    up_child_add(child, "--set");
    up_plan_rest(child, options);
}

/* The first of them writes, unless it is away: each has a place in the streams of its own. */
static void up_plan_aggregator(struct up_plan *plan, const struct up_options *options,
                               const struct up_folder *folder, int number)
{
    int port = PORT_AGGREGATOR + (number - 1) * PORT_REPLICA_STEP;
    struct up_child *child =
        up_plan_service(plan, options, folder, "aggregator", port, options->config_aggregator);
    up_plan_use_redis(child, options, folder);
    if (number == 1)
        return;
    snprintf(child->name, sizeof(child->name), "aggregator-%d", number);
    up_plan_set(child, "consumer", child->name);
    up_child_add(child, "--set");
    up_child_add(child, "http.port=%d", port);
}

/* A tool, not a service: flags of its own, no port. */
static void up_plan_recorder(struct up_plan *plan, const struct up_options *options,
                             const struct up_folder *folder)
{
    struct up_child *child = up_plan_next(plan, "recorder", 0);
    up_child_add(child, "%s", UP_PLAN_SELF);
    up_child_add(child, "record");
    up_child_add(child, "--from-streams");
    up_child_add(child, "--redis");
    char target[REDIS_TARGET_SIZE];
    up_child_add(child, "%s", up_plan_target(options, folder, target));
    if (options->redis_username[0] != '\0') {
        up_child_add(child, "--redis-user");
        up_child_add(child, "%s", options->redis_username);
    }
    if (options->redis_tls_ca_file[0] != '\0') {
        up_child_add(child, "--tls-ca-file");
        up_child_add(child, "%s", options->redis_tls_ca_file);
    }
    up_child_add(child, "--key-style");
    up_child_add(child, "%s", redis_settings_key_styles[options->redis_key_style]);
    up_child_add(child, "--symbol");
    up_child_add(child, "%s", options->symbol);
    up_child_add(child, "--out");
    up_child_add(child, "%s", options->record);
}

static void up_plan_replica(struct up_plan *plan, const struct up_options *options,
                            const struct up_folder *folder, int replica)
{
    int port = PORT_INFERENCE + (replica - 1) * PORT_REPLICA_STEP;
    struct up_child *child =
        up_plan_service(plan, options, folder, "inference", port, options->config_inference);
    if (replica > 1)
        snprintf(child->name, sizeof(child->name), "inference-%d", replica);
    up_plan_use_redis(child, options, folder);
    up_child_add(child, "--set");
    up_child_add(child, "http.port=%d", port);
    up_child_add(child, "--set");
    up_child_add(child, "replica=%d", replica);
}

/* A database of its own: the server, and a process that brings the tables up to date and ends.
 * Others find it in DATABASE_URL, and wait for it as for any that is away. */
static void up_plan_postgres(struct up_plan *plan, const struct up_folder *folder)
{
    struct up_child *server = up_plan_next(plan, "postgres", 0);
    up_child_add(server, "%s", UP_PLAN_SELF);
    up_child_add(server, "db");
    up_child_add(server, "serve");
    up_child_add(server, "--data");
    up_child_add(server, "%s", folder->data);
    server->stop_signal = SIGINT; /* SIGTERM would wait for every client */
    struct up_child *migrate = up_plan_next(plan, "db-migrate", 0);
    up_child_add(migrate, "%s", UP_PLAN_SELF);
    up_child_add(migrate, "db");
    up_child_add(migrate, "migrate");
    up_child_add(migrate, "--wait");
    migrate->ends = true;
    migrate->reports = true;
}

/* Without a database nothing would come of it. */
static bool up_plan_learns(const struct up_options *options)
{
    const char *url = getenv("DATABASE_URL");
    return options->learn && url != NULL && url[0] != '\0';
}

static void up_plan_trainer(struct up_plan *plan, const struct up_options *options,
                            const struct up_folder *folder)
{
    struct up_child *child =
        up_plan_service(plan, options, folder, "trainer", PORT_TRAINER, options->config_trainer);
    up_plan_set(child, "symbol", options->symbol);
    up_child_add(child, "--set");
    up_child_add(child, "start.delay_s=%lld", (long long)options->learn_delay_s);
    if (options->exchange == UP_SIM) {
        up_child_add(child, "--set");
        up_child_add(child, "start.simulated_h=%lld", (long long)options->learn_simulated_h);
    }
}

int up_plan_make(const struct up_options *options, const struct up_folder *folder,
                 struct up_plan *plan, struct err *err)
{
    plan->count = 0;
    plan->has_sim = up_plan_has_sim(options);
    if (options->redis_target[0] == '\0')
        up_plan_redis(plan, options, folder);
    if (plan->has_sim)
        up_plan_sim(plan, options, folder);
    if (options->postgres_private)
        up_plan_postgres(plan, folder);
    up_plan_anchor(plan, options, folder);
    up_plan_gap(plan, options, folder);
    up_plan_polls(plan, options, folder);
    for (int number = 1; number <= options->aggregators; number++)
        up_plan_aggregator(plan, options, folder, number);
    up_plan_service(plan, options, folder, "data-connector", PORT_DATA_CONNECTOR,
                    options->config_data_connector);
    up_plan_use_redis(&plan->children[plan->count - 1], options, folder);
    if (up_plan_learns(options))
        up_plan_trainer(plan, options, folder);
    if (options->record[0] != '\0')
        up_plan_recorder(plan, options, folder);
    up_plan_ingestor(plan, options, folder);
    for (int replica = 1; replica <= options->replicas; replica++)
        up_plan_replica(plan, options, folder, replica);
    for (int i = 0; i < plan->count; i++)
        if (plan->children[i].words_full)
            return err_set(err, ERR_CONFIG, "the command line of %s is too long",
                           plan->children[i].name);
    return ERR_OK;
}

/* 0 when it can be listened on, else the system's code. */
static int up_plan_try_port(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    int code = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0 ? 0 : errno;
    close(fd);
    return code;
}

int up_plan_check_ports(const struct up_plan *plan, struct err *err)
{
    for (int i = 0; i < plan->count; i++) {
        const struct up_child *child = &plan->children[i];
        if (child->port == 0)
            continue;
        int code = child->port > 65535 ? ERANGE : up_plan_try_port(child->port);
        if (code == EADDRINUSE)
            return err_set(err, ERR_REFUSED,
                           "port %d (%s) is in use; --port-offset N moves all ports", child->port,
                           child->name);
        if (code != 0)
            return err_set(err, ERR_REFUSED, "cannot listen on port %d (%s): %s", child->port,
                           child->name, strerror(code));
    }
    return ERR_OK;
}

void up_plan_show(const struct up_options *options, const struct up_plan *plan,
                  const struct up_folder *folder)
{
    int inference = PORT_INFERENCE + options->port_offset;
    bool own = options->redis_target[0] == '\0';
    char offset[32] = "";
    if (options->port_offset != 0)
        snprintf(offset, sizeof(offset), " --port-offset %d", options->port_offset);
    fprintf(stderr,
            "btcast %s: %s from %s, %d processes, data and logs in %s\n"
            "  latest prediction   curl http://127.0.0.1:%d/prediction\n"
            "  as they come        curl -N http://127.0.0.1:%d/events\n"
            "  health, metrics     http://127.0.0.1:%d/health  http://127.0.0.1:%d/metrics\n"
            "  terminal view       btcast watch%s\n"
            "  all services        btcast status%s\n"
            "  learning            %s%s\n"
            "  hot state           %s%s hgetall pred:%s\n"
            "  stop                Ctrl-C\n",
            BTCAST_VERSION, options->symbol, options->exchange_text, plan->count, folder->data,
            inference, inference, inference, inference, offset, offset,
            up_plan_learns(options) ? "btcast model list --data "
            : options->learn        ? "off: no PostgreSQL is there"
                                    : "off (--learn on)",
            up_plan_learns(options) ? folder->data : "",
            own ? "redis-cli -s " : options->redis_target, own ? folder->socket : ":",
            options->symbol);
}
