/* SPDX-License-Identifier: MIT */
/* Groups on machines made up for it: who could reach whom past the IOMMU, and who cannot be told apart. */
#include "pci/group.h"

#include "acpi/acpi.h"
#include "lib/options.h"
#include "mem/map.h"
#include "pci/topology.h"
#include "tests/host/log_capture.h"
#include "tests/unit/fakes/pci_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ID(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))

/* ---- a machine: functions in the order of their ids ---- */

static struct pci_function machine[PCI_FUNCTIONS_MAX];
static uint32_t count;
static uint16_t alias_of[UINT16_MAX + 1];

static uint16_t alias(uint16_t id)
{
    return alias_of[id] ? alias_of[id] : id;
}

static struct pci_function *add(uint16_t id, enum pci_kind kind)
{
    struct pci_function *function = &machine[count++];

    *function = (struct pci_function){.id = id, .requester_id = id, .kind = kind};
    return function;
}

static void endpoint(uint16_t id)
{
    add(id, PCI_KIND_ENDPOINT);
}

static void bridge(uint16_t id, uint8_t secondary, uint8_t subordinate)
{
    struct pci_function *function = add(id, PCI_KIND_BRIDGE);

    function->secondary_bus = secondary;
    function->subordinate_bus = subordinate;
}

#define CONTROLLED true
#define OPEN       false

static void port(uint16_t id, uint8_t type, uint8_t secondary, uint8_t subordinate, bool access_control)
{
    bridge(id, secondary, subordinate);
    machine[count - 1].is_pcie = true;
    machine[count - 1].pcie_type = type;
    machine[count - 1].access_control = access_control;
}

static void form(void)
{
    pci_link(machine, count);
    pci_group(machine, count, alias);
    for (uint32_t i = 0; i < count; i++) { /* whatever the machine: named by the first member */
        assert_true(machine[i].group <= i);
        assert_int_equal(machine[machine[i].group].group, machine[i].group);
    }
}

static struct pci_function *find(uint16_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (machine[i].id == id)
            return &machine[i];
    }
    fail_msg("no function %04x", id);
    return NULL;
}

static uint32_t size_of_group(uint16_t id)
{
    uint32_t size = 0;

    for (uint32_t i = 0; i < count; i++)
        size += machine[i].group == find(id)->group;
    return size;
}

static bool together(uint16_t left, uint16_t right)
{
    return find(left)->group == find(right)->group;
}

/* What kernel/pci needs from below; the memory window of configuration space is bus 0x40. */
static uint8_t extended[1 << 20];

bool option_bool(const char *name, bool fallback)
{
    (void)name;
    return fallback;
}

uint32_t acpi_mcfg(struct acpi_mcfg *list, uint32_t capacity)
{
    assert_true(capacity >= 1);
    list[0] = (struct acpi_mcfg){.base = 0xe0000000, .segment = 0, .first_bus = 0x40, .last_bus = 0x40};
    return 1;
}

volatile void *mmio_map(uint64_t physical, uint64_t size)
{
    assert_int_equal(physical, 0xe0000000 + (0x40u << 20));
    assert_int_equal(size, sizeof extended);
    return extended;
}

static int reset(void **state)
{
    (void)state;
    count = 0;
    memset(machine, 0, sizeof machine);
    memset(alias_of, 0, sizeof alias_of);
    memset(extended, 0, sizeof extended);
    model_reset();
    captured_clear();
    return 0;
}

/* ---- devices of a root bus ---- */

static void functions_of_a_device_move_together(void **state)
{
    (void)state;
    add(ID(0, 0, 0), PCI_KIND_HOST_BRIDGE);
    endpoint(ID(0, 2, 0));
    endpoint(ID(0, 3, 0));
    add(ID(0, 31, 0), PCI_KIND_ISA_BRIDGE);
    endpoint(ID(0, 31, 2));
    endpoint(ID(0, 31, 3));
    endpoint(ID(0x40, 31, 3)); /* the same numbers on another bus */
    form();
    assert_int_equal(size_of_group(ID(0, 2, 0)), 1);
    assert_int_equal(size_of_group(ID(0, 3, 0)), 1);
    assert_int_equal(size_of_group(ID(0, 31, 0)), 3);
    assert_int_equal(size_of_group(ID(0x40, 31, 3)), 1);
}

