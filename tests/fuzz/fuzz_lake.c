/* covers: src/learn/lake/bronze_key.c src/learn/lake/archive_place.c */
/* Any text as an object's key and as an archive's place: what is taken is written back to the
 * same bytes, the rest is refused. The place's CRC is put right, so that the fuzzer gets
 * behind it. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "learn/lake/archive_place.h"
#include "learn/lake/bronze_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(const char *key)
{
    char again[OBJECT_KEY_SIZE];
    struct archive_block block;
    const bool valid = bronze_key_valid(key);
    if (bronze_key_read_block(key, &block) != ERR_OK)
        return;
    CHECK(valid);
    CHECK(bronze_key_of_block(&block, again) == ERR_OK && strcmp(again, key) == 0);
}

static void check_place(struct bytes text)
{
    char buffer[ARCHIVE_PLACE_SIZE * 2];
    struct archive_place place, again;
    if (archive_place_read(text, &place) != ERR_OK)
        return;
    struct text out = text_begin(buffer, sizeof(buffer));
    archive_place_write(&place, &out);
    CHECK(!out.truncated);
    if (out.size > ARCHIVE_PLACE_SIZE)
        return;
    CHECK(archive_place_read(bytes_of(buffer, out.size), &again) == ERR_OK);
    CHECK(memcmp(&place, &again, sizeof(place)) == 0);
}

static void seal(char *text, size_t size)
{
    char tail[16];
    snprintf(tail, sizeof(tail), "crc %08x\n", crc32c(0, text, size));
    memcpy(text + size, tail, 13);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[ARCHIVE_PLACE_SIZE + 16];
    if (size > ARCHIVE_PLACE_SIZE - 13)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_key(text);
    check_place(bytes_of(data, size));
    seal(text, size);
    check_place(bytes_of(text, size + 13));
    return 0;
}
