/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/onnx_scan.h"

#include <stdbool.h>
#include <stdlib.h>

/* protobuf's encoding, "Message Structure": a varint has at most ten bytes. */
#define ONNX_SCAN_VARINT_MAX 10

enum onnx_scan_type {
    ONNX_SCAN_VARINT = 0,
    ONNX_SCAN_FIXED64 = 1,
    ONNX_SCAN_LENGTH = 2,
    ONNX_SCAN_FIXED32 = 5,
};

static bool onnx_scan_varint(struct bytes message, size_t *at, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < ONNX_SCAN_VARINT_MAX; i++) {
        if (*at >= message.size)
            return false;
        uint8_t byte = message.data[(*at)++];
        *value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* How many bytes follow a tag of this type; false when they cannot. */
static bool onnx_scan_size(struct bytes message, size_t *at, enum onnx_scan_type type, size_t *size)
{
    uint64_t value;
    switch (type) {
    case ONNX_SCAN_VARINT:
        *size = 0;
        return onnx_scan_varint(message, at, &value);
    case ONNX_SCAN_FIXED64:
        *size = 8;
        break;
    case ONNX_SCAN_FIXED32:
        *size = 4;
        break;
    case ONNX_SCAN_LENGTH:
        if (!onnx_scan_varint(message, at, &value) || value > message.size - *at)
            return false;
        *size = (size_t)value;
        break;
    default:
        return false;
    }
    return *size <= message.size - *at;
}

static int onnx_scan_message(const ProtobufCMessageDescriptor *descriptor, struct bytes message,
                             int depth, struct err *err)
{
    if (depth > ONNX_SCAN_DEPTH_MAX)
        return err_set(err, ERR_FULL, "messages are nested deeper than %d", ONNX_SCAN_DEPTH_MAX);
    for (size_t at = 0, size; at < message.size; at += size) {
        uint64_t tag;
        size_t start = at;
        if (!onnx_scan_varint(message, &at, &tag) ||
            !onnx_scan_size(message, &at, (enum onnx_scan_type)(tag & 7), &size))
            return err_set(err, ERR_MALFORMED, "not an ONNX file: byte %zu of a %s makes no sense",
                           start, descriptor->short_name);
        const ProtobufCFieldDescriptor *field =
            tag >> 3 > UINT32_MAX
                ? NULL
                : protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
        if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE ||
            (tag & 7) != ONNX_SCAN_LENGTH)
            continue;
        int rc =
            onnx_scan_message(field->descriptor, bytes_of(message.data + at, size), depth + 1, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

int onnx_scan_depth(const ProtobufCMessageDescriptor *descriptor, struct bytes message,
                    struct err *err)
{
    return onnx_scan_message(descriptor, message, 1, err);
}

static void *onnx_budget_alloc(void *data, size_t size)
{
    struct onnx_budget *budget = data;
    if (size > budget->left)
        return NULL;
    budget->left -= size;
    return malloc(size);
}

static void onnx_budget_free(void *data, void *pointer)
{
    (void)data;
    free(pointer);
}

void onnx_budget_init(struct onnx_budget *budget, size_t bytes_max)
{
    budget->left = bytes_max;
    budget->allocator = (ProtobufCAllocator){
        .alloc = onnx_budget_alloc, .free = onnx_budget_free, .allocator_data = budget};
}
