/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/commands.h"

#include <stddef.h>

const struct command commands[] = {
    {NULL, NULL, NULL, NULL},
};
