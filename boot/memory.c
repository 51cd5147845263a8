/* SPDX-License-Identifier: MIT */
#include "loader.h"

/* The compiler emits calls to these. */
void *memcpy(void *restrict destination, const void *restrict source, size_t count);
void *memset(void *destination, int byte, size_t count);

void *memcpy(void *restrict destination, const void *restrict source, size_t count)
{
    void *result = destination;
    __asm__ volatile("rep movsb" : "+D"(destination), "+S"(source), "+c"(count) : : "memory");
    return result;
}

void *memset(void *destination, int byte, size_t count)
{
    void *result = destination;
    __asm__ volatile("rep stosb" : "+D"(destination), "+c"(count) : "a"(byte) : "memory");
    return result;
}

UINT64 pages_alloc(UINT64 bytes)
{
    EFI_PHYSICAL_ADDRESS address = 0xffffffff;
    UINTN pages = (UINTN)((bytes + 4095) / 4096);
    if (pages == 0 ||
        EFI_ERROR(firmware->BootServices->AllocatePages(AllocateMaxAddress, EfiLoaderData, pages, &address)))
        return 0;
    firmware->BootServices->SetMem((void *)(UINTN)address, pages * 4096, 0);
    return address;
}
