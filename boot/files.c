/* SPDX-License-Identifier: MIT */
#include "loader.h"

static EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;

static EFI_FILE_HANDLE open_volume(EFI_HANDLE device)
{
    EFI_FILE_IO_INTERFACE *file_system;
    EFI_FILE_HANDLE root;
    if (EFI_ERROR(firmware->BootServices->HandleProtocol(device, &file_system_guid, (void **)&file_system)) ||
        EFI_ERROR(file_system->OpenVolume(file_system, &root)))
        return NULL;
    return root;
}

EFI_FILE_HANDLE files_open(EFI_FILE_HANDLE volume, const char *path)
{
    CHAR16 wide[CONFIG_PATH_MAX];
    UINTN n = 0;
    for (; path[n] && n < CONFIG_PATH_MAX - 1; n++)
        wide[n] = path[n] == '/' ? L'\\' : (CHAR16)(UINT8)path[n];
    wide[n] = 0;
    EFI_FILE_HANDLE file;
    if (EFI_ERROR(volume->Open(volume, &file, wide, EFI_FILE_MODE_READ, 0)))
        return NULL;
    return file;
}

static EFI_FILE_HANDLE try_volume(EFI_HANDLE device, EFI_FILE_HANDLE *volume)
{
    EFI_FILE_HANDLE root = open_volume(device);
    if (!root)
        return NULL;
    EFI_FILE_HANDLE file = files_open(root, "\\sluice\\sluice.conf");
    if (!file) {
        root->Close(root);
        return NULL;
    }
    *volume = root;
    return file;
}

EFI_FILE_HANDLE files_find_config(EFI_FILE_HANDLE *volume)
{
    EFI_BOOT_SERVICES *services = firmware->BootServices;
    EFI_LOADED_IMAGE *self;
    EFI_FILE_HANDLE file = NULL;
    if (!EFI_ERROR(services->HandleProtocol(loader_handle, &loaded_image_guid, (void **)&self)))
        file = try_volume(self->DeviceHandle, volume);
    if (file)
        return file;

    EFI_HANDLE *handles;
    UINTN count;
    if (EFI_ERROR(services->LocateHandleBuffer(ByProtocol, &file_system_guid, NULL, &count, &handles)))
        return NULL;
    for (UINTN i = 0; i < count && !file; i++)
        file = try_volume(handles[i], volume);
    services->FreePool(handles);
    return file;
}

const char *files_read(EFI_FILE_HANDLE file, UINT64 limit, struct boot_blob *blob)
{
    /* Seeking to the end tells the size without EFI_FILE_INFO and its buffer of unknown length. */
    UINT64 size;
    if (EFI_ERROR(file->SetPosition(file, ~0ull)) || EFI_ERROR(file->GetPosition(file, &size)) ||
        EFI_ERROR(file->SetPosition(file, 0)))
        return "it is a directory or cannot be read";
    if (size == 0)
        return "it is empty";
    if (size > limit)
        return "it is too large";
    UINT64 base = pages_alloc(size + 1);
    if (!base)
        return "there is not enough memory below 4 GiB for it";
    UINT64 done = 0;
    while (done < size) {
        UINTN chunk = (UINTN)(size - done);
        if (EFI_ERROR(file->Read(file, &chunk, (void *)(UINTN)(base + done))) || chunk == 0)
            return "reading it failed";
        done += chunk;
    }
    blob->base = base;
    blob->size = size;
    return NULL;
}
