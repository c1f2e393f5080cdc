/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/ingest/feed.h"

#include "base/check.h"

const char *feed_state_text(enum feed_state state)
{
    static const char *const texts[FEED_STATES] = {"idle", "waiting", "connecting", "open", "live"};
    return texts[state];
}

const char *feed_cause_text(enum feed_cause cause)
{
    static const char *const texts[FEED_CAUSES] = {"none",   "silent", "rotation", "shutdown",
                                                   "closed", "failed", "replaced"};
    return texts[cause];
}

static void feed_enter(struct feed *feed, int line, enum feed_state state)
{
    feed->lines[line].state = state;
    feed->lines[line].since_us = feed->now_us;
    feed->counters.entered[state]++;
}

void feed_init(struct feed *feed, const struct feed_options *options, int64_t mono_us)
{
    *feed = (struct feed){.options = *options, .now_us = mono_us};
    prng_init(&feed->prng, options->seed);
    for (int i = 0; i < FEED_ATTEMPTS_MAX; i++)
        feed->attempts_us[i] = INT64_MIN;
    for (int i = 0; i < FEED_LINES; i++)
        feed->lines[i].since_us = mono_us;
    for (int i = 0; i < (options->second ? FEED_LINES : 1); i++) {
        feed->lines[i].wanted = true;
        feed->lines[i].retry_at_us = mono_us;
        feed_enter(feed, i, FEED_WAITING);
    }
}

static bool feed_line_up(const struct feed_line *line)
{
    return line->state == FEED_OPEN || line->state == FEED_LIVE;
}

/* Full jitter: anything between nothing and the doubled ceiling. */
static void feed_back_off(struct feed *feed, int line)
{
    struct feed_line *self = &feed->lines[line];
    int64_t ceiling_us = FEED_BACKOFF_MIN_US;
    for (int i = 1; i < self->failures && ceiling_us < FEED_BACKOFF_MAX_US; i++)
        ceiling_us *= 2;
    if (ceiling_us > FEED_BACKOFF_MAX_US)
        ceiling_us = FEED_BACKOFF_MAX_US;
    self->retry_at_us = feed->now_us + (int64_t)prng_below(&feed->prng, (uint64_t)ceiling_us + 1);
    feed_enter(feed, line, FEED_WAITING);
}

static void feed_want(struct feed *feed, int line)
{
    struct feed_line *self = &feed->lines[line];
    self->wanted = true;
    if (self->state != FEED_IDLE)
        return;
    self->retry_at_us = feed->now_us;
    feed_enter(feed, line, FEED_WAITING);
}

static void feed_drop(struct feed *feed, int line, enum feed_cause cause)
{
    feed->lines[line].replace = FEED_NO_CAUSE;
    feed->options.drop(feed->options.context, line, cause);
}

/* The line is gone, whoever ended it: wanted ones come back after a pause. */
static void feed_lost(struct feed *feed, int line)
{
    struct feed_line *self = &feed->lines[line];
    const struct feed_line *other = &feed->lines[1 - line];
    const bool was_replaced = self->replace != FEED_NO_CAUSE;
    self->replace = FEED_NO_CAUSE;
    /* The replacement that is on its way is the wanted line from now on. */
    if (was_replaced && !feed->options.second && other->wanted) {
        self->wanted = false;
        self->failures = 0;
        feed_enter(feed, line, FEED_IDLE);
        return;
    }
    self->failures++;
    feed_back_off(feed, line);
}

void feed_opened(struct feed *feed, int line, int64_t mono_us)
{
    PRE(line >= 0 && line < FEED_LINES);
    feed->now_us = mono_us;
    feed->counters.opened++;
    feed->lines[line].opened_us = feed->lines[line].data_us = mono_us;
    feed_enter(feed, line, FEED_OPEN);
}

void feed_closed(struct feed *feed, int line, int64_t mono_us)
{
    PRE(line >= 0 && line < FEED_LINES);
    feed->now_us = mono_us;
    feed->counters.causes[feed_line_up(&feed->lines[line]) ? FEED_CLOSED : FEED_FAILED]++;
    feed_lost(feed, line);
}

void feed_data(struct feed *feed, int line, int64_t mono_us)
{
    struct feed_line *self = &feed->lines[line];
    self->data_us = mono_us;
    if (self->state != FEED_OPEN)
        return;
    feed->now_us = mono_us;
    self->failures = 0;
    feed_enter(feed, line, FEED_LIVE);
}

static void feed_replace(struct feed *feed, int line, enum feed_cause cause)
{
    struct feed_line *self = &feed->lines[line];
    if (self->replace != FEED_NO_CAUSE)
        return;
    self->replace = cause;
    feed->counters.causes[cause]++;
    feed_want(feed, 1 - line);
}

void feed_shutdown(struct feed *feed, int line, int64_t mono_us)
{
    feed->now_us = mono_us;
    if (feed_line_up(&feed->lines[line]))
        feed_replace(feed, line, FEED_SHUTDOWN);
}

