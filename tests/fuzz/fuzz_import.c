/* covers: src/learn/import/import_row.c src/learn/import/import_check.c */
/* Any lines as rows of an archive. SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "learn/import/import_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct import_check checks[IMPORT_TYPES];
    memset(checks, 0, sizeof(checks));
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        const size_t length = end != NULL ? (size_t)(end - data) : size;
        const struct bytes line = bytes_of(data, length);
        enum import_type type;
        struct import_row row;
        struct err err = {0};
        if (!import_row_is_head(line) && import_row_type(line, &type) == ERR_OK &&
            import_row_read(line, type, &row, &err) == ERR_OK) {
            const uint64_t rows = checks[type].rows;
            const int result = import_check_take(&checks[type], &row);
            if ((result == ERR_OK) != (checks[type].rows == rows + 1) || row.last < row.first)
                abort();
        }
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    return 0;
}
