/* Every record that was stamped stands once in the streams, and the windows are made of
 * them. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "hot/ingest/ingest.h"
#include "hot/state/aggregator.h"
#include "sim/agents.h"
#include "sim/checks.h"
#include "sim/simulation.h"
#include "wire/envelope.h"
#include "wire/sbe.h"

/* The longest window, and a second for clocks. */
#define CHECK_WINDOWS_US 6000000
/* Longer than any fault but a stop of the ingestor keeps a frame. */
#define CHECK_LATE_TRADE_US 400000

struct check_epoch *check_epoch(struct checks *checks, uint64_t epoch)
{
    for (int i = checks->epoch_count - 1; i >= 0; i--)
        if (checks->epochs[i].epoch == epoch)
            return &checks->epochs[i];
    CHECK(checks->epoch_count < CHECK_EPOCHS_MAX);
    struct check_epoch *fresh = &checks->epochs[checks->epoch_count++];
    *fresh = (struct check_epoch){.epoch = epoch};
    return fresh;
}

static void check_remember_trades(struct checks *checks, const struct record *record)
{
    struct sbe_frame frame;
    size_t offset;
    if (record->kind != RECORD_FRAME || sbe_decode(record->payload, &frame, &offset) != SBE_OK ||
        frame.template_id != SBE_TRADES || frame.event.trades.list.count == 0)
        return;
    int64_t first = trade_at(&frame.event.trades.list, 0).id;
    if (checks->trade_count == checks->trade_room) {
        checks->trade_room = checks->trade_room == 0 ? 4096 : 2 * checks->trade_room;
        checks->trades =
            realloc(checks->trades, (size_t)checks->trade_room * sizeof(*checks->trades));
        CHECK(checks->trades != NULL);
    }
    checks->trades[checks->trade_count++] = (struct check_trade){
        record->epoch,        record->seq, record->recv_us,
        frame.event.event_us, first,       (int64_t)frame.event.trades.list.count};
}

void checks_stamped(struct checks *checks, const struct record *record)
{
    struct check_epoch *epoch = check_epoch(checks, record->epoch);
    if (record->seq >= epoch->room) {
        size_t room = epoch->room == 0 ? 16384 : 2 * epoch->room;
        epoch->stream = realloc(epoch->stream, room);
        CHECK(epoch->stream != NULL && record->seq < room);
        memset(epoch->stream + epoch->room, 0, room - epoch->room);
        epoch->room = room;
    }
    if (record->seq != epoch->stamped + 1)
        simulation_fail(checks->simulation, CHECK_STREAM_ONCE, "seq %llu is stamped after %llu",
                        (unsigned long long)record->seq, (unsigned long long)epoch->stamped);
    epoch->stamped = record->seq;
    check_remember_trades(checks, record);
}

void checks_ingestor_died(struct checks *checks)
{
    if (checks->epoch_count > 0)
        checks->epochs[checks->epoch_count - 1].died = true;
}

static unsigned check_stored_in(const struct check_epoch *epoch, uint64_t seq)
{
    return epoch->stream[seq] & ~CHECK_MARKS;
}

static void check_mark(struct checks *checks, const struct record *record, int stream)
{
    struct check_epoch *epoch = check_epoch(checks, record->epoch);
    if (record->seq == 0 || record->seq > epoch->stamped) {
        simulation_fail(checks->simulation, CHECK_STREAM_ONCE, "(%llu, %llu) was never stamped",
                        (unsigned long long)record->epoch, (unsigned long long)record->seq);
        return;
    }
    if (check_stored_in(epoch, record->seq) != 0 && record->seq > epoch->floor)
        simulation_fail(checks->simulation, CHECK_STREAM_ONCE, "(%llu, %llu) is there twice",
                        (unsigned long long)record->epoch, (unsigned long long)record->seq);
    unsigned archived = epoch->stream[record->seq] & CHECK_ARCHIVED;
    epoch->stream[record->seq] = (uint8_t)(CHECK_ONCE_STORED | archived | (unsigned)(stream + 1));
}

