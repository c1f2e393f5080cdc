/* SPDX-License-Identifier: Apache-2.0 */
#include "market/burst.h"

#include <math.h>

#define BURST_SIGN_WEIGHT (1.0 / 12)
/* A sweep is followed by another one in its direction with this probability, after this
 * mean wait: what the exchange simulator was calibrated to. */
#define BURST_FOLLOW        0.7
#define BURST_FOLLOW_WAIT_S 0.07
/* Bursts a second and side, against which a follow-up is told from a new burst. */
#define BURST_NEW_RATE 0.25
/* The count of bursts decays so fast, a second. */
#define BURST_DECAY 0.1
/* Longest pause that is told apart: nothing is left after it. */
#define BURST_PAUSE_S_MAX 300.0
#define BURST_HEAT_MAX    1e9

static double burst_pause_s(int64_t since_us, int64_t now_us)
{
    double pause_s = (double)(now_us - since_us) / 1e6;
    return pause_s < BURST_PAUSE_S_MAX ? pause_s : BURST_PAUSE_S_MAX;
}

void burst_init(struct burst *burst)
{
    *burst = (struct burst){0};
}

void burst_restart(struct burst *burst)
{
    *burst = (struct burst){.sign_mean = burst->sign_mean};
}

/* Bayes: so long without another sweep, is the side's burst still running? */
static double burst_running(const struct burst *burst, int side, int64_t now_us)
{
    if (burst->sweep_us[side] == 0)
        return 0.0;
    double pause_s = burst_pause_s(burst->sweep_us[side], now_us);
    double comes = BURST_FOLLOW * exp(-pause_s / BURST_FOLLOW_WAIT_S);
    return comes / (comes + 1.0 - BURST_FOLLOW);
}

static double burst_heat(const struct burst *burst, int64_t now_us)
{
    if (burst->heat_us == 0)
        return 0.0;
    return burst->heat * exp(-BURST_DECAY * burst_pause_s(burst->heat_us, now_us));
}

/* A sweep counts as a new burst by the odds of a new one against a follow-up. */
static void burst_on_sweep(struct burst *burst, int64_t now_us, int side)
{
    double follow_rate = burst_running(burst, side, now_us) / BURST_FOLLOW_WAIT_S;
    double is_new = BURST_NEW_RATE / (BURST_NEW_RATE + follow_rate);
    burst->heat = fmin(burst_heat(burst, now_us) + is_new, BURST_HEAT_MAX);
    burst->heat_us = burst->sweep_us[side] = now_us;
}

static void burst_begin_order(struct burst *burst, int64_t transact_us, int64_t price, bool is_sell)
{
    burst->order_us = transact_us;
    burst->order_price = price;
    burst->order_is_sell = is_sell;
    burst->order_is_sweep = false;
    burst->sign_before = burst->sign_mean;
    burst->sign_mean += BURST_SIGN_WEIGHT * ((is_sell ? -1.0 : 1.0) - burst->sign_mean);
}

/* An order is taken for a small one until a second price proves it a sweep. */
void burst_on_trade(struct burst *burst, int64_t now_us, int64_t transact_us, int64_t price,
                    bool is_sell)
{
    if (transact_us != burst->order_us || is_sell != burst->order_is_sell)
        burst_begin_order(burst, transact_us, price, is_sell);
    if (price == burst->order_price || burst->order_is_sweep)
        return;
    burst->order_is_sweep = true;
    burst->sign_mean = burst->sign_before;
    burst_on_sweep(burst, now_us, is_sell);
}

double burst_rate(const struct burst *burst, int64_t now_us)
{
    return BURST_DECAY * burst_heat(burst, now_us);
}

double burst_pending(const struct burst *burst, int64_t now_us)
{
    return burst_running(burst, 0, now_us) - burst_running(burst, 1, now_us);
}

bool burst_can_rescale(const struct burst *burst, struct scale_step step)
{
    return scale_fit_value(burst->order_price, step.price_shift) == SCALE_FITS;
}

void burst_rescale(struct burst *burst, struct scale_step step)
{
    burst->order_price = scale_value(burst->order_price, step.price_shift);
}

static void burst_code_mean(double *mean, struct codec *codec)
{
    codec_f64(codec, mean);
    codec_expect(codec, isfinite(*mean) && fabs(*mean) <= 1.0);
}

static void burst_code_time(int64_t *time_us, int64_t newest_us, struct codec *codec)
{
    codec_i64(codec, time_us);
    codec_expect(codec, *time_us >= 0 && *time_us <= newest_us);
}

void burst_code(struct burst *burst, struct codec *codec)
{
    codec_i64(codec, &burst->order_us);
    codec_i64(codec, &burst->order_price);
    codec_expect(codec, burst->order_price >= 0 && burst->order_price <= SCALE_VALUE_MAX);
    codec_bool(codec, &burst->order_is_sell);
    codec_bool(codec, &burst->order_is_sweep);
    burst_code_mean(&burst->sign_before, codec);
    burst_code_mean(&burst->sign_mean, codec);
    codec_f64(codec, &burst->heat);
    codec_expect(codec, burst->heat >= 0.0 && burst->heat <= BURST_HEAT_MAX);
    burst_code_time(&burst->heat_us, INT64_MAX, codec);
    burst_code_time(&burst->sweep_us[0], burst->heat_us, codec);
    burst_code_time(&burst->sweep_us[1], burst->heat_us, codec);
}
