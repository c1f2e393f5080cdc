/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

/* The source itself, to reach the path for machines without SSE4.2 as well. */
#include "base/crc32c.c"

/* RFC 3720, B.4, and the check value of the polynomial's catalogue entry. */
static void crc32c_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t data[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    memset(data, 0, sizeof(data));
    assert_int_equal(crc32c(0, data, sizeof(data)), 0x8a9136aa);
    memset(data, 0xff, sizeof(data));
    assert_int_equal(crc32c(0, data, sizeof(data)), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        data[i] = i;
    assert_int_equal(crc32c(0, data, sizeof(data)), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        data[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, data, sizeof(data)), 0x113fdb5c);
}

static void crc32c_continues_where_it_stopped(void **state)
{
    (void)state;
    static const char text[] = "the quick brown fox jumps over the lazy dog";
    uint32_t whole = crc32c(0, text, sizeof(text));
    for (size_t cut = 0; cut <= sizeof(text); cut++)
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, sizeof(text) - cut), whole);
}

static void crc32c_is_the_same_with_and_without_the_instruction(void **state)
{
    (void)state;
    uint8_t data[200];
    struct prng prng;
    prng_init(&prng, 12);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)prng_u64(&prng);
    for (size_t at = 0; at < 9; at++)
        for (size_t size = 0; size <= sizeof(data) - at; size++)
            assert_int_equal(crc32c(0, data + at, size),
                             ~crc32c_bitwise(UINT32_MAX, data + at, size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(crc32c_continues_where_it_stopped),
        cmocka_unit_test(crc32c_is_the_same_with_and_without_the_instruction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