static void check_entry(struct checks *checks, int stream, const struct model_entry *entry)
{
    struct envelope_reader envelope;
    struct record record;
    struct err err = {0};
    struct bytes data = blob_find(entry->pairs, BYTES_LITERAL("e"));
    uint64_t last = 0;
    if (envelope_open(&envelope, data, &err) != ERR_OK) {
        simulation_fail(checks->simulation, CHECK_STREAM_ONCE, "an entry is no envelope: %s",
                        err.text);
        return;
    }
    while (envelope_next(&envelope, &record) == ERR_OK) {
        if (record.seq <= last || record.epoch != entry->id.ms || record.seq > entry->id.seq)
            simulation_fail(checks->simulation, CHECK_STREAM_ONCE,
                            "(%llu, %llu) in entry %llu-%llu", (unsigned long long)record.epoch,
                            (unsigned long long)record.seq, (unsigned long long)entry->id.ms,
                            (unsigned long long)entry->id.seq);
        last = record.seq;
        check_mark(checks, &record, stream);
    }
}

void check_streams_appended(struct checks *checks)
{
    for (int i = 0; i < STREAM_CONTROL; i++) {
        const struct model_stream *stream = &check_value(checks, checks->streams[i])->stream;
        int at = model_redis_stream_above(stream, checks->seen[i]);
        for (; at < stream->count; at++)
            check_entry(checks, i, &stream->entries[stream->first + at]);
        if (stream->count > 0)
            checks->seen[i] = stream->entries[stream->first + stream->count - 1].id;
    }
}

/* What lay above the tops is not there any more. */
void check_streams_relearn(struct checks *checks)
{
    for (int i = 0; i < STREAM_CONTROL; i++) {
        struct model_id top = check_value(checks, checks->streams[i])->stream.last;
        for (int j = 0; j < checks->epoch_count; j++) {
            struct check_epoch *epoch = &checks->epochs[j];
            uint64_t kept = epoch->epoch < top.ms   ? epoch->stamped
                            : epoch->epoch > top.ms ? 0
                                                    : top.seq;
            for (uint64_t seq = kept + 1; seq <= epoch->stamped; seq++)
                if (check_stored_in(epoch, seq) == (unsigned)(i + 1))
                    epoch->stream[seq] =
                        (uint8_t)(CHECK_ONCE_STORED | (epoch->stream[seq] & CHECK_ARCHIVED));
        }
        checks->seen[i] = top;
    }
    checks->seen[STREAM_CONTROL] =
        check_value(checks, checks->streams[STREAM_CONTROL])->stream.last;
}

static uint64_t check_dropped(struct checks *checks)
{
    struct process *process = simulation_process(checks->simulation, PROCESS_INGESTOR, 0);
    if (!process_is_up(process))
        return 0;
    const struct publisher *publisher = ingest_publisher(agent_ingestor_ingest(process->agent));
    return publisher_counters(publisher)->entries_dropped;
}

void check_streams_end(struct checks *checks)
{
    if (check_dropped(checks) > 0)
        return;
    for (int i = 0; i < checks->epoch_count; i++) {
        const struct check_epoch *epoch = &checks->epochs[i];
        uint64_t last = epoch->stamped;
        while (epoch->died && last > 0 && check_stored_in(epoch, last) == 0)
            last--;
        /* The newest may still be on their way. */
        if (i == checks->epoch_count - 1 && !epoch->died)
            last = last > 100 ? last - 100 : 0;
        for (uint64_t seq = epoch->floor + 1; seq <= last; seq++)
            if (check_stored_in(epoch, seq) == 0) {
                simulation_fail(checks->simulation, CHECK_STREAM_MISSING,
                                "(%llu, %llu) is not there, (%llu, %llu) is",
                                (unsigned long long)epoch->epoch, (unsigned long long)seq,
                                (unsigned long long)epoch->epoch, (unsigned long long)last);
                return;
            }
    }
}

/* --- the windows ------------------------------------------------------------------------- */

