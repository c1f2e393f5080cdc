/* Following the registry's pointers. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "hot/infer/model_watch.h"
#include "market/feature.h"
#include "model/baseline.h"

/* A registry of the test's own; answers come when the test says so. */
struct registry {
    char sha[MODEL_ROLES][MODEL_SHA256_SIZE];
    bool away;
    model_pointer_fn pointed;
    void *pointed_context;
    model_file_fn fetched;
    void *fetched_context;
    char asked[MODEL_SHA256_SIZE];
    int fetches, kept, put_aside;
    char aside_sha[MODEL_SHA256_SIZE];
    size_t aside_size;
};

static int registry_pointer(void *self, model_pointer_fn done, void *context)
{
    struct registry *registry = self;
    if (registry->away)
        return ERR_CONNECTION;
    registry->pointed = done;
    registry->pointed_context = context;
    return ERR_OK;
}

static int registry_fetch(void *self, const char *sha, model_file_fn done, void *context)
{
    struct registry *registry = self;
    snprintf(registry->asked, sizeof(registry->asked), "%s", sha);
    registry->fetched = done;
    registry->fetched_context = context;
    registry->fetches++;
    return ERR_OK;
}

static void registry_keep(void *self, struct bytes file)
{
    struct registry *registry = self;
    assert_int_equal(file.size, baseline_file().size);
    registry->kept++;
}

static void registry_refuse(void *self, const char *sha, struct bytes file)
{
    struct registry *registry = self;
    snprintf(registry->aside_sha, sizeof(registry->aside_sha), "%s", sha);
    registry->aside_size = file.size;
    registry->put_aside++;
}

static void answer_pointer(struct registry *registry)
{
    const char *sha[MODEL_ROLES] = {registry->sha[0], registry->sha[1]};
    model_pointer_fn done = registry->pointed;
    registry->pointed = NULL;
    if (done != NULL)
        done(registry->pointed_context, ERR_OK, sha);
}

static void answer_file(struct registry *registry, int result, struct bytes file)
{
    model_file_fn done = registry->fetched;
    assert_non_null(done);
    registry->fetched = NULL;
    done(registry->fetched_context, result, file);
}

static struct registry registry;
static struct model_watch watch;
static int64_t now_us;

/* So long, asking and answering where the registry points. */
static void pass(int64_t us, bool quiet)
{
    for (int64_t end_us = now_us + us; now_us < end_us; now_us += 10000) {
        model_watch_do_work(&watch, now_us, quiet);
        answer_pointer(&registry);
    }
}

static int setup(void **state)
{
    (void)state;
    const struct model_port port = {&registry, registry_pointer, registry_fetch, registry_keep,
                                    registry_refuse};
    const char *have[MODEL_ROLES] = {"old", NULL};
    memset(&registry, 0, sizeof(registry));
    now_us = 0;
    model_watch_init(&watch, &port, feature_schema_hash(), MLP_KERNEL_AUTO, have);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    model_watch_close(&watch);
    return 0;
}

static void point(enum model_role role, const char *sha)
{
    snprintf(registry.sha[role], sizeof(registry.sha[role]), "%s", sha);
}

static void model_watch_takes_a_new_model_over_once(void **state)
{
    (void)state;
    struct model *model = NULL;
    point(MODEL_PRODUCTION, "old");
    pass(1000000, true);
    assert_int_equal(registry.fetches, 0); /* in use already */
    point(MODEL_PRODUCTION, "new");
    pass(500000, false);
    assert_string_equal(registry.asked, "new");
    answer_file(&registry, ERR_OK, baseline_file());
    pass(500000, false);
    assert_false(model_watch_take(&watch, MODEL_PRODUCTION, &model)); /* a slot is near */
    pass(10000, true);
    assert_true(model_watch_take(&watch, MODEL_PRODUCTION, &model));
    assert_false(model_watch_take(&watch, MODEL_PRODUCTION, &model));
    assert_string_equal(model_sha256(model), "new");
    assert_int_equal(registry.kept, 1);
    pass(5000000, true);
    assert_int_equal(registry.fetches, 1);
    model_close(model);
}

