/* The little of XML that S3 answers with: elements without attributes that matter, in the
 * order they stand. Reads any bytes. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_S3_S3_XML_H
#define BTCAST_EDGE_S3_S3_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* The content of the next element of this name, which is moved behind; false when there is
 * none. Elements of one name do not nest in S3's answers. */
bool s3_xml_next(struct bytes *xml, const char *name, struct bytes *content);
/* The text of the first element of this name, entities resolved; false when it is missing,
 * does not fit, or holds an unknown entity. */
bool s3_xml_text(struct bytes xml, const char *name, char *out, size_t size);
/* "2009-10-12T17:50:30.000Z" -> microseconds; false for anything else. */
bool s3_xml_time(const char *text, int64_t *us);

#endif
