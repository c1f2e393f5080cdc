/* The scripts of the hot state on a real redis-server: fields, TTLs, fencing, the lease,
 * the swap and every way in which it must not happen; and a reader in a tight loop that
 * never sees two flushes mixed. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/redis/redis_state.h"
#include "tests/integration/link_fixture.h"

#define SYMBOL "BTCUSDT"

struct fixture {
    struct link_fixture on;
    struct redis_state *state;
    struct state_port port;
    struct metrics metrics;
    struct state_image image;
    /* the last answer */
    uint64_t epoch;
    char text[256];
    uint8_t data[4096];
    size_t data_size, verdict_size;
};

static struct fixture fixture;

static void on_answer(void *context, const struct state_reply *reply)
{
    struct fixture *f = context;
    f->on.answers++;
    f->on.result = reply->result;
    f->epoch = reply->epoch;
    f->data_size = reply->data.size < sizeof(f->data) ? reply->data.size : sizeof(f->data);
    if (f->data_size > 0)
        memcpy(f->data, reply->data.data, f->data_size);
    f->verdict_size = reply->verdict.size;
    f->text[0] = 0;
    if (reply->text != NULL)
        strncpy(f->text, reply->text, sizeof(f->text) - 1);
}

static int answer(int started)
{
    return link_fixture_answer(&fixture.on, started);
}

static int group_setup(void **state)
{
    (void)state;
    link_fixture_start(&fixture.on);
    assert_int_equal(
        redis_state_open(
            &(struct redis_state_options){.symbol = SYMBOL,
                                          .style = (enum state_key_style)redis_fixture_key_style(),
                                          .link = fixture.on.link,
                                          .metrics = &fixture.metrics},
            &fixture.state, NULL),
        ERR_OK);
    fixture.port = redis_state_port(fixture.state);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    redis_link_close(fixture.on.link);
    redis_state_close(fixture.state);
    metrics_close(&fixture.metrics);
    link_fixture_stop(&fixture.on);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    redis_fixture_flush(&fixture.on.redis);
    return 0;
}

/* An image with levels on each side, at a given seq. */
static void make_image(uint64_t seq, int levels)
{
    struct world_view view = {.epoch = 1700000000000,
                              .seq = seq,
                              .recv_us = 1770000000000000 + (int64_t)seq,
                              .price_exponent = -8,
                              .qty_exponent = -8,
                              .book_live = true,
                              .book_id = (int64_t)seq + 1000,
                              .bid_count = levels,
                              .ask_count = levels};
    for (int i = 0; i < levels; i++) {
        view.bids[i] = (struct world_level){9553554000000 - i * 1000000LL, 100000000};
        view.asks[i] = (struct world_level){9553555000000 + i * 1000000LL, 100000000};
    }
    state_image_make(&(struct state_image_input){.view = &view, .writer = 7, .source = "sbe"},
                     &fixture.image);
}

static const struct bytes no_checkpoint;

static int flush(uint64_t epoch, struct bytes checkpoint)
{
    return answer(fixture.port.flush(fixture.port.self, epoch, &fixture.image, checkpoint,
                                     on_answer, &fixture));
}

static int stage(uint64_t epoch)
{
    return answer(
        fixture.port.anchor_stage(fixture.port.self, epoch, &fixture.image, on_answer, &fixture));
}

static int swap(uint64_t epoch, const char *token)
{
    return answer(
        fixture.port.anchor_swap(fixture.port.self, epoch, token, 1234, on_answer, &fixture));
}

static int take(const char *owner, int64_t ttl_ms, int64_t wall_ms)
{
    struct state_lease lease = {owner, "", ttl_ms};
    return answer(fixture.port.lease_take(fixture.port.self, &lease, wall_ms, on_answer, &fixture));
}

static int renew(const char *owner, uint64_t epoch)
{
    struct state_lease lease = {owner, "", 1500};
    return answer(fixture.port.lease_renew(fixture.port.self, &lease, epoch, on_answer, &fixture));
}

