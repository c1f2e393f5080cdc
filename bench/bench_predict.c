/* The whole prediction against a real redis-server on a unix socket: the atomic read of the hot
 * state, the model, the record, its JSON ("predict", back to back) and the same paced with the
 * publishing script ("predict_paced"). SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"
#include "edge/redis/redis_infer.h"
#include "hot/state/state_image.h"
#include "services/inference/inference_model.h"
#include "services/inference/inference_priority.h"
#include "tests/lib/redis_fixture.h"

#define CALLS       5000
#define PACED_CALLS 1200
#define PACE_US     5000

static struct redis_fixture server;
static struct loop *loop;
static struct redis_link *redis_conn;
static struct redis_infer *port;
static struct model *model;

static struct infer_read answer;
static bool came;

static void on_read(void *context, int result, const struct infer_read *read)
{
    (void)context;
    if (result != ERR_OK)
        abort();
    answer = *read;
    came = true;
}

static void on_publish(void *context, int result, enum infer_published outcome, int64_t top,
                       const struct prediction *published)
{
    (void)context;
    (void)top;
    (void)published;
    if (result != ERR_OK || outcome != INFER_PUBLISHED)
        abort();
    came = true;
}

static void spin(void)
{
    while (!came)
        loop_run_once(loop, 0);
    came = false;
}

/* The hot state as the aggregator writes it, with a full book and a vector. */
static void write_state(void)
{
    static struct world_view view = {.epoch = 1,
                                     .seq = 2,
                                     .price_exponent = -8,
                                     .qty_exponent = -8,
                                     .book_live = true,
                                     .book_id = 5,
                                     .bid_count = 10,
                                     .ask_count = 10,
                                     .best_bid = 6000000000000,
                                     .best_ask = 6000001000000};
    static struct state_image image;
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < WORLD_LEVELS; i++) {
        view.bids[i] = (struct world_level){6000000000000 - i * 1000000, 123456789};
        view.asks[i] = (struct world_level){6000001000000 + i * 1000000, 987654321};
    }
    view.mid2 = view.best_bid + view.best_ask;
    view.vector = (struct feature_vector){.schema = feature_schema_hash(),
                                          .epoch = 1,
                                          .seq = 2,
                                          .as_of_us = 1,
                                          .mid2 = view.mid2,
                                          .price_exponent = -8,
                                          .valid = true};
    for (int i = 0; i < FEATURE_COUNT; i++)
        view.vector.values[i] = (float)prng_normal(&prng);
    struct state_image_input input = {.view = &view, .writer = 1, .source = "sbe"};
    state_image_make(&input, &image);
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++) {
        char key[STATE_KEY_SIZE];
        state_key((enum state_key)hash, STATE_KEYS_PLAIN, "BTCUSDT", key);
        for (int i = 0; i < image.count[hash]; i++) {
            const struct state_pair *pair = &image.pairs[hash][i];
            freeReplyObject(redis_fixture_command(&server, "HSET %s %b %b", key, pair->field.data,
                                                  pair->field.size, pair->value.data,
                                                  pair->value.size));
        }
    }
}

static void predict(int64_t slot, struct prediction *prediction)
{
    struct infer_port infer = redis_infer_port(port);
    if (infer.read(infer.self, on_read, NULL) != ERR_OK)
        abort();
    spin();
    struct model_output output;
    model_predict(model, answer.state.values, &output);
    struct prediction_inputs inputs = {.symbol = "BTCUSDT",
                                       .model_version = model_version(model),
                                       .source = "redis",
                                       .mode = "live",
                                       .reason = "",
                                       .calibration = "prior",
                                       .slot = slot,
                                       .mid = answer.state.mid.mantissa,
                                       .mid_exponent = answer.state.mid.exponent,
                                       .return_bp = (double)output.mean_bp,
                                       .confidence = 0.5,
                                       .p10_bp = -4,
                                       .p90_bp = 4};
    prediction_fill(prediction, &inputs);
    char buffer[PREDICTION_JSON_MAX];
    struct text json = text_begin(buffer, sizeof(buffer));
    prediction_json(prediction, &json);
    if (json.truncated)
        abort();
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, int64_t *ns, int count)
{
    qsort(ns, (size_t)count, sizeof(*ns), compare);
    printf("%s.p50\t%.1f\tus\n", name, (double)ns[count / 2] / 1e3);
    printf("%s.p99\t%.1f\tus\n", name, (double)ns[count * 99 / 100] / 1e3);
}

static void back_to_back(void)
{
    static int64_t ns[CALLS];
    struct prediction prediction;
    for (int i = 0; i < CALLS; i++) {
        int64_t begin = loop_mono_ns();
        predict(i, &prediction);
        ns[i] = loop_mono_ns() - begin;
    }
    report("predict", ns, CALLS);
}

static void paced(void)
{
    static int64_t ns[PACED_CALLS];
    struct infer_port infer = redis_infer_port(port);
    struct prediction prediction;
    for (int i = 0; i < PACED_CALLS; i++) {
        usleep(PACE_US);
        if (infer.read(infer.self, on_read, NULL) != ERR_OK) /* the discarded read */
            abort();
        spin();
        int64_t begin = loop_mono_ns();
        predict(i + 1, &prediction);
        struct infer_publish request = {.slot = i + 1, .prediction = &prediction};
        if (infer.publish(infer.self, &request, on_publish, NULL) != ERR_OK)
            abort();
        spin();
        ns[i] = loop_mono_ns() - begin;
    }
    report("predict_paced", ns, PACED_CALLS);
}

int main(void)
{
    struct redis_link_options options = {.seed = 1};
    redis_fixture_start(&server, NULL);
    snprintf(options.target, sizeof(options.target), "%s", server.target);
    write_state();
    if (loop_open(&loop, NULL) != ERR_OK ||
        redis_link_open(&options, loop, &redis_conn, NULL) != ERR_OK ||
        redis_infer_open(redis_conn, STATE_KEYS_PLAIN, "BTCUSDT", &port, NULL) != ERR_OK ||
        inference_model_load("", MLP_KERNEL_AUTO, &model, NULL) != ERR_OK)
        return 1;
    while (!redis_link_connected(redis_conn)) {
        redis_link_do_work(redis_conn, loop_mono_us());
        loop_run_once(loop, 1000);
    }
    inference_priority_raise();
    back_to_back();
    paced();
    redis_infer_close(port);
    redis_link_close(redis_conn);
    loop_close(loop);
    model_close(model);
    redis_fixture_stop(&server);
    return 0;
}
