/* SPDX-License-Identifier: MIT */
/*
 * The UEFI loader: finds its configuration and the guest, puts the kernel in its place, leaves boot services.
 * It knows firmware; it knows nothing of guests or IOMMUs.
 */
#include "loader.h"

EFI_SYSTEM_TABLE *firmware;
EFI_HANDLE loader_handle;

extern const UINT8 kernel_file[], kernel_file_end[];
void *memcpy(void *restrict destination, const void *restrict source, size_t count);

#define GUEST_MAX  (512ull << 20)
#define MODULE_MAX (2ull << 30)

static struct config config;

/* A person reads this on a screen that firmware will soon repaint: wait for a key, but not for ever. */
static EFI_STATUS refuse(EFI_STATUS status)
{
    say("loader: nothing was started. Press a key to go back to the firmware (it happens by itself in 20 "
        "seconds).",
        NULL);
    EFI_BOOT_SERVICES *services = firmware->BootServices;
    EFI_EVENT events[2] = {firmware->ConIn->WaitForKey};
    UINTN index;
    if (!EFI_ERROR(services->CreateEvent(EVT_TIMER, 0, NULL, NULL, &events[1]))) {
        services->SetTimer(events[1], TimerRelative, 200000000ull /* 100 ns */);
        services->WaitForEvent(2, events, &index);
        services->CloseEvent(events[1]);
    }
    return status;
}

/* LoadOptions of a shell begin with the image's name; QEMU's -append and boot entries hold options only. */
static const char *append_load_options(void)
{
    static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    EFI_LOADED_IMAGE *self;
    if (EFI_ERROR(
            firmware->BootServices->HandleProtocol(loader_handle, &loaded_image_guid, (void **)&self)) ||
        !self->LoadOptions || self->LoadOptionsSize < 2)
        return NULL;
    const CHAR16 *wide = self->LoadOptions;
    UINTN length = self->LoadOptionsSize / 2;
    char text[CONFIG_OPTIONS_MAX];
    UINTN n = 0, first_end = 0;
    for (; n < length && wide[n] != 0; n++) {
        if (n == sizeof text)
            return "the command line is longer than 1023 characters";
        if (wide[n] > '~' || wide[n] < ' ')
            return NULL; /* a boot entry's binary data, not text */
        text[n] = (char)wide[n];
        if (first_end == 0 && wide[n] == L' ')
            first_end = n;
    }
    if (first_end == 0)
        first_end = n;
    UINTN skip = 0;
    if (first_end >= 4) {
        const char *suffix = &text[first_end - 4];
        if (suffix[0] == '.' && (suffix[1] | 32) == 'e' && (suffix[2] | 32) == 'f' && (suffix[3] | 32) == 'i')
            skip = first_end;
    }
    return config_append_options(&config, text + skip, n - skip);
}

static const char *read_named(EFI_FILE_HANDLE volume, const char *path, UINT64 limit, struct boot_blob *blob)
{
    EFI_FILE_HANDLE file = files_open(volume, path);
    if (!file)
        return "there is no such file on that volume";
    const char *wrong = files_read(file, limit, blob);
    file->Close(file);
    return wrong;
}

/* Reads sluice.conf and what it names. TRUE when all is there. */
static BOOLEAN load_files(struct boot_info *info)
{
    EFI_FILE_HANDLE volume;
    EFI_FILE_HANDLE file = files_find_config(&volume);
    if (!file) {
        say("refused: no volume holds \\sluice\\sluice.conf.", NULL);
        return FALSE;
    }
    struct boot_blob text;
    const char *wrong = files_read(file, CONFIG_FILE_MAX, &text);
    UINT32 line = 0;
    file->Close(file);
    if (!wrong)
        wrong = config_parse((const char *)(UINTN)text.base, (size_t)text.size, &config, &line);
    if (wrong) {
        say("refused: \\sluice\\sluice.conf", line ? ", line " : "", line ? decimal(line) : "", ": ", wrong,
            ".", NULL);
        return FALSE;
    }
    wrong = append_load_options();
    if (wrong) {
        say("refused: ", wrong, ".", NULL);
        return FALSE;
    }
    wrong = read_named(volume, config.guest, GUEST_MAX, &info->guest);
    if (wrong) {
        say("refused: guest ", config.guest, ": ", wrong, ".", NULL);
        return FALSE;
    }
    if (config.module[0])
        wrong = read_named(volume, config.module, MODULE_MAX, &info->module);
    if (wrong) {
        say("refused: module ", config.module, ": ", wrong, ".", NULL);
        return FALSE;
    }
    say("loader: guest ", config.guest, ", ", decimal(info->guest.size), " bytes",
        config.module[0] ? "; module " : "", config.module, ".", NULL);
    return TRUE;
}