static void assert_field(const char *key, const char *field, const char *expected)
{
    redisReply *reply = redis_fixture_command(&fixture.on.redis, "HGET %s %s", key, field);
    if (expected == NULL) {
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    } else {
        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        assert_string_equal(reply->str, expected);
    }
    freeReplyObject(reply);
}

static void assert_text(const char *key, const char *expected)
{
    redisReply *reply = redis_fixture_command(&fixture.on.redis, "GET %s", key);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_string_equal(reply->str, expected);
    freeReplyObject(reply);
}

static long long ttl(const char *key)
{
    return redis_fixture_integer(&fixture.on.redis, "TTL %s", key);
}

static bool exists(const char *key)
{
    return redis_fixture_integer(&fixture.on.redis, "EXISTS %s", key) == 1;
}

static void assert_live_ttls(void)
{
    assert_int_equal(ttl("ob:" SYMBOL), -1);
    assert_in_range(ttl("tr:" SYMBOL ":1s"), 298, 300);
    assert_in_range(ttl("tr:" SYMBOL ":5s"), 298, 300);
    assert_in_range(ttl("feat:" SYMBOL), 118, 120);
}

/* DUMPs of the four live keys one after the other. */
struct dump {
    char bytes[32768];
    size_t size;
};

static void dump_live(struct dump *dump)
{
    static const char *const keys[] = {"ob:" SYMBOL, "tr:" SYMBOL ":1s", "tr:" SYMBOL ":5s",
                                       "feat:" SYMBOL};
    dump->size = 0;
    for (int i = 0; i < 4; i++) {
        redisReply *reply = redis_fixture_command(&fixture.on.redis, "DUMP %s", keys[i]);
        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        assert_true(dump->size + reply->len <= sizeof(dump->bytes));
        memcpy(dump->bytes + dump->size, reply->str, reply->len);
        dump->size += reply->len;
        freeReplyObject(reply);
    }
}

static void assert_same_dump(const struct dump *before)
{
    struct dump after;
    dump_live(&after);
    assert_int_equal(before->size, after.size);
    assert_memory_equal(before->bytes, after.bytes, after.size);
}

static void flush_writes_all_four_hashes_with_their_ttls(void **state)
{
    (void)state;
    make_image(42, 10);
    assert_int_equal(flush(5, no_checkpoint), ERR_OK);
    assert_int_equal(fixture.epoch, 5);
    assert_field("ob:" SYMBOL, "bid10_p", "95535.45000000");
    assert_field("ob:" SYMBOL, "last_update_id", "1042");
    assert_field("tr:" SYMBOL ":1s", "count", "0");
    assert_field("tr:" SYMBOL ":5s", "seq", "42");
    assert_field("feat:" SYMBOL, "epoch", "1700000000000");
    assert_live_ttls();
    assert_text("fence:" SYMBOL, "5");
    assert_false(exists("checkpoint:" SYMBOL));
    assert_int_equal(redis_fixture_integer(&fixture.on.redis, "HLEN ob:" SYMBOL),
                     fixture.image.count[STATE_OB]);
}

static void flush_lets_absent_levels_vanish(void **state)
{
    (void)state;
    make_image(1, 10);
    assert_int_equal(flush(5, no_checkpoint), ERR_OK);
    make_image(2, 3);
    assert_int_equal(flush(5, no_checkpoint), ERR_OK);
    assert_field("ob:" SYMBOL, "bid3_p", "95535.52000000");
    assert_field("ob:" SYMBOL, "bid4_p", NULL);
    assert_field("ob:" SYMBOL, "ask10_q", NULL);
    assert_live_ttls();
}

static void flush_stores_the_checkpoint_and_load_gives_it_back(void **state)
{
    (void)state;
    static const uint8_t blob[] = {0, 1, 2, 255, '\r', '\n', 0};
    make_image(1, 10);
    assert_int_equal(answer(fixture.port.load(fixture.port.self, on_answer, &fixture)), ERR_EMPTY);
    assert_int_equal(flush(5, bytes_of(blob, sizeof(blob))), ERR_OK);
    assert_int_equal(answer(fixture.port.load(fixture.port.self, on_answer, &fixture)), ERR_OK);
    assert_int_equal(fixture.data_size, sizeof(blob));
    assert_memory_equal(fixture.data, blob, sizeof(blob));
}

