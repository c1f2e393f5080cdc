/* A checkpoint is the whole state: what goes on from it equals what never stopped.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "unit/market/market_random.h"

#if defined(__SANITIZE_ADDRESS__)
/* Of the sanitizer's runtime; gcc has no header for it. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));
#endif

struct saved {
    uint8_t *data;
    size_t size, capacity;
};

static struct saved save(const struct world *world)
{
    struct saved saved = {.capacity = world_save_size_max(world)};
    saved.data = malloc(saved.capacity);
    assert_int_equal(world_save(world, saved.data, saved.capacity, &saved.size, NULL), ERR_OK);
    return saved;
}

static void assert_same_save(const struct world *a, const struct world *b)
{
    struct saved first = save(a), second = save(b);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    free(first.data);
    free(second.data);
}

static void assert_same_view(const struct world *a, const struct world *b)
{
    static struct world_view first, second;
    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    world_view(a, &first);
    world_view(b, &second);
    assert_memory_equal(&first, &second, sizeof(first));
    struct world_slot_mid left[WORLD_SLOT_MIDS], right[WORLD_SLOT_MIDS];
    memset(left, 0, sizeof(left));
    memset(right, 0, sizeof(right));
    int count = world_slot_mids(a, left, WORLD_SLOT_MIDS);
    assert_int_equal(count, world_slot_mids(b, right, WORLD_SLOT_MIDS));
    for (int i = 0; i < count; i++)
        assert_true(left[i].slot == right[i].slot && left[i].mid2 == right[i].mid2 &&
                    left[i].valid == right[i].valid);
}

static void run_seed(uint64_t seed, bool has_other_exponents)
{
    struct random_market market = random_market_open(seed, has_other_exponents);
    struct world *steady = fixture_world(), *resumed = fixture_world();
    int saves = 0;
    unsigned seen = 0;
    for (int i = 0; i < 3000; i++) {
        if (random_one_in(&market, 150)) {
            struct saved saved = save(steady);
            world_close(resumed);
            resumed = fixture_world();
            assert_int_equal(world_load(resumed, bytes_of(saved.data, saved.size), NULL), ERR_OK);
            free(saved.data);
            assert_same_save(steady, resumed);
            saves++;
        }
        struct event event = random_event(&market);
        unsigned effects = world_apply(steady, &event);
        seen |= effects;
        assert_int_equal(world_apply(resumed, &event), effects);
        if (i % 7 == 0)
            assert_same_view(steady, resumed);
    }
    assert_same_view(steady, resumed);
    assert_same_save(steady, resumed);
    assert_true(saves > 5);
    /* The stream was worth it. */
    assert_true((seen & WORLD_GAP) && (seen & WORLD_ANCHORED) && (seen & WORLD_ANCHOR_OLD) &&
                (seen & WORLD_ANCHOR_BAD) && (seen & WORLD_TICKED) && (seen & WORLD_TRADE_HOLE));
    world_close(steady);
    world_close(resumed);
    free(market.fixture);
}

static void world_goes_on_from_a_checkpoint_as_if_never_stopped(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run_seed(seed, false);
}

static void world_goes_on_from_a_checkpoint_with_changing_exponents(void **state)
{
    (void)state;
    for (uint64_t seed = 21; seed <= 28; seed++)
        run_seed(seed, true);
}

static struct world *lived_world(uint64_t seed)
{
    struct random_market market = random_market_open(seed, false);
    struct world *world = fixture_world();
    for (int i = 0; i < 500; i++) {
        struct event event = random_event(&market);
        world_apply(world, &event);
    }
    free(market.fixture);
    return world;
}

static void world_refuses_a_checkpoint_with_any_byte_changed_or_missing(void **state)
{
    (void)state;
    struct world *world = lived_world(3), *fresh = fixture_world(), *target = fixture_world();
    struct saved saved = save(world);
    for (size_t at = 0; at < saved.size; at += at < 300 ? 1 : 97) {
        saved.data[at] ^= 0x40;
        int code = world_load(target, bytes_of(saved.data, saved.size), NULL);
        assert_true(code == ERR_CORRUPT || code == ERR_MALFORMED);
        assert_int_equal(world_load(target, bytes_of(saved.data, at), NULL) == ERR_OK, false);
        saved.data[at] ^= 0x40;
    }
    assert_same_save(target, fresh); /* as after world_open */
    assert_int_equal(world_load(target, bytes_of(saved.data, saved.size), NULL), ERR_OK);
    assert_same_save(target, world);
    free(saved.data);
    world_close(world);
    world_close(fresh);
    world_close(target);
}

