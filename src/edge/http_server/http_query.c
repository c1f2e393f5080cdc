/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "edge/http_server/http_server.h"

static int http_query_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %41 and + decoded; false when it does not fit or an escape is broken or NUL. */
static bool http_query_decode(const char *at, size_t size, char *out, size_t room)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        char c = at[i] == '+' ? ' ' : at[i];
        if (c == '%') {
            int high = i + 2 < size ? http_query_hex(at[i + 1]) : -1;
            int low = i + 2 < size ? http_query_hex(at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || length + 1 >= room)
            return false;
        out[length++] = c;
    }
    out[length] = '\0';
    return true;
}

bool http_query(const struct http_request *request, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    for (const char *at = request->query; *at != '\0';) {
        size_t end = strcspn(at, "&");
        if (end > length && strncmp(at, name, length) == 0 && at[length] == '=')
            return http_query_decode(at + length + 1, end - length - 1, out, size);
        at += end + (at[end] == '&');
    }
    return false;
}
