/* SPDX-License-Identifier: MIT */
/*
 * Rule: the guest configures its own devices and nothing else. A BAR takes sizing, its boot value, or a free
 * place inside a root window; never RAM, registers of the hypervisor's, or another BAR. Host and ISA bridges,
 * bridges' bus numbers and windows, and MSI and MSI-X capabilities but for their switches are read-only. What
 * is refused is ignored.
 *
 * From: guest-abi/devices.md.
 *
 * Method: every function that the guest sees is written to where it must not be, and read back.
 *
 * Errors: none; a refused write changes nothing.
 *
 * run: default
 * run: bridges devices="nvme-behind-root-port edu-behind-bridge"
 * run: bypass devices="nvme edu virtio-bypass" cmdline="bypass"
 */
#include "kit/edu.h"
#include "kit/guest.h"
#include "kit/pci.h"

static uint32_t functions;

static void stays(pci_id id, uint32_t offset, uint32_t mask, const char *what)
{
    uint32_t before = pci_read(id, offset, 4);
    static const uint32_t values[] = {0, 0xffffffff, 0xa5a5a5a5, 0x00100000, 0x5a5a5a5a};
    for (uint32_t i = 0; i <= sizeof(values) / sizeof(values[0]); i++) {
        pci_write(id, offset, 4, i < sizeof(values) / sizeof(values[0]) ? values[i] : ~before);
        uint32_t after = pci_read(id, offset, 4);
        EXPECT(((before ^ after) & mask) == 0, "%s of " PCI_FORMAT ", offset 0x%x: 0x%x became 0x%x", what,
               PCI_SHOW(id), offset, before, after);
    }
    for (uint32_t byte = 0; byte < 4; byte++) {
        pci_write(id, offset + byte, 1, ~(before >> 8 * byte) & 0xff);
        uint32_t after = pci_read(id, offset, 4);
        EXPECT(((before ^ after) & mask) == 0, "%s of " PCI_FORMAT ", offset 0x%x, byte %u: 0x%x became 0x%x",
               what, PCI_SHOW(id), offset, byte, before, after);
    }
}

#define MSIX_SWITCHES 0xc0000000u /* enable, and mask of the function */

static void capabilities_stay(pci_id id)
{
    uint32_t msi = pci_capability(id, 0x05), msix = pci_capability(id, 0x11);
    if (msi) {
        for (uint32_t offset = msi; offset < msi + 12; offset += 4)
            stays(id, offset, 0xffffffff, "MSI capability");
    }
    if (msix) {
        for (uint32_t offset = msix; offset < msix + 12; offset += 4)
            stays(id, offset, offset == msix ? ~MSIX_SWITCHES : 0xffffffff, "MSI-X capability");
    }
}

static bool one_function(pci_id id, void *unused)
{
    (void)unused;
    uint32_t class_code = pci_read(id, PCI_CLASS_REVISION, 4) >> 8,
             type = pci_read(id, PCI_HEADER_TYPE, 1) & 0x7f;
    functions++;
    stays(id, PCI_VENDOR_ID, 0xffffffff, "identity");
    stays(id, PCI_CLASS_REVISION, 0xffffffff, "class");
    if (class_code >> 8 == 0x0600 || class_code >> 8 == 0x0601) {
        for (uint32_t offset = 4; offset < 0x100; offset += 4)
            stays(id, offset, 0xffffffff, "a bridge to the host or to ISA");
        return false;
    }
    if (type == 1) {
        for (uint32_t offset = 0x18; offset < 0x34; offset += 4)
            stays(id, offset, offset == 0x1c ? 0xffff : 0xffffffff, "bus numbers and windows");
        stays(id, 0x38, 0xffffffff, "expansion ROM of a bridge");
    }
    capabilities_stay(id);
    return false;
}

/* Whatever was asked for, the register says the boot value or what sizing says. */
static void bar_refuses(pci_id id, uint32_t value, uint32_t boot, uint32_t sizing)
{
    pci_write(id, PCI_BAR0, 4, value);
    uint32_t now = pci_read(id, PCI_BAR0, 4);
    EXPECT(now == boot || now == sizing, "BAR 0 of " PCI_FORMAT " took 0x%x and reads 0x%x", PCI_SHOW(id),
           value, now);
}

static void bars(void)
{
    struct edu edu;
    if (!edu_open(&edu, 0))
        report_skip("there is no edu device");
    uint32_t boot = pci_read(edu.id, PCI_BAR0, 4);
    pci_write(edu.id, PCI_BAR0, 4, 0xffffffff);
    uint32_t sizing = pci_read(edu.id, PCI_BAR0, 4);
    EXPECT(sizing == 0xfff00000, "sizing BAR 0 of edu gives 0x%x", sizing);
    pci_write(edu.id, PCI_BAR0, 4, boot);
    EXPECT_RETURN(pci_read(edu.id, PCI_BAR0, 4), boot);

    pci_id other;
    uint32_t taken = 0;
    if (pci_find_class(0x010802, 0, &other))
        taken = (uint32_t)pci_bar(other, 0) & 0xfff00000;
    const uint32_t wrong[] = {0,          0x00100000, 0x01000000, 0x07f00000, 0xb0000000,
                              0xfec00000, 0xfed00000, 0xfee00000, 0xfff00000, taken};
    for (uint32_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        bar_refuses(edu.id, wrong[i], boot, sizing);
        for (uint32_t byte = 0; byte < 4; byte++) /* and piece by piece */
            pci_write(edu.id, PCI_BAR0 + byte, 1, wrong[i] >> 8 * byte & 0xff);
        uint32_t now = pci_read(edu.id, PCI_BAR0, 4);
        EXPECT(now != wrong[i] || wrong[i] == boot || wrong[i] == sizing, "BAR 0 took 0x%x byte by byte",
               wrong[i]);
        pci_write(edu.id, PCI_BAR0, 4, boot);
        EXPECT_RETURN(pci_read(edu.id, PCI_BAR0, 4), boot);
    }
    volatile uint32_t *liveness = (volatile uint32_t *)(edu.registers + 4);
    *liveness = 0x55aa55aa;
    EXPECT(*liveness == ~0x55aa55aau, "edu does not answer at its boot address any more");
    pci_write(edu.id, PCI_COMMAND, 2, 0);
    EXPECT_RETURN(pci_read(edu.id, PCI_COMMAND, 2) & 6, 0);
    pci_enable(edu.id);
    EXPECT_RETURN(pci_read(edu.id, PCI_COMMAND, 2) & 6, 6);
}

static void absent_functions(void)
{
    EXPECT_RETURN(pci_read(0x00f8 - 8 * 7 + 7, PCI_VENDOR_ID, 4), 0xffffffff);
    pci_id id;
    EXPECT(!pci_find_device(0x1af4, 0x1042, 0, &id),
           "the device that bypasses the IOMMU is there, at " PCI_FORMAT, PCI_SHOW(id));
    if (!strstr(start_info->cmd_line, "bypass"))
        return;
    for (uint32_t device = 0; device < 32; device++)
        EXPECT(pci_read((pci_id)(device << 3), PCI_VENDOR_ID, 2) != 0x1af4, "a virtio device is visible");
}

void guest_main(void)
{
    pci_walk(one_function, NULL);
    EXPECT(functions >= 3, "only %u functions are there", functions);
    absent_functions();
    bars();
    pci_walk(one_function, NULL);
    report_success("%u functions keep what is not the guest's to change", functions / 2);
}
