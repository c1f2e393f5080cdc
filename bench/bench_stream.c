/* The Redis stream engine against a real server on a unix socket: records a second in and
 * out, latency of a record from put to its consumer. Prints name<TAB>value<TAB>unit; the
 * rows *_native_* are plain pipelined XADD over the same link, what a script is measured
 * against. SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/redis/redis_stream.h"

#define RECORD_BYTES   200 /* one frame and its place in an envelope, about */
#define PACKED_FRAMES  32  /* frames in one envelope under load */
#define ROUND_RECORDS  100000
#define LATENCY_ROUNDS 3000
#define PATIENCE_US    (60 * CLOCK_US_PER_S)

static char folder[] = "/tmp/btcast-bench-XXXXXX";
static char target[128];
static pid_t server;
static struct loop *loop;
static uint8_t body[RECORD_BYTES * PACKED_FRAMES];
static int answered, received;
static int64_t received_ns;

static void die(const char *what)
{
    fprintf(stderr, "bench_stream: %s\n", what);
    exit(1);
}

static void server_stop(void)
{
    char command[128];
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    snprintf(command, sizeof(command), "%s/redis.sock", folder);
    unlink(command);
    rmdir(folder);
}

static void server_start(void)
{
    if (mkdtemp(folder) == NULL)
        die("no temporary folder");
    char socket[64];
    snprintf(socket, sizeof(socket), "%s/redis.sock", folder);
    snprintf(target, sizeof(target), "unix:%s", socket);
    server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
               "--logfile", "/dev/null", (char *)NULL);
        _exit(127);
    }
    atexit(server_stop);
}

static struct redis_link_options link_options(void)
{
    struct redis_link_options options = {.reply_timeout_us = PATIENCE_US};
    snprintf(options.target, sizeof(options.target), "%s", target);
    return options;
}

static void on_done(void *context, uint64_t ticket, const enum stream_outcome *outcome, int count)
{
    (void)context;
    (void)ticket;
    for (int i = 0; i < count; i++)
        if (outcome[i] != STREAM_WRITTEN)
            die("a record was not written");
    answered += count;
}

static void on_record(void *context, const struct stream_record *record, const char *position)
{
    (void)context;
    (void)record;
    (void)position;
    received++;
    received_ns = loop_mono_ns();
}

static void row(const char *name, double value, const char *unit)
{
    printf("%s\t%.6g\t%s\n", name, value, unit);
}

static void turn(struct stream_producer *out, struct stream_consumer *in, int64_t timeout_us)
{
    if (out != NULL)
        out->do_work(out->self, loop_mono_us());
    if (in != NULL)
        in->do_work(in->self, loop_mono_us());
    loop_run_once(loop, timeout_us);
}

/* records/s of one round in batches of batch_size records of size bytes. */
static double bench_put(struct stream_producer *out, uint64_t *seq, int records, int batch_size,
                        size_t size)
{
    static struct stream_record batch[STREAM_BATCH_RECORDS_MAX];
    int64_t start_ns = loop_mono_ns();
    int sent = 0;
    answered = 0;
    while (answered < records) {
        while (sent < records) {
            for (int i = 0; i < batch_size; i++)
                batch[i] = (struct stream_record){.stream = STREAM_DEPTH,
                                                  .epoch = 1,
                                                  .last_seq = *seq + (uint64_t)i + 1,
                                                  .data = bytes_of(body, size)};
            if (out->put(out->self, batch, batch_size) < 0)
                break;
            *seq += (uint64_t)batch_size;
            sent += batch_size;
        }
        turn(out, NULL, 1000);
    }
    return records * 1e9 / (double)(loop_mono_ns() - start_ns);
}

static void on_native(void *context, int result, const redisReply *reply)
{
    (void)context;
    if (result != ERR_OK || reply->type == REDIS_REPLY_ERROR)
        die("XADD failed");
    answered++;
}