static void model_watch_refuses_a_bad_file_until_the_pointer_moves(void **state)
{
    (void)state;
    struct model *model = NULL;
    point(MODEL_PRODUCTION, "bad");
    pass(500000, true);
    answer_file(&registry, ERR_CORRUPT, (struct bytes){NULL, 0});
    pass(5000000, true);
    assert_int_equal(registry.fetches, 1);
    point(MODEL_PRODUCTION, "cut");
    pass(500000, true);
    answer_file(&registry, ERR_OK, bytes_of(baseline_file().data, baseline_file().size / 2));
    pass(500000, true);
    assert_int_equal(watch.counters.refused, 2);
    assert_false(model_watch_take(&watch, MODEL_PRODUCTION, &model));
    /* The bytes are put aside, when there are any; never near a slot. */
    assert_int_equal(registry.put_aside, 1);
    assert_string_equal(registry.aside_sha, "cut");
    assert_int_equal(registry.aside_size, baseline_file().size / 2);
    point(MODEL_PRODUCTION, "other");
    pass(500000, false);
    answer_file(&registry, ERR_CORRUPT, baseline_file());
    pass(500000, false);
    assert_int_equal(registry.put_aside, 1);
    pass(10000, true);
    assert_int_equal(registry.put_aside, 2);
    assert_string_equal(registry.aside_sha, "other");
    assert_int_equal(watch.counters.refused, 3);
    assert_false(model_watch_take(&watch, MODEL_PRODUCTION, &model));
    point(MODEL_PRODUCTION, "huge");
    pass(500000, true);
    answer_file(&registry, ERR_FULL, (struct bytes){NULL, 0});
    assert_int_equal(registry.put_aside, 2);
    assert_int_equal(watch.counters.refused, 4);
}

static void model_watch_asks_again_when_there_was_no_answer(void **state)
{
    (void)state;
    struct model *model = NULL;
    point(MODEL_PRODUCTION, "new");
    pass(300000, true);
    answer_file(&registry, ERR_NOT_FOUND, (struct bytes){NULL, 0});
    pass(MODEL_WATCH_RETRY_US + 300000, true);
    assert_int_equal(registry.fetches, 2);
    answer_file(&registry, ERR_OK, baseline_file());
    pass(10000, true);
    assert_true(model_watch_take(&watch, MODEL_PRODUCTION, &model));
    assert_int_equal(watch.counters.fetch_failures, 1);
    model_close(model);
}

static void model_watch_keeps_production_and_drops_the_shadow_when_pointers_go(void **state)
{
    (void)state;
    struct model *model = NULL;
    point(MODEL_SHADOW, "shade");
    pass(300000, true);
    answer_file(&registry, ERR_OK, baseline_file());
    pass(10000, true);
    assert_true(model_watch_take(&watch, MODEL_SHADOW, &model));
    assert_int_equal(registry.kept, 0); /* no last good production model */
    model_close(model);
    point(MODEL_SHADOW, "");
    point(MODEL_PRODUCTION, "");
    pass(500000, true);
    assert_true(model_watch_take(&watch, MODEL_SHADOW, &model));
    assert_null(model);
    assert_false(model_watch_take(&watch, MODEL_PRODUCTION, &model));
    registry.away = true;
    pass(2000000, true);
    assert_false(model_watch_take(&watch, MODEL_PRODUCTION, &model));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(model_watch_takes_a_new_model_over_once, setup, teardown),
        cmocka_unit_test_setup_teardown(model_watch_refuses_a_bad_file_until_the_pointer_moves,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(model_watch_asks_again_when_there_was_no_answer, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            model_watch_keeps_production_and_drops_the_shadow_when_pointers_go, setup, teardown),
    };
    return cmocka_run_group_tests_name("model_watch", tests, NULL, NULL);
}
