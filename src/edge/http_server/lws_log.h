/* libwebsockets' own messages as log lines of ours. The hook is one for the process, so
 * every user of the library installs the same. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_HTTP_SERVER_LWS_LOG_H
#define BTCAST_EDGE_HTTP_SERVER_LWS_LOG_H

/* Errors and warnings become `event=libwebsockets` lines at warn and debug level: what they
 * mean for a service is said by the code that uses the connection. Any thread, any number
 * of times. */
void lws_log_install(void);

#endif
