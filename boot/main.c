/* SPDX-License-Identifier: MIT */
/*
 * The UEFI loader: finds its configuration and the guest, puts the kernel in its place, leaves boot services.
 * It knows firmware; it knows nothing of guests or IOMMUs. This file is the flow, on one page.
 */
#include "hook.h"
#include "loader.h"

#define REFUSAL_SECONDS 20u

EFI_SYSTEM_TABLE *firmware;
EFI_HANDLE loader_handle;

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *table);

/* A person reads this on a screen that firmware will soon repaint: wait for a key, but not for ever. */
static void wait_for_reader(void)
{
    EFI_BOOT_SERVICES *services = firmware->BootServices;
    EFI_EVENT events[2];
    UINTN count = 1, index;
    if (EFI_ERROR(services->CreateEvent(EVT_TIMER, 0, NULL, NULL, &events[0])))
        return;
    if (firmware->ConIn)
        events[count++] = firmware->ConIn->WaitForKey;
    if (!EFI_ERROR(services->SetTimer(events[0], TimerRelative, REFUSAL_SECONDS * 10000000ull /* 100 ns */)))
        services->WaitForEvent(count, events, &index);
    services->CloseEvent(events[0]);
}

/* Back to firmware, and its boot menu: powering off would leave a person no chance to read. */
static EFI_STATUS refuse(const char *wrong)
{
    if (wrong)
        say("refused: ", wrong, ".", NULL);
    say("loader: nothing was started. A key, or ", decimal(REFUSAL_SECONDS),
        " seconds, lead back to the firmware.", NULL);
    wait_for_reader();
    return EFI_LOAD_ERROR;
}

/* What must hold before anything else is worth doing. */
static const char *check_machine(void)
{
    UINT64 cr4;
    UINT32 eax = 0x80000001, edx;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("cpuid" : "+a"(eax), "=d"(edx) : : "rbx", "rcx");
    if (cr4 & 1u << 12) /* LA57: cannot be left without leaving long mode */
        return "firmware left 5-level paging on; switch it off in the firmware's settings";
    if (!(edx & 1u << 20))
        return "the processor offers no way to forbid execution (NX); firmware's settings may hide it";
    return NULL;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *table)
{
    firmware = table;
    loader_handle = handle;
    firmware->BootServices->SetWatchdogTimer(0, 0, 0, NULL); /* a large file may take minutes to read */
    say("loader: hello.", NULL);

    const char *wrong = check_machine();
    if (wrong)
        return refuse(wrong);

    struct boot_info *info = NULL;
    if (!settings_load(&info))
        return refuse(NULL);
    handover_describe(info);
    hook_framebuffer(info);

    UINT64 l4, entry;
    wrong = kernel_place(info, &l4, &entry);
    if (wrong)
        return refuse(wrong);

    if (!hook_leave(info))
        return refuse(NULL);
    say("loader: kernel at ", hexadecimal(info->image.base), ", entry ", hexadecimal(entry),
        "; leaving boot services.", NULL);
    return handover_jump(info, l4, entry);
}