static double bench_native(struct redis_link *link, uint64_t *seq, int records, size_t size)
{
    int64_t start_ns = loop_mono_ns();
    int sent = 0;
    answered = 0;
    while (answered < records) {
        while (sent < records && redis_link_owed(link) < 512) {
            char id[48];
            snprintf(id, sizeof(id), "1-%llu", (unsigned long long)++*seq);
            struct bytes argv[5] = {BYTES_LITERAL("XADD"), BYTES_LITERAL("native"), bytes_text(id),
                                    BYTES_LITERAL("e"), bytes_of(body, size)};
            if (redis_link_send(link, argv, 5, on_native, NULL) != ERR_OK)
                break;
            sent++;
        }
        redis_link_flush(link);
        loop_run_once(loop, 1000);
    }
    return records * 1e9 / (double)(loop_mono_ns() - start_ns);
}

static double bench_read(int records)
{
    struct redis_consumer *consumer;
    struct redis_consumer_options options = {.link = link_options(), .record = on_record};
    strcpy(options.symbol, "BTCUSDT");
    if (redis_consumer_open(&options, loop, &consumer, NULL) != ERR_OK)
        die("no consumer");
    struct stream_consumer in = redis_consumer_port(consumer);
    struct stream_position oldest[STREAM_COUNT];
    memset(oldest, 0, sizeof(oldest));
    received = 0;
    if (in.follow(in.self, 1u << STREAM_DEPTH, oldest) != ERR_OK)
        die("follow refused");
    while (!in.ready(in.self))
        turn(NULL, &in, 1000);
    int64_t start_ns = loop_mono_ns();
    while (received < records)
        turn(NULL, &in, 1000);
    double rate = records * 1e9 / (double)(loop_mono_ns() - start_ns);
    redis_consumer_close(consumer);
    return rate;
}

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* One record at a time, put -> consumer's handler and put -> acknowledged, spaced. */
static void bench_latency(struct stream_producer *out, uint64_t *seq)
{
    static int64_t read_ns[LATENCY_ROUNDS], ack_ns[LATENCY_ROUNDS];
    struct redis_consumer *consumer;
    struct redis_consumer_options options = {.link = link_options(), .record = on_record};
    strcpy(options.symbol, "BTCUSDT");
    if (redis_consumer_open(&options, loop, &consumer, NULL) != ERR_OK)
        die("no consumer");
    struct stream_consumer in = redis_consumer_port(consumer);
    struct stream_position from[STREAM_COUNT];
    memset(from, 0, sizeof(from));
    strcpy(from[STREAM_DEPTH].text, "$");
    if (in.follow(in.self, 1u << STREAM_DEPTH, from) != ERR_OK)
        die("follow refused");
    for (int i = 0; i < 200; i++)
        turn(out, &in, 1000);
    for (int i = 0; i < LATENCY_ROUNDS; i++) {
        struct stream_record record = {.stream = STREAM_DEPTH,
                                       .epoch = 1,
                                       .last_seq = ++*seq,
                                       .data = bytes_of(body, RECORD_BYTES)};
        answered = received = 0;
        int64_t start_ns = loop_mono_ns(), acked_ns = 0;
        if (out->put(out->self, &record, 1) < 0)
            die("put refused");
        while (answered == 0 || received == 0) {
            turn(out, &in, 1000);
            if (answered > 0 && acked_ns == 0)
                acked_ns = loop_mono_ns();
        }
        ack_ns[i] = acked_ns - start_ns;
        read_ns[i] = received_ns - start_ns;
        int64_t until_us = loop_mono_us() + 200;
        for (int64_t now_us; (now_us = loop_mono_us()) < until_us;)
            turn(out, &in, until_us - now_us);
    }
    qsort(ack_ns, LATENCY_ROUNDS, sizeof(int64_t), compare_i64);
    qsort(read_ns, LATENCY_ROUNDS, sizeof(int64_t), compare_i64);
    row("stream_put_to_ack_p50", (double)ack_ns[LATENCY_ROUNDS / 2] / 1e3, "us");
    row("stream_put_to_ack_p99", (double)ack_ns[LATENCY_ROUNDS * 99 / 100] / 1e3, "us");
    row("stream_put_to_consumer_p50", (double)read_ns[LATENCY_ROUNDS / 2] / 1e3, "us");
    row("stream_put_to_consumer_p99", (double)read_ns[LATENCY_ROUNDS * 99 / 100] / 1e3, "us");
    redis_consumer_close(consumer);
}

