/* SPDX-License-Identifier: MIT */
/* The walk, requester ids, bus numbers that make no tree, BAR sizes, capability lists, bypassing devices. */
#include "pci/pci.h"

#include "acpi/acpi.h"
#include "lib/options.h"
#include "mem/map.h"
#include "tests/host/log_capture.h"
#include "tests/unit/fakes/pci_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ID(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))

#define HOST_BRIDGE 0x060000u
#define ISA_BRIDGE  0x060100u
#define PCI_BRIDGE  0x060400u
#define NVME        0x010802u
#define OTHER       0x00ff00u

/* PCIe device/port types. */
#define TYPE_ENDPOINT   0u
#define TYPE_ROOT_PORT  4u
#define TYPE_UPSTREAM   5u
#define TYPE_DOWNSTREAM 6u
#define TYPE_TO_PCI     7u
#define TYPE_FROM_PCI   8u

/* ---- what kernel/pci needs from below ---- */

static bool allow_bypass;
static uint32_t common_config[16]; /* a virtio device's */
static uint64_t mapped;

bool option_bool(const char *name, bool fallback)
{
    return strcmp(name, "allow-bypass") == 0 ? allow_bypass : fallback;
}

uint32_t acpi_mcfg(struct acpi_mcfg *list, uint32_t capacity)
{
    (void)list;
    (void)capacity;
    return 0;
}

volatile void *mmio_map(uint64_t physical, uint64_t size)
{
    (void)size;
    mapped = physical;
    return common_config;
}

static int reset(void **state)
{
    (void)state;
    model_reset();
    captured_clear();
    allow_bypass = false;
    mapped = 0;
    memset(common_config, 0, sizeof common_config);
    return 0;
}

static void pcie(struct model_function *function, uint8_t type)
{
    model_capability(function, 0x60, 0x10, 0);
    model_set(function, 0x62, 2u | (uint32_t)type << 4, 2);
}

static struct model_function *bridge(uint16_t id, uint8_t secondary, uint8_t subordinate)
{
    struct model_function *function = model_add(id, 0x8086, 0x1111, PCI_BRIDGE, 1);

    model_bridge(function, secondary, subordinate);
    return function;
}

static struct model_function *endpoint(uint16_t id)
{
    return model_add(id, 0x8086, 0x2222, OTHER, 0);
}

static uint16_t requester(uint16_t id)
{
    const struct pci_function *function = pci_find(id);

    assert_non_null(function);
    return function->requester_id;
}

/* ---- the walk ---- */

static void test_walk(void **state)
{
    (void)state;
    model_add(ID(0, 31, 7), 0x8086, 3, OTHER, 0);
    model_add(ID(0, 31, 0), 0x8086, 2, ISA_BRIDGE, 0x80);
    model_add(ID(0, 5, 3), 0x8086, 9, OTHER, 0); /* without function 0: nobody is there */
    model_add(ID(0, 4, 0), 0x8086, 4, NVME, 0);
    model_add(ID(0, 4, 1), 0x8086, 5, NVME, 0); /* function 0 says there is only one */
    model_add(ID(0, 0, 0), 0x8086, 1, HOST_BRIDGE, 0);
    model_add(ID(0x40, 0, 0), 0x8086, 6, OTHER, 0); /* behind a second host bridge */
    model_add(ID(0, 6, 0), 0, 0, OTHER, 0);         /* vendor 0 is nobody */
    pci_walk();

    assert_int_equal(pci_count(), 5);
    for (uint32_t i = 1; i < pci_count(); i++)
        assert_true(pci_at(i - 1)->id < pci_at(i)->id);
    assert_null(pci_at(5));
    assert_non_null(pci_find(ID(0x40, 0, 0)));
    assert_null(pci_find(ID(0, 4, 1)));
    assert_null(pci_find(ID(0, 6, 0)));
    assert_int_equal(pci_find(0)->kind, PCI_KIND_HOST_BRIDGE);
    assert_int_equal(pci_find(ID(0, 31, 0))->kind, PCI_KIND_ISA_BRIDGE);
    assert_int_equal(pci_find(ID(0, 4, 0))->kind, PCI_KIND_ENDPOINT);
    for (uint32_t i = 0; i < model_count; i++)
        assert_int_equal(model_functions[i].writes, 0); /* the walk only reads */
}

