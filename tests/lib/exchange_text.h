/* The other way round of wire/exchange_json, for its tests: the JSON message of a decoded
 * frame as the exchange writes it. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_LIB_EXCHANGE_TEXT_H
#define BTCAST_TESTS_LIB_EXCHANGE_TEXT_H

#include "base/text.h"
#include "wire/sbe.h"

/* stream: wrapped as a combined stream's message of that name, NULL: raw. A trades frame
 * gives one message a trade: `trade` is its index. Times in milliseconds. */
void exchange_text_write(struct text *out, const struct sbe_frame *frame, uint32_t trade,
                         const char *stream);

#endif
