/* SPDX-License-Identifier: MIT */
/* Which machine frames and ports are the guest's: guest-abi/devices.md, sections 2 and 3. */
#include "pci/pci.h"
#include "platform.h"
#include "pv/device.h"
#include "pv/guest.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int reset(void **state)
{
    (void)state;
    platform_reset();
    return 0;
}

#define HPET 0xfed00u /* its frame, which may be read */

static void all(uint64_t first, uint64_t last, enum device_frame kind)
{
    for (uint64_t mfn = first; mfn <= last; mfn++) {
        if (device_frame_kind(mfn) != kind)
            fail_msg("frame 0x%llx is %d, not %d", (unsigned long long)mfn, device_frame_kind(mfn), kind);
    }
}

static void test_own_windows(void **state)
{
    (void)state;
    platform_start();
    all(0x7f000, 0x7ffff, DEVICE_FRAME_DENIED);
    all(0x80000, 0x80001, DEVICE_FRAME_MMIO);
    all(0x80002, 0x80003, DEVICE_FRAME_READ_ONLY); /* MSI-X table, pending bits */
    all(0x80004, 0x800ff, DEVICE_FRAME_DENIED);
    all(0x80100, 0x80200, DEVICE_FRAME_MMIO);
    all(0x80201, 0x803ff, DEVICE_FRAME_DENIED);
    all(0x80400, 0x80400, DEVICE_FRAME_MMIO);
    all(0x80401, 0x80700, DEVICE_FRAME_DENIED);
    assert_int_equal(captured_count("not given"), 0);
}

static void test_never(void **state)
{
    (void)state;
    platform_start();
    all(0xfec00, 0xfec00, DEVICE_FRAME_DENIED);
    all(HPET, HPET, DEVICE_FRAME_READ_ONLY);
    all(HPET + 1, 0xfed90, DEVICE_FRAME_DENIED);
    all(0xfee00, 0xfeeff, DEVICE_FRAME_DENIED);
    all(0x100000, 0x100010, DEVICE_FRAME_DENIED);
    all(0x00000, 0x00200, DEVICE_FRAME_DENIED); /* RAM is the frame table's business */
    all(0x7ef00, 0x7efff, DEVICE_FRAME_FIRMWARE);
    all(UINT64_MAX >> 12, UINT64_MAX >> 12, DEVICE_FRAME_DENIED);
    assert_int_equal(device_frame_kind(UINT64_MAX), DEVICE_FRAME_DENIED);
}

static void test_config_window(void **state)
{
    (void)state;
    platform_start();
    all(MCFG_BASE >> 12, (MCFG_BASE >> 12) + 0xffff, DEVICE_FRAME_READ_ONLY);
    all((MCFG_BASE >> 12) + 0x10000, (MCFG_BASE >> 12) + 0x10010, DEVICE_FRAME_DENIED);
    pci_find(EDU)->hidden = true;
    all((MCFG_BASE >> 12) + EDU, (MCFG_BASE >> 12) + EDU, DEVICE_FRAME_DENIED);
}

static void test_hidden_function(void **state)
{
    (void)state;
    platform_start();
    pci_find(EDU)->hidden = true;
    device_policy_init();
    all(0x80100, 0x801ff, DEVICE_FRAME_DENIED);
    all(0x80200, 0x80200, DEVICE_FRAME_MMIO);
}

static void refused_at(uint32_t base, const char *why)
{
    platform_reset();
    model_bar(model_find(EDU), 0, MODEL_MEM32, base, 0x100000);
    platform_start();
    assert_int_equal(captured_count(why), 1);
    assert_int_equal(captured_count("not given"), 1);
    if (base >= 0x80000000) /* the HPET's page too, which may be read where nothing else claims it */
        all(base >> 12, (base >> 12) + 0xff, DEVICE_FRAME_DENIED);
}