/* The guest may reset the function, which then forgets its access control. */
static void an_endpoints_own_access_control_counts_for_nothing(void **state)
{
    (void)state;
    endpoint(ID(0, 2, 0));
    machine[0].is_pcie = machine[0].access_control = true;
    endpoint(ID(0, 2, 1));
    machine[1].is_pcie = machine[1].access_control = true;
    form();
    assert_true(together(ID(0, 2, 0), ID(0, 2, 1)));
}

static void who_does_no_dma_is_alone(void **state)
{
    (void)state;
    add(ID(0, 0, 0), PCI_KIND_HOST_BRIDGE);
    add(ID(0, 0, 2), PCI_KIND_IOMMU);
    add(ID(0, 1, 0), PCI_KIND_HOST_BRIDGE);
    port(ID(0, 1, 1), PCIE_TYPE_ROOT_PORT, 1, 1, CONTROLLED);
    port(ID(0, 1, 2), PCIE_TYPE_ROOT_PORT, 2, 2, CONTROLLED);
    endpoint(ID(1, 0, 0));
    endpoint(ID(2, 0, 0));
    form();
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(size_of_group(machine[i].id), 1);
}

/* ---- ports ---- */

static void a_root_port_keeps_apart_or_not(void **state)
{
    (void)state;
    port(ID(0, 1, 0), PCIE_TYPE_ROOT_PORT, 1, 1, CONTROLLED);
    port(ID(0, 2, 0), PCIE_TYPE_ROOT_PORT, 2, 2, OPEN);
    endpoint(ID(1, 0, 0));
    endpoint(ID(2, 0, 0));
    form();
    assert_int_equal(size_of_group(ID(1, 0, 0)), 1);
    assert_true(together(ID(2, 0, 0), ID(0, 2, 0)));
    assert_int_equal(size_of_group(ID(2, 0, 0)), 2);
}

/* One open port of a device reaches what is behind the others, whatever these do. */
static void root_ports_of_one_device(void **state)
{
    (void)state;
    port(ID(0, 28, 0), PCIE_TYPE_ROOT_PORT, 1, 1, CONTROLLED);
    port(ID(0, 28, 1), PCIE_TYPE_ROOT_PORT, 2, 2, OPEN);
    endpoint(ID(1, 0, 0));
    endpoint(ID(2, 0, 0));
    form();
    assert_int_equal(size_of_group(ID(1, 0, 0)), 4);
    machine[1].access_control = true;
    form();
    assert_int_equal(size_of_group(ID(1, 0, 0)), 1);
    assert_int_equal(size_of_group(ID(2, 0, 0)), 1);
}

static void add_switch(bool root, bool first, bool second)
{
    port(ID(0, 1, 0), PCIE_TYPE_ROOT_PORT, 1, 4, root);
    port(ID(1, 0, 0), PCIE_TYPE_UPSTREAM, 2, 4, OPEN); /* access control is not for a lone upstream port */
    port(ID(2, 0, 0), PCIE_TYPE_DOWNSTREAM, 3, 3, first);
    port(ID(2, 1, 0), PCIE_TYPE_DOWNSTREAM, 4, 4, second);
    endpoint(ID(3, 0, 0));
    endpoint(ID(4, 0, 0));
}

static void a_switch_that_keeps_apart(void **state)
{
    (void)state;
    add_switch(CONTROLLED, CONTROLLED, CONTROLLED);
    form();
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(size_of_group(machine[i].id), 1);
}

