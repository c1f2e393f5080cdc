/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_signal.h"

#include <math.h>
#include <string.h>

/* Flow: weight of the newest group, and how strongly it predicts the next one's sign. */
#define SIGNAL_FLOW_WEIGHT (1.0 / 12)
#define SIGNAL_FLOW_KAPPA  0.9
/* Lean: persistence of the book's imbalance. */
#define SIGNAL_LEAN_TAU_S 20.0
#define SIGNAL_STEP_S     0.1
#define SIGNAL_LEAN_MAX   2.8
/* Heat: a self-exciting (Hawkes) burst intensity: base + heat. */
#define SIGNAL_BURST_RATE     0.52
#define SIGNAL_HEAT_DECAY     0.1
#define SIGNAL_HEAT_BRANCHING 0.6
/* Bursts: chance that a sweep is followed by another, and the mean wait for it. */
#define SIGNAL_FOLLOW        0.7
#define SIGNAL_FOLLOW_WAIT_S 0.07
/* Sweeps: lognormal ticks with this mean. */
#define SIGNAL_SWEEP_TICKS 180.0
#define SIGNAL_SWEEP_SIGMA 1.0
/* Drift of a burst's sign: linear in flow and lean; and the parts no line can follow. */
#define SIGNAL_ON_FLOW       0.135
#define SIGNAL_ON_LEAN       0.125
#define SIGNAL_ON_FLOW_HEAT  0.155
#define SIGNAL_ON_FLOW_LEAN2 0.20
#define SIGNAL_DRIFT_MAX     0.95

static double signal_flow_sigma(void)
{
    double w = SIGNAL_FLOW_WEIGHT;
    return sqrt(w * w / (1 - (1 - w) * (1 - w) - 2 * (1 - w) * w * SIGNAL_FLOW_KAPPA));
}

static double signal_heat_sigma(void)
{
    double n = SIGNAL_HEAT_BRANCHING;
    return sqrt(SIGNAL_BURST_RATE * n * n * SIGNAL_HEAT_DECAY / (2 * (1 - n)));
}

void sim_signal_init(struct sim_signal *signal, int64_t now_us)
{
    memset(signal, 0, sizeof(*signal));
    signal->heat = SIGNAL_BURST_RATE * SIGNAL_HEAT_BRANCHING;
    signal->heat_us = now_us;
}

double sim_signal_intensity(struct sim_signal *signal, int64_t now_us)
{
    signal->heat *= exp(-SIGNAL_HEAT_DECAY * (double)(now_us - signal->heat_us) * 1e-6);
    signal->heat_us = now_us;
    return SIGNAL_BURST_RATE * (1 - SIGNAL_HEAT_BRANCHING) + signal->heat;
}

void sim_signal_group(struct sim_signal *signal, int sign)
{
    signal->flow += SIGNAL_FLOW_WEIGHT * (sign - signal->flow);
}

double sim_signal_buy_probability(const struct sim_signal *signal)
{
    return 0.5 * (1 + SIGNAL_FLOW_KAPPA * signal->flow);
}

void sim_signal_step(struct sim_signal *signal, struct prng *prng)
{
    double keep = exp(-SIGNAL_STEP_S / SIGNAL_LEAN_TAU_S);
    double next = keep * signal->lean + sqrt(1 - keep * keep) * prng_normal(prng);
    signal->lean = fmin(fmax(next, -SIGNAL_LEAN_MAX), SIGNAL_LEAN_MAX);
}

double sim_signal_imbalance(const struct sim_signal *signal)
{
    return 0.85 * tanh(0.7 * signal->lean);
}

/* The factors in units of their own standard deviation. */
struct signal_factors {
    double flow, lean, heat, lean2;
};

static struct signal_factors signal_factors(struct sim_signal *signal, int64_t now_us)
{
    double intensity = sim_signal_intensity(signal, now_us);
    return (struct signal_factors){.flow = signal->flow / signal_flow_sigma(),
                                   .lean = signal->lean,
                                   .heat = (intensity - SIGNAL_BURST_RATE) / signal_heat_sigma(),
                                   .lean2 = (signal->lean * signal->lean - 1) / sqrt(2.0)};
}

/* Mean sign of a burst that starts now. The division makes intensity * drift polynomial in
 * the factors, so that its expectation has a closed form. */
static double signal_drift(struct sim_signal *signal, int64_t now_us)
{
    struct signal_factors f = signal_factors(signal, now_us);
    double sum = SIGNAL_ON_FLOW * f.flow + SIGNAL_ON_LEAN * f.lean +
                 SIGNAL_ON_FLOW_HEAT * f.flow * f.heat + SIGNAL_ON_FLOW_LEAN2 * f.flow * f.lean2;
    double drift = sum * SIGNAL_BURST_RATE / sim_signal_intensity(signal, now_us);
    return fmin(fmax(drift, -SIGNAL_DRIFT_MAX), SIGNAL_DRIFT_MAX);
}

