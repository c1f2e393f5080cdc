/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/stream/stream_key.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "market/record.h"

const char *stream_name_text(enum stream_name name)
{
    /* DESIGN.md section 5, Streams. */
    static const char *const names[STREAM_COUNT] = {
        [STREAM_TRADE] = "market-sbe-trade",
        [STREAM_DEPTH] = "market-sbe-depth",
        [STREAM_BEST_BID_ASK] = "market-sbe-bestbidask",
        [STREAM_CONTROL] = "market-control",
    };
    PRE(name >= 0 && name < STREAM_COUNT);
    return names[name];
}

static const char *stream_key_write(const char *prefix, enum stream_name name,
                                    enum stream_key_style style, const char *symbol, char *out)
{
    PRE(strlen(symbol) < RECORD_SYMBOL_SIZE);
    bool tagged = style == STREAM_KEYS_HASHTAG;
    int size = snprintf(out, STREAM_KEY_SIZE, "%s%s:%s%s%s", prefix, stream_name_text(name),
                        tagged ? "{" : "", symbol, tagged ? "}" : "");
    CHECK(size > 0 && size < STREAM_KEY_SIZE);
    return out;
}

const char *stream_key(enum stream_name name, enum stream_key_style style, const char *symbol,
                       char *out)
{
    return stream_key_write("", name, style, symbol, out);
}

const char *stream_key_consumers(enum stream_name name, enum stream_key_style style,
                                 const char *symbol, char *out)
{
    return stream_key_write("consumers:", name, style, symbol, out);
}