static void a_switch_that_does_not(void **state)
{
    (void)state;
    add_switch(CONTROLLED, OPEN, OPEN);
    form();
    assert_true(together(ID(3, 0, 0), ID(4, 0, 0)));
    assert_true(together(ID(3, 0, 0), ID(2, 1, 0)));
    assert_int_equal(size_of_group(ID(3, 0, 0)), 4);
    assert_int_equal(size_of_group(ID(0, 1, 0)), 1); /* beyond the root port is nobody */
}

static void one_open_port_opens_a_switch(void **state)
{
    (void)state;
    add_switch(CONTROLLED, CONTROLLED, OPEN);
    form();
    assert_int_equal(size_of_group(ID(3, 0, 0)), 4);
    assert_true(together(ID(3, 0, 0), ID(4, 0, 0)));
}

/* Every port on the way counts: what leaves the switch comes back at the root port. */
static void an_open_root_port_above_a_switch(void **state)
{
    (void)state;
    add_switch(OPEN, CONTROLLED, CONTROLLED);
    form();
    assert_int_equal(size_of_group(ID(3, 0, 0)), 6);
}

static void an_upstream_port_among_others(void **state)
{
    (void)state;
    add_switch(CONTROLLED, CONTROLLED, CONTROLLED);
    memmove(&machine[3], &machine[2], (count - 2) * sizeof machine[0]);
    machine[2] =
        (struct pci_function){.id = ID(1, 0, 1), .kind = PCI_KIND_ENDPOINT}; /* the switch's own DMA */
    count++;
    form();
    assert_true(together(ID(1, 0, 0), ID(1, 0, 1)));
    assert_true(together(ID(1, 0, 1), ID(3, 0, 0)));
    assert_int_equal(size_of_group(ID(0, 1, 0)), 1);
}

/* Below a port there is one device: what has another device number is a function of it. */
static void functions_over_seven_are_of_the_same_device(void **state)
{
    (void)state;
    port(ID(0, 1, 0), PCIE_TYPE_ROOT_PORT, 1, 1, CONTROLLED);
    endpoint(ID(1, 0, 0));
    endpoint(ID(1, 1, 0));
    form();
    assert_true(together(ID(1, 0, 0), ID(1, 1, 0)));
    assert_int_equal(size_of_group(ID(0, 1, 0)), 1);
}

/* ---- conventional buses ---- */

static void behind_a_pcie_to_pci_bridge(void **state)
{
    (void)state;
    port(ID(0, 1, 0), PCIE_TYPE_ROOT_PORT, 1, 3, CONTROLLED);
    port(ID(0, 2, 0), PCIE_TYPE_ROOT_PORT, 4, 4, CONTROLLED);
    port(ID(1, 0, 0), PCIE_TYPE_TO_PCI_BRIDGE, 2, 3, CONTROLLED); /* which it cannot have */
    endpoint(ID(2, 1, 0));
    endpoint(ID(2, 2, 0));
    bridge(ID(2, 3, 0), 3, 3);
    endpoint(ID(3, 1, 0));
    endpoint(ID(4, 0, 0));
    form();
    assert_int_equal(size_of_group(ID(1, 0, 0)), 5);
    assert_true(together(ID(1, 0, 0), ID(3, 1, 0)));
    assert_int_equal(size_of_group(ID(0, 1, 0)), 1);
    assert_int_equal(size_of_group(ID(4, 0, 0)), 1);
}

static void behind_a_conventional_bridge(void **state)
{
    (void)state;
    endpoint(ID(0, 2, 0));
    bridge(ID(0, 30, 0), 1, 1);
    port(ID(0, 31, 0), PCIE_TYPE_FROM_PCI_BRIDGE, 2, 2, CONTROLLED); /* its upper side is conventional */
    endpoint(ID(1, 1, 0));
    endpoint(ID(1, 2, 0));
    endpoint(ID(2, 0, 0));
    form();
    assert_int_equal(size_of_group(ID(0, 30, 0)), 3);
    assert_true(together(ID(0, 31, 0), ID(2, 0, 0)));
    assert_int_equal(size_of_group(ID(0, 2, 0)), 1);
}

