/* SPDX-License-Identifier: MIT */
/* sluice.conf, the command line, and the files they name. Says what is wrong itself, and where. */
#include "loader.h"

#define GUEST_MAX  (512ull << 20)
#define MODULE_MAX (2ull << 30)

static struct config config;

/* A shell puts the image's own name first; QEMU's -append and boot entries hold options only. */
static UINTN image_name_length(const char *text, UINTN length)
{
    UINTN end = 0;
    while (end < length && text[end] != ' ')
        end++;
    if (end < 4)
        return 0;
    const char *suffix = &text[end - 4];
    BOOLEAN is_name =
        suffix[0] == '.' && (suffix[1] | 32) == 'e' && (suffix[2] | 32) == 'f' && (suffix[3] | 32) == 'i';
    return is_name ? end : 0;
}

/* Appends firmware's LoadOptions (UTF-16) to the options. NULL, or what is wrong with them. */
static const char *append_load_options(void)
{
    static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    EFI_LOADED_IMAGE *self;
    if (EFI_ERROR(
            firmware->BootServices->HandleProtocol(loader_handle, &loaded_image_guid, (void **)&self)) ||
        !self->LoadOptions)
        return NULL;
    const CHAR16 *wide = self->LoadOptions;
    UINTN length = self->LoadOptionsSize / sizeof(CHAR16);
    char text[CONFIG_OPTIONS_MAX];
    UINTN n = 0;
    for (; n < length && wide[n] != 0; n++) {
        if (n == sizeof text)
            return "the command line is longer than 1023 characters";
        if (wide[n] > '~' || wide[n] < ' ') {
            /* Boot managers keep binary data of their own there. */
            say("loader: the command line is not plain text; it is ignored.", NULL);
            return NULL;
        }
        text[n] = (char)wide[n];
    }
    UINTN skip = image_name_length(text, n);
    return config_append_options(&config, text + skip, n - skip);
}

/* Reads and parses sluice.conf, from the volume that is handed back. */
static BOOLEAN load_config(EFI_FILE_HANDLE *volume)
{
    EFI_FILE_HANDLE file = files_find_config(volume);
    if (!file) {
        say("refused: no volume holds a file \\sluice\\sluice.conf.", NULL);
        return FALSE;
    }
    struct boot_blob text;
    UINT32 line = 0;
    const char *wrong = files_read(file, CONFIG_FILE_MAX, &text);
    file->Close(file);
    if (!wrong)
        wrong = config_parse((const char *)(UINTN)text.base, (size_t)text.size, &config, &line);
    if (wrong)
        say("refused: \\sluice\\sluice.conf", line ? ", line " : "", line ? decimal(line) : "", ": ", wrong,
            ".", NULL);
    return !wrong;
}

static BOOLEAN load_named(EFI_FILE_HANDLE volume, const char *what, const char *path, UINT64 limit,
                          struct boot_blob *blob)
{
    EFI_FILE_HANDLE file = files_open(volume, path);
    const char *wrong = file ? files_read(file, limit, blob) : "there is no such file beside sluice.conf";
    if (file)
        file->Close(file);
    if (wrong)
        say("refused: ", what, " ", path, ": ", wrong, ".", NULL);
    else
        say("loader: ", what, " ", path, ", ", decimal(blob->size), " bytes.", NULL);
    return !wrong;
}

static void copy_text(struct boot_blob *blob, UINT64 *at, const char *text)
{
    UINT64 n = 0;
    while (text[n])
        n++;
    firmware->BootServices->CopyMem((void *)(UINTN)*at, (void *)(UINTN)text, (UINTN)n + 1);
    *blob = (struct boot_blob){*at, n + 1};
    *at += n + 1;
}

BOOLEAN settings_load(struct boot_info **result)
{
    EFI_FILE_HANDLE volume;
    if (!load_config(&volume))
        return FALSE;
    const char *wrong = append_load_options();
    UINT64 page = pages_alloc(sizeof(struct boot_info) + sizeof config);
    if (!wrong && !page)
        wrong = "there is no free memory below 4 GiB";
    if (wrong) {
        say("refused: ", wrong, ".", NULL);
        return FALSE;
    }
    struct boot_info *info = (struct boot_info *)(UINTN)page;
    *info = (struct boot_info){.magic = BOOT_INFO_MAGIC, .version = BOOT_INFO_VERSION, .size = sizeof *info};
    UINT64 text = page + sizeof *info;
    copy_text(&info->options, &text, config.options);
    copy_text(&info->guest_cmdline, &text, config.cmdline);
    copy_text(&info->guest_name, &text, config.guest);
    *result = info;

    BOOLEAN good = load_named(volume, "guest", config.guest, GUEST_MAX, &info->guest);
    if (good && config.module[0])
        good = load_named(volume, "module", config.module, MODULE_MAX, &info->module);
    volume->Close(volume);
    return good;
}
