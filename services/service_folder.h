/* Folders on disk for services. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_SERVICE_FOLDER_H
#define BTCAST_SERVICES_SERVICE_FOLDER_H

#include "base/err.h"

/* mkdir -p, mode 0700. ERR_CONFIG for a path that is empty or too long, ERR_IO with the part
 * that cannot be made. */
int service_folder_make(const char *path, struct err *err) MUST_CHECK;

#endif
