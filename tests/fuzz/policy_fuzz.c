/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry: a small machine in MACHINE_BYTES, then any bytes as its DMAR or IVRS. Parse, claim and
 * reserve, and abort when a device is let to what it must not have, or kept from what it must.
 */
#include "tests/fuzz/must.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/policy.h"

#include <string.h>

#define TABLE_HEADER_BYTES 48u
#define CROWD_UNIT_BYTES   24u
#define CROWD_SEGMENT      1u
#define CROWD_BASE         0xd0000000ull /* of the first one's registers; the next are 1 MiB further */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t fuzz_table_offset(void)
{
    return MACHINE_BYTES;
}

const char *fuzz_table_signature(const uint8_t *input, size_t size)
{
    return size != 0 && (input[0] & 1) != 0 ? "IVRS" : "DMAR";
}

static void put(uint8_t *bytes, uint64_t value, uint32_t size)
{
    memcpy(bytes, &value, size);
}

/* A unit that names no device: an IVHD of type 10h, or a DRHD with an empty rest. */
static void put_unit(uint8_t *bytes, uint32_t index)
{
    memset(bytes, 0, CROWD_UNIT_BYTES);
    put(bytes + 2, CROWD_UNIT_BYTES, 2);
    put(bytes + 8, CROWD_BASE + ((uint64_t)index << 20), 8);
    if (machine.amd) {
        bytes[0] = 0x10;
        put(bytes + 4, index, 2);
        put(bytes + 16, CROWD_SEGMENT, 2);
    } else {
        put(bytes + 2, 16, 2);
        put(bytes + 6, CROWD_SEGMENT, 2);
    }
}

/* Its own copy, exactly as large as the table with its crowd is. */
static uint8_t *make_table(const uint8_t *data, size_t *size)
{
    size_t unit = machine.amd ? CROWD_UNIT_BYTES : 16, crowd = machine.crowd * unit;
    uint8_t *table, last[CROWD_UNIT_BYTES];
    uint32_t length;

    if (*size < TABLE_HEADER_BYTES)
        crowd = 0;
    table = malloc(*size + crowd);
    must(table != NULL);
    memcpy(table, data, *size);
    if (crowd == 0)
        return table;
    for (uint32_t i = 0; i < machine.crowd; i++) {
        put_unit(last, i);
        memcpy(table + *size + i * unit, last, unit);
    }
    memcpy(&length, table + 4, sizeof length);
    if (length == *size)
        put(table + 4, length + crowd, 4);
    *size += crowd;
    return table;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *table;

    if (size < MACHINE_BYTES)
        return 0;
    machine_read(data);
    size -= MACHINE_BYTES;
    table = make_table(data + MACHINE_BYTES, &size);
    if (machine.amd)
        policy_amdvi(table, size);
    else
        policy_vtd(table, size);
    free(table);
    return 0;
}