static void test_windows_over_something_else(void **state)
{
    (void)state;
    refused_at(0x00100000, "covers RAM");
    refused_at(0x7ef00000, "covers RAM"); /* firmware's tables */
    refused_at(0xfec00000, "registers of the hypervisor");
    refused_at(0xfed00000, "registers of the hypervisor");
    refused_at(0xfee00000, "registers of the hypervisor");
}

static void test_window_over_the_config_window(void **state)
{
    (void)state;
    model_bar(model_find(EDU), 0, MODEL_MEM32, MCFG_BASE, 0x100000);
    platform_start();
    assert_int_equal(captured_count("registers of the hypervisor"), 1);
    all(MCFG_BASE >> 12, (MCFG_BASE >> 12) + 0xff, DEVICE_FRAME_READ_ONLY);
}

static void test_beyond_the_address_width(void **state)
{
    (void)state;
    model_bar(model_find(NVME), 0, MODEL_MEM64, 1ull << 41, 0x4000);
    platform_start();
    assert_int_equal(captured_count("address width"), 1);
    all(1ull << 29, (1ull << 29) + 3, DEVICE_FRAME_DENIED);
}

static void test_overlapping_windows(void **state)
{
    (void)state;
    model_bar(model_find(NETWORK), 0, MODEL_MEM32, 0x80180000, 0x1000); /* inside edu's */
    platform_start();
    assert_int_equal(captured_count("another device's window"), 2);
    all(0x80100, 0x801ff, DEVICE_FRAME_DENIED);
}

/* Small windows that share a page with something stricter. */
static void test_shared_pages(void **state)
{
    (void)state;
    model_bar(model_find(NETWORK), 0, MODEL_MEM32, 0x80001800, 0x100);
    model_bar(model_find(NVME), 0, MODEL_MEM64, 0x80000000, 0x1000);
    model_bar(model_find(NVME), 2, MODEL_MEM32, 0x80001000, 0x800);
    model_set(model_find(NVME), NVME_MSIX + 4, 0x0002, 4); /* table in BAR 2 */
    model_set(model_find(NVME), NVME_MSIX + 8, 0x0602, 4);
    platform_start();
    all(0x80000, 0x80000, DEVICE_FRAME_MMIO);
    all(0x80001, 0x80001, DEVICE_FRAME_READ_ONLY);

    platform_reset();
    model_bar(model_find(NETWORK), 0, MODEL_MEM32, 0x80001800, 0x100);
    model_bar(model_find(DISK), 0, MODEL_MEM32, 0x80001900, 0x100);
    model_bar(model_find(NVME), 0, MODEL_MEM64, 0x80010000, 0x4000);
    platform_start();
    all(0x80001, 0x80001, DEVICE_FRAME_MMIO);
    pci_find(DISK)->hidden = true;
    device_policy_init();
    all(0x80001, 0x80001, DEVICE_FRAME_DENIED);
}

static void test_msix_beyond_its_window(void **state)
{
    (void)state;
    model_set(model_find(NVME), NVME_MSIX + 4, 0x3ff8, 4);
    platform_start();
    assert_int_equal(captured_count("do not fit"), 1);
    all(0x80000, 0x80003, DEVICE_FRAME_READ_ONLY);

    platform_reset();
    model_set(model_find(NVME), NVME_MSIX + 4, 0xfffffff8, 4);
    model_set(model_find(NVME), NVME_MSIX + 8, 0x0007, 4); /* a BAR that is not */
    platform_start();
    all(0x80000, 0x80003, DEVICE_FRAME_READ_ONLY);
}

