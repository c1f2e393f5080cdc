/* An agent's progress in a file (recover/poll/progress.h): a new file is written, made
 * durable and put in the place of the old one.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_FILE_PROGRESS_FILE_H
#define BTCAST_EDGE_FILE_PROGRESS_FILE_H

#include "recover/poll/progress.h"

/* Fill path; the folder exists. */
struct progress_file {
    char path[512];
};

struct progress_port progress_file_port(struct progress_file *file);

#endif
