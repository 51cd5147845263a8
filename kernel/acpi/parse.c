/* SPDX-License-Identifier: MIT */
#include "acpi/parse.h"

#include "lib/string.h"

/* Tables are packed and firmware aligns nothing: every field is put together from bytes. */
static uint32_t read16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t read32(const uint8_t *at)
{
    return read16(at) | read16(at + 2) << 16;
}

static uint64_t read64(const uint8_t *at)
{
    return read32(at) | (uint64_t)read32(at + 4) << 32;
}

static bool sums_to_zero(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return (sum & 0xff) == 0;
}

/* ---- root pointer and root tables ---- */

#define RSDP_REVISION 15
#define RSDP_RSDT     16
#define RSDP_LENGTH   20
#define RSDP_XSDT     24

const char *acpi_parse_rsdp(const uint8_t *bytes, size_t size, struct acpi_rsdp *rsdp)
{
    uint32_t length;

    *rsdp = (struct acpi_rsdp){0};
    if (size < ACPI_RSDP_SIZE_FIRST)
        return "it is shorter than 20 bytes";
    if (memcmp(bytes, "RSD PTR ", 8) != 0)
        return "its signature is wrong";
    if (!sums_to_zero(bytes, ACPI_RSDP_SIZE_FIRST))
        return "its checksum is wrong";
    rsdp->revision = bytes[RSDP_REVISION];
    rsdp->rsdt = read32(bytes + RSDP_RSDT);
    if (rsdp->revision < 2)
        return NULL;

    if (size < ACPI_RSDP_SIZE_FULL)
        return "it is cut short";
    length = read32(bytes + RSDP_LENGTH);
    if (length != ACPI_RSDP_SIZE_FULL)
        return "its length is not 36";
    if (!sums_to_zero(bytes, length))
        return "its extended checksum is wrong";
    rsdp->xsdt = read64(bytes + RSDP_XSDT);
    return NULL;
}

#define HEADER_LENGTH 4

const char *acpi_check_header(const uint8_t *bytes)
{
    uint32_t length = read32(bytes + HEADER_LENGTH);

    for (int i = 0; i < 4; i++) {
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return "its signature is not text";
    }
    if (length < ACPI_HEADER_SIZE)
        return "its length is less than its header's";
    if (length > ACPI_TABLE_SIZE_MAX)
        return "it is longer than 4 MiB";
    return NULL;
}

const char *acpi_check_table(const uint8_t *bytes, size_t size)
{
    if (size < ACPI_HEADER_SIZE || read32(bytes + HEADER_LENGTH) != size)
        return "its length changed while it was read";
    if (!sums_to_zero(bytes, size))
        return "its checksum is wrong";
    return NULL;
}

uint32_t acpi_root_entries(size_t size, bool wide)
{
    return size < ACPI_HEADER_SIZE ? 0 : (uint32_t)((size - ACPI_HEADER_SIZE) / (wide ? 8 : 4));
}

uint64_t acpi_root_entry(const uint8_t *bytes, uint32_t index, bool wide)
{
    const uint8_t *first = bytes + ACPI_HEADER_SIZE;

    return wide ? read64(first + (size_t)index * 8) : read32(first + (size_t)index * 4);
}

/* ---- FADT ---- */

#define FADT_DSDT           40
#define FADT_SMI_COMMAND    48
#define FADT_ACPI_ENABLE    52
#define FADT_PM1A_CONTROL   64
#define FADT_PM1B_CONTROL   68
#define FADT_PM_TIMER       76
#define FADT_FLAGS          112
#define FADT_SIZE_FIRST     116 /* ACPI 1.0 */
#define FADT_X_DSDT         140
#define FADT_X_PM1A_CONTROL 172
#define FADT_X_PM1B_CONTROL 184
#define FADT_X_PM_TIMER     208

#define FADT_HW_REDUCED (1u << 20)

/* Generic address structure, 5.2.3.2. */
#define GAS_SPACE     0
#define GAS_ADDRESS   4
#define GAS_SIZE      12
#define GAS_SYSTEM_IO 1
#define GAS_MEMORY    0

