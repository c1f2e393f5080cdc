/* A capture (btcast's own, or the JSON capture format) into bronze/sbe: the blocks that the live
 * archive would have made of it. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_IMPORT_IMPORT_CAPTURE_H
#define BTCAST_SERVICES_IMPORT_IMPORT_CAPTURE_H

#include "services/import/import_desk.h"

int import_capture(struct import_desk *desk, const char *path, struct err *err) MUST_CHECK;

#endif
