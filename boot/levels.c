/* SPDX-License-Identifier: MIT */
/* Firmware may run with 5 levels of paging; the kernel knows 4. */
#include "loader.h"

#define CR4_LA57 (1u << 12)

typedef void(EFIAPI *levels_function)(UINT64 root);

extern const UINT8 levels_code[], levels_code_end[]; /* levels.S */

static levels_function levels_copy; /* below 4 GiB */

BOOLEAN levels_are_five(void)
{
    UINT64 cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return (cr4 & CR4_LA57) != 0;
}

BOOLEAN levels_prepare(void)
{
    EFI_BOOT_SERVICES *services = firmware->BootServices;
    EFI_PHYSICAL_ADDRESS address = 0xffffffff;
    /* Firmware need not let what it calls data be executed. */
    if (EFI_ERROR(services->AllocatePages(AllocateMaxAddress, EfiLoaderCode, 1, &address)))
        return FALSE;
    services->CopyMem((void *)(UINTN)address, (void *)(UINTN)levels_code,
                      (UINTN)(levels_code_end - levels_code));
    levels_copy = (levels_function)(UINTN)address;
    return TRUE;
}

void levels_switch(UINT64 root)
{
    levels_copy(root);
}