static void test_empty_and_full(void **state)
{
    (void)state;
    pci_walk();
    assert_int_equal(pci_count(), 0);
    for (uint32_t i = 0; i < 520; i++)
        endpoint((uint16_t)(i << 3));
    pci_walk();
    assert_int_equal(pci_count(), PCI_FUNCTIONS_MAX);
    assert_int_equal(captured_count("more than 512"), 1);
}

/* ---- requester ids ---- */

static void test_requester_ids(void **state)
{
    (void)state;
    pcie(bridge(ID(0, 1, 0), 1, 5), TYPE_ROOT_PORT);
    pcie(bridge(ID(1, 0, 0), 2, 5), TYPE_UPSTREAM);
    pcie(bridge(ID(2, 0, 0), 3, 3), TYPE_DOWNSTREAM);
    pcie(bridge(ID(2, 1, 0), 4, 5), TYPE_DOWNSTREAM);
    endpoint(ID(3, 0, 0));
    pcie(bridge(ID(4, 0, 0), 5, 5), TYPE_TO_PCI);
    endpoint(ID(5, 9, 0));
    bridge(ID(0, 30, 0), 6, 7); /* conventional */
    endpoint(ID(6, 3, 0));
    bridge(ID(6, 4, 0), 7, 7);
    endpoint(ID(7, 1, 0));
    pcie(bridge(ID(0, 28, 0), 8, 9), TYPE_TO_PCI);
    bridge(ID(8, 2, 0), 9, 9); /* conventional, behind the PCIe-to-PCI bridge */
    endpoint(ID(9, 1, 0));
    pcie(bridge(ID(0, 29, 0), 10, 10), TYPE_FROM_PCI);
    endpoint(ID(10, 0, 0));
    endpoint(ID(0, 2, 0));
    pci_walk();

    assert_int_equal(requester(ID(0, 2, 0)), ID(0, 2, 0));
    assert_int_equal(requester(ID(3, 0, 0)), ID(3, 0, 0)); /* root port and switch pass ids on */
    assert_int_equal(requester(ID(5, 9, 0)), ID(5, 0, 0)); /* secondary bus, device 0 */
    assert_int_equal(requester(ID(6, 3, 0)), ID(0, 30, 0));
    assert_int_equal(requester(ID(7, 1, 0)), ID(0, 30, 0)); /* the one nearest to the root decides */
    assert_int_equal(requester(ID(9, 1, 0)), ID(8, 0, 0));
    assert_int_equal(requester(ID(10, 0, 0)), ID(0, 29, 0));
    assert_ptr_equal(pci_find(ID(5, 9, 0))->parent, pci_find(ID(4, 0, 0)));
    assert_null(pci_find(ID(0, 2, 0))->parent);
    assert_int_equal(captured_count("refused"), 0);
}

/* ---- bus numbers that make no tree ---- */

static void test_loop(void **state)
{
    (void)state;
    bridge(ID(1, 0, 0), 2, 2);
    bridge(ID(2, 0, 0), 1, 1); /* back up */
    bridge(ID(0, 3, 0), 0, 5); /* not configured: no bus, no complaint */
    bridge(ID(3, 0, 0), 3, 3); /* its own bus */
    bridge(ID(4, 0, 0), 9, 8); /* last below first */
    endpoint(ID(2, 1, 0));
    pci_walk();
    assert_int_equal(captured_count("is refused"), 3);
    for (uint32_t i = 0; i < pci_count(); i++) {
        uint32_t steps = 0;
        for (const struct pci_function *at = pci_at(i); at; at = at->parent)
            assert_true(++steps < 256);
    }
    assert_int_equal(pci_find(ID(2, 0, 0))->secondary_bus, 0);
    assert_true(pci_find(ID(1, 0, 0))->hidden); /* on a bus that the refused bridge claimed */
}

static void test_overlap(void **state)
{
    (void)state;
    bridge(ID(0, 1, 0), 1, 3);
    bridge(ID(0, 2, 0), 3, 4);
    bridge(ID(0, 4, 0), 6, 6);
    endpoint(ID(1, 0, 0));
    endpoint(ID(3, 0, 0));
    endpoint(ID(4, 0, 0));
    endpoint(ID(6, 0, 0));
    pci_walk();
    assert_int_equal(captured_count("is refused"), 2);
    assert_true(pci_find(ID(1, 0, 0))->hidden);
    assert_true(pci_find(ID(3, 0, 0))->hidden);
    assert_true(pci_find(ID(4, 0, 0))->hidden);
    assert_true(pci_find(ID(0, 1, 0))->hidden); /* what is behind it may show under its id */
    assert_true(pci_find(ID(0, 2, 0))->hidden);
    assert_false(pci_find(ID(6, 0, 0))->hidden); /* a good bridge does not suffer */
    assert_false(pci_find(ID(0, 4, 0))->hidden);
}