/* redis-benchmark's own pipelined XADD of the same size, if it is installed. */
static void bench_peer(void)
{
    char command[512], line[256];
    snprintf(command, sizeof(command),
             "redis-benchmark -s %s/redis.sock -n %d -P 256 -c 1 -q --csv "
             "XADD peer '*' e \"$(head -c %d /dev/zero | tr '\\0' x)\" 2>/dev/null",
             folder, ROUND_RECORDS, RECORD_BYTES);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): a benchmark's peer */
    if (pipe == NULL)
        return;
    while (fgets(line, sizeof(line), pipe) != NULL) {
        /* "name","rps",… with blanks and quotes in the name: the rate follows the last `","`
         * that a digit follows before the latencies begin. */
        char *at = strstr(line, "xxx\",\"");
        if (at != NULL)
            row("redis_benchmark_xadd_p256", strtod(at + 6, NULL), "records/s");
    }
    pclose(pipe);
}

static double median(double *values, int count)
{
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && values[j] < values[j - 1]; j--) {
            double swap = values[j];
            values[j] = values[j - 1];
            values[j - 1] = swap;
        }
    return values[count / 2];
}

int main(void)
{
    server_start();
    struct redis_link *link;
    struct redis_link_options options = link_options();
    struct redis_producer *producer;
    struct redis_producer_options put = {.link = link_options(), .done = on_done};
    put.length_max = 10 * ROUND_RECORDS;
    strcpy(put.symbol, "BTCUSDT");
    if (loop_open(&loop, NULL) != ERR_OK || redis_link_open(&options, loop, &link, NULL) != ERR_OK)
        die("no loop or link");
    if (!redis_link_wait_connected(link, loop_mono_us() + PATIENCE_US))
        die("redis-server does not start");
    if (redis_producer_open(&put, loop, &producer, NULL) != ERR_OK)
        die("no producer");
    struct stream_producer out = redis_producer_port(producer);
    while (!out.ready(out.self))
        turn(&out, NULL, 1000);

    uint64_t seq = 0, native_seq = 0;
    double single[3], full[3], packed[3], native[3], read[3];
    bench_latency(&out, &seq);
    for (int i = 0; i < 3; i++) {
        single[i] = bench_put(&out, &seq, ROUND_RECORDS, 1, RECORD_BYTES);
        full[i] = bench_put(&out, &seq, ROUND_RECORDS, STREAM_BATCH_RECORDS_MAX, RECORD_BYTES);
        native[i] = bench_native(link, &native_seq, ROUND_RECORDS, RECORD_BYTES);
    }
    for (int i = 0; i < 3; i++)
        read[i] = bench_read(6 * ROUND_RECORDS);
    for (int i = 0; i < 3; i++)
        packed[i] =
            bench_put(&out, &seq, ROUND_RECORDS / PACKED_FRAMES / 10 * 10, 10, sizeof(body));
    row("stream_put_single", median(single, 3), "records/s");
    row("stream_put_batches_of_500", median(full, 3), "records/s");
    row("stream_put_packed_32", median(packed, 3) * PACKED_FRAMES, "frames/s");
    row("stream_xadd_native_pipelined", median(native, 3), "records/s");
    bench_peer();
    row("stream_read", median(read, 3), "records/s");
    redis_producer_close(producer);
    redis_link_close(link);
    loop_close(loop);
    return 0;
}
