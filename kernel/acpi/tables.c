/* SPDX-License-Identifier: MIT */
/* Fetching: from firmware's memory, through a checked window, once, into frames of our own. */
#include "acpi/acpi.h"
#include "acpi/machine.h"
#include "acpi/parse.h"
#include "cpu/features.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"

#define TABLES_MAX      64u
#define TOTAL_SIZE_MAX  (8u << 20)
#define ROOT_ENTRIES    256u /* how many pointers of a root table are looked at */
#define SHOW(bytes)     (bytes)[0], (bytes)[1], (bytes)[2], (bytes)[3]
#define MINIMUM_ADDRESS 0x400u /* real-mode vectors: no table lives there */

static struct {
    const uint8_t *bytes;
    size_t size;
    uint64_t physical;
} tables[TABLES_MAX];
static uint32_t table_count;
static size_t total_size;

/* ---- firmware memory ---- */

static bool range_is_sane(uint64_t physical, size_t size)
{
    uint64_t end = physical + size;

    return physical >= MINIMUM_ADDRESS && end > physical && (end - 1) >> cpu_features.physical_bits == 0;
}

static bool read_firmware(void *destination, uint64_t physical, size_t size)
{
    const void *window;

    if (!range_is_sane(physical, size))
        return false;
    window = phys_map_readonly(physical, size);
    if (!window)
        return false;
    memcpy(destination, window, size);
    phys_unmap(window, size);
    return true;
}

/* ---- one table ---- */

struct copy {
    uint8_t *bytes;
    size_t size;
    uint64_t mfn, frames;
};

static void free_copy(const struct copy *copy)
{
    frames_free(copy->mfn, copy->frames);
}

/* A private, checked copy; NULL, or the reason it was refused. The header is not trusted to stay the same. */
static const char *copy_table(uint64_t physical, struct copy *copy)
{
    uint8_t header[ACPI_HEADER_SIZE];
    uint32_t length;
    const char *reason;

    if (!read_firmware(header, physical, sizeof header))
        return "its address is not memory";
    reason = acpi_check_header(header);
    if (reason)
        return reason;
    memcpy(&length, header + 4, sizeof length);
    copy->size = length;
    copy->frames = (length + FRAME_SIZE - 1) / FRAME_SIZE;
    copy->mfn = frames_alloc(copy->frames);
    if (!copy->mfn)
        return "there is no memory for a copy";
    copy->bytes = phys_to_virt(copy->mfn << FRAME_SHIFT);
    reason = read_firmware(copy->bytes, physical, length) ? acpi_check_table(copy->bytes, length)
                                                          : "it reaches beyond memory";
    if (reason)
        free_copy(copy);
    return reason;
}

static bool is_known(uint64_t physical)
{
    for (uint32_t i = 0; i < table_count; i++) {
        if (tables[i].physical == physical)
            return true;
    }
    return false;
}

/* Keeps a table unless it is there already or a limit is reached. */
static void add_table(uint64_t physical)
{
    struct copy copy;
    const char *reason;

    if (!physical || is_known(physical))
        return;
    if (table_count == TABLES_MAX) {
        log_line("acpi: more than %u tables; the one at 0x%llx is left out", TABLES_MAX,
                 (unsigned long long)physical);
        return;
    }
    reason = copy_table(physical, &copy);
    if (reason) {
        log_line("acpi: the table at 0x%llx is refused: %s", (unsigned long long)physical, reason);
        return;
    }
    /* Secondary definition blocks are AML, which nobody here interprets; they are most of the bytes. */
    if (memcmp(copy.bytes, "SSDT", 4) == 0) {
        free_copy(&copy);
        return;
    }
    if (total_size + copy.size > TOTAL_SIZE_MAX) {
        log_line("acpi: tables over %u MiB; %c%c%c%c is left out", TOTAL_SIZE_MAX >> 20, SHOW(copy.bytes));
        free_copy(&copy);
        return;
    }
    total_size += copy.size;
    tables[table_count].bytes = copy.bytes;
    tables[table_count].size = copy.size;
    tables[table_count++].physical = physical;
}

/* ---- root table ---- */

/* False when that root table is unusable. */
static bool add_tables_of_root(uint64_t physical, bool wide)
{
    const char *signature = wide ? "XSDT" : "RSDT";
    struct copy root;
    const char *reason;
    uint32_t entries;

    if (!physical)
        return false;
    reason = copy_table(physical, &root);
    if (!reason && memcmp(root.bytes, signature, 4) != 0) {
        free_copy(&root);
        reason = "its signature is wrong";
    }
    if (reason) {
        log_line("acpi: the %s at 0x%llx is refused: %s", signature, (unsigned long long)physical, reason);
        return false;
    }
    entries = acpi_root_entries(root.size, wide);
    if (entries > ROOT_ENTRIES) {
        log_line("acpi: the %s names %u tables; the first %u are looked at", signature, entries,
                 ROOT_ENTRIES);
        entries = ROOT_ENTRIES;
    }
    for (uint32_t i = 0; i < entries; i++)
        add_table(acpi_root_entry(root.bytes, i, wide));
    free_copy(&root);
    return true;
}

static bool read_rsdp(uint64_t physical, struct acpi_rsdp *rsdp)
{
    uint8_t bytes[ACPI_RSDP_SIZE_FULL];
    size_t size = sizeof bytes;
    const char *reason;

    if (!read_firmware(bytes, physical, size)) {
        /* A revision 0 pointer may be the last thing before the end of memory. */
        size = ACPI_RSDP_SIZE_FIRST;
        if (!read_firmware(bytes, physical, size)) {
            log_line("acpi: the root pointer at 0x%llx is not memory", (unsigned long long)physical);
            return false;
        }
    }
    reason = acpi_parse_rsdp(bytes, size, rsdp);
    if (reason)
        log_line("acpi: the root pointer at 0x%llx is refused: %s", (unsigned long long)physical, reason);
    return !reason;
}

/* The DSDT is named by the FADT only. */
static void add_dsdt(void)
{
    struct acpi_fadt fadt;
    size_t size;
    const struct acpi_header *facp = acpi_table("FACP", 0, &size);

    if (facp && acpi_parse_fadt((const uint8_t *)facp, size, &fadt))
        add_table(fadt.dsdt);
}

static void find_tables(uint64_t rsdp_address)
{
    struct acpi_rsdp rsdp;

    if (!rsdp_address) {
        log_line("acpi: firmware names no ACPI root pointer");
        return;
    }
    if (!read_rsdp(rsdp_address, &rsdp))
        return;
    if (!add_tables_of_root(rsdp.xsdt, true) && !add_tables_of_root(rsdp.rsdt, false)) {
        log_line("acpi: firmware gives no usable XSDT or RSDT");
        return;
    }
    add_dsdt();
    log_line("acpi: revision %u, %u tables, %u bytes kept", rsdp.revision, table_count, (uint32_t)total_size);
}

void acpi_init(uint64_t rsdp)
{
    table_count = 0;
    total_size = 0;
    find_tables(rsdp);
    acpi_read_power();
}

const struct acpi_header *acpi_table(const char signature[4], uint32_t index, size_t *size)
{
    for (uint32_t i = 0; i < table_count; i++) {
        if (memcmp(tables[i].bytes, signature, 4) != 0 || index-- != 0)
            continue;
        *size = tables[i].size;
        return (const struct acpi_header *)tables[i].bytes;
    }
    *size = 0;
    return NULL;
}