/* Whatever is behind a refused bridge shows under the same id as its neighbours: it may not be among them. */
static void a_refused_bridge_among_others(void **state)
{
    (void)state;
    port(ID(0, 28, 0), PCIE_TYPE_TO_PCI_BRIDGE, 1, 2, OPEN);
    endpoint(ID(1, 1, 0));
    bridge(ID(1, 2, 0), 1, 1);
    form();
    assert_true(find(ID(1, 2, 0))->hidden);
    assert_true(together(ID(1, 1, 0), ID(1, 2, 0)));
}

/* ---- ids ---- */

static uint32_t ids_of(uint16_t id, uint16_t ids[PCI_REQUESTER_IDS_MAX])
{
    return pci_requester_ids(find(id), ids);
}

static void phantom_functions(void **state)
{
    uint16_t ids[PCI_REQUESTER_IDS_MAX];

    (void)state;
    endpoint(ID(0, 2, 0));
    machine[0].phantom_bits = 3; /* all the numbers of its device, but those that are taken */
    endpoint(ID(0, 2, 5));
    endpoint(ID(0, 3, 1));
    machine[2].phantom_bits = 2;
    endpoint(ID(0, 4, 3));
    machine[3].phantom_bits = 1;
    endpoint(ID(0, 5, 5));
    machine[4].phantom_bits = 1; /* its own number has the phantom bit set */
    endpoint(ID(0, 6, 0));
    form();
    assert_int_equal(machine[0].phantoms, 0xde);
    assert_int_equal(machine[1].phantoms, 0);
    assert_int_equal(machine[2].phantoms, 0xa8);
    assert_int_equal(machine[3].phantoms, 0x80);
    assert_int_equal(machine[4].phantoms, 0);
    assert_int_equal(machine[5].phantoms, 0);
    assert_int_equal(ids_of(ID(0, 3, 1), ids), 4);
    assert_int_equal(ids[0], ID(0, 3, 1));
    assert_int_equal(ids[1], ID(0, 3, 3));
    assert_int_equal(ids[3], ID(0, 3, 7));
    assert_int_equal(ids_of(ID(0, 2, 0), ids), 7);
    assert_int_equal(ids_of(ID(0, 6, 0), ids), 1);
}

static void as_many_ids_as_there_can_be(void **state)
{
    uint16_t ids[PCI_REQUESTER_IDS_MAX];

    (void)state;
    bridge(ID(0, 30, 0), 1, 1);
    endpoint(ID(1, 1, 0));
    machine[1].phantom_bits = 3;
    for (uint8_t number = 0; number < 8; number++)
        alias_of[ID(1, 1, number)] = ID(7, 7, number);
    alias_of[ID(0, 30, 0)] = ID(7, 8, 0);
    endpoint(ID(7, 7, 7));
    form();
    assert_int_equal(ids_of(ID(1, 1, 0), ids), PCI_REQUESTER_IDS_MAX);
    assert_true(together(ID(1, 1, 0), ID(7, 7, 7))); /* as which its last phantom shows */
}

static void a_shared_alias(void **state)
{
    (void)state;
    endpoint(ID(0, 2, 0));
    endpoint(ID(0, 3, 0));
    endpoint(ID(0, 4, 0));
    endpoint(ID(0, 5, 0));
    endpoint(ID(0, 6, 0));
    alias_of[ID(0, 2, 0)] = ID(9, 0, 0); /* which is no function */
    alias_of[ID(0, 4, 0)] = ID(9, 0, 0);
    alias_of[ID(0, 5, 0)] = ID(0, 3, 0); /* which is one */
    form();
    assert_true(together(ID(0, 2, 0), ID(0, 4, 0)));
    assert_true(together(ID(0, 5, 0), ID(0, 3, 0)));
    assert_false(together(ID(0, 2, 0), ID(0, 3, 0)));
    assert_int_equal(size_of_group(ID(0, 6, 0)), 1);
}

