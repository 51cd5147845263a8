/* SPDX-License-Identifier: MIT */
/* A table's bytes from a file, or the sentence that says why there are none. */
#ifndef SLUICE_TABLES_INPUT_H
#define SLUICE_TABLES_INPUT_H

#include "drivers/iommu/table.h"
#include "tools/tables/remarks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_SENTENCE_SIZE 4608u /* a path, and words */

/* Offsets in every ACPI header: ACPI 6.5, 5.2.6. */
#define HEADER_REVISION         8u
#define HEADER_CHECKSUM         9u
#define HEADER_OEM_ID           10u /* 6 characters */
#define HEADER_OEM_TABLE_ID     16u /* 8 */
#define HEADER_OEM_REVISION     24u
#define HEADER_CREATOR_ID       28u /* 4 */
#define HEADER_CREATOR_REVISION 32u
#define IOMMU_HEADER_BYTES      48u /* of a DMAR and of an IVRS */

/* The file holds a DMAR or an IVRS, at least its header. */
struct input {
    const char *file;
    const uint8_t *bytes;
    size_t size;
    bool is_dmar; /* or else an IVRS */
    char sentence[INPUT_SENTENCE_SIZE];
};

/* Little-endian, of the header. */
static inline uint32_t input_number(const struct input *input, size_t offset)
{
    return table_read32(&(struct table){input->bytes, input->size}, offset);
}

/* False after filling in the sentence. The bytes stay valid until the next call. */
bool input_read(const char *file, struct input *input);

/* Whether the checksum is right, and whether the file goes on after the table. */
void input_check(const struct input *input, struct remarks *remarks);

/* True when the bytes that the table's length names are all there and sum to zero. */
bool input_sums(const struct input *input);

#endif
