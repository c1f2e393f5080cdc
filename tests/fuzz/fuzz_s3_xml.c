/* covers: src/edge/s3/s3_xml.c */
/* Any bytes as an answer of S3: what is found lies in them, texts end, times are times.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "edge/s3/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1); /* exactly the bytes: a read behind them is seen */
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    struct bytes xml = bytes_of(copy, size), content;
    char text[24];
    int64_t us;
    while (s3_xml_next(&xml, "Contents", &content)) {
        CHECK(content.data >= copy && content.data + content.size <= copy + size);
        if (s3_xml_text(content, "Key", text, sizeof(text)))
            CHECK(strlen(text) < sizeof(text));
        if (s3_xml_text(content, "LastModified", text, sizeof(text)))
            (void)s3_xml_time(text, &us);
    }
    free(copy);
    return 0;
}
