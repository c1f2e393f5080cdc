/* <libwebsockets.h> for this project: it brings OpenSSL's headers, whose obsolete type
 * ERR_STATE would clash with the error code of that name. Include this instead.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LWS_H
#define BTCAST_EDGE_LWS_H

#define ERR_STATE openssl_err_state
#include <libwebsockets.h>
#undef ERR_STATE

#endif
