/* The REST calls of the simulated exchange, answered from the same book and tape as its
 * streams (BINANCE.md section 8). Pure: path and query in, status and JSON out.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_REST_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_REST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "services/exchange-sim/sim_feed.h"

/* Room that the largest reply needs (5,000 levels a side, 1,000 klines). */
#define SIM_REST_REPLY_MAX  (1u << 20)
#define SIM_REST_DEPTH_MAX  5000
#define SIM_REST_LIST_MAX   1000
#define SIM_REST_VALUE_SIZE 64

struct sim_request {
    const char *path;  /* "/api/v3/depth" */
    const char *query; /* decoded, without '?' */
    int64_t wall_us;
    bool microseconds;    /* X-MBX-TIME-UNIT: MICROSECOND */
    int64_t stale_ids;    /* depth is served from a book at least so many ids old; 0: current */
    int64_t weight_limit; /* told by exchangeInfo */
};

/* Weight of the call; 1 for unknown paths. */
int64_t sim_rest_weight(const struct sim_request *request);
/* Writes the body, returns the HTTP status. */
int sim_rest_answer(const struct sim_feed *feed, const struct sim_request *request,
                    struct text *body);
/* {"code":…,"msg":"…"}; returns status. */
int sim_rest_error(struct text *body, int status, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A parameter's value into out[SIM_REST_VALUE_SIZE]; false when absent or too long. */
bool sim_rest_parameter(const char *query, const char *name, char *out);

/* sim_klines.c */
int sim_klines_answer(const struct sim_feed *feed, const struct sim_request *request,
                      struct text *body);
/* What sim_rest.c and sim_klines.c share: parameters as numbers. */
enum sim_number { SIM_NUMBER_ABSENT, SIM_NUMBER_GIVEN, SIM_NUMBER_BAD };
enum sim_number sim_rest_number(const struct sim_request *request, const char *name, int64_t *value,
                                struct text *body);
/* startTime, endTime and limit; times come out in microseconds (given in ms or us). Returns
 * 200 or an error's status with the body written. */
struct sim_range {
    int64_t from_us, to_us; /* inclusive; 0 and INT64_MAX when not given */
    bool has_from, has_to;
    int64_t limit;
};
int sim_rest_range(const struct sim_request *request, struct sim_range *range, struct text *body);
int64_t sim_rest_time(const struct sim_request *request, int64_t time_us);
void sim_rest_decimal(struct text *body, int64_t mantissa);

#endif
