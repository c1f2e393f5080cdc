/* The exchange simulator's settings. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_OPTIONS_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_OPTIONS_H

#include "services/service.h"

#define SIM_PORT 8089

struct sim_options {
    struct service_common common;
    char symbol[24];
    /* market */
    int64_t seed;
    double price;
    double rate;
    int64_t diff_interval_ms;
    int64_t history_s;
    int64_t books_kept;
    bool depth20;
    /* server */
    bool require_key;
    char api_key[128];
    int64_t ping_interval_ms, pong_timeout_ms, life_s;
    int64_t queue_bytes;
    int64_t pace_us;
    char tls_cert[256], tls_key[256];
    int64_t weight_limit;
    /* replay */
    char replay_file[512];
    double replay_speed;
    bool replay_loop;
    bool replay_wait;
    bool replay_close_at_end;
    /* capture */
    double capture_hours;
    char capture_out[512];
    char capture_oracle[512];
    int64_t capture_start_ms;
};

extern const struct config_schema sim_schema;

/* The command's own flags (--hours, --out, --oracle, --replay, --speed, --loop, --seed,
 * --rate) become --set words in out; returns the new argc, or -1 having said why. */
int sim_options_words(int argc, char **argv, char **out, int capacity);

#endif