static void an_old_writer_is_fenced_and_changes_nothing(void **state)
{
    struct dump before;
    (void)state;
    make_image(1, 10);
    assert_int_equal(flush(9, no_checkpoint), ERR_OK);
    dump_live(&before);
    make_image(2, 5);
    assert_int_equal(flush(8, bytes_text("old")), ERR_FENCED);
    assert_int_equal(fixture.epoch, 9);
    assert_int_equal(stage(8), ERR_FENCED);
    assert_false(exists("ob:new:" SYMBOL));
    assert_false(exists("checkpoint:" SYMBOL));
    assert_same_dump(&before);
    assert_int_equal(flush(10, no_checkpoint), ERR_OK);
    assert_text("fence:" SYMBOL, "10");
}

static void flush_heals_an_emptied_store(void **state)
{
    (void)state;
    make_image(1, 10);
    assert_int_equal(flush(9, no_checkpoint), ERR_OK);
    redis_fixture_flush(&fixture.on.redis);
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "SCRIPT FLUSH"));
    assert_int_equal(flush(9, no_checkpoint), ERR_OK);
    assert_live_ttls();
    assert_text("fence:" SYMBOL, "9");
}

static void a_full_store_refuses_a_flush_whole(void **state)
{
    struct dump before;
    (void)state;
    make_image(1, 10);
    assert_int_equal(flush(9, no_checkpoint), ERR_OK);
    dump_live(&before);
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "CONFIG SET maxmemory 1"));
    make_image(2, 5);
    int result = flush(10, no_checkpoint);
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "CONFIG SET maxmemory 0"));
    assert_int_equal(result, ERR_IO);
    assert_non_null(strstr(fixture.text, "OOM"));
    assert_same_dump(&before);
    assert_text("fence:" SYMBOL, "9");
}

static void the_lease_has_one_holder_and_raises_the_fence(void **state)
{
    (void)state;
    assert_int_equal(take("a", 1500, 1000), ERR_OK);
    assert_int_equal(fixture.epoch, 1000);
    assert_text("fence:" SYMBOL, "1000");
    assert_in_range(redis_fixture_integer(&fixture.on.redis, "PTTL lease:" SYMBOL), 1000, 1500);
    assert_int_equal(take("b", 1500, 2000), ERR_REFUSED);
    assert_string_equal(fixture.text, "a");
    assert_text("fence:" SYMBOL, "1000");
    assert_int_equal(renew("a", 1000), ERR_OK);
    assert_int_equal(renew("b", 1000), ERR_REFUSED);
}

static void a_taken_over_lease_fences_the_former_holder(void **state)
{
    (void)state;
    assert_int_equal(take("a", 1500, 1000), ERR_OK);
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "DEL lease:" SYMBOL));
    /* The clock of b is behind: the fence grows all the same. */
    assert_int_equal(take("b", 1500, 500), ERR_OK);
    assert_int_equal(fixture.epoch, 1001);
    make_image(1, 10);
    assert_int_equal(flush(1000, no_checkpoint), ERR_FENCED);
    assert_int_equal(renew("a", 1000), ERR_FENCED);
    assert_int_equal(flush(1001, no_checkpoint), ERR_OK);
}

static void a_restarted_process_takes_the_lease_of_its_former_life(void **state)
{
    struct state_lease again = {"agg/2", "agg/", 1500};
    struct state_lease stranger = {"other/1", "other/", 1500};
    (void)state;
    assert_int_equal(take("agg/1", 1500, 1000), ERR_OK);
    assert_int_equal(
        answer(fixture.port.lease_take(fixture.port.self, &stranger, 2000, on_answer, &fixture)),
        ERR_REFUSED);
    assert_int_equal(
        answer(fixture.port.lease_take(fixture.port.self, &again, 2000, on_answer, &fixture)),
        ERR_OK);
    assert_text("lease:" SYMBOL, "agg/2");
    assert_int_equal(renew("agg/1", 1000), ERR_FENCED);
}

