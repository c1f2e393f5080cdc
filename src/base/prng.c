/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prng.h"

#include <math.h>

#include "base/check.h"

static uint64_t prng_splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void prng_init(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        prng->state[i] = prng_splitmix(&seed);
}

static uint64_t prng_rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t prng_u64(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = prng_rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = prng_rotate(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    PRE(bound > 0);
    uint64_t threshold = (0 - bound) % bound;
    for (;;) {
        uint64_t value = prng_u64(prng);
        if (value >= threshold)
            return value % bound;
    }
}

double prng_f64(struct prng *prng)
{
    return (double)(prng_u64(prng) >> 11) * 0x1.0p-53;
}

double prng_exponential(struct prng *prng)
{
    return -log(1.0 - prng_f64(prng));
}

double prng_normal(struct prng *prng)
{
    double radius = sqrt(2.0 * prng_exponential(prng));
    return radius * cos(6.283185307179586 * prng_f64(prng));
}
