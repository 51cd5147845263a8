/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/table.h"

#include "tests/fuzz/must.h"

#include <string.h>

#define LENGTH_OFFSET 4u

uint64_t table_get(const uint8_t *bytes, size_t offset, uint32_t size)
{
    uint64_t value = 0;

    memcpy(&value, bytes + offset, size);
    return value;
}

size_t table_end(const uint8_t *bytes, size_t size)
{
    size_t length = (size_t)table_get(bytes, LENGTH_OFFSET, 4);

    return length >= TABLE_HEADER_BYTES && length <= size ? length : size;
}

bool table_is_cut(const uint8_t *bytes, size_t size)
{
    return table_get(bytes, LENGTH_OFFSET, 4) > size;
}

void check_findings(const struct findings *findings, size_t size)
{
    must(findings->count <= FINDINGS_MAX);
    must(findings->lost == 0 || findings->count == FINDINGS_MAX);
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];

        must(finding->structure < FINDING_STRUCTURES && finding->reason < FINDING_REASONS);
        must(finding_structure_text(finding) != NULL && finding_structure_text(finding)[0] != '\0');
        must(finding_reason_text(finding) != NULL && finding_reason_text(finding)[0] != '\0');
        must(finding->offset < size || finding->reason == FINDING_NO_HEADER);
    }
}

bool has_finding(const struct findings *findings, size_t offset)
{
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->list[i].offset == offset)
            return true;
    return findings->lost != 0;
}

static void put_length(uint8_t *bytes, uint64_t length)
{
    uint32_t value = length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;

    memcpy(bytes + LENGTH_OFFSET, &value, sizeof value);
}

uint8_t *table_with_zeroes(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = calloc(1, size + TABLE_ZEROES);

    must(copy != NULL);
    memcpy(copy, bytes, size);
    put_length(copy, size + TABLE_ZEROES);
    return copy;
}

uint8_t *table_with_unknown(const uint8_t *bytes, size_t size, uint16_t type)
{
    uint8_t *copy = calloc(1, size + TABLE_UNKNOWN_BYTES);
    uint64_t length = table_get(bytes, LENGTH_OFFSET, 4);

    must(copy != NULL);
    memcpy(copy, bytes, TABLE_HEADER_BYTES);
    memcpy(copy + TABLE_HEADER_BYTES, &type, sizeof type);
    copy[TABLE_HEADER_BYTES + 2] = TABLE_UNKNOWN_BYTES;
    memcpy(copy + TABLE_HEADER_BYTES + TABLE_UNKNOWN_BYTES, bytes + TABLE_HEADER_BYTES,
           size - TABLE_HEADER_BYTES);
    if (length >= TABLE_HEADER_BYTES)
        put_length(copy, length + TABLE_UNKNOWN_BYTES);
    return copy;
}

static bool is_same(const struct finding *one, const struct finding *other, uint32_t shift)
{
    return one->structure == other->structure && one->reason == other->reason &&
           same_offset(one->offset, other->offset, shift);
}

void check_same_findings(const struct findings *before, const struct findings *after, uint32_t shift,
                         enum finding_reason reason)
{
    uint32_t added = 0;

    if (before->count + 1 >= FINDINGS_MAX) {
        must(after->count >= before->count);
        return;
    }
    for (uint32_t i = 0; i < after->count; i++) {
        const struct finding *one = &after->list[i];

        if (i - added < before->count && is_same(&before->list[i - added], one, shift))
            continue;
        must(one->reason == reason);
        added++;
    }
    must(added <= 1 && after->count - added == before->count);
}