static void as_many_functions_as_there_can_be(void **state)
{
    (void)state;
    bridge(ID(0, 0, 0), 1, 255);
    for (uint32_t bus = 1; bus < 255; bus++)
        bridge(ID(bus, 0, 0), (uint8_t)(bus + 1), 255);
    while (count < PCI_FUNCTIONS_MAX) {
        endpoint((uint16_t)(ID(255, 0, 0) + (count - 255)));
        machine[count - 1].phantom_bits = 3;
    }
    form();
    assert_int_equal(size_of_group(0), PCI_FUNCTIONS_MAX);
}

/* ---- what functions say of themselves ---- */

#define BUS     0x40u
#define PORT_ID ID(BUS, 1, 0)

static void pcie(struct model_function *function, uint8_t type)
{
    model_capability(function, 0x60, 0x10, 0);
    model_set(function, 0x62, 2u | (uint32_t)type << 4, 2);
}

static struct model_function *model_port(uint16_t id, uint8_t type)
{
    struct model_function *function = model_add(id, 0x8086, 0x1111, 0x060400, 1);

    pcie(function, type);
    model_bridge(function, (uint8_t)(BUS + 1), (uint8_t)(BUS + 1));
    return function;
}

static void store(uint16_t id, uint32_t offset, uint32_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        extended[((uint32_t)(id & 0xff) << 12) + offset + i] = (uint8_t)(value >> 8 * i);
}

static uint32_t control_of(uint16_t id, uint32_t at)
{
    uint32_t offset = ((uint32_t)(id & 0xff) << 12) + at + 6;

    return extended[offset] | (uint32_t)extended[offset + 1] << 8;
}

/* An extended capability at `at`, and where the next is. */
static void capability(uint16_t id, uint32_t at, uint32_t name, uint32_t next)
{
    store(id, at, name | 1u << 16 | next << 20, 4);
}

static bool is_controlled(uint16_t id)
{
    pci_walk();
    pci_enable_access_control();
    return pci_find(id)->access_control;
}

static void access_control_is_switched_on(void **state)
{
    (void)state;
    model_port(PORT_ID, PCIE_TYPE_ROOT_PORT);
    capability(PORT_ID, 0x100, 0x0001, 0x148);
    capability(PORT_ID, 0x148, 0x000d, 0);
    store(PORT_ID, 0x14c, 0xff7f, 2); /* able to do all of it */
    store(PORT_ID, 0x14e, 0x0060, 2); /* firmware lets requests past */
    assert_true(is_controlled(PORT_ID));
    assert_int_equal(control_of(PORT_ID, 0x148), 0x001f);
    assert_int_equal(captured_count("access control is on at 1 of 1 ports"), 1);
}

/* What a port has no way to do, it need not be kept from. */
static void what_a_port_can(void **state)
{
    (void)state;
    model_port(PORT_ID, PCIE_TYPE_DOWNSTREAM);
    capability(PORT_ID, 0x100, 0x000d, 0);
    store(PORT_ID, 0x104, 0x000d, 2);
    assert_true(is_controlled(PORT_ID));
    assert_int_equal(control_of(PORT_ID, 0x100), 0x000d);
}

static void no_access_control(void **state)
{
    (void)state;
    model_port(PORT_ID, PCIE_TYPE_ROOT_PORT);
    assert_false(is_controlled(PORT_ID)); /* no list at all */

    capability(PORT_ID, 0x100, 0x0001, 0);
    assert_false(is_controlled(PORT_ID));

    capability(PORT_ID, 0x100, 0x0001, 0x100); /* a circle */
    assert_false(is_controlled(PORT_ID));

    capability(PORT_ID, 0x100, 0x0001, 0x80); /* back into the header */
    assert_false(is_controlled(PORT_ID));

    capability(PORT_ID, 0x100, 0x0001, 0xffc); /* its registers would be beyond the end */
    store(PORT_ID, 0xffc, 0x0001000d, 4);
    assert_false(is_controlled(PORT_ID));

    store(PORT_ID, 0x100, 0xffffffff, 4); /* nobody answers */
    assert_false(is_controlled(PORT_ID));
}

