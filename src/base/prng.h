/* Seeded pseudo-random numbers (xoshiro256**, seeded by splitmix64): the same
 * seed gives the same sequence on every machine. Not for secrets.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_PRNG_H
#define BTCAST_BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_u64(struct prng *prng);
/* Uniform in [0, bound), bound > 0, without modulo bias. */
uint64_t prng_below(struct prng *prng, uint64_t bound);
/* Uniform in [0, 1) with 53 bits. */
double prng_f64(struct prng *prng);
/* Exponential with mean 1; standard normal. Both use libm (log, sqrt, cos). */
double prng_exponential(struct prng *prng);
double prng_normal(struct prng *prng);

#endif