static void test_outside_parent(void **state)
{
    (void)state;
    bridge(ID(0, 1, 0), 1, 2);
    bridge(ID(1, 0, 0), 2, 9); /* more than its parent passes on */
    bridge(ID(0, 2, 0), 3, 3);
    endpoint(ID(2, 0, 0));
    pci_walk();
    assert_true(captured_count("is refused") >= 2);
    assert_true(pci_find(ID(2, 0, 0))->hidden);
}

static void test_every_pair_of_bus_numbers(void **state)
{
    (void)state;
    for (uint32_t secondary = 0; secondary < 256; secondary += 5) {
        for (uint32_t subordinate = 0; subordinate < 256; subordinate += 7) {
            reset(NULL);
            bridge(ID(0, 1, 0), 5, 15);
            bridge(ID(5, 1, 0), (uint8_t)secondary, (uint8_t)subordinate);
            endpoint(ID(10, 1, 0));
            endpoint(ID(255, 31, 0));
            pci_walk();
            for (uint32_t i = 0; i < pci_count(); i++) {
                uint32_t steps = 0;
                for (const struct pci_function *at = pci_at(i); at; at = at->parent)
                    assert_true(++steps < 8);
            }
        }
    }
}

/* ---- capabilities ---- */

static void test_capabilities(void **state)
{
    (void)state;
    struct model_function *nvme = model_add(ID(0, 4, 0), 0x1b36, 0x10, NVME, 0);

    model_capability(nvme, 0x40, 0x11, 0x50);
    model_set(nvme, 0x42, 0xf800 | 64, 2);
    model_set(nvme, 0x44, 0x2000 | 1, 4);
    model_set(nvme, 0x48, 0x3000 | 2, 4);
    model_capability(nvme, 0x50, 0x05, 0x60);
    pcie(nvme, TYPE_ENDPOINT);
    pci_walk();

    const struct pci_function *function = pci_find(ID(0, 4, 0));
    assert_int_equal(function->cap_msix, 0x40);
    assert_int_equal(function->cap_msi, 0x50);
    assert_int_equal(function->cap_pcie, 0x60);
    assert_int_equal(function->msix_table_entries, 65);
    assert_int_equal(function->msix_bar, 1);
    assert_int_equal(function->msix_table_offset, 0x2000);
    assert_int_equal(function->msix_pba_bar, 2);
    assert_int_equal(function->msix_pba_offset, 0x3000);
    assert_true(function->is_pcie);
}

static void test_capability_loop_and_edges(void **state)
{
    (void)state;
    struct model_function *loop = endpoint(ID(0, 1, 0)), *self = endpoint(ID(0, 2, 0)),
                          *low = endpoint(ID(0, 3, 0)), *last = endpoint(ID(0, 4, 0)),
                          *absent = endpoint(ID(0, 5, 0));

    model_capability(loop, 0x40, 0x01, 0x50);
    model_capability(loop, 0x50, 0x05, 0x40);
    model_capability(self, 0x40, 0x09, 0x40);
    model_capability(low, 0x20, 0x05, 0x00); /* inside the header */
    model_capability(last, 0xfc, 0x11, 0x00);
    absent->space[0x34] = 0x40; /* a pointer, but the status says there is no list */
    absent->space[0x40] = 0x05;
    pci_walk();
    assert_int_equal(captured_count("circle"), 2);
    assert_int_equal(pci_find(ID(0, 1, 0))->cap_msi, 0x50);
    assert_int_equal(pci_find(ID(0, 3, 0))->cap_msi, 0);
    assert_int_equal(pci_find(ID(0, 4, 0))->cap_msix, 0);
    assert_int_equal(pci_find(ID(0, 5, 0))->cap_msi, 0);
}

static void test_unknown_header(void **state)
{
    (void)state;
    model_add(ID(0, 1, 0), 0x104c, 1, 0x060700, 2);
    pci_walk();
    pci_size_bars();
    assert_true(pci_find(ID(0, 1, 0))->hidden);
    assert_int_equal(model_functions[0].writes, 0);
    pci_find_bypass();
}