/* A bus that MCFG does not cover: nothing is known of its ports. */
static void without_a_memory_window(void **state)
{
    (void)state;
    model_port(ID(0x41, 1, 0), PCIE_TYPE_ROOT_PORT);
    model_bridge(&model_functions[0], 0x42, 0x42);
    assert_false(is_controlled(ID(0x41, 1, 0)));
}

static void only_ports_are_touched(void **state)
{
    static const uint16_t ids[] = {ID(BUS, 1, 0), ID(BUS, 2, 0), ID(BUS, 3, 0)};

    (void)state;
    model_port(ids[0], PCIE_TYPE_TO_PCI_BRIDGE);
    pcie(model_add(ids[1], 0x8086, 0x2222, 0x00ff00, 0), 0);
    model_add(ids[2], 0x8086, 0x1111, 0x060400, 1); /* conventional */
    for (uint32_t i = 0; i < 3; i++) {
        capability(ids[i], 0x100, 0x000d, 0);
        store(ids[i], 0x104, 0x001f, 2);
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(is_controlled(ids[i]));
        assert_int_equal(control_of(ids[i], 0x100), 0);
    }
}

static void phantom_functions_count_while_enabled(void **state)
{
    struct model_function *function = model_add(ID(0, 2, 0), 0x8086, 0x2222, 0x00ff00, 0),
                          *last = model_add(ID(0, 3, 0), 0x8086, 0x2222, 0x00ff00, 0);

    (void)state;
    pcie(function, 0);
    model_set(function, 0x64, 0x10, 4); /* two bits */
    model_capability(last, 0xf8, 0x10, 0);
    pci_walk();
    assert_int_equal(pci_find(ID(0, 2, 0))->phantoms, 0);
    model_set(function, 0x68, 0x0200, 2);
    pci_walk();
    assert_int_equal(pci_find(ID(0, 2, 0))->phantoms, 0x54);
    assert_int_equal(pci_find(ID(0, 3, 0))->phantoms, 0); /* its registers would be beyond the header's end */
    assert_int_equal(captured_count("00:02.0 uses phantom functions"), 1);
}

static void groups_of_the_walk(void **state)
{
    (void)state;
    model_add(ID(0, 2, 0), 0x8086, 0x2222, 0x00ff00, 0x80);
    model_add(ID(0, 2, 1), 0x8086, 0x2222, 0x00ff00, 0);
    model_add(ID(0, 3, 0), 0x8086, 0x2222, 0x00ff00, 0);
    pci_walk();
    pci_form_groups(alias);
    assert_int_equal(pci_at(0)->group, 0);
    assert_int_equal(pci_at(1)->group, 0);
    assert_int_equal(pci_at(2)->group, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, reset)
    const struct CMUnitTest tests[] = {
        T(functions_of_a_device_move_together),
        T(an_endpoints_own_access_control_counts_for_nothing),
        T(who_does_no_dma_is_alone),
        T(a_root_port_keeps_apart_or_not),
        T(root_ports_of_one_device),
        T(a_switch_that_keeps_apart),
        T(a_switch_that_does_not),
        T(one_open_port_opens_a_switch),
        T(an_open_root_port_above_a_switch),
        T(an_upstream_port_among_others),
        T(functions_over_seven_are_of_the_same_device),
        T(behind_a_pcie_to_pci_bridge),
        T(behind_a_conventional_bridge),
        T(a_refused_bridge_among_others),
        T(phantom_functions),
        T(as_many_ids_as_there_can_be),
        T(a_shared_alias),
        T(as_many_functions_as_there_can_be),
        T(access_control_is_switched_on),
        T(what_a_port_can),
        T(no_access_control),
        T(without_a_memory_window),
        T(only_ports_are_touched),
        T(phantom_functions_count_while_enabled),
        T(groups_of_the_walk),
    };
    return cmocka_run_group_tests_name("pci_groups", tests, NULL, NULL);
}