static bool check_was_stored(struct checks *checks, const struct check_trade *trade)
{
    const struct check_epoch *epoch = check_epoch(checks, trade->epoch);
    return trade->seq <= epoch->floor || epoch->stream[trade->seq] != 0;
}

/* Trades within (at_us - span_us, at_us] that lie in the order up to the place. */
static int64_t check_trades(struct checks *checks, uint64_t epoch, uint64_t seq, int64_t at_us,
                            int64_t span_us)
{
    int64_t count = 0;
    for (int i = checks->trade_count - 1; i >= 0; i--) {
        const struct check_trade *trade = &checks->trades[i];
        if (record_compare(trade->epoch, trade->seq, epoch, seq) > 0 ||
            !check_was_stored(checks, trade))
            continue;
        if (trade->recv_us <= at_us - span_us)
            break;
        count += trade->count;
    }
    return count;
}

/* Records that somebody had to go on without, trades that an anchor has brought, or an
 * ingestor's new epoch: the windows of the next five seconds hold other trades than those
 * stamped. An anchor also brings trades whose own records are still on their way: those do
 * not count again when they come, so it is the time now that matters. */
static bool check_windows_whole(struct checks *checks, int64_t ts_us)
{
    int64_t now_us = checks->simulation->queue.now_us;
    uint64_t holes = 0;
    for (int i = 0; i < SIMULATION_AGGREGATORS; i++) {
        struct process *process = simulation_process(checks->simulation, PROCESS_AGGREGATOR, i);
        if (!process_is_up(process))
            continue;
        const struct world_counters *world =
            world_counters(aggregator_world(agent_aggregator_of(process->agent)));
        holes += world->holes + world->anchors;
    }
    const struct model_value *control = check_value(checks, checks->streams[STREAM_CONTROL]);
    holes +=
        (uint64_t)checks->epoch_count << 32 ^ control->stream.last.ms ^ control->stream.last.seq;
    if (holes != checks->holes)
        checks->windows_from_us = (now_us > ts_us ? now_us : ts_us) + CHECK_WINDOWS_US;
    checks->holes = holes;
    return ts_us >= checks->windows_from_us;
}

/* Of these, those that reached a stopped ingestor before the last anchor and were stamped when it
 * went on: the anchor may have brought them, at the time at which they were made. */
static int64_t check_late_trades(const struct checks *checks, int64_t at_us, int64_t span_us)
{
    int64_t count = 0;
    for (int i = checks->trade_count - 1; i >= 0; i--) {
        const struct check_trade *trade = &checks->trades[i];
        if (trade->recv_us <= at_us - span_us)
            break;
        if (trade->event_us <= checks->anchor_ts_us &&
            trade->recv_us - trade->event_us > CHECK_LATE_TRADE_US)
            count += trade->count;
    }
    return count;
}

void check_window(struct checks *checks)
{
    static const struct {
        enum state_key key;
        int64_t span_us;
    } windows[] = {{STATE_TR_1S, 1000000}, {STATE_TR_5S, 5000000}};
    int64_t epoch, seq, ts_us, shown;
    if (!check_number(checks, STATE_OB, STATE_FIELD_EPOCH, &epoch) ||
        !check_number(checks, STATE_OB, STATE_FIELD_SEQ, &seq) ||
        !check_number(checks, STATE_OB, STATE_FIELD_TS_US, &ts_us))
        return;
    if (!check_windows_whole(checks, ts_us))
        return;
    for (int i = 0; i < 2; i++) {
        if (!check_number(checks, windows[i].key, "count", &shown))
            shown = -1;
        int64_t count =
            check_trades(checks, (uint64_t)epoch, (uint64_t)seq, ts_us, windows[i].span_us);
        int64_t late = shown < count ? check_late_trades(checks, ts_us, windows[i].span_us) : 0;
        if (shown > count || count - shown > late)
            simulation_fail(checks->simulation, CHECK_WINDOW_AGES,
                            "%lld trades in %lld s at (%lld, %lld), there were %lld",
                            (long long)shown, (long long)windows[i].span_us / 1000000,
                            (long long)epoch, (long long)seq, (long long)count);
    }
}