/* What firmware's drivers left on is switched off; the unit's own interrupt is not touched. */
static void test_messages_stop(void **state)
{
    (void)state;
    struct model_function *function = endpoint(ID(0, 1, 0)),
                          *unit = model_add(ID(0, 2, 0), 0x1022, 1, 0x080600, 0);

    model_capability(function, 0x40, 0x11, 0x50);
    model_set(function, 0x42, 0x8003, 2);
    model_capability(function, 0x50, 0x05, 0);
    model_set(function, 0x52, 0x0081, 2);
    model_capability(unit, 0x40, 0x05, 0);
    model_set(unit, 0x42, 0x0081, 2);
    pci_walk();
    pci_stop_messages();
    assert_int_equal(model_get(function, 0x42, 2), 0x4003);
    assert_int_equal(model_get(function, 0x52, 2), 0x0080);
    assert_int_equal(unit->writes, 0);
}

static bool third_is_needed(uint16_t id)
{
    return id == ID(0, 3, 0);
}

/* What firmware boots from does no more DMA; what may serve another purpose goes on. */
static void test_transfers_stop(void **state)
{
    (void)state;
    static const struct {
        uint32_t class_code;
        bool goes_on;
    } functions[] = {
        {0x060000, true},  {NVME, false},     {0x0c0330, true /* is needed */},
        {0x0c0330, false}, {0x0c0010, false}, {0x020000, false},
        {0x010601, false}, {0x030000, true},  {0x0c0500, true},
        {0x060100, true},  {0x080600, true},  {OTHER, true},
    };
    struct model_function *models[sizeof functions / sizeof *functions];

    for (uint32_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        models[i] = model_add(ID(0, 1 + i, 0), 0x8086, 1, functions[i].class_code, 0);
        model_set(models[i], 0x04, 0x0407, 2);
    }
    model_set(models[1], 0x04, 0x0003, 2); /* off already */
    pci_walk();
    pci_stop_transfers(third_is_needed);
    for (uint32_t i = 0; i < sizeof functions / sizeof *functions; i++)
        assert_int_equal(model_get(models[i], 0x04, 2), functions[i].goes_on ? 0x0407
                                                        : i == 1             ? 0x0003
                                                                             : 0x0403);
    assert_int_equal(models[1]->writes, 0);
    assert_int_equal(captured_count("left bus mastering on (4 controllers)"), 1);
}

/* ---- sizes ---- */

static void test_sizes(void **state)
{
    (void)state;
    struct model_function *function = endpoint(ID(0, 1, 0));
    struct model_function before;

    model_bar(function, 0, MODEL_MEM64, 0x800000000, 0x400000000); /* 16 GiB */
    model_bar(function, 2, MODEL_MEM32, 0xc0000000, 0x1000);
    model_bar(function, 3, MODEL_IO, 0xc040, 64); /* upper half hardwired */
    model_bar(function, 4, MODEL_MEM64, 0, 0x4000);
    model_set(function, 0x30, 0xfea00001, 4);
    model_set(function, 4, 7, 2);
    for (uint32_t i = 0; i < 4; i++)
        function->writable[0x30 + i] = (uint8_t)(0xffff0001u >> (8 * i));
    before = *function;
    pci_walk();
    pci_size_bars();

    const struct pci_bar *bars = pci_find(ID(0, 1, 0))->bars;
    assert_int_equal(bars[0].kind, PCI_BAR_MEM64);
    assert_int_equal(bars[0].base, 0x800000000);
    assert_int_equal(bars[0].size, 0x400000000);
    assert_int_equal(bars[1].kind, PCI_BAR_NONE);
    assert_int_equal(bars[2].kind, PCI_BAR_MEM32);
    assert_int_equal(bars[2].size, 0x1000);
    assert_int_equal(bars[3].kind, PCI_BAR_IO);
    assert_int_equal(bars[3].base, 0xc040);
    assert_int_equal(bars[3].size, 64);
    assert_int_equal(bars[4].size, 0x4000);
    assert_int_equal(pci_find(ID(0, 1, 0))->rom_size, 0x10000);
    assert_memory_equal(function->space, before.space, 256); /* exactly as it was */
    assert_int_equal(model_live_bar_writes, 0);
}

