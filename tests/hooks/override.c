/* SPDX-License-Identifier: MIT */
/*
 * Firmware's tables are left as they are, for they may be read-only: the root pointer and the root tables are
 * copied, and the kernel gets the copies. What the new table says is not judged, only that it is one, so that
 * a test may spoil everything behind the signature and the length.
 */
#include "override.h"

#include "option.h"

#define OPTION    "acpi-override="
#define TABLE_MAX (1u << 20)
#define ROOT_MAX  (64u << 10)

#define HEADER_BYTES    36u /* ACPI 6.4, 5.2.6 */
#define HEADER_LENGTH   4u
#define HEADER_CHECKSUM 9u

#define RSDP_BYTES_FIRST  20u /* 5.2.5.3; revision 0 ends there */
#define RSDP_BYTES        36u
#define RSDP_CHECKSUM     8u
#define RSDP_REVISION     15u
#define RSDP_RSDT         16u
#define RSDP_XSDT         24u
#define RSDP_CHECKSUM_ALL 32u

BOOLEAN override_asked(const struct boot_info *info, char *path)
{
    return hook_option(info, OPTION, path);
}

/* ---- bytes ---- */

static UINT64 read_le(const UINT8 *bytes, UINTN count)
{
    UINT64 value = 0;
    for (UINTN i = 0; i < count; i++)
        value |= (UINT64)bytes[i] << (8 * i);
    return value;
}

static void write_le(UINT8 *bytes, UINTN count, UINT64 value)
{
    for (UINTN i = 0; i < count; i++)
        bytes[i] = (UINT8)(value >> (8 * i));
}

static UINT8 *bytes_at(UINT64 address)
{
    return (UINT8 *)(UINTN)address;
}

static UINT64 address_of(const UINT8 *bytes)
{
    return (UINT64)(UINTN)bytes;
}

static void mend(UINT8 *bytes, UINTN checksum, UINT64 count)
{
    UINT8 sum = 0;
    bytes[checksum] = 0;
    for (UINT64 i = 0; i < count; i++)
        sum = (UINT8)(sum + bytes[i]);
    bytes[checksum] = (UINT8)-sum;
}

/* In the loader's memory, which is the hypervisor's until the guest is entered. NULL: there is none. */
static UINT8 *copy_of(const UINT8 *bytes, UINT64 count)
{
    UINT8 *copy = bytes_at(pages_alloc(count));
    if (copy)
        firmware->BootServices->CopyMem(copy, (void *)(UINTN)address_of(bytes), (UINTN)count);
    return copy;
}

/* ---- the root tables ---- */

static BOOLEAN same_signature(const UINT8 *a, const UINT8 *b)
{
    return read_le(a, 4) == read_le(b, 4);
}

/* Whether the root table, whose entries have so many bytes, named a table of that signature. */
static BOOLEAN replace_entry(UINT8 *root, UINTN width, const UINT8 *table)
{
    UINT64 length = read_le(root + HEADER_LENGTH, 4);
    for (UINT64 at = HEADER_BYTES; at + width <= length; at += width) {
        const UINT8 *old = bytes_at(read_le(root + at, width));
        if (!old || !same_signature(old, table))
            continue;
        write_le(root + at, width, address_of(table));
        mend(root, HEADER_CHECKSUM, length);
        return TRUE;
    }
    return FALSE;
}

/* The same for the root table that the root pointer names at `pointer`, which names a copy afterwards. */
static BOOLEAN replace_below(UINT8 *rsdp, UINTN pointer, UINTN width, const UINT8 *table)
{
    const UINT8 *root = bytes_at(read_le(rsdp + pointer, width));
    UINT64 length = root ? read_le(root + HEADER_LENGTH, 4) : 0;
    if (length < HEADER_BYTES || length > ROOT_MAX)
        return FALSE;
    UINT8 *copy = copy_of(root, length);
    if (!copy || !replace_entry(copy, width, table))
        return FALSE;
    write_le(rsdp + pointer, width, address_of(copy));
    return TRUE;
}

/* NULL, or why the table has no place. */
static const char *put_in_place(struct boot_info *info, const UINT8 *table)
{
    const UINT8 *given = bytes_at(info->rsdp);
    if (!given)
        return "firmware names no ACPI root pointer";
    BOOLEAN whole = given[RSDP_REVISION] >= 2;
    UINT8 *rsdp = copy_of(given, whole ? RSDP_BYTES : RSDP_BYTES_FIRST);
    if (!rsdp)
        return "there is not enough memory below 4 GiB for a root pointer";
    BOOLEAN replaced = replace_below(rsdp, RSDP_RSDT, 4, table);
    if (whole)
        replaced |= replace_below(rsdp, RSDP_XSDT, 8, table);
    if (!replaced)
        return "firmware has no table of its signature that it could replace";
    mend(rsdp, RSDP_CHECKSUM, RSDP_BYTES_FIRST);
    if (whole)
        mend(rsdp, RSDP_CHECKSUM_ALL, RSDP_BYTES);
    info->rsdp = address_of(rsdp);
    return NULL;
}

