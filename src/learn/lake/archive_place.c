/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/lake/archive_place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

#define ARCHIVE_PLACE_HEAD "btcast-archive 1\n"
/* "crc 01234567\n" */
#define ARCHIVE_PLACE_TAIL 13

void archive_place_write(const struct archive_place *place, struct text *text)
{
    const size_t begin = text->size;
    text_add(text, ARCHIVE_PLACE_HEAD);
    for (int i = 0; i < STREAM_COUNT; i++)
        text_add_format(text, "%d %" PRIu64 " %" PRIu64 " %s\n", i, place->durable[i].epoch,
                        place->durable[i].seq,
                        place->position[i].text[0] != '\0' ? place->position[i].text : "-");
    text_add_format(text, "crc %08" PRIx32 "\n", crc32c(0, text->at + begin, text->size - begin));
}

static int archive_place_line(const char *line, int expected, struct archive_place *place)
{
    int index = -1;
    uint64_t epoch, seq;
    char position[STREAM_POSITION_SIZE];
    if (sscanf(line, "%d %" SCNu64 " %" SCNu64 " %159s", &index, &epoch, &seq, position) != 4 ||
        index != expected)
        return ERR_MALFORMED;
    place->durable[index].epoch = epoch;
    place->durable[index].seq = seq;
    snprintf(place->position[index].text, sizeof(place->position[index].text), "%s",
             strcmp(position, "-") == 0 ? "" : position);
    return ERR_OK;
}

static int archive_place_lines(const char *text, struct archive_place *place)
{
    const char *line = text + sizeof(ARCHIVE_PLACE_HEAD) - 1;
    int result = ERR_OK;
    for (int i = 0; i < STREAM_COUNT && result == ERR_OK; i++) {
        const char *end = strchr(line, '\n');
        if (end == NULL)
            return ERR_MALFORMED;
        result = archive_place_line(line, i, place);
        line = end + 1;
    }
    return result == ERR_OK && strncmp(line, "crc ", 4) == 0 ? ERR_OK : ERR_MALFORMED;
}

int archive_place_read(struct bytes bytes, struct archive_place *place)
{
    char text[ARCHIVE_PLACE_SIZE + 1];
    *place = (struct archive_place){0};
    if (bytes.size > ARCHIVE_PLACE_SIZE ||
        bytes.size < sizeof(ARCHIVE_PLACE_HEAD) - 1 + ARCHIVE_PLACE_TAIL)
        return ERR_MALFORMED;
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    const size_t body = bytes.size - ARCHIVE_PLACE_TAIL;
    if (strncmp(text, ARCHIVE_PLACE_HEAD, sizeof(ARCHIVE_PLACE_HEAD) - 1) != 0 ||
        strncmp(text + body, "crc ", 4) != 0)
        return ERR_MALFORMED;
    if (strtoul(text + body + 4, NULL, 16) != crc32c(0, text, body))
        return ERR_CORRUPT;
    int result = archive_place_lines(text, place);
    if (result != ERR_OK)
        *place = (struct archive_place){0};
    return result;
}