static void renewal_heals_a_lease_the_store_has_lost(void **state)
{
    (void)state;
    assert_int_equal(take("a", 1500, 1000), ERR_OK);
    redis_fixture_flush(&fixture.on.redis);
    assert_int_equal(renew("a", 1000), ERR_OK);
    assert_text("lease:" SYMBOL, "a");
    assert_text("fence:" SYMBOL, "1000");
}

static void release_frees_only_ones_own_lease(void **state)
{
    struct state_lease mine = {"a", "", 1500};
    struct state_lease other = {"b", "", 1500};
    (void)state;
    assert_int_equal(take("a", 1500, 1000), ERR_OK);
    assert_int_equal(
        answer(fixture.port.lease_release(fixture.port.self, &other, on_answer, &fixture)),
        ERR_REFUSED);
    assert_text("lease:" SYMBOL, "a");
    assert_int_equal(
        answer(fixture.port.lease_release(fixture.port.self, &mine, on_answer, &fixture)), ERR_OK);
    assert_false(exists("lease:" SYMBOL));
    /* The fence stays: it only grows. */
    assert_text("fence:" SYMBOL, "1000");
}

/* Live state of seq 1, staged state of seq 2, flag and document of token t1, fence 9. */
static void prepare_swap(void)
{
    make_image(1, 10);
    assert_int_equal(flush(9, no_checkpoint), ERR_OK);
    make_image(2, 4);
    assert_int_equal(stage(9), ERR_OK);
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "SET reanchor:" SYMBOL " t1 EX 10"));
    freeReplyObject(
        redis_fixture_command(&fixture.on.redis, "SET reanchor:doc:" SYMBOL " x EX 10"));
    freeReplyObject(
        redis_fixture_command(&fixture.on.redis, "SET reanchor:ask:" SYMBOL " y EX 10"));
}

static void swap_moves_all_four_keys_at_once(void **state)
{
    (void)state;
    prepare_swap();
    assert_in_range(ttl("ob:new:" SYMBOL), 598, 600);
    assert_field("ob:" SYMBOL, "seq", "1");
    assert_int_equal(swap(9, "t1"), ERR_OK);
    assert_int_equal(fixture.epoch, 10);
    assert_field("ob:" SYMBOL, "seq", "2");
    assert_field("tr:" SYMBOL ":1s", "seq", "2");
    assert_field("tr:" SYMBOL ":5s", "seq", "2");
    assert_field("feat:" SYMBOL, "seq", "2");
    assert_field("ob:" SYMBOL, "bid5_p", NULL);
    assert_live_ttls();
    assert_text("fence:" SYMBOL, "10");
    assert_false(exists("reanchor:" SYMBOL));
    assert_false(exists("reanchor:doc:" SYMBOL));
    assert_false(exists("reanchor:ask:" SYMBOL));
    assert_false(exists("ob:new:" SYMBOL));
    assert_field("gap:" SYMBOL, "anchor_token", "t1");
    /* Whoever has not heard of the swap is fenced. */
    assert_int_equal(flush(9, no_checkpoint), ERR_FENCED);
}

static void a_swap_with_a_missing_source_touches_nothing(void **state)
{
    static const char *const sources[] = {"ob:new:" SYMBOL, "tr:new:" SYMBOL ":1s",
                                          "tr:new:" SYMBOL ":5s", "feat:new:" SYMBOL};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct dump before;
        redis_fixture_flush(&fixture.on.redis);
        prepare_swap();
        freeReplyObject(redis_fixture_command(&fixture.on.redis, "DEL %s", sources[i]));
        dump_live(&before);
        assert_int_equal(swap(9, "t1"), ERR_NOT_FOUND);
        char key[REDIS_FIXTURE_KEY_SIZE];
        assert_string_equal(fixture.text, redis_fixture_key(sources[i], key));
        assert_same_dump(&before);
        assert_live_ttls();
        assert_text("reanchor:" SYMBOL, "t1");
        assert_text("fence:" SYMBOL, "9");
    }
}

