/* SPDX-License-Identifier: MIT */
#include "hook.h"
#include "loader.h"

#define EXIT_ATTEMPTS 8u
#define MSR_EFER      0xc0000080u
#define EFER_NXE      0x800u

static EFI_GUID acpi_20_guid = ACPI_20_TABLE_GUID;
static EFI_GUID acpi_10_guid = ACPI_TABLE_GUID;
static EFI_GUID graphics_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;

static BOOLEAN same_guid(const EFI_GUID *a, const EFI_GUID *b)
{
    const UINT8 *x = (const UINT8 *)a, *y = (const UINT8 *)b;
    UINTN i = 0;
    while (i < sizeof(EFI_GUID) && x[i] == y[i])
        i++;
    return i == sizeof(EFI_GUID);
}

static UINT64 find_rsdp(void)
{
    UINT64 old = 0;
    for (UINTN i = 0; i < firmware->NumberOfTableEntries; i++) {
        const EFI_CONFIGURATION_TABLE *entry = &firmware->ConfigurationTable[i];
        if (same_guid(&entry->VendorGuid, &acpi_20_guid))
            return (UINT64)(UINTN)entry->VendorTable;
        if (same_guid(&entry->VendorGuid, &acpi_10_guid))
            old = (UINT64)(UINTN)entry->VendorTable;
    }
    return old;
}

/* Masks that say the same as one of the two formats are that format. */
static UINT32 format_of_masks(const EFI_PIXEL_BITMASK *masks)
{
    if (masks->GreenMask != 0xff00)
        return BOOT_PIXEL_OTHER;
    if (masks->RedMask == 0xff && masks->BlueMask == 0xff0000)
        return BOOT_PIXEL_RGBX;
    if (masks->BlueMask == 0xff && masks->RedMask == 0xff0000)
        return BOOT_PIXEL_BGRX;
    return BOOT_PIXEL_OTHER;
}

static UINT32 pixel_format(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode)
{
    switch (mode->PixelFormat) {
    case PixelRedGreenBlueReserved8BitPerColor:
        return BOOT_PIXEL_RGBX;
    case PixelBlueGreenRedReserved8BitPerColor:
        return BOOT_PIXEL_BGRX;
    case PixelBitMask:
        return format_of_masks(&mode->PixelInformation);
    default:
        return BOOT_PIXEL_NONE;
    }
}

static void describe_framebuffer(struct boot_framebuffer *framebuffer)
{
    EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics;
    if (EFI_ERROR(firmware->BootServices->LocateProtocol(&graphics_guid, NULL, (void **)&graphics)) ||
        !graphics->Mode || !graphics->Mode->Info)
        return;
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = graphics->Mode->Info;
    framebuffer->format = pixel_format(mode);
    framebuffer->base = graphics->Mode->FrameBufferBase;
    framebuffer->size = graphics->Mode->FrameBufferSize;
    framebuffer->width = mode->HorizontalResolution;
    framebuffer->height = mode->VerticalResolution;
    framebuffer->pitch = mode->PixelsPerScanLine;
}

void handover_describe(struct boot_info *info)
{
    info->rsdp = find_rsdp();
    info->efi_system_table = (UINT64)(UINTN)firmware;
    info->efi_config_table = (UINT64)(UINTN)firmware->ConfigurationTable;
    info->config_table_entries = (UINT32)firmware->NumberOfTableEntries;
    describe_framebuffer(&info->framebuffer);
}

static UINT64 read_tsc(void)
{
    UINT32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (UINT64)high << 32 | low;
}

/* Firmware need not have switched on no-execute, and a table entry with NX would then be reserved. */
static void enable_nx(void)
{
    UINT32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
    __asm__ volatile("wrmsr" : : "a"(low | EFER_NXE), "d"(high), "c"(MSR_EFER));
}

static _Noreturn void jump(const struct boot_info *info, UINT64 l4, UINT64 entry)
{
    __asm__ volatile("cli\n\t"
                     "cld\n\t"
                     "mov %0, %%cr3\n\t"
                     "jmp *%1"
                     :
                     : "r"(l4), "r"(entry), "D"(info)
                     : "memory");
    __builtin_unreachable();
}

/* Repeats while firmware changes its map between the two calls; only they may be called by then. */
static EFI_STATUS leave_boot_services(struct boot_info *info, UINT64 map, UINTN capacity)
{
    EFI_BOOT_SERVICES *services = firmware->BootServices;
    EFI_STATUS status = EFI_INVALID_PARAMETER;
    for (UINTN attempt = 0; attempt < EXIT_ATTEMPTS && EFI_ERROR(status); attempt++) {
        UINTN size = capacity, key, descriptor_size;
        UINT32 version;
        status = services->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)(UINTN)map, &key, &descriptor_size,
                                        &version);
        if (EFI_ERROR(status))
            return status;
        info->memory_map = (struct boot_blob){map, size};
        info->memory_descriptor_size = descriptor_size;
        info->memory_descriptor_version = version;
        status = services->ExitBootServices(loader_handle, key);
    }
    return status;
}

EFI_STATUS handover_jump(struct boot_info *info, UINT64 l4, UINT64 entry)
{
    UINTN size = 0, key, descriptor_size = 0;
    UINT32 version;
    firmware->BootServices->GetMemoryMap(&size, NULL, &key, &descriptor_size, &version);
    /* The allocation itself splits descriptors, and so may whatever firmware does while we leave. */
    UINTN capacity = size + 64 * descriptor_size;
    UINT64 map = pages_alloc(capacity);
    BOOLEAN five = levels_are_five();
    BOOLEAN memory = map && (!five || levels_prepare());
    EFI_STATUS status = memory ? leave_boot_services(info, map, capacity) : EFI_OUT_OF_RESOURCES;
    if (EFI_ERROR(status)) {
        if (memory)
            say("refused: firmware would not leave boot services (status ", hexadecimal(status), ").", NULL);
        else
            say("refused: there is not enough memory below 4 GiB for leaving boot services.", NULL);
        say("loader: nothing was started.", NULL);
        return status;
    }
    hook_left(info);
    enable_nx();
    if (five)
        levels_switch(l4);
    info->entry_tsc = read_tsc();
    jump(info, l4, entry);
}