/* The hypervisor writes to MSI-X tables: in no window but one that the guest was given. */
static void test_msix_elsewhere(void **state)
{
    static const uint64_t others[] = {IOMMU_REGISTERS, 0xfec00000, 0xfed00000,
                                      0xfee00000,      0x00100000, MCFG_BASE};

    (void)state;
    platform_start();
    assert_int_equal(pci_find(NVME)->msix_bar, 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        platform_reset();
        model_bar(model_find(NVME), 0, MODEL_MEM64, others[i], 0x4000);
        platform_start();
        assert_int_equal(pci_find(NVME)->msix_bar, PCI_BARS);
    }
    platform_reset();
    model_bar(model_find(NETWORK), 0, MODEL_MEM32, 0x80002000, 0x1000); /* over the table */
    platform_start();
    assert_int_equal(pci_find(NVME)->msix_bar, PCI_BARS);
    platform_reset();
    model_set(model_find(NVME), NVME_MSIX + 4, 0x0001, 4); /* the upper half of BAR 0 */
    platform_start();
    assert_int_equal(pci_find(NVME)->msix_bar, PCI_BARS);
    platform_reset();
    platform_start();
    pci_find(NVME)->hidden = true;
    device_policy_init();
    assert_int_equal(pci_find(NVME)->msix_bar, PCI_BARS);
}

static void test_ports(void **state)
{
    (void)state;
    platform_start();
    assert_true(device_port_is_own(0xc000, 4));
    assert_true(device_port_is_own(0xc03f, 1));
    assert_false(device_port_is_own(0xc03f, 2));
    assert_false(device_port_is_own(0xbfff, 2));
    assert_false(device_port_is_own(0xc040, 1));

    static const uint16_t bad[] = {0x00, 0x40, 0xc0, 0x2c0, 0x3c0, 0x4c0, 0x600, 0xcc0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        platform_reset();
        model_bar(model_find(NETWORK), 1, MODEL_IO, bad[i], 64);
        platform_start();
        assert_false(device_port_is_own(bad[i], 1));
        assert_int_equal(captured_count("ports of the chipset"), bad[i] ? 1 : 0);
    }
}

static void test_overlapping_ports(void **state)
{
    (void)state;
    model_bar(model_find(DISK), 1, MODEL_IO, 0xc020, 32);
    platform_start();
    assert_false(device_port_is_own(0xc000, 1));
    assert_false(device_port_is_own(0xc020, 1));
    assert_int_equal(captured_count("another device's window"), 2);
}

/* More windows than there are records: the rest is refused, nothing is granted by accident. */
static void test_too_many(void **state)
{
    (void)state;
    model_reset();
    for (uint32_t i = 0; i < 500; i++) {
        struct model_function *function = model_add((uint16_t)(i << 3), 0x8086, 1, 0x00ff00, 0);
        for (uint32_t bar = 0; bar < 2; bar++)
            model_bar(function, bar, MODEL_MEM32, 0x80000000 + 0x2000 * i + 0x1000 * bar, 0x1000);
    }
    platform_start();
    assert_int_equal(device_bar_count(), DEVICE_BARS_MAX);
    assert_int_equal(captured_count("more than 512 windows"), 1);
    all(0x80000, 0x80000 + 511, DEVICE_FRAME_MMIO);
    all(0x80000 + 512, 0x80000 + 999, DEVICE_FRAME_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_own_windows, reset),
        cmocka_unit_test_setup(test_never, reset),
        cmocka_unit_test_setup(test_config_window, reset),
        cmocka_unit_test_setup(test_hidden_function, reset),
        cmocka_unit_test_setup(test_windows_over_something_else, reset),
        cmocka_unit_test_setup(test_window_over_the_config_window, reset),
        cmocka_unit_test_setup(test_beyond_the_address_width, reset),
        cmocka_unit_test_setup(test_overlapping_windows, reset),
        cmocka_unit_test_setup(test_shared_pages, reset),
        cmocka_unit_test_setup(test_msix_beyond_its_window, reset),
        cmocka_unit_test_setup(test_msix_elsewhere, reset),
        cmocka_unit_test_setup(test_ports, reset),
        cmocka_unit_test_setup(test_overlapping_ports, reset),
        cmocka_unit_test_setup(test_too_many, reset),
    };
    return cmocka_run_group_tests_name("device_frames", tests, NULL, NULL);
}