/* May another attempt be made? The ring's oldest attempt has to be out of the span. */
static bool feed_attempt_allowed(struct feed *feed)
{
    const int64_t oldest_us = feed->attempts_us[feed->counters.attempts % FEED_ATTEMPTS_MAX];
    return oldest_us == INT64_MIN || feed->now_us - oldest_us >= FEED_ATTEMPTS_SPAN_US;
}

static void feed_try(struct feed *feed, int line)
{
    if (feed->now_us < feed->lines[line].retry_at_us)
        return;
    if (!feed_attempt_allowed(feed)) {
        feed->counters.limited++;
        feed->lines[line].retry_at_us = feed->now_us + CLOCK_US_PER_S;
        return;
    }
    feed->attempts_us[feed->counters.attempts % FEED_ATTEMPTS_MAX] = feed->now_us;
    feed->counters.attempts++;
    feed_enter(feed, line, FEED_CONNECTING);
    feed->options.connect(feed->options.context, line);
}

/* The other line carries the feed: it has shown data and did so for the overlap, in which
 * the old one brings what it still has under way. */
static bool feed_covered(const struct feed *feed, int line)
{
    const struct feed_line *other = &feed->lines[1 - line];
    /* Two permanent lines that both have to go take turns, the first one first. */
    const bool stays = other->replace == FEED_NO_CAUSE ||
                       (feed->options.second && line == 0 && other->replace != FEED_SILENT);
    return other->state == FEED_LIVE && stays && feed->now_us - other->since_us >= FEED_OVERLAP_US;
}

static void feed_watch(struct feed *feed, int line)
{
    struct feed_line *self = &feed->lines[line];
    if (feed->now_us - self->data_us >= feed->options.watchdog_us)
        feed_replace(feed, line, FEED_SILENT);
    else if (feed->now_us - self->opened_us >= feed->options.rotation_us)
        feed_replace(feed, line, FEED_ROTATION);
    if (self->replace == FEED_NO_CAUSE || !feed_covered(feed, line))
        return;
    feed_drop(feed, line, FEED_REPLACED);
    feed->counters.causes[FEED_REPLACED]++;
    if (feed->options.second) {
        self->retry_at_us = feed->now_us;
        feed_enter(feed, line, FEED_WAITING);
    } else {
        self->wanted = false;
        feed_enter(feed, line, FEED_IDLE);
    }
}

/* A line silent for three watchdogs that nothing has replaced (both are silent: the
 * network is half open): it is dropped and tried anew. */
static bool feed_hopeless(const struct feed *feed, int line)
{
    return feed->now_us - feed->lines[line].data_us >= 3 * feed->options.watchdog_us;
}

static int64_t feed_line_deadline_us(const struct feed *feed, const struct feed_line *line)
{
    switch (line->state) {
    case FEED_WAITING:
        return line->retry_at_us;
    case FEED_CONNECTING:
        return line->since_us + FEED_CONNECT_TIMEOUT_US;
    case FEED_OPEN:
    case FEED_LIVE:
        if (line->replace != FEED_NO_CAUSE)
            return feed->now_us + FEED_OVERLAP_US / 10;
        return line->data_us + feed->options.watchdog_us;
    default:
        return INT64_MAX;
    }
}

static void feed_step(struct feed *feed, int line)
{
    struct feed_line *self = &feed->lines[line];
    switch (self->state) {
    case FEED_WAITING:
        feed_try(feed, line);
        break;
    case FEED_CONNECTING:
        if (feed->now_us - self->since_us < FEED_CONNECT_TIMEOUT_US)
            break;
        feed_drop(feed, line, FEED_FAILED);
        feed->counters.causes[FEED_FAILED]++;
        feed_lost(feed, line);
        break;
    case FEED_OPEN:
    case FEED_LIVE:
        if (!feed_hopeless(feed, line)) {
            feed_watch(feed, line);
            break;
        }
        feed->options.drop(feed->options.context, line, FEED_SILENT);
        feed->counters.causes[FEED_CLOSED]++;
        self->failures = 0; /* it did open; a quiet market is no reason to come back later */
        feed_lost(feed, line);
        break;
    default:
        break;
    }
}

int64_t feed_do_work(struct feed *feed, int64_t mono_us)
{
    int64_t next_us = INT64_MAX;
    feed->now_us = mono_us;
    for (int i = 0; i < FEED_LINES; i++)
        feed_step(feed, i);
    for (int i = 0; i < FEED_LINES; i++) {
        int64_t due_us = feed_line_deadline_us(feed, &feed->lines[i]);
        next_us = due_us < next_us ? due_us : next_us;
    }
    return next_us;
}

bool feed_any_live(const struct feed *feed)
{
    for (int i = 0; i < FEED_LINES; i++)
        if (feed->lines[i].state == FEED_LIVE)
            return true;
    return false;
}