static void signal_forget(struct sim_signal *signal, int64_t now_us)
{
    for (int i = 0; i < SIM_BURSTS_MAX; i++) {
        struct sim_burst *burst = &signal->bursts[i];
        if (burst->next_us == INT64_MAX && now_us - burst->last_us > SIM_BURST_FORGET_US)
            burst->sign = 0;
    }
}

struct sim_burst *sim_signal_start(struct sim_signal *signal, struct prng *prng, int64_t now_us)
{
    double drift = signal_drift(signal, now_us);
    int sign = prng_f64(prng) < 0.5 * (1 + drift) ? 1 : -1;
    signal->heat += SIGNAL_HEAT_BRANCHING * SIGNAL_HEAT_DECAY;
    signal_forget(signal, now_us);
    for (int i = 0; i < SIM_BURSTS_MAX; i++) {
        struct sim_burst *burst = &signal->bursts[i];
        if (burst->sign == 0) {
            *burst = (struct sim_burst){.sign = sign, .last_us = now_us, .next_us = now_us};
            return burst;
        }
    }
    return NULL;
}

void sim_signal_swept(struct sim_burst *burst, struct prng *prng, int64_t now_us)
{
    burst->last_us = now_us;
    burst->next_us = INT64_MAX;
    if (prng_f64(prng) < SIGNAL_FOLLOW)
        burst->next_us =
            now_us + 1 + (int64_t)(1e6 * SIGNAL_FOLLOW_WAIT_S * prng_exponential(prng));
}

int64_t sim_signal_next(struct sim_signal *signal, struct sim_burst **burst)
{
    int64_t next_us = INT64_MAX;
    *burst = NULL;
    for (int i = 0; i < SIM_BURSTS_MAX; i++) {
        if (signal->bursts[i].sign != 0 && signal->bursts[i].next_us < next_us) {
            *burst = &signal->bursts[i];
            next_us = (*burst)->next_us;
        }
    }
    return next_us;
}

double sim_signal_sweep_ticks(struct prng *prng)
{
    double median = SIGNAL_SWEEP_TICKS * exp(-0.5 * SIGNAL_SWEEP_SIGMA * SIGNAL_SWEEP_SIGMA);
    return median * exp(SIGNAL_SWEEP_SIGMA * prng_normal(prng));
}

/* Integral of exp(-rate u) over 0..horizon. */
static double signal_span(double rate, double horizon_s)
{
    return (1 - exp(-rate * horizon_s)) / rate;
}

/* Expected sweeps still to come from bursts that an observer cannot tell to be over. */
static double signal_pending_sweeps(const struct sim_signal *signal, int64_t now_us)
{
    double pending = 0;
    for (int i = 0; i < SIM_BURSTS_MAX; i++) {
        const struct sim_burst *burst = &signal->bursts[i];
        if (burst->sign == 0)
            continue;
        double quiet_s = (double)(now_us - burst->last_us) * 1e-6;
        double running = SIGNAL_FOLLOW * exp(-quiet_s / SIGNAL_FOLLOW_WAIT_S);
        pending += burst->sign * running / (running + 1 - SIGNAL_FOLLOW) / (1 - SIGNAL_FOLLOW);
    }
    return pending;
}

struct sim_forecast sim_signal_forecast(struct sim_signal *signal, int64_t now_us, double horizon_s,
                                        double price_ticks)
{
    struct signal_factors f = signal_factors(signal, now_us);
    double flow = SIM_GROUP_RATE_PER_S * SIGNAL_FLOW_WEIGHT * (1 - SIGNAL_FLOW_KAPPA);
    double lean = 1 / SIGNAL_LEAN_TAU_S;
    double heat = SIGNAL_HEAT_DECAY * (1 - SIGNAL_HEAT_BRANCHING);
    double tick_bp = 1e4 / price_ticks;
    double sweep_bp = SIGNAL_SWEEP_TICKS * tick_bp;
    double burst_bp = SIGNAL_BURST_RATE * sweep_bp / (1 - SIGNAL_FOLLOW);
    return (struct sim_forecast){
        .linear_bp = burst_bp * (SIGNAL_ON_FLOW * f.flow * signal_span(flow, horizon_s) +
                                 SIGNAL_ON_LEAN * f.lean * signal_span(lean, horizon_s)),
        .nonlinear_bp =
            burst_bp *
            (SIGNAL_ON_FLOW_HEAT * f.flow * f.heat * signal_span(flow + heat, horizon_s) +
             SIGNAL_ON_FLOW_LEAN2 * f.flow * f.lean2 * signal_span(flow + 2 * lean, horizon_s)),
        .burst_bp = sweep_bp * signal_pending_sweeps(signal, now_us),
    };
}