static void test_absurd_sizes(void **state)
{
    (void)state;
    struct model_function *function = endpoint(ID(0, 1, 0)), *last = endpoint(ID(0, 2, 0)),
                          *misplaced = endpoint(ID(0, 3, 0));

    model_bar(function, 0, MODEL_MEM32, 0xc0000000, 0x1000);
    function->writable[0x12] = 0x55;                     /* holes in the mask */
    model_bar(last, 5, MODEL_MEM64, 0xc0000000, 0x1000); /* no register left for the second half */
    model_bar(misplaced, 0, MODEL_MEM32, 0xc0000000, 0x10000);
    model_set(misplaced, 0x10, 0xc0001000, 4); /* not a multiple of its size */
    misplaced->writable[0x11] = 0;
    pci_walk();
    pci_size_bars();
    assert_int_equal(pci_find(ID(0, 1, 0))->bars[0].kind, PCI_BAR_NONE);
    assert_int_equal(pci_find(ID(0, 2, 0))->bars[5].kind, PCI_BAR_NONE);
    assert_int_equal(pci_find(ID(0, 3, 0))->bars[0].kind, PCI_BAR_NONE);
    assert_int_equal(captured_count("makes no sense"), 2);
}

static void test_chipset_is_not_sized(void **state)
{
    (void)state;
    struct model_function *host = model_add(0, 0x8086, 1, HOST_BRIDGE, 0),
                          *isa = model_add(ID(0, 31, 0), 0x8086, 1, ISA_BRIDGE, 0),
                          *iommu = model_add(ID(0, 2, 0), 0x1022, 1, 0x080600, 0);

    model_bar(host, 0, MODEL_MEM32, 0xe0000000, 0x1000000);
    pci_walk();
    pci_size_bars();
    assert_int_equal(host->writes, 0);
    assert_int_equal(isa->writes, 0);
    assert_int_equal(iommu->writes, 0);
    assert_int_equal(pci_find(ID(0, 2, 0))->kind, PCI_KIND_IOMMU);
}

/* ---- devices that pass by the IOMMU ---- */

static struct model_function *virtio(uint16_t id, bool modern)
{
    struct model_function *function = model_add(id, 0x1af4, 0x1042, 0x010000, 0);

    model_bar(function, 4, MODEL_MEM64, 0xc0004000, 0x4000);
    model_set(function, 4, PCI_COMMAND_MASTER, 2);
    if (modern) {
        model_capability(function, 0x84, 0x09, 0x98);
        function->space[0x84 + 3] = 2; /* notifications */
        model_capability(function, 0x98, 0x09, 0);
        function->space[0x98 + 3] = 1; /* common configuration */
        function->space[0x98 + 4] = 4;
        model_set(function, 0x98 + 8, 0x40, 4);
        model_set(function, 0x98 + 12, 0x38, 4);
    }
    return function;
}

static void find_bypass(void)
{
    pci_walk();
    pci_size_bars();
    pci_find_bypass();
}

static void test_virtio_behind_the_iommu(void **state)
{
    (void)state;
    struct model_function *function = virtio(ID(0, 1, 0), true);

    common_config[0] = 0x1234;
    common_config[1] = 2; /* feature 33 */
    find_bypass();
    assert_false(pci_find(ID(0, 1, 0))->bypasses_iommu);
    assert_false(pci_find(ID(0, 1, 0))->hidden);
    assert_int_equal(mapped, 0xc0004040);
    assert_int_equal(common_config[0], 0x1234); /* the selector is put back */
    assert_int_equal(model_get(function, 4, 2), PCI_COMMAND_MASTER);
}