/* ---- all of them, elsewhere ---- */

static EFI_PHYSICAL_ADDRESS moved; /* in memory of boot services; 0: they stay where they were */

static BOOLEAN find_place(void)
{
    moved = 0xffffffff;
    if (EFI_ERROR(firmware->BootServices->AllocatePages(AllocateMaxAddress, EfiBootServicesData,
                                                        ROOT_MAX / 4096, &moved)))
        moved = 0;
    return moved != 0;
}

static BOOLEAN is_free_later(UINT32 type)
{
    return type == EfiBootServicesCode || type == EfiBootServicesData || type == EfiConventionalMemory;
}

/* What is taken from the top of memory is to come to the moved tables first. */
void override_make_highest(struct boot_info *info)
{
    UINT64 size = info->memory_descriptor_size;
    for (UINT64 at = 0; moved && at + size <= info->memory_map.size; at += size) {
        EFI_MEMORY_DESCRIPTOR *entry = (EFI_MEMORY_DESCRIPTOR *)(UINTN)(info->memory_map.base + at);
        if (entry->PhysicalStart > moved && is_free_later(entry->Type))
            entry->Type = EfiReservedMemoryType;
    }
}

/* Copies a table to an odd address, behind which the next one may go. */
static UINT64 move_table(UINT64 *to, UINT64 from)
{
    UINT64 address = *to | 1, length = read_le(bytes_at(from) + HEADER_LENGTH, 4);
    firmware->BootServices->CopyMem(bytes_at(address), bytes_at(from), (UINTN)length);
    *to = address + length;
    return address;
}

BOOLEAN override_places(struct boot_info *info)
{
    const UINT8 *given = bytes_at(info->rsdp);
    if (!given || !read_le(given + RSDP_RSDT, 4) || !find_place()) {
        say("refused: hook: there is no RSDT, or no memory.", NULL);
        return FALSE;
    }
    UINT64 at = moved, count = 0;
    UINT8 *root = bytes_at(move_table(&at, read_le(given + RSDP_RSDT, 4)));
    UINT64 length = read_le(root + HEADER_LENGTH, 4);
    for (UINT64 entry = HEADER_BYTES; entry + 4 <= length; entry += 4, count++)
        write_le(root + entry, 4, move_table(&at, read_le(root + entry, 4)));
    mend(root, HEADER_CHECKSUM, length);

    UINT8 *rsdp = bytes_at(at | 1);
    firmware->BootServices->CopyMem(rsdp, (void *)(UINTN)given, RSDP_BYTES_FIRST);
    rsdp[RSDP_REVISION] = 0;
    write_le(rsdp + RSDP_RSDT, 4, address_of(root));
    mend(rsdp, RSDP_CHECKSUM, RSDP_BYTES_FIRST);
    info->rsdp = address_of(rsdp);
    say("hook: ", decimal(count), " tables are in memory of boot services.", NULL);
    return TRUE;
}

/* ---- the file ---- */

static const char *read_file(const char *path, struct boot_blob *blob)
{
    EFI_FILE_HANDLE volume, conf = files_find_config(&volume), file;
    if (!conf)
        return "the volume of sluice.conf is gone";
    conf->Close(conf);
    file = files_open(volume, path);
    const char *wrong = file ? files_read(file, TABLE_MAX, blob) : "there is no such file beside sluice.conf";
    if (file)
        file->Close(file);
    volume->Close(volume);
    return wrong;
}

static BOOLEAN is_signature(const UINT8 *bytes)
{
    for (UINTN i = 0; i < 4; i++)
        if (!(bytes[i] >= 'A' && bytes[i] <= 'Z') && !(bytes[i] >= '0' && bytes[i] <= '9'))
            return FALSE;
    return TRUE;
}

static const char *check(const struct boot_blob *blob)
{
    const UINT8 *table = bytes_at(blob->base);
    if (blob->size < HEADER_BYTES || !is_signature(table))
        return "it is no ACPI table";
    /* What lies behind the file would be part of the table, and nobody could say what that is. */
    if (read_le(table + HEADER_LENGTH, 4) > blob->size)
        return "it is no ACPI table: its header speaks of more bytes than the file has";
    return NULL;
}

BOOLEAN override_table(struct boot_info *info, const char *path)
{
    struct boot_blob blob;
    const char *wrong = read_file(path, &blob);
    if (!wrong)
        wrong = check(&blob);
    if (!wrong)
        wrong = put_in_place(info, bytes_at(blob.base));
    if (wrong)
        say("refused: " OPTION, path, ": ", wrong, ".", NULL);
    else
        say("hook: ", path, ", ", decimal(blob.size), " bytes, takes the place of firmware's table.", NULL);
    return !wrong;
}