/* Nothing that ACPI describes lives below 0x100, where the PIC, the PIT, the RTC and the DMA controllers are.
 */
static uint16_t checked_port(uint64_t port)
{
    return port >= 0x100 && port <= 0xfff0 ? (uint16_t)port : 0;
}

/* The extended field wins when it is there and names a port. */
static uint16_t fadt_port(const uint8_t *bytes, size_t size, size_t legacy, size_t extended)
{
    if (size >= extended + GAS_SIZE && bytes[extended + GAS_SPACE] == GAS_SYSTEM_IO) {
        uint16_t port = checked_port(read64(bytes + extended + GAS_ADDRESS));

        if (port)
            return port;
    }
    return checked_port(read32(bytes + legacy));
}

bool acpi_parse_fadt(const uint8_t *bytes, size_t size, struct acpi_fadt *fadt)
{
    *fadt = (struct acpi_fadt){0};
    if (size < FADT_SIZE_FIRST)
        return false;
    if (size >= FADT_X_DSDT + 8)
        fadt->dsdt = read64(bytes + FADT_X_DSDT);
    if (!fadt->dsdt)
        fadt->dsdt = read32(bytes + FADT_DSDT);
    fadt->hardware_reduced = (read32(bytes + FADT_FLAGS) & FADT_HW_REDUCED) != 0;
    if (fadt->hardware_reduced)
        return true;
    fadt->pm1a_control = fadt_port(bytes, size, FADT_PM1A_CONTROL, FADT_X_PM1A_CONTROL);
    fadt->pm1b_control = fadt_port(bytes, size, FADT_PM1B_CONTROL, FADT_X_PM1B_CONTROL);
    fadt->pm_timer = fadt_port(bytes, size, FADT_PM_TIMER, FADT_X_PM_TIMER);
    /* The SMI command port is 0xb2 on most machines, below what checked_port() takes. */
    if (read32(bytes + FADT_SMI_COMMAND) <= 0xffff)
        fadt->smi_command = (uint16_t)read32(bytes + FADT_SMI_COMMAND);
    fadt->acpi_enable = bytes[FADT_ACPI_ENABLE];
    return true;
}

/* ---- \_S5 in the DSDT ---- */

#define AML_ZERO         0x00
#define AML_ONE          0x01
#define AML_NAME         0x08
#define AML_BYTE         0x0a
#define AML_WORD         0x0b
#define AML_DWORD        0x0c
#define AML_PACKAGE      0x12
#define AML_ROOT         0x5c
#define AML_ONES         0xff
#define AML_LENGTH_BYTES 4

/* A read position that cannot leave its table. */
struct cursor {
    const uint8_t *bytes;
    size_t at, end;
};

static bool next_byte(struct cursor *cursor, uint8_t *byte)
{
    if (cursor->at >= cursor->end)
        return false;
    *byte = cursor->bytes[cursor->at++];
    return true;
}

/* 20.2.4: the length counts from its own first byte. Narrows the cursor to the package. */
static bool enter_package(struct cursor *cursor)
{
    size_t start = cursor->at, length;
    uint8_t lead, more;

    if (!next_byte(cursor, &lead))
        return false;
    uint32_t follow = lead >> 6;
    length = follow ? lead & 0xfu : lead & 0x3fu;
    for (uint32_t i = 0; i < follow; i++) {
        if (!next_byte(cursor, &more))
            return false;
        length |= (size_t)more << (4 + 8 * i);
    }
    if (length > cursor->end - start || start + length < cursor->at)
        return false;
    cursor->end = start + length;
    return true;
}

/* One integer constant; only its low byte matters here. */
static bool next_number(struct cursor *cursor, uint8_t *value)
{
    static const uint8_t widths[] = {1, 2, 4};
    uint8_t opcode, skip;

    if (!next_byte(cursor, &opcode))
        return false;
    switch (opcode) {
    case AML_ZERO:
    case AML_ONE:
    case AML_ONES:
        *value = opcode;
        return true;
    case AML_BYTE:
    case AML_WORD:
    case AML_DWORD:
        if (!next_byte(cursor, value))
            return false;
        for (uint8_t i = 1; i < widths[opcode - AML_BYTE]; i++) {
            if (!next_byte(cursor, &skip))
                return false;
        }
        return true;
    default:
        return false;
    }
}

