/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/poll/progress.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"

/* "name value\n" for each field, then "crc32c 1234abcd\n" over what stands before. */
#define PROGRESS_CRC      "crc32c "
#define PROGRESS_CRC_SIZE (sizeof(PROGRESS_CRC) - 1 + 8 + 1)

static bool progress_take_crc(const char *text, size_t *size)
{
    if (*size < PROGRESS_CRC_SIZE)
        return false;
    const char *line = text + *size - PROGRESS_CRC_SIZE;
    char *end;
    unsigned long crc = strtoul(line + sizeof(PROGRESS_CRC) - 1, &end, 16);
    *size -= PROGRESS_CRC_SIZE;
    return memcmp(line, PROGRESS_CRC, sizeof(PROGRESS_CRC) - 1) == 0 && *end == '\n' &&
           crc == crc32c(0, text, *size);
}

/* The value on the field's line. */
static bool progress_find(const char *text, const char *name, int64_t *value)
{
    size_t length = strlen(name);
    for (const char *at = text; *at != '\0';) {
        char *end;
        if (strncmp(at, name, length) == 0 && at[length] == ' ') {
            *value = strtoll(at + length + 1, &end, 10);
            return end != at + length + 1 && *end == '\n';
        }
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    return false;
}

int progress_load(const struct progress_port *port, const struct progress_field *fields, int count,
                  struct err *err)
{
    char text[PROGRESS_TEXT_MAX];
    int64_t values[PROGRESS_FIELDS_MAX];
    size_t size = 0;
    PRE(count <= PROGRESS_FIELDS_MAX);
    int result = port->load(port->self, text, sizeof(text) - 1, &size);
    if (result != ERR_OK)
        return err_set(err, result, "progress: %s", err_text(result));
    if (!progress_take_crc(text, &size))
        return err_set(err, ERR_CORRUPT, "progress: checksum mismatch");
    text[size] = '\0';
    for (int i = 0; i < count; i++)
        if (!progress_find(text, fields[i].name, &values[i]))
            return err_set(err, ERR_CORRUPT, "progress: %s is missing", fields[i].name);
    for (int i = 0; i < count; i++)
        *fields[i].value = values[i];
    return ERR_OK;
}

int progress_save(const struct progress_port *port, const struct progress_field *fields, int count,
                  struct err *err)
{
    char buffer[PROGRESS_TEXT_MAX];
    struct text text = text_begin(buffer, sizeof(buffer));
    for (int i = 0; i < count; i++)
        text_add_format(&text, "%s %lld\n", fields[i].name, (long long)*fields[i].value);
    text_add_format(&text, PROGRESS_CRC "%08x\n", crc32c(0, buffer, text.size));
    CHECK(!text.truncated);
    int result = port->save(port->self, bytes_of(buffer, text.size));
    if (result != ERR_OK)
        return err_set(err, result, "progress: %s", err_text(result));
    return ERR_OK;
}
