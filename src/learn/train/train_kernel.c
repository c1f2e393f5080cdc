/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/train_kernel.h"

static const struct train_kernel *train_kernel_vector(enum mlp_kernel wanted)
{
#ifdef __x86_64__
    if (wanted == MLP_KERNEL_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
                   ? &train_kernel_avx512
                   : NULL;
    if (wanted == MLP_KERNEL_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &train_kernel_avx2
                                                                               : NULL;
#endif
    return wanted == MLP_KERNEL_PLAIN ? &train_kernel_plain : NULL;
}

const struct train_kernel *train_kernel_choose(enum mlp_kernel wanted)
{
    if (wanted != MLP_KERNEL_AUTO)
        return train_kernel_vector(wanted);
    const struct train_kernel *best = train_kernel_vector(MLP_KERNEL_AVX512);
    if (best == NULL)
        best = train_kernel_vector(MLP_KERNEL_AVX2);
    return best != NULL ? best : &train_kernel_plain;
}
