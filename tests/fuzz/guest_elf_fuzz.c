/* SPDX-License-Identifier: MIT */
/* libFuzzer entry: any bytes at all, and what the parser promises about a file it accepts. */
#include "pv/elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest_image image;
    if (guest_image_parse(data, size, &image) != NULL)
        return 0;
    if (image.entry < image.kernel_start || image.entry >= image.kernel_end ||
        image.kernel_start < image.virt_base || image.segment_count == 0)
        abort();
    for (uint32_t i = 0; i < image.segment_count; i++) {
        const struct guest_segment *segment = &image.segments[i];
        if (segment->file_size > segment->memory_size || segment->file_offset > size ||
            segment->file_size > size - segment->file_offset || segment->address < image.kernel_start ||
            segment->address + segment->memory_size > image.kernel_end)
            abort();
    }
    return 0;
}
