/* SPDX-License-Identifier: MIT */
/* Putting ACPI tables together byte by byte, for tests. */
#ifndef SLUICE_TESTS_TABLE_BYTES_H
#define SLUICE_TESTS_TABLE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void put(uint8_t *bytes, size_t offset, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

/* Makes [0, size) sum to zero by the byte at `where`. */
static inline void mend(uint8_t *bytes, size_t size, size_t where)
{
    uint32_t sum = 0;

    bytes[where] = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    bytes[where] = (uint8_t)(0x100 - (sum & 0xff));
}

#define TABLE_CHECKSUM 9

static inline void put_header(uint8_t *bytes, const char *signature, size_t size)
{
    memcpy(bytes, signature, 4);
    put(bytes, 4, size, 4);
    bytes[8] = 1;
    memcpy(bytes + 10, "SLUICETESTTABLES", 14);
    mend(bytes, size, TABLE_CHECKSUM);
}

/* The tables that the tests share; each returns its size. */
#define FADT_TEST_SIZE 244u

static inline size_t make_fadt(uint8_t *bytes, uint64_t dsdt)
{
    memset(bytes, 0, FADT_TEST_SIZE);
    put(bytes, 40, dsdt, 4);
    put(bytes, 48, 0xb2, 4);
    bytes[52] = 0xa0;
    put(bytes, 64, 0x604, 4);
    put(bytes, 76, 0x608, 4);
    put(bytes, 140, dsdt, 8);
    bytes[172] = 1;
    put(bytes, 176, 0x704, 8);
    bytes[208] = 1;
    put(bytes, 212, 0x708, 8);
    put_header(bytes, "FACP", FADT_TEST_SIZE);
    return FADT_TEST_SIZE;
}

static inline size_t make_dsdt(uint8_t *bytes)
{
    static const uint8_t body[] = {0xa0, 0x01, '_',  'S',  '5',  '_',  0x12, 0x08, '_',  'S', '5',
                                   '_',  0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x03, 0x00, 0x00};

    memcpy(bytes + 36, body, sizeof body);
    put_header(bytes, "DSDT", 36 + sizeof body);
    return 36 + sizeof body;
}

static inline size_t make_madt(uint8_t *bytes)
{
    static const uint8_t entries[] = {
        0, 8,  0, 0, 1, 0,    0,    0,                 /* local APIC */
        1, 12, 7, 0, 0, 0,    0xc0, 0xfe, 0,  0, 0, 0, /* IO-APIC 7 at 0xfec00000 */
        1, 12, 8, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0, /* IO-APIC 8 at 0xfec01000 */
        2, 10, 0, 0, 2, 0,    0,    0,    0,  0,       /* override */
    };

    memset(bytes, 0, 44);
    memcpy(bytes + 44, entries, sizeof entries);
    put_header(bytes, "APIC", 44 + sizeof entries);
    return 44 + sizeof entries;
}

static inline size_t make_hpet(uint8_t *bytes)
{
    memset(bytes, 0, 56);
    put(bytes, 44, 0xfed00000, 8);
    put_header(bytes, "HPET", 56);
    return 56;
}

static inline size_t make_mcfg(uint8_t *bytes)
{
    memset(bytes, 0, 60);
    put(bytes, 44, 0xb0000000, 8);
    bytes[55] = 0xff;
    put_header(bytes, "MCFG", 60);
    return 60;
}

#define RSDP_TEST_SIZE 36u

static inline void make_rsdp(uint8_t *bytes, uint8_t revision, uint32_t rsdt, uint64_t xsdt)
{
    memset(bytes, 0, RSDP_TEST_SIZE);
    memcpy(bytes, "RSD PTR ", 8);
    bytes[15] = revision;
    put(bytes, 16, rsdt, 4);
    put(bytes, 20, RSDP_TEST_SIZE, 4);
    put(bytes, 24, xsdt, 8);
    mend(bytes, 20, 8);
    mend(bytes, RSDP_TEST_SIZE, 32);
}

#endif