static bool parse_s5_package(struct cursor cursor, uint8_t *type_a, uint8_t *type_b)
{
    uint8_t byte, a, b;

    if (!next_byte(&cursor, &byte) || byte != AML_PACKAGE || !enter_package(&cursor))
        return false;
    if (!next_byte(&cursor, &byte) || byte < 2) /* number of elements */
        return false;
    if (!next_number(&cursor, &a) || !next_number(&cursor, &b))
        return false;
    *type_a = a & 7;
    *type_b = b & 7;
    return true;
}

bool acpi_parse_s5(const uint8_t *bytes, size_t size, uint8_t *type_a, uint8_t *type_b)
{
    /* AML cannot be walked without interpreting it; the name and its operator together are unique enough. */
    for (size_t at = ACPI_HEADER_SIZE + 1; at + AML_LENGTH_BYTES <= size; at++) {
        struct cursor cursor = {bytes, at + 4, size};

        if (bytes[at] != '_' || memcmp(bytes + at, "_S5_", 4) != 0)
            continue;
        bool named = bytes[at - 1] == AML_NAME ||
                     (bytes[at - 1] == AML_ROOT && at >= ACPI_HEADER_SIZE + 2 && bytes[at - 2] == AML_NAME);
        if (named && parse_s5_package(cursor, type_a, type_b))
            return true;
    }
    return false;
}

/* ---- MADT, HPET, MCFG ---- */

#define MADT_FIRST       44
#define MADT_IOAPIC      1
#define MADT_IOAPIC_SIZE 12

uint32_t acpi_parse_ioapics(const uint8_t *bytes, size_t size, struct acpi_ioapic *list, uint32_t capacity,
                            bool *whole)
{
    uint32_t found = 0;
    size_t at = MADT_FIRST;

    /* A step of at least 2 bytes bounds the walk. */
    while (at + 2 <= size && bytes[at + 1] >= 2 && bytes[at + 1] <= size - at) {
        const uint8_t *entry = bytes + at;

        if (entry[0] == MADT_IOAPIC && entry[1] >= MADT_IOAPIC_SIZE && read32(entry + 4) != 0) {
            if (found < capacity)
                list[found] = (struct acpi_ioapic){entry[2], read32(entry + 4), read32(entry + 8)};
            found++;
        }
        at += entry[1];
    }
    *whole = at == size;
    return found < capacity ? found : capacity;
}

#define HPET_ADDRESS 40
#define HPET_SIZE    56

uint64_t acpi_parse_hpet(const uint8_t *bytes, size_t size)
{
    if (size < HPET_SIZE || bytes[HPET_ADDRESS + GAS_SPACE] != GAS_MEMORY)
        return 0;
    return read64(bytes + HPET_ADDRESS + GAS_ADDRESS);
}

#define MCFG_FIRST     44
#define MCFG_ENTRY     16
#define MCFG_BUS_SHIFT 20
#define ADDRESS_BITS   52

static bool mcfg_makes_sense(const struct acpi_mcfg *window)
{
    uint64_t end = window->base + (((uint64_t)window->last_bus + 1) << MCFG_BUS_SHIFT);

    return window->base && (window->base & ((1u << MCFG_BUS_SHIFT) - 1)) == 0 &&
           window->first_bus <= window->last_bus && window->base < end && end >> ADDRESS_BITS == 0;
}

uint32_t acpi_parse_mcfg(const uint8_t *bytes, size_t size, struct acpi_mcfg *list, uint32_t capacity,
                         uint32_t *refused)
{
    uint32_t found = 0;

    *refused = 0;
    for (size_t at = MCFG_FIRST; at + MCFG_ENTRY <= size; at += MCFG_ENTRY) {
        const uint8_t *entry = bytes + at;
        struct acpi_mcfg window = {read64(entry), (uint16_t)read16(entry + 8), entry[10], entry[11]};

        if (found < capacity && mcfg_makes_sense(&window))
            list[found++] = window;
        else
            ++*refused;
    }
    return found;
}
