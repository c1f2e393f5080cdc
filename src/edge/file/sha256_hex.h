/* SHA-256 as artifacts are named: lower case hexadecimal. Apart from its users because
 * OpenSSL's names collide with base/err.h. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_FILE_SHA256_HEX_H
#define BTCAST_EDGE_FILE_SHA256_HEX_H

#include "base/bytes.h"

#define SHA256_HEX_SIZE 65

void sha256_hex(struct bytes data, char out[SHA256_HEX_SIZE]);

#endif
