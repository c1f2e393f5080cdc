/* What drives the simulated price: three factors that anybody can compute from the public
 * tape and book, the drift they cause, and the oracle: E[log return | public history].
 * docs/exchange-sim.md has the mathematics. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_SIGNAL_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

/* Bursts that may still be running, seen from outside. */
#define SIM_BURSTS_MAX 16
/* After so long without another sweep a burst is over for any observer. */
#define SIM_BURST_FORGET_US 2000000

/* A burst: sweeps in one direction, each followed by another with a fixed probability. */
struct sim_burst {
    int sign;        /* +1 up, -1 down; 0: free */
    int64_t last_us; /* its latest sweep */
    int64_t next_us; /* INT64_MAX: no more come (hidden from observers) */
};

struct sim_signal {
    double flow;     /* exponential average of trade groups' signs, by group */
    double lean;     /* unit-variance Ornstein-Uhlenbeck: the book's ten-level imbalance */
    double heat;     /* excitation of the burst intensity, per second */
    int64_t heat_us; /* when heat was last decayed */
    struct sim_burst bursts[SIM_BURSTS_MAX];
};

/* The two halves of the drift, for tests: what ridge can reach and what it cannot. */
struct sim_forecast {
    double linear_bp, nonlinear_bp, burst_bp;
};

void sim_signal_init(struct sim_signal *signal, int64_t now_us);
/* Burst intensity per second at now_us (>= the last call's). */
double sim_signal_intensity(struct sim_signal *signal, int64_t now_us);
/* A trade group that did not move the price; sign +1: the buyer was the aggressor. */
void sim_signal_group(struct sim_signal *signal, int sign);
/* Probability that the next such group buys. */
double sim_signal_buy_probability(const struct sim_signal *signal);
/* One step of 100 ms of the book's lean. */
void sim_signal_step(struct sim_signal *signal, struct prng *prng);
/* The imbalance (sum of bids - sum of asks over ten levels, over their sum) that stands in
 * the book for this lean. */
double sim_signal_imbalance(const struct sim_signal *signal);
/* Starts a burst: draws its direction. Returns NULL when SIM_BURSTS_MAX run already. */
struct sim_burst *sim_signal_start(struct sim_signal *signal, struct prng *prng, int64_t now_us);
/* A sweep of the burst happened now: draws whether and when another follows. */
void sim_signal_swept(struct sim_burst *burst, struct prng *prng, int64_t now_us);
/* Time of the next sweep of any burst, INT64_MAX when none runs; *burst gets it. */
int64_t sim_signal_next(struct sim_signal *signal, struct sim_burst **burst);
/* Size of one sweep in ticks at scale 1. */
double sim_signal_sweep_ticks(struct prng *prng);
/* E[log return over horizon_s | public history] in basis points at the given price in
 * ticks; the drift's parts apart. */
struct sim_forecast sim_signal_forecast(struct sim_signal *signal, int64_t now_us, double horizon_s,
                                        double price_ticks);

/* Rate of trade groups that do not move the price; the flow's decay depends on it. */
#define SIM_GROUP_RATE_PER_S 7.9

#endif
