/* SPDX-License-Identifier: Apache-2.0 */
#include "model/baseline.h"

/* The build depends on the file (cmake/model.cmake). */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "baseline_start:\n"
        ".incbin \"" BTCAST_SOURCE_DIR "/models/baseline.onnx\"\n"
        "baseline_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const uint8_t baseline_start[] __attribute__((visibility("hidden")));
extern const uint8_t baseline_end[] __attribute__((visibility("hidden")));

struct bytes baseline_file(void)
{
    return bytes_of(baseline_start, (size_t)(baseline_end - baseline_start));
}
