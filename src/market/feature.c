/* SPDX-License-Identifier: Apache-2.0 */
#include "market/feature.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"

struct feature_entry {
    const char *name;
    float minimum, maximum;
};

static const struct feature_entry feature_table[FEATURE_COUNT] = {
    [FEATURE_MICROPRICE_DEV_BP] = {"microprice_dev_bp", -50.0f, 50.0f},
    [FEATURE_RET_1S_BP] = {"ret_1s_bp", -200.0f, 200.0f},
    [FEATURE_RET_5S_BP] = {"ret_5s_bp", -200.0f, 200.0f},
    [FEATURE_VOL_IMBALANCE] = {"vol_imbalance", -1.0f, 1.0f},
    [FEATURE_SPREAD_BP] = {"spread_bp", 0.0f, 100.0f},
    [FEATURE_OB_IMBALANCE] = {"ob_imbalance", -1.0f, 1.0f},
    [FEATURE_TRADE_INTENSITY] = {"trade_intensity", 0.0f, 10000.0f},
    [FEATURE_RET_500MS_BP] = {"ret_500ms_bp", -200.0f, 200.0f},
    [FEATURE_RET_10S_BP] = {"ret_10s_bp", -200.0f, 200.0f},
    [FEATURE_RET_30S_BP] = {"ret_30s_bp", -200.0f, 200.0f},
    [FEATURE_TOUCH_IMBALANCE] = {"touch_imbalance", -1.0f, 1.0f},
    [FEATURE_DEPTH5_IMBALANCE] = {"depth5_imbalance", -1.0f, 1.0f},
    [FEATURE_OFI_1S] = {"ofi_1s", -100.0f, 100.0f},
    [FEATURE_OFI_5S] = {"ofi_5s", -100.0f, 100.0f},
    [FEATURE_OFI_DEEP_1S] = {"ofi_deep_1s", -100.0f, 100.0f},
    [FEATURE_OFI_DEEP_5S] = {"ofi_deep_5s", -100.0f, 100.0f},
    [FEATURE_VOLATILITY_5S_BP] = {"volatility_5s_bp", 0.0f, 100.0f},
    [FEATURE_VOLATILITY_30S_BP] = {"volatility_30s_bp", 0.0f, 100.0f},
    [FEATURE_PRESSURE_5S] = {"pressure_5s", -1.0f, 1.0f},
    [FEATURE_PRESSURE_20S] = {"pressure_20s", -1.0f, 1.0f},
    [FEATURE_VOL_IMBALANCE_5S] = {"vol_imbalance_5s", -1.0f, 1.0f},
    [FEATURE_VWAP_DEV_1S_BP] = {"vwap_dev_1s_bp", -200.0f, 200.0f},
    [FEATURE_INTENSITY_RATIO] = {"intensity_ratio", -10.0f, 10.0f},
    [FEATURE_TRADE_SIZE_LOG] = {"trade_size_log", 0.0f, 30.0f},
    [FEATURE_QUOTE_INTENSITY_LOG] = {"quote_intensity_log", 0.0f, 12.0f},
    [FEATURE_TRADE_SILENCE_LOG] = {"trade_silence_log", 0.0f, 5.0f},
    [FEATURE_DEPTH_BID_LOG] = {"depth_bid_log", 0.0f, 30.0f},
    [FEATURE_DEPTH_ASK_LOG] = {"depth_ask_log", 0.0f, 30.0f},
    [FEATURE_OB_IMBALANCE_MEAN] = {"ob_imbalance_mean", -1.0f, 1.0f},
    [FEATURE_TRADE_SIGN_MEAN] = {"trade_sign_mean", -1.0f, 1.0f},
    [FEATURE_BURST_RATE] = {"burst_rate", 0.0f, 1000.0f},
    [FEATURE_BURST_PENDING] = {"burst_pending", -1.0f, 1.0f},
};

static const struct feature_entry *feature_entry(int index)
{
    PRE(index >= 0 && index < FEATURE_COUNT);
    return &feature_table[index];
}

const char *feature_name(int index)
{
    return feature_entry(index)->name;
}

float feature_minimum(int index)
{
    return feature_entry(index)->minimum;
}

float feature_maximum(int index)
{
    return feature_entry(index)->maximum;
}

/* As the processor's own: b when equal. */
static inline double feature_max(double a, double b)
{
    return a > b ? a : b;
}

static inline double feature_min(double a, double b)
{
    return a < b ? a : b;
}

void feature_clamp(const double raw[FEATURE_COUNT], float values[FEATURE_COUNT])
{
    for (int i = 0; i < FEATURE_COUNT; i++) {
        double value = isnan(raw[i]) ? 0.0 : raw[i];
        value = feature_max((double)feature_table[i].minimum, value);
        value = feature_min((double)feature_table[i].maximum, value);
        values[i] = (float)(value + 0.0); /* never a negative zero */
    }
}

int feature_mirror(int index, float *sign)
{
    *sign = 1.0f;
    if (index == FEATURE_DEPTH_BID_LOG)
        return FEATURE_DEPTH_ASK_LOG;
    if (index == FEATURE_DEPTH_ASK_LOG)
        return FEATURE_DEPTH_BID_LOG;
    /* What can be negative has a direction, but for a ratio of counts. */
    if (feature_minimum(index) < 0.0f && index != FEATURE_INTENSITY_RATIO)
        *sign = -1.0f;
    return index;
}

int feature_index(const char *name)
{
    for (int i = 0; i < FEATURE_COUNT; i++)
        if (strcmp(feature_table[i].name, name) == 0)
            return i;
    return -1;
}

static uint64_t feature_hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static uint64_t feature_hash_u32(uint64_t hash, uint32_t value)
{
    for (int shift = 0; shift < 32; shift += 8)
        hash = feature_hash_byte(hash, (uint8_t)(value >> shift));
    return hash;
}

/* FNV-1a 64 over version, count and each name with its NUL. */
uint64_t feature_schema_hash(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = feature_hash_u32(hash, FEATURE_VERSION);
    hash = feature_hash_u32(hash, FEATURE_COUNT);
    for (int i = 0; i < FEATURE_COUNT; i++)
        for (const char *at = feature_table[i].name;; at++) {
            hash = feature_hash_byte(hash, (uint8_t)*at);
            if (*at == 0)
                break;
        }
    return hash;
}
