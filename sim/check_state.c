/* The hot state as any reader sees it, after each step of the server that touched it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/agents.h"
#include "sim/checks.h"
#include "sim/simulation.h"
#include "wire/sbe.h"

static const struct model_value *check_hash(struct checks *checks, int hash)
{
    return check_value(checks, checks->keys[hash]);
}

void check_fence(struct checks *checks)
{
    const struct model_value *value = check_value(checks, checks->keys[STATE_FENCE]);
    if (value->type != MODEL_STRING)
        return;
    uint64_t fence = strtoull((const char *)value->data->data, NULL, 10);
    if (fence < checks->fence)
        simulation_fail(checks->simulation, CHECK_FENCE_MONOTONE, "%llu after %llu",
                        (unsigned long long)fence, (unsigned long long)checks->fence);
    checks->fence = fence;
}

static int check_present(struct checks *checks)
{
    int present = 0;
    for (int hash = 0; hash < CHECK_HASHES; hash++)
        present += check_hash(checks, hash)->type == MODEL_HASH;
    return present;
}

static void check_single(struct checks *checks)
{
    int64_t epoch[CHECK_HASHES], seq[CHECK_HASHES];
    for (int hash = 0; hash < CHECK_HASHES; hash++) {
        enum state_key key = (enum state_key)hash;
        if (!check_number(checks, key, STATE_FIELD_EPOCH, &epoch[hash]) ||
            !check_number(checks, key, STATE_FIELD_SEQ, &seq[hash])) {
            simulation_fail(checks->simulation, CHECK_READER_SINGLE, "hash %d has no place", hash);
            return;
        }
        if (epoch[hash] != epoch[0] || seq[hash] != seq[0])
            simulation_fail(checks->simulation, CHECK_READER_SINGLE,
                            "hash %d is at (%lld, %lld), ob at (%lld, %lld)", hash,
                            (long long)epoch[hash], (long long)seq[hash], (long long)epoch[0],
                            (long long)seq[0]);
    }
}

static void check_writer(struct checks *checks)
{
    int64_t writer;
    if (!check_number(checks, STATE_FEAT, STATE_FIELD_WRITER, &writer))
        return;
    if ((uint64_t)writer < checks->writer)
        simulation_fail(checks->simulation, CHECK_WRITER_MONOTONE, "writer %lld after %llu",
                        (long long)writer, (unsigned long long)checks->writer);
    else
        checks->writer = (uint64_t)writer;
}

static void check_ttls(struct checks *checks)
{
    static const int64_t ttl_s[CHECK_HASHES] = {0, STATE_TTL_TR_S, STATE_TTL_TR_S,
                                                STATE_TTL_FEAT_S};
    int64_t now_us = checks->simulation->queue.now_us;
    for (int hash = 0; hash < CHECK_HASHES; hash++) {
        int64_t expire_us = check_hash(checks, hash)->expire_us;
        int64_t left_us = expire_us == 0 ? 0 : expire_us - now_us;
        if ((expire_us == 0) != (ttl_s[hash] == 0) || left_us > ttl_s[hash] * 1000000)
            simulation_fail(checks->simulation, CHECK_READER_TTL, "%s lives for %lld us",
                            model_redis_key_name(checks->simulation->redis, checks->keys[hash]),
                            (long long)left_us);
    }
}

/* --- the book -------------------------------------------------------------------------- */

/* "65000.01000000" at SIM_EXPONENT; -1 when it is no such number. */
static int64_t check_decimal(struct bytes text)
{
    int64_t value = 0;
    int digits = -1;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '.' && digits < 0) {
            digits = 0;
            continue;
        }
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value * 10 + (text.data[i] - '0');
        digits += digits >= 0;
    }
    for (digits = digits < 0 ? 0 : digits; digits < -SIM_EXPONENT; digits++)
        value *= 10;
    return value;
}

/* The levels of a side in the hash: "bid3_p" -> [2].price. Returns how many. */
static int check_levels(const struct blob *hash, const char *side, struct sbe_level *levels)
{
    struct bytes rest = blob_bytes(hash), field, value;
    int count = 0;
    while (blob_next_pair(&rest, &field, &value)) {
        if (field.size < 6 || memcmp(field.data, side, 3) != 0 || field.data[3] < '0' ||
            field.data[3] > '9')
            continue;
        int number = atoi((const char *)field.data + 3);
        if (number < 1 || number > SIM_TOP_LEVELS)
            continue;
        int64_t decimal = check_decimal(value);
        if (field.data[field.size - 1] == 'p')
            levels[number - 1].price = decimal;
        else
            levels[number - 1].qty = decimal;
        count = number > count ? number : count;
    }
    return count;
}

/* Beyond what the last snapshot covered a level is unknown until it changes, and one order may
 * take the price there at once. */
static bool check_is_unknown(struct checks *checks, int side, int64_t price)
{
    for (int i = 0; i < SIMULATION_AGGREGATORS; i++) {
        struct process *process = simulation_process(checks->simulation, PROCESS_AGGREGATOR, i);
        struct world_view view;
        if (!process_is_up(process))
            continue;
        world_view(aggregator_world(agent_aggregator_of(process->agent)), &view);
        if (side == SIM_BID ? !view.bids_whole && price < view.known_bid_min
                            : !view.asks_whole && price > view.known_ask_max)
            return true;
    }
    return false;
}

static void check_side(struct checks *checks, const struct blob *hash, int side, const char *name,
                       const struct sim_top *top, int64_t id)
{
    struct sbe_level levels[SIM_TOP_LEVELS] = {{0, 0}};
    int count = check_levels(hash, name, levels);
    const struct sbe_level *theirs = top->levels[side];
    int same = 0;
    while (same < count && same < top->counts[side] && levels[same].price == theirs[same].price &&
           levels[same].qty == theirs[same].qty)
        same++;
    if (same < top->counts[side] && check_is_unknown(checks, side, theirs[same].price))
        return;
    if (count != top->counts[side])
        simulation_fail(checks->simulation, CHECK_BOOK_EQUAL,
                        "%d levels of %s, the exchange had %d at id %lld", count, name,
                        top->counts[side], (long long)id);
    for (int i = 0; i < count && i < top->counts[side]; i++)
        if (levels[i].price != theirs[i].price || levels[i].qty != theirs[i].qty)
            simulation_fail(checks->simulation, CHECK_BOOK_EQUAL,
                            "%s %d is %lld x %lld, the exchange had %lld x %lld at id %lld", name,
                            i + 1, (long long)levels[i].price, (long long)levels[i].qty,
                            (long long)theirs[i].price, (long long)theirs[i].qty, (long long)id);
}

static void check_book(struct checks *checks)
{
    int64_t id;
    if (!check_number(checks, STATE_OB, STATE_FIELD_LAST_UPDATE_ID, &id) || id == 0)
        return;
    const struct sim_top *top = sim_tape_top(&checks->simulation->exchange.feed.tape, id);
    if (top == NULL)
        return;
    const struct blob *hash = check_hash(checks, STATE_OB)->data;
    check_side(checks, hash, SIM_BID, "bid", top, id);
    check_side(checks, hash, SIM_ASK, "ask", top, id);
}

void check_reader(struct checks *checks)
{
    int present = check_present(checks);
    if (present == CHECK_HASHES) {
        checks->live = true;
        check_single(checks);
        check_ttls(checks);
        check_writer(checks);
        check_book(checks);
        check_window(checks);
    } else if (checks->live) {
        simulation_fail(checks->simulation, CHECK_READER_COMPLETE, "%d of the four keys are there",
                        present);
    }
}