static void a_swap_with_a_wrong_token_touches_nothing(void **state)
{
    struct dump before;
    (void)state;
    prepare_swap();
    dump_live(&before);
    assert_int_equal(swap(9, "t2"), ERR_REFUSED);
    assert_string_equal(fixture.text, "t1");
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "DEL reanchor:" SYMBOL));
    assert_int_equal(swap(9, "t1"), ERR_REFUSED);
    assert_string_equal(fixture.text, "");
    assert_same_dump(&before);
    assert_true(exists("ob:new:" SYMBOL));
}

static void a_swap_with_an_old_fence_touches_nothing(void **state)
{
    struct dump before;
    (void)state;
    prepare_swap();
    dump_live(&before);
    assert_int_equal(swap(8, "t1"), ERR_FENCED);
    assert_int_equal(fixture.epoch, 9);
    assert_same_dump(&before);
    assert_text("reanchor:" SYMBOL, "t1");
}

static int verify(uint64_t epoch)
{
    return answer(
        fixture.port.anchor_verify(fixture.port.self, epoch, &fixture.image, on_answer, &fixture));
}

static void reading_back_says_what_is_wrong(void **state)
{
    static const struct {
        const char *command, *why;
    } wrong[] = {
        {"DEL tr:" SYMBOL ":5s", "tr:" SYMBOL ":5s is at nothing/nothing"},
        {"HSET feat:" SYMBOL " seq 7", "feat:" SYMBOL " is at 1700000000000/7"},
        {"HDEL ob:" SYMBOL " epoch", "ob:" SYMBOL " is at nothing/2"},
        {"EXPIRE ob:" SYMBOL " 600", "ob:" SYMBOL " has a TTL of 600"},
        {"PERSIST feat:" SYMBOL, "feat:" SYMBOL " has a TTL of -1"},
        {"EXPIRE tr:" SYMBOL ":1s 600", "tr:" SYMBOL ":1s has a TTL of 600"},
        {"HDEL ob:" SYMBOL " ask1_p", "ob:" SYMBOL " has no touch"},
        {"HSET ob:" SYMBOL " best_bid 999999", "ob:" SYMBOL " is crossed"},
        {"HSET ob:" SYMBOL " best_ask nonsense", "ob:" SYMBOL " is crossed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        redis_fixture_flush(&fixture.on.redis);
        prepare_swap();
        assert_int_equal(swap(9, "t1"), ERR_OK);
        assert_int_equal(verify(10), ERR_OK);
        freeReplyObject(redis_fixture_command(&fixture.on.redis, wrong[i].command));
        assert_int_equal(verify(10), ERR_MALFORMED);
        char why[REDIS_FIXTURE_KEY_SIZE];
        assert_string_equal(fixture.text, redis_fixture_key(wrong[i].why, why));
    }
    assert_int_equal(verify(9), ERR_FENCED);
}

static void a_look_carries_the_verdict_with_and_without_a_document(void **state)
{
    static const char *const commands[] = {"SET gap:verdict:" SYMBOL " V",
                                           "SET reanchor:doc:" SYMBOL " D"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        freeReplyObject(redis_fixture_command(&fixture.on.redis, commands[i]));
        int result = answer(fixture.port.anchor_look(fixture.port.self, on_answer, &fixture));
        assert_int_equal(result, i == 0 ? ERR_EMPTY : ERR_OK);
        assert_int_equal(fixture.verdict_size, 1);
    }
}

static void an_ask_lives_for_its_time_and_is_fenced(void **state)
{
    (void)state;
    assert_int_equal(answer(fixture.port.anchor_ask(fixture.port.self, 9, bytes_text("{}"), 5000,
                                                    on_answer, &fixture)),
                     ERR_OK);
    assert_text("reanchor:ask:" SYMBOL, "{}");
    assert_in_range(redis_fixture_integer(&fixture.on.redis, "PTTL reanchor:ask:" SYMBOL), 4000,
                    5000);
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "SET fence:" SYMBOL " 10"));
    assert_int_equal(answer(fixture.port.anchor_ask(fixture.port.self, 9, bytes_text("{2}"), 5000,
                                                    on_answer, &fixture)),
                     ERR_FENCED);
    assert_text("reanchor:ask:" SYMBOL, "{}");
}

