/* SPDX-License-Identifier: MIT */
/* platform_op(request): what EFI told the loader, and the guest's time of day. Nothing here steers the
 * machine. */
#include "pv/platform.h"

#include "boot_info.h"
#include "guest-abi/include/sluice/errno.h"
#include "guest-abi/include/sluice/platform.h"
#include "lib/string.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/clock.h"
#include "pv/guest.h"

#include <stddef.h>

/* UEFI 2.10, 4.2 and 4.3: the parts that are read. */
struct efi_table_header {
    uint64_t signature;
    uint32_t revision, header_size, crc32, reserved;
};
struct efi_system_table {
    struct efi_table_header header;
    uint64_t vendor; /* 16-bit characters, ended by 0 */
    uint32_t vendor_revision, reserved;
    uint64_t console[6];
    uint64_t runtime_services;
};
_Static_assert(offsetof(struct efi_system_table, runtime_services) == 88, "UEFI 2.10, 4.3");

#define EFI_SYSTEM_TABLE_SIGNATURE     0x5453595320494249ull /* "IBI SYST" */
#define EFI_RUNTIME_SERVICES_SIGNATURE 0x56524553544e5552ull /* "RUNTSERV" */

#define VENDOR_CHARACTERS 64u

/* 0 where firmware does not tell. */
static struct {
    uint32_t version, runtime_version, vendor_revision;
    uint16_t vendor[VENDOR_CHARACTERS]; /* always ended by 0 */
    uint64_t config_table;
    uint32_t config_entries;
} efi;

/* Only from pages that are firmware's for ever: anything else has been used for something else since. */
static bool read_firmware(void *copy, uint64_t address, uint64_t size)
{
    uint64_t first = address >> FRAME_SHIFT, last = (address + size - 1) >> FRAME_SHIFT;

    for (uint64_t mfn = first; mfn <= last; mfn++) {
        const struct frame *frame = frame_of(mfn);
        if (frame == NULL || frame->owner != FRAME_FIRMWARE)
            return false;
    }
    const void *view = phys_map_readonly(address, size);
    if (view == NULL)
        return false;
    memcpy(copy, view, size);
    phys_unmap(view, size);
    return true;
}

void platform_init(const struct boot_info *info)
{
    struct efi_system_table system;
    struct efi_table_header runtime;

    efi.config_table = info->efi_config_table;
    efi.config_entries = info->config_table_entries;
    if (!read_firmware(&system, info->efi_system_table, sizeof system) ||
        system.header.signature != EFI_SYSTEM_TABLE_SIGNATURE)
        return;
    efi.version = system.header.revision;
    if (read_firmware(efi.vendor, system.vendor, sizeof efi.vendor - sizeof efi.vendor[0]))
        efi.vendor_revision = system.vendor_revision;
    if (read_firmware(&runtime, system.runtime_services, sizeof runtime) &&
        runtime.signature == EFI_RUNTIME_SERVICES_SIGNATURE)
        efi.runtime_version = runtime.revision;
}

/* As much as there is room for, cut without a 0. */
static long put_vendor(union xenpf_efi_info *info)
{
    uint64_t room = info->vendor.bufsz / sizeof efi.vendor[0];
    uint64_t length = 0;

    if (efi.vendor[0] == 0)
        return -ESRCH;
    while (efi.vendor[length] != 0)
        length++;
    length++;
    info->vendor.revision = efi.vendor_revision;
    return copy_to_guest(info->vendor.name, efi.vendor,
                         (length < room ? length : room) * sizeof efi.vendor[0])
               ? -EFAULT
               : 0;
}

static long efi_info(uint32_t index, union xenpf_efi_info *info)
{
    switch (index) {
    case XEN_FW_EFI_VERSION:
        info->version = efi.version;
        return efi.version != 0 ? 0 : -ESRCH;
    case XEN_FW_EFI_RT_VERSION:
        info->version = efi.runtime_version;
        return efi.runtime_version != 0 ? 0 : -ESRCH;
    case XEN_FW_EFI_CONFIG_TABLE:
        info->cfg.addr = efi.config_table;
        info->cfg.nent = efi.config_entries;
        return efi.config_table != 0 ? 0 : -ESRCH;
    case XEN_FW_EFI_VENDOR:
        return put_vendor(info);
    default:
        return -EINVAL;
    }
}

static long firmware_info(struct xenpf_firmware_info *info)
{
    switch (info->type) {
    case XEN_FW_EFI_INFO:
        return efi_info(info->index, &info->u.efi_info);
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
    case XEN_FW_KBD_SHIFT_FLAGS:
        return -ESRCH; /* a PC's BIOS would know */
    default:
        return -EINVAL;
    }
}

static long set_time_32(const struct xenpf_settime32 *time)
{
    clock_set_wall(time->secs, time->nsecs, time->system_time);
    return 0;
}

static long set_time_64(const struct xenpf_settime64 *time)
{
    if (time->mbz != 0)
        return -EINVAL;
    clock_set_wall(time->secs, time->nsecs, time->system_time);
    return 0;
}

long do_platform_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    struct xen_platform_op request;

    (void)regs;
    if (copy_from_guest(&request, args->a[0], sizeof request))
        return -EFAULT;
    if (request.interface_version != XENPF_INTERFACE_VERSION)
        return -EACCES;
    switch (request.cmd) {
    case XENPF_settime32:
        return set_time_32(&request.u.settime32);
    case XENPF_settime64:
        return set_time_64(&request.u.settime64);
    case XENPF_firmware_info:
        break;
    default:
        return -ENOSYS;
    }
    long error = firmware_info(&request.u.firmware_info);
    if (error != 0)
        return error;
    return copy_to_guest(args->a[0], &request, sizeof request) ? -EFAULT : 0;
}
