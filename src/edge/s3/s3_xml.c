/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/s3/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define S3_XML_NAME_MAX 48

/* Behind "<name>" or "<name attribute…>", NULL when there is none. */
static const uint8_t *s3_xml_open(struct bytes xml, const char *name)
{
    char tag[S3_XML_NAME_MAX + 2];
    size_t size = (size_t)snprintf(tag, sizeof(tag), "<%s", name);
    const uint8_t *at = xml.data, *end = xml.data + xml.size;
    while (at != NULL && (at = memmem(at, (size_t)(end - at), tag, size)) != NULL) {
        at += size;
        const uint8_t *close = memchr(at, '>', (size_t)(end - at));
        if (close == NULL)
            return NULL;
        bool whole = *at == '>' || *at == ' ' || *at == '\n' || *at == '\t';
        if (whole && close[-1] != '/')
            return close + 1;
    }
    return NULL;
}

bool s3_xml_next(struct bytes *xml, const char *name, struct bytes *content)
{
    char tag[S3_XML_NAME_MAX + 4];
    if (xml->size == 0)
        return false;
    size_t size = (size_t)snprintf(tag, sizeof(tag), "</%s>", name);
    const uint8_t *begin = s3_xml_open(*xml, name), *end = xml->data + xml->size;
    const uint8_t *close = begin != NULL ? memmem(begin, (size_t)(end - begin), tag, size) : NULL;
    if (close == NULL)
        return false;
    *content = bytes_of(begin, (size_t)(close - begin));
    *xml = bytes_of(close + size, (size_t)(end - close) - size);
    return true;
}

static const struct {
    const char *name;
    char character;
} s3_xml_entities[] = {
    {"&amp;", '&'}, {"&lt;", '<'},   {"&gt;", '>'},   {"&quot;", '"'}, {"&apos;", '\''},
    {"&#34;", '"'}, {"&#39;", '\''}, {"&#x2F;", '/'}, {"&#47;", '/'},
};

/* The entity that text begins with, its length; 0 when it is none that S3 uses. */
static size_t s3_xml_entity(struct bytes text, char *character)
{
    for (size_t i = 0; i < sizeof(s3_xml_entities) / sizeof(s3_xml_entities[0]); i++) {
        size_t size = strlen(s3_xml_entities[i].name);
        if (text.size >= size && memcmp(text.data, s3_xml_entities[i].name, size) == 0) {
            *character = s3_xml_entities[i].character;
            return size;
        }
    }
    return 0;
}

bool s3_xml_text(struct bytes xml, const char *name, char *out, size_t size)
{
    struct bytes content;
    size_t used = 0;
    if (!s3_xml_next(&xml, name, &content))
        return false;
    for (size_t at = 0; at < content.size;) {
        char c = (char)content.data[at];
        size_t step = 1;
        if (c == '&')
            step = s3_xml_entity(bytes_of(content.data + at, content.size - at), &c);
        if (step == 0 || used + 1 >= size || c == '\0')
            return false;
        out[used++] = c;
        at += step;
    }
    out[used] = '\0';
    return true;
}

bool s3_xml_time(const char *text, int64_t *us)
{
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == NULL)
        return false;
    int64_t fraction_us = 0, unit_us = 100000;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit_us /= 10)
            fraction_us += (*rest - '0') * unit_us;
    if (strcmp(rest, "Z") != 0)
        return false;
    *us = (int64_t)timegm(&parts) * CLOCK_US_PER_S + fraction_us;
    return true;
}