static void look_finds_document_and_flag_and_refuse_takes_it_away(void **state)
{
    (void)state;
    static const char *const document = "{\"symbol\":\"BTCUSDT\",\"token\":\"t1\"}";
    assert_int_equal(answer(fixture.port.anchor_look(fixture.port.self, on_answer, &fixture)),
                     ERR_EMPTY);
    freeReplyObject(
        redis_fixture_command(&fixture.on.redis, "SET reanchor:doc:" SYMBOL " %s", document));
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "SET reanchor:" SYMBOL " t1"));
    assert_int_equal(answer(fixture.port.anchor_look(fixture.port.self, on_answer, &fixture)),
                     ERR_OK);
    assert_string_equal(fixture.text, "t1");
    assert_int_equal(fixture.data_size, strlen(document));
    assert_memory_equal(fixture.data, document, fixture.data_size);
    assert_int_equal(
        answer(fixture.port.anchor_refuse(fixture.port.self, "t2", on_answer, &fixture)),
        ERR_REFUSED);
    assert_true(exists("reanchor:doc:" SYMBOL));
    assert_int_equal(
        answer(fixture.port.anchor_refuse(fixture.port.self, "t1", on_answer, &fixture)), ERR_OK);
    assert_false(exists("reanchor:doc:" SYMBOL));
    assert_true(exists("reanchor:" SYMBOL));
}

static void a_gap_report_is_a_hash_and_an_event(void **state)
{
    (void)state;
    struct state_pair pairs[] = {{BYTES_LITERAL("symbol"), BYTES_LITERAL(SYMBOL)},
                                 {BYTES_LITERAL("cause"), BYTES_LITERAL("depth id gap")}};
    assert_int_equal(
        answer(fixture.port.gap_report(fixture.port.self, pairs, 2, on_answer, &fixture)), ERR_OK);
    assert_field("gap:" SYMBOL, "cause", "depth id gap");
    assert_int_equal(redis_fixture_integer(&fixture.on.redis, "XLEN gap-events:" SYMBOL), 1);
}

/* The reader's process: counts reads until the writer's last seq, dies on a mixed one. */
static int read_until(uint64_t last_seq)
{
    char expected[32];
    char key[REDIS_FIXTURE_KEY_SIZE];
    redisContext *context = redisConnectUnix(fixture.on.redis.socket);
    if (context == NULL || context->err)
        return 3;
    snprintf(expected, sizeof(expected), "%llu", (unsigned long long)last_seq);
    for (;;) {
        static const char *const keys[] = {"ob:" SYMBOL, "tr:" SYMBOL ":1s", "tr:" SYMBOL ":5s",
                                           "feat:" SYMBOL};
        bool over = true;
        redisAppendCommand(context, "MULTI");
        for (int i = 0; i < 4; i++)
            redisAppendCommand(context, "HGET %s seq", redis_fixture_key(keys[i], key));
        redisAppendCommand(context, "EXEC");
        redisReply *reply = NULL;
        for (int i = 0; i < 6; i++) {
            if (reply != NULL)
                freeReplyObject(reply);
            if (redisGetReply(context, (void **)&reply) != REDIS_OK)
                return 4;
        }
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4)
            return 5;
        for (size_t i = 0; i < 4; i++) {
            const redisReply *one = reply->element[i];
            if (one->type != REDIS_REPLY_STRING || strcmp(one->str, reply->element[0]->str) != 0)
                return 1;
            over = over && strcmp(one->str, expected) == 0;
        }
        freeReplyObject(reply);
        if (over)
            return 0;
    }
}