/* A wrong checkpoint under a right checksum: whatever it says, the world stays usable. */
static void world_survives_a_checkpoint_of_lies(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 11);
    struct world *world = lived_world(5), *target = fixture_world();
    struct saved saved = save(world);
    uint8_t *lie = malloc(saved.size);
    int refused = 0;
    for (int round = 0; round < 400; round++) {
        memcpy(lie, saved.data, saved.size);
        size_t limit = round % 2 == 0 ? 4000 : saved.size - 4;
        for (int i = 0; i < 3; i++)
            lie[48 + prng_below(&prng, limit - 48)] = (uint8_t)prng_u64(&prng);
        uint32_t crc = crc32c(0, lie, saved.size - 4);
        bytes_store_u32(lie + saved.size - 4, crc);
        refused += world_load(target, bytes_of(lie, saved.size), NULL) != ERR_OK;
        struct random_market market = random_market_open((uint64_t)round, true);
        for (int i = 0; i < 50; i++) {
            struct event event = random_event(&market);
            world_apply(target, &event);
        }
        free(market.fixture);
    }
    assert_true(refused > 50);
    free(lie);
    free(saved.data);
    world_close(world);
    world_close(target);
}

static void world_says_what_is_wrong_with_a_checkpoint(void **state)
{
    (void)state;
    struct world *world = lived_world(7), *other = NULL;
    struct world_options options = {.symbol = "ETHUSDT"};
    assert_int_equal(world_open(&options, &other, NULL), ERR_OK);
    struct saved saved = save(world);
    struct err err = {0};
    assert_int_equal(world_load(other, bytes_of(saved.data, saved.size), &err), ERR_SCHEMA);
    assert_non_null(strstr(err.text, "another symbol than ETHUSDT"));
    saved.data[16] ^= 1; /* the feature schema */
    bytes_store_u32(saved.data + saved.size - 4, crc32c(0, saved.data, saved.size - 4));
    assert_int_equal(world_load(world, bytes_of(saved.data, saved.size), &err), ERR_SCHEMA);
    assert_non_null(strstr(err.text, "feature schema"));
    size_t size = 0;
    assert_int_equal(world_save(other, saved.data, 100, &size, &err), ERR_FULL);
    free(saved.data);
    world_close(world);
    world_close(other);
}

#if defined(__SANITIZE_ADDRESS__)
static volatile int allocations; /* the compiler thinks malloc touches nothing of ours */
static void count_malloc(const volatile void *at, size_t size)
{
    (void)at;
    (void)size;
    allocations++;
}
static void count_free(const volatile void *at)
{
    (void)at;
    allocations++;
}
#endif

static void world_allocates_nothing_after_open(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    struct random_market market = random_market_open(9, true);
    struct world *world = fixture_world();
    struct saved saved = save(world);
    struct world_view view;
    assert_true(__sanitizer_install_malloc_and_free_hooks(count_malloc, count_free) > 0);
    allocations = 0;
    void *volatile probe = malloc(10);
    free(probe);
    assert_int_equal(allocations, 2); /* the hooks count */
    allocations = 0;
    for (int i = 0; i < 2000; i++) {
        struct event event = random_event(&market);
        world_apply(world, &event);
        world_view(world, &view);
    }
    int code = world_save(world, saved.data, saved.capacity, &saved.size, NULL);
    int loaded = world_load(world, bytes_of(saved.data, saved.size), NULL);
    int counted = allocations;
    assert_int_equal(code, ERR_OK);
    assert_int_equal(loaded, ERR_OK);
    assert_int_equal(counted, 0);
    free(saved.data);
    world_close(world);
    free(market.fixture);
#else
    print_message("SKIPPED: allocations are counted in the sanitizer build only\n");
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(world_goes_on_from_a_checkpoint_as_if_never_stopped),
        cmocka_unit_test(world_goes_on_from_a_checkpoint_with_changing_exponents),
        cmocka_unit_test(world_refuses_a_checkpoint_with_any_byte_changed_or_missing),
        cmocka_unit_test(world_survives_a_checkpoint_of_lies),
        cmocka_unit_test(world_says_what_is_wrong_with_a_checkpoint),
        cmocka_unit_test(world_allocates_nothing_after_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