static void copy_text(struct boot_blob *blob, UINT64 *at, const char *text)
{
    UINT64 n = 0;
    while (text[n])
        n++;
    memcpy((void *)(UINTN)*at, text, (size_t)n + 1);
    blob->base = *at;
    blob->size = n + 1;
    *at += n + 1;
}

/* Copies the image and its symbols to fresh memory. NULL, or why not. */
static const char *load_kernel(const struct elf_image *image, struct boot_info *info)
{
    info->image.size = image->end - image->start;
    info->image.base = pages_alloc(info->image.size);
    info->image_virtual = image->start;
    UINT64 symbols = pages_alloc(image->symtab_size + image->strtab_size + 1);
    if (!info->image.base || !symbols)
        return "there is not enough memory below 4 GiB for the hypervisor";
    for (UINT32 i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        memcpy((void *)(UINTN)(info->image.base + (segment->address - image->start)),
               kernel_file + segment->file_offset, (size_t)segment->file_size);
    }
    info->symtab = (struct boot_blob){symbols, image->symtab_size};
    info->strtab = (struct boot_blob){symbols + image->symtab_size, image->strtab_size};
    memcpy((void *)(UINTN)info->symtab.base, kernel_file + image->symtab_offset, (size_t)image->symtab_size);
    memcpy((void *)(UINTN)info->strtab.base, kernel_file + image->strtab_offset, (size_t)image->strtab_size);
    return NULL;
}

static BOOLEAN five_level_paging(void)
{
    UINT64 cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return (cr4 & 1u << 12) != 0;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *table);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *table)
{
    firmware = table;
    loader_handle = handle;
    firmware->BootServices->SetWatchdogTimer(0, 0, 0, NULL);
    say("loader: hello.", NULL);

    struct elf_image image;
    const char *wrong = elf_parse(kernel_file, (size_t)(kernel_file_end - kernel_file), &image);
    if (!wrong && five_level_paging())
        wrong = "firmware left 5-level paging on; switch it off in the firmware's settings";
    UINT64 page = pages_alloc(sizeof(struct boot_info) + sizeof config);
    if (!wrong && !page)
        wrong = "there is no free memory below 4 GiB";
    if (wrong) {
        say("refused: ", wrong, ".", NULL);
        return refuse(EFI_LOAD_ERROR);
    }

    struct boot_info *info = (struct boot_info *)(UINTN)page;
    *info = (struct boot_info){.magic = BOOT_INFO_MAGIC, .version = BOOT_INFO_VERSION, .size = sizeof *info};
    if (!load_files(info))
        return refuse(EFI_NOT_FOUND);
    UINT64 text = page + sizeof *info;
    copy_text(&info->options, &text, config.options);
    copy_text(&info->guest_cmdline, &text, config.cmdline);
    copy_text(&info->guest_name, &text, config.guest);

    wrong = load_kernel(&image, info);
    UINT64 l4 = wrong ? 0 : paging_build(&image, info->image.base, &info->loader_pages);
    if (!wrong && !l4)
        wrong = "there is no memory for page tables";
    if (wrong) {
        say("refused: ", wrong, ".", NULL);
        return refuse(EFI_OUT_OF_RESOURCES);
    }
    handover_describe(info);
    say("loader: kernel at ", hexadecimal(info->image.base), ", entry ", hexadecimal(image.entry),
        "; leaving boot services.", NULL);
    EFI_STATUS status = handover_jump(info, l4, image.entry);
    say("refused: firmware would not leave boot services (status ", hexadecimal(status), ").", NULL);
    return refuse(status);
}
