/* SPDX-License-Identifier: MIT */
/* xen_version(cmd, buffer): who is below, and what it offers; vm_assist(cmd, type): what it should assist
 * with. */
#include "guest-abi/include/sluice/errno.h"
#include "guest-abi/include/sluice/vcpu.h"
#include "lib/string.h"
#include "mem/guest_copy.h"
#include "pv/guest.h"

/* The contract spoken is that of Xen 4.17: major << 16 | minor. */
#define CONTRACT_VERSION 0x00040011L

#define FEATURES                                                                                             \
    (1u << XENFEAT_pae_pgdir_above_4gb | 1u << XENFEAT_mmu_pt_update_preserve_ad |                           \
     1u << XENFEAT_highmem_assist | 1u << XENFEAT_gnttab_map_avail_bits | 1u << XENFEAT_dom0 |               \
     1u << XENFEAT_direct_mapped)

/* Fixed-length, zero-filled texts: the guest gets every byte of its buffer, none of ours. */
static long put_text(uint64_t buffer, const char *text, size_t size)
{
    char field[1024] = {0};

    memcpy(field, text, strlen(text));
    return copy_to_guest(buffer, field, size) ? -EFAULT : 0;
}

static long put_compile_info(uint64_t buffer)
{
    struct xen_compile_info info = {
        .compiler = "clang",
        .compile_by = "sluice",
    };

    return copy_to_guest(buffer, &info, sizeof info) ? -EFAULT : 0;
}

static long put_features(uint64_t buffer)
{
    struct xen_feature_info info;

    if (copy_from_guest(&info, buffer, sizeof info))
        return -EFAULT;
    if (info.submap_idx != 0)
        return -EINVAL;
    return put_guest_u32(buffer + offsetof(struct xen_feature_info, submap), FEATURES) ? -EFAULT : 0;
}

long do_xen_version(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t buffer = args->a[1];

    (void)regs;
    switch ((uint32_t)args->a[0]) {
    case XENVER_version:
        return CONTRACT_VERSION;
    case XENVER_extraversion:
        return put_text(buffer, ".0-sluice", sizeof(xen_extraversion_t));
    case XENVER_compile_info:
        return put_compile_info(buffer);
    case XENVER_capabilities:
        return put_text(buffer, "xen-3.0-x86_64 ", sizeof(xen_capabilities_info_t));
    case XENVER_changeset:
        return put_text(buffer, "sluice", sizeof(xen_changeset_info_t));
    case XENVER_platform_parameters:
        return put_guest_u64(buffer, HYPERVISOR_VIRT_START) ? -EFAULT : 0;
    case XENVER_get_features:
        return put_features(buffer);
    case XENVER_pagesize:
        return 4096;
    case XENVER_guest_handle:
        return put_text(buffer, "", sizeof(xen_domain_handle_t));
    case XENVER_commandline:
        return put_text(buffer, "", sizeof(xen_commandline_t));
    default:
        return -ENOSYS;
    }
}

/*
 * What is accepted changes nothing: 4 GiB segments and extended CR3 are for 32-bit guests, page tables are
 * emulated always, and a runstate copy is never seen half written.
 */
long do_vm_assist(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint32_t command = (uint32_t)args->a[0];

    (void)regs;
    switch ((uint32_t)args->a[1]) {
    case VMASST_TYPE_4gb_segments:
    case VMASST_TYPE_4gb_segments_notify:
    case VMASST_TYPE_writable_pagetables:
    case VMASST_TYPE_pae_extended_cr3:
    case VMASST_TYPE_runstate_update_flag:
        return command == VMASST_CMD_enable || command == VMASST_CMD_disable ? 0 : -ENOSYS;
    default:
        return -EINVAL;
    }
}
