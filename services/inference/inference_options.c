/* SPDX-License-Identifier: Apache-2.0 */
#include "services/inference/inference_options.h"

#include "hot/infer/journal.h"
#include "services/inference/inference_model.h"

static const char *const priorities[] = {"auto", "normal", NULL};

#define AT(member)   offsetof(struct inference_options, member)
#define ROOM(member) sizeof(((struct inference_options *)0)->member)

static const struct config_field inference_fields[] = {
    {.path = "symbol",
     .type = CONFIG_TEXT,
     .offset = AT(symbol),
     .size = ROOM(symbol),
     .initial = "BTCUSDT",
     .help = "symbol to forecast, upper case"},
    {.path = "replica",
     .type = CONFIG_I64,
     .offset = AT(replica),
     .minimum = 1,
     .maximum = 8,
     .initial = "1",
     .help = "number of this replica, for logs and connection names"},
    REDIS_SETTINGS_FIELDS(struct inference_options),
    {.path = "model.path",
     .type = CONFIG_TEXT,
     .offset = AT(model_path),
     .size = ROOM(model_path),
     .initial = "",
     .help = "ONNX file; empty: the built-in microprice baseline"},
    {.path = "model.kernel",
     .type = CONFIG_CHOICE,
     .offset = AT(kernel),
     .choices = inference_model_kernels,
     .initial = "auto",
     .help = "forward-pass kernel; all give the same bits"},
    {.path = "view.path",
     .type = CONFIG_TEXT,
     .offset = AT(view_path),
     .size = ROOM(view_path),
     .initial = "",
     .help = "REST view to fall back on; empty: view-SYMBOL.bin in the data folder"},
    {.path = "schedule.priority",
     .type = CONFIG_CHOICE,
     .offset = AT(priority),
     .choices = priorities,
     .initial = "auto",
     .help = "auto: SCHED_FIFO, else a negative nice, else normal; or normal"},
    {.path = "schedule.spin_us",
     .type = CONFIG_I64,
     .offset = AT(spin_us),
     .minimum = 0,
     .maximum = 2000,
     .initial = "200",
     .help = "busy-wait so long before a slot"},
    {.path = "journal.slots",
     .type = CONFIG_I64,
     .offset = AT(journal_slots),
     .minimum = 16,
     .maximum = JOURNAL_MAX,
     .initial = "8192",
     .help = "predictions kept while Redis is away; the oldest go first"},
};

const struct config_schema inference_schema = {
    .service = "inference",
    .fields = inference_fields,
    .count = sizeof(inference_fields) / sizeof(inference_fields[0]),
    .options_size = sizeof(struct inference_options),
};
