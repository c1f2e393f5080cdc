/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

const char *err_text(int code)
{
    switch (code) {
    case ERR_OK:
        return "ok";
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        ERR_TABLE(X)
#undef X
    default:
        return "unknown error";
    }
}

int err_set(struct err *err, int code, const char *format, ...)
{
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return code;
}

int err_wrap(struct err *err, int code, const char *format, ...)
{
    if (err == NULL)
        return code;
    err->code = code;
    char inner[ERR_TEXT_SIZE];
    memcpy(inner, err->text, sizeof(inner));
    va_list args;
    va_start(args, format);
    int size = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (size < 0 || (size_t)size + 3 >= sizeof(err->text))
        return code;
    size_t room = sizeof(err->text) - (size_t)size - 3; /* ": " and the NUL */
    size_t length = strnlen(inner, room);
    memcpy(err->text + size, ": ", 2);
    memcpy(err->text + size + 2, inner, length);
    err->text[(size_t)size + 2 + length] = '\0';
    return code;
}