static void test_virtio_bypasses(void **state)
{
    (void)state;
    struct model_function *function = virtio(ID(0, 1, 0), true);

    common_config[1] = ~2u;
    find_bypass();
    assert_true(pci_find(ID(0, 1, 0))->bypasses_iommu);
    assert_true(pci_find(ID(0, 1, 0))->hidden);
    assert_int_equal(model_get(function, 4, 2) & PCI_COMMAND_MASTER, 0);
    assert_int_equal(captured_count("00:01.0"), 2);

    reset(NULL);
    function = virtio(ID(0, 1, 0), false); /* legacy only */
    common_config[1] = 2;
    find_bypass();
    assert_true(pci_find(ID(0, 1, 0))->hidden);

    reset(NULL);
    allow_bypass = true;
    function = virtio(ID(0, 1, 0), false);
    find_bypass();
    assert_true(pci_find(ID(0, 1, 0))->bypasses_iommu);
    assert_false(pci_find(ID(0, 1, 0))->hidden);
    assert_int_equal(model_get(function, 4, 2) & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
    assert_int_equal(captured_count("ALLOWED"), 1);
}

/* Capability fields that point outside the window: nothing is mapped, and the device counts as bypassing. */
static void test_virtio_wild_capability(void **state)
{
    (void)state;
    static const struct {
        uint32_t bar, offset, length;
    } wild[] = {{6, 0x40, 0x38}, {255, 0x40, 0x38}, {0, 0x40, 0x38},       {4, 0x3fcc, 0x38},
                {4, 0x40, 0x37}, {4, 0x41, 0x38},   {4, 0xfffffffc, 0x38}, {5, 0, 0x38}};

    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        reset(NULL);
        struct model_function *function = virtio(ID(0, 1, 0), true);
        function->space[0x98 + 4] = (uint8_t)wild[i].bar;
        model_set(function, 0x98 + 8, wild[i].offset, 4);
        model_set(function, 0x98 + 12, wild[i].length, 4);
        common_config[1] = 2;
        find_bypass();
        assert_int_equal(mapped, 0);
        assert_true(pci_find(ID(0, 1, 0))->hidden);
    }
}

static void test_hidden_functions_stay_quiet(void **state)
{
    (void)state;
    struct model_function *first = bridge(ID(0, 1, 0), 1, 1);
    bridge(ID(0, 2, 0), 1, 1);
    struct model_function *function = endpoint(ID(1, 0, 0));
    model_set(first, 4, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, 2);
    model_set(function, 4, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, 2);
    find_bypass();
    assert_true(pci_find(ID(1, 0, 0))->hidden);
    assert_int_equal(model_get(function, 4, 2), PCI_COMMAND_MEMORY);
    assert_int_equal(model_get(first, 4, 2), PCI_COMMAND_MEMORY);
}

static void test_access_edges(void **state)
{
    (void)state;
    endpoint(ID(0, 1, 0));
    assert_int_equal(pci_read(ID(0, 1, 0), 0, 4), 0x22228086);
    assert_int_equal(pci_read(ID(0, 1, 0), 2, 2), 0x2222);
    assert_int_equal(pci_read(ID(0, 1, 0), 3, 2), 0xffff); /* over the edge of a register */
    assert_int_equal(pci_read(ID(0, 1, 0), 0, 3), 0xffffff);
    assert_int_equal(pci_read(ID(0, 1, 0), 0x100, 4), 0xffffffff); /* no window */
    assert_int_equal(pci_read(ID(0, 1, 0), 0x1000, 1), 0xff);
    assert_int_equal(pci_read(ID(0, 2, 0), 0, 4), 0xffffffff);
    pci_write(ID(0, 1, 0), 0x43, 2, 0xffff);
    pci_write(ID(0, 1, 0), 0x100, 4, 0);
    assert_int_equal(model_functions[0].writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_walk, reset),
        cmocka_unit_test_setup(test_empty_and_full, reset),
        cmocka_unit_test_setup(test_requester_ids, reset),
        cmocka_unit_test_setup(test_loop, reset),
        cmocka_unit_test_setup(test_overlap, reset),
        cmocka_unit_test_setup(test_outside_parent, reset),
        cmocka_unit_test_setup(test_every_pair_of_bus_numbers, reset),
        cmocka_unit_test_setup(test_capabilities, reset),
        cmocka_unit_test_setup(test_capability_loop_and_edges, reset),
        cmocka_unit_test_setup(test_unknown_header, reset),
        cmocka_unit_test_setup(test_messages_stop, reset),
        cmocka_unit_test_setup(test_transfers_stop, reset),
        cmocka_unit_test_setup(test_sizes, reset),
        cmocka_unit_test_setup(test_absurd_sizes, reset),
        cmocka_unit_test_setup(test_chipset_is_not_sized, reset),
        cmocka_unit_test_setup(test_virtio_behind_the_iommu, reset),
        cmocka_unit_test_setup(test_virtio_bypasses, reset),
        cmocka_unit_test_setup(test_virtio_wild_capability, reset),
        cmocka_unit_test_setup(test_hidden_functions_stay_quiet, reset),
        cmocka_unit_test_setup(test_access_edges, reset),
    };
    return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
