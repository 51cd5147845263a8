/* SPDX-License-Identifier: MIT */
/*
 * Rule: platform_op tells what EFI left: its version, its vendor and where its configuration tables are,
 * among which ACPI's is. It steers nothing.
 *
 * From: guest-abi/hypercalls.md, platform_op; the x86-64 PV contract.
 *
 * Method: each piece is asked for and looked at, the ACPI table in memory; then everything that is refused.
 *
 * Errors: -EFAULT, -EACCES, -ESRCH, -EINVAL, -ENOSYS.
 *
 * run: default
 */
#include "kit/guest.h"

static const uint8_t acpi_20[16] = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
                                    0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81};

struct configuration_table {
    uint8_t guid[16];
    uint64_t table;
};

static struct xen_platform_op request_for(uint32_t type, uint32_t index)
{
    struct xen_platform_op request = {.cmd = XENPF_firmware_info,
                                      .interface_version = XENPF_INTERFACE_VERSION};
    request.u.firmware_info.type = type;
    request.u.firmware_info.index = index;
    return request;
}

static void versions(void)
{
    const uint32_t indices[] = {XEN_FW_EFI_VERSION, XEN_FW_EFI_RT_VERSION};
    for (uint32_t i = 0; i < 2; i++) {
        struct xen_platform_op request = request_for(XEN_FW_EFI_INFO, indices[i]);
        EXPECT_RETURN(platform_op(&request), 0);
        uint32_t version = request.u.firmware_info.u.efi_info.version;
        EXPECT(version >> 16 == 2, "EFI version 0x%x", version);
    }
}

static void vendor(void)
{
    uint16_t name[64], start[2] = {0, 0x5555};
    struct xen_platform_op request = request_for(XEN_FW_EFI_INFO, XEN_FW_EFI_VENDOR);
    union xenpf_efi_info *info = &request.u.firmware_info.u.efi_info;
    info->vendor.bufsz = sizeof(name);
    info->vendor.name = hypercall_pointer(name);
    EXPECT_RETURN(platform_op(&request), 0);
    uint32_t length = 0;
    while (length < 63 && name[length]) {
        EXPECT(name[length] >= 0x20 && name[length] < 0x7f, "character %u is 0x%x", length, name[length]);
        length++;
    }
    EXPECT(length > 0 && name[length] == 0, "a vendor of %u characters", length);

    info->vendor.bufsz = 3; /* one character and a half */
    info->vendor.name = hypercall_pointer(start);
    EXPECT_RETURN(platform_op(&request), 0);
    EXPECT(start[0] == name[0] && start[1] == 0x5555, "0x%x 0x%x", start[0], start[1]);
    info->vendor.name = 0;
    EXPECT_RETURN(platform_op(&request), -EFAULT);
}

static void configuration_tables(void)
{
    struct xen_platform_op request = request_for(XEN_FW_EFI_INFO, XEN_FW_EFI_CONFIG_TABLE);
    EXPECT_RETURN(platform_op(&request), 0);
    uint64_t address = request.u.firmware_info.u.efi_info.cfg.addr;
    uint32_t count = request.u.firmware_info.u.efi_info.cfg.nent;
    EXPECT(address && count && count < 100, "%u tables at 0x%lx", count, address);
    uint64_t offset = address % PAGE_SIZE;
    uint64_t pages = (offset + count * sizeof(struct configuration_table) + PAGE_SIZE - 1) / PAGE_SIZE;
    uint64_t frames[2];
    for (uint64_t i = 0; i < 2; i++)
        frames[i] = address / PAGE_SIZE + i;
    EXPECT(pages <= 2, "%lu pages of tables", pages);
    const uint8_t *view = map_frames(frames, (uint32_t)pages, MAP_RAM_READ);
    EXPECT(view != NULL, "the tables cannot be mapped: %ld", window_error);
    const struct configuration_table *tables = (const struct configuration_table *)(view + offset);
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(tables[i].guid, acpi_20, sizeof(acpi_20)) == 0)
            return;
    }
    report_failure("no ACPI among %u tables", count);
}

static void refused(void)
{
    struct xen_platform_op request = request_for(XEN_FW_EFI_INFO, XEN_FW_EFI_MEM_INFO);
    EXPECT_RETURN(platform_op(&request), -EINVAL);
    request = request_for(XEN_FW_EFI_INFO, 99);
    EXPECT_RETURN(platform_op(&request), -EINVAL);
    for (uint32_t type = 0; type < 9; type++) {
        request = request_for(type, 0);
        if (type != XEN_FW_EFI_INFO)
            EXPECT_RETURN(platform_op(&request),
                          type >= 1 && type <= XEN_FW_KBD_SHIFT_FLAGS ? -ESRCH : -EINVAL);
    }
    for (uint32_t command = 0; command < 70; command++) {
        request = request_for(XEN_FW_EFI_INFO, XEN_FW_EFI_VERSION);
        request.cmd = command;
        if (command != XENPF_settime32 && command != XENPF_settime64) /* pv-time */
            EXPECT_RETURN(platform_op(&request), command == XENPF_firmware_info ? 0 : -ENOSYS);
    }
    request = request_for(XEN_FW_EFI_INFO, XEN_FW_EFI_VERSION);
    const uint32_t versions[] = {0, 0x03000000, 0x03000002}; /* Xen's public header says 0x03000001 */
    for (uint32_t i = 0; i < 3; i++) {
        request.interface_version = versions[i];
        EXPECT_RETURN(platform_op(&request), -EACCES);
    }
    EXPECT_RETURN(platform_op(NULL), -EFAULT);

    uint64_t pfn;
    struct xen_platform_op *page = page_alloc(&pfn);
    EXPECT(page != NULL, "no page");
    *page = request_for(XEN_FW_EFI_INFO, XEN_FW_EFI_VERSION);
    struct xen_platform_op *view = map_frame(pfn_to_mfn(pfn), MAP_RAM_READ);
    EXPECT(view != NULL, "no view of a page: %ld", window_error);
    EXPECT_RETURN(platform_op(view), -EFAULT);
}

void guest_main(void)
{
    versions();
    vendor();
    configuration_tables();
    refused();
    report_success("firmware is told of");
}
