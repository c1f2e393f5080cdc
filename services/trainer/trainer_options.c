/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/trainer_options.h"

#include <stddef.h>

#define AT(member)   offsetof(struct trainer_options, member)
#define ROOM(member) sizeof(((struct trainer_options *)0)->member)
#define NUMBER(key, member, low, high, start, words)                                               \
    {                                                                                              \
        .path = (key), .type = CONFIG_I64, .offset = AT(member), .minimum = (low),                 \
        .maximum = (high), .initial = (start), .help = (words)                                     \
    }

static const struct config_field trainer_fields[] = {
    {.path = "symbol",
     .type = CONFIG_TEXT,
     .offset = AT(symbol),
     .size = ROOM(symbol),
     .initial = "BTCUSDT",
     .help = "symbol to train for, upper case"},
    {.path = "lake",
     .type = CONFIG_TEXT,
     .offset = AT(lake),
     .size = ROOM(lake),
     .initial = "",
     .help = "the lake: source of rows (a folder) and place of models; empty: lake in data_dir"},
    STORE_SETTINGS_FIELD(struct trainer_options, "models are not registered"),
    {.path = "models.name",
     .type = CONFIG_TEXT,
     .offset = AT(model_name),
     .size = ROOM(model_name),
     .initial = "btcast",
     .help = "family of models in the registry"},
    NUMBER("train.every_h", every_h, 0, 8760, "6", "hours between trainings; 0: on request only"),
    NUMBER("train.hours", hours, 1, 87600, "168", "hours of data that a training looks back"),
    NUMBER("train.trials", trials, 1, 64, "4", "settings tried by successive halving"),
    NUMBER("train.epochs", epochs, 1, 1000, "20", "of each, while the learning rate falls"),
    NUMBER("train.folds", folds, 0, 16, "2", "of the walk-forward test"),
    NUMBER("train.threads", threads, 1, 64, "1", "trainings at a time"),
    NUMBER("train.seed", seed, 0, 9e15, "1", "of everything random"),
    NUMBER("start.delay_s", delay_s, 0, 86400, "30",
           "no training sooner than so long after a start"),
    NUMBER("start.simulated_h", first_simulated_h, 0, 8760, "0",
           "hours of the built-in exchange that the very first training uses; 0: there is none"),
    NUMBER("start.simulated_seed", first_seed, 0, 9e15, "1001", "which market that is"),
    NUMBER("nice", nice, 0, 19, "19", "priority behind the hot path's, as of nice(1)"),
};

const struct config_schema trainer_schema = {
    .service = "trainer",
    .fields = trainer_fields,
    .count = sizeof(trainer_fields) / sizeof(trainer_fields[0]),
    .options_size = sizeof(struct trainer_options),
};