static void a_reader_never_sees_two_flushes_mixed(void **state)
{
    enum { ROUNDS = 3000 };
    int status = 0;
    uint64_t fence = 9;
    (void)state;
    make_image(1, 10);
    assert_int_equal(flush(fence, no_checkpoint), ERR_OK);
    pid_t reader = fork();
    assert_true(reader >= 0);
    if (reader == 0)
        _exit(read_until(ROUNDS));
    for (uint64_t seq = 2; seq <= ROUNDS; seq++) {
        make_image(seq, (int)(seq % 10) + 1);
        if (seq % 10 != 0) {
            assert_int_equal(flush(fence, no_checkpoint), ERR_OK);
            continue;
        }
        /* Every tenth change comes by a swap. */
        freeReplyObject(redis_fixture_command(&fixture.on.redis, "SET reanchor:" SYMBOL " t1"));
        assert_int_equal(stage(fence), ERR_OK);
        assert_int_equal(swap(fence, "t1"), ERR_OK);
        fence = fixture.epoch;
    }
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void calls_in_flight_when_the_store_dies_are_answered_once(void **state)
{
    (void)state;
    make_image(1, 10);
    redis_fixture_pause(&fixture.on.redis);
    int before = fixture.on.answers;
    for (int i = 0; i < REDIS_STATE_CALLS_MAX; i++)
        assert_int_equal(fixture.port.flush(fixture.port.self, 9, &fixture.image, no_checkpoint,
                                            on_answer, &fixture),
                         ERR_OK);
    assert_int_equal(fixture.port.flush(fixture.port.self, 9, &fixture.image, no_checkpoint,
                                        on_answer, &fixture),
                     ERR_AGAIN);
    redis_fixture_kill(&fixture.on.redis);
    int64_t deadline_us = loop_mono_us() + 5000000;
    while (fixture.on.answers < before + REDIS_STATE_CALLS_MAX && loop_mono_us() < deadline_us) {
        loop_run_once(fixture.on.loop, 1000);
        fixture.port.do_work(fixture.port.self, loop_mono_us());
    }
    assert_int_equal(fixture.on.answers, before + REDIS_STATE_CALLS_MAX);
    assert_true(fixture.on.result == ERR_CONNECTION || fixture.on.result == ERR_TIMEOUT);
    redis_fixture_restart(&fixture.on.redis);
    link_fixture_connect(&fixture.on);
    assert_int_equal(flush(9, no_checkpoint), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(flush_writes_all_four_hashes_with_their_ttls, setup),
        cmocka_unit_test_setup(flush_lets_absent_levels_vanish, setup),
        cmocka_unit_test_setup(flush_stores_the_checkpoint_and_load_gives_it_back, setup),
        cmocka_unit_test_setup(an_old_writer_is_fenced_and_changes_nothing, setup),
        cmocka_unit_test_setup(flush_heals_an_emptied_store, setup),
        cmocka_unit_test_setup(a_full_store_refuses_a_flush_whole, setup),
        cmocka_unit_test_setup(the_lease_has_one_holder_and_raises_the_fence, setup),
        cmocka_unit_test_setup(a_taken_over_lease_fences_the_former_holder, setup),
        cmocka_unit_test_setup(a_restarted_process_takes_the_lease_of_its_former_life, setup),
        cmocka_unit_test_setup(renewal_heals_a_lease_the_store_has_lost, setup),
        cmocka_unit_test_setup(release_frees_only_ones_own_lease, setup),
        cmocka_unit_test_setup(swap_moves_all_four_keys_at_once, setup),
        cmocka_unit_test_setup(a_swap_with_a_missing_source_touches_nothing, setup),
        cmocka_unit_test_setup(a_swap_with_a_wrong_token_touches_nothing, setup),
        cmocka_unit_test_setup(a_swap_with_an_old_fence_touches_nothing, setup),
        cmocka_unit_test_setup(reading_back_says_what_is_wrong, setup),
        cmocka_unit_test_setup(a_look_carries_the_verdict_with_and_without_a_document, setup),
        cmocka_unit_test_setup(an_ask_lives_for_its_time_and_is_fenced, setup),
        cmocka_unit_test_setup(look_finds_document_and_flag_and_refuse_takes_it_away, setup),
        cmocka_unit_test_setup(a_gap_report_is_a_hash_and_an_event, setup),
        cmocka_unit_test_setup(a_reader_never_sees_two_flushes_mixed, setup),
        cmocka_unit_test_setup(calls_in_flight_when_the_store_dies_are_answered_once, setup),
    };
    return cmocka_run_group_tests_name("redis_state", tests, group_setup, group_teardown);
}
