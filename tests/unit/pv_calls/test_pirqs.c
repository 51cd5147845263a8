/* SPDX-License-Identifier: MIT */
/* Interrupts of devices, by hypercalls: physdev_op's part of it, and the event channels they come through. */
#include "fakes.h"

#include "guest-abi/include/sluice/physdev.h"
#include "irq/message.h"
#include "irq/route.h"
#include "pv/event.h"
#include "pv/pirq.h"
#include "tests/unit/fakes/irq.h"

#include <string.h>

#define TABLE        0x80002000ull
#define EDGE_GSI     4u
#define LEVEL_GSI    20u
#define FIRST_PIRQ   0x200 /* of messages */
#define OTHER_DOMAIN 7
#define BUS(id)      ((id) >> 8)
#define DEVFN(id)    ((id)&0xff)

static struct cpu_regs regs;

/* Both calls take their structure from here, and write it back. */
static void *argument(const void *request, size_t size)
{
    return memcpy(at(GUEST_BASE), request, size);
}

static long op(uint32_t command, const void *request, size_t size)
{
    argument(request, size);
    return pirq_op(command, GUEST_BASE);
}

static long event_op(uint32_t command, const void *request, size_t size)
{
    argument(request, size);
    return syscall_with(&regs, __HYPERVISOR_event_channel_op, command, GUEST_BASE, 0);
}

#define OP(command, ...)    op(PHYSDEVOP_##command, &(__VA_ARGS__), sizeof(__VA_ARGS__))
#define EVENT(command, ...) event_op(EVTCHNOP_##command, &(__VA_ARGS__), sizeof(__VA_ARGS__))

/* ---- a guest's steps ---- */

static struct physdev_map_pirq message_of(uint16_t id, uint64_t table, int32_t entry)
{
    return (struct physdev_map_pirq){.domid = DOMID_SELF,
                                     .type = MAP_PIRQ_TYPE_MSI_SEG,
                                     .pirq = -1,
                                     .bus = BUS(id),
                                     .devfn = DEVFN(id),
                                     .entry_nr = entry,
                                     .table_base = table};
}

static struct physdev_map_pirq line_of(int32_t gsi)
{
    return (struct physdev_map_pirq){
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = gsi};
}

static long map(struct physdev_map_pirq request)
{
    return op(PHYSDEVOP_map_pirq, &request, sizeof request);
}

static int32_t mapped(struct physdev_map_pirq request)
{
    assert_int_equal(map(request), 0);
    return ((struct physdev_map_pirq *)at(GUEST_BASE))->pirq;
}

static long unmap(int32_t pirq)
{
    return OP(unmap_pirq, (struct physdev_unmap_pirq){DOMID_SELF, pirq});
}

static long bind(uint32_t pirq)
{
    return EVENT(bind_pirq, (struct evtchn_bind_pirq){pirq, BIND_PIRQ__WILL_SHARE, 0});
}

static uint32_t bound(uint32_t pirq)
{
    assert_int_equal(bind(pirq), 0);
    uint32_t port = ((struct evtchn_bind_pirq *)at(GUEST_BASE))->port;
    assert_int_not_equal(port, 0);
    return port;
}

static long close_port(uint32_t port)
{
    return EVENT(close, (struct evtchn_port_op){port});
}

static long reset_ports(void)
{
    return EVENT(reset, (struct evtchn_reset){DOMID_SELF});
}

static uint32_t pending_ports(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < 64; i++)
        count += (uint32_t)__builtin_popcountll(guest.shared->evtchn_pending[i]);
    return count;
}

static int nothing_mapped(void **state)
{
    fresh(state);
    regs = (struct cpu_regs){.rip = GUEST_BASE};
    fake_irq_error = 0;
    assert_int_equal(reset_ports(), 0);
    for (int32_t pirq = 0; pirq < 0x400; pirq++)
        (void)unmap(pirq);
    assert_int_equal(fake_irq_open(), 0);
    return 0;
}

/* ---- mapping ---- */

static void messages_have_numbers_of_their_own(void **state)
{
    (void)state;
    int32_t first = mapped(message_of(FAKE_DEVICE, TABLE, 0)),
            second = mapped(message_of(FAKE_DEVICE, TABLE, 3));
    int32_t bridge = mapped(message_of(FAKE_OTHER, 0, 0));

    assert_true(first >= FIRST_PIRQ && second >= FIRST_PIRQ && bridge >= FIRST_PIRQ);
    assert_true(first != second && first != bridge && second != bridge);
    assert_int_equal(fake_irq_open(), 3);
    assert_int_equal(unmap(second), 0);
    assert_int_equal(fake_irq_open(), 2);
    assert_int_equal(unmap(second), -EINVAL);
    struct physdev_map_pirq old = message_of(FAKE_DEVICE, TABLE, 3);
    old.type = MAP_PIRQ_TYPE_MSI; /* without a segment */
    assert_int_equal(mapped(old), second);
}

static void functions_that_cannot_be_named(void **state)
{
    (void)state;
    struct physdev_map_pirq request = message_of(FAKE_DEVICE, TABLE, 0);

    assert_int_equal(map(message_of(FAKE_HIDDEN, 0, 0)), -ENODEV);
    assert_int_equal(map(message_of(FAKE_BRIDGE, 0, 0)), -ENODEV);
    assert_int_equal(map(message_of(0x20, 0, 0)), -ENODEV);
    request.bus |= 1 << 16; /* another segment */
    assert_int_equal(map(request), -ENODEV);
    request.type = MAP_PIRQ_TYPE_MSI; /* a bus beyond the last */
    assert_int_equal(map(request), -ENODEV);
    request = message_of(FAKE_DEVICE, TABLE, 0);
    request.bus = -1;
    assert_int_equal(map(request), -ENODEV);
    request.bus = 0;
    request.devfn += 0x100;
    assert_int_equal(map(request), -ENODEV);
    request.devfn = -1;
    assert_int_equal(map(request), -ENODEV);
    assert_int_equal(fake_irq_open(), 0);
}

static void mappings_that_are_refused(void **state)
{
    (void)state;
    struct physdev_map_pirq request = message_of(FAKE_DEVICE, TABLE, -1);

    assert_int_equal(map(request), -EINVAL);
    request.entry_nr = FAKE_ENTRIES;
    assert_int_equal(map(request), -ENODEV);
    request.entry_nr = 0;
    request.pirq = 0x300; /* of its own choice */
    assert_int_equal(map(request), -EINVAL);
    request.pirq = -1;
    request.domid = OTHER_DOMAIN;
    assert_int_equal(map(request), -ESRCH);
    request.domid = DOMID_SELF;
    request.type = MAP_PIRQ_TYPE_MULTI_MSI;
    assert_int_equal(map(request), -EOPNOTSUPP);
    request.type = MAP_PIRQ_TYPE_UNKNOWN;
    assert_int_equal(map(request), -EINVAL);
    request.type = -1;
    assert_int_equal(map(request), -EINVAL);
    assert_int_equal(map(line_of(FAKE_LINES)), -ENODEV);
    assert_int_equal(map(line_of(-1)), -ENODEV);
    request = line_of(LEVEL_GSI);
    request.pirq = EDGE_GSI;
    assert_int_equal(map(request), -EINVAL);
    assert_int_equal(fake_irq_open(), 0);
    mapped(message_of(FAKE_DEVICE, TABLE, 0));
    assert_int_equal(map(message_of(FAKE_DEVICE, TABLE, 0)), -EEXIST);
}

static void errors_come_through(void **state)
{
    static const int errors[] = {-ENODEV, -EEXIST, -EBUSY, -ENOSPC, -ENXIO, -ENOMEM, -EIO};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        fake_irq_error = errors[i];
        assert_int_equal(map(message_of(FAKE_DEVICE, 0, 0)), errors[i]);
        if (errors[i] != -EEXIST)
            assert_int_equal(map(line_of(LEVEL_GSI)), errors[i]);
    }
    fake_irq_error = 0;
    assert_int_equal(bind(LEVEL_GSI), -EINVAL);
}

/* A line may be shared: its number is known beforehand, and mapping it again is no error. */
static void a_line_can_be_mapped_twice(void **state)
{
    (void)state;
    struct physdev_map_pirq any = line_of(LEVEL_GSI);

    any.pirq = -1;
    assert_int_equal(mapped(any), LEVEL_GSI);
    assert_int_equal(mapped(line_of(LEVEL_GSI)), LEVEL_GSI);
    assert_int_equal(fake_irq_open(), 1);
    uint32_t port = bound(LEVEL_GSI);
    assert_int_equal(mapped(any), LEVEL_GSI);
    assert_true(fake_irq_assert(LEVEL_GSI));
    assert_true(event_pending(port));
}

static void what_cannot_be_told_is_undone(void **state)
{
    (void)state;
    fake.read_only_from = GUEST_BASE;
    assert_int_equal(map(message_of(FAKE_DEVICE, TABLE, 0)), -EFAULT);
    assert_int_equal(fake_irq_open(), 0);
    assert_int_equal(map(line_of(LEVEL_GSI)), -EFAULT);
    assert_int_equal(fake_irq_open(), 0);
    fake.read_only_from = 0;
    mapped(line_of(LEVEL_GSI));
    fake.read_only_from = GUEST_BASE;
    assert_int_equal(map(line_of(LEVEL_GSI)), -EFAULT); /* what was mapped before stays */
    assert_int_equal(fake_irq_open(), 1);
    assert_int_equal(bind(LEVEL_GSI), -EFAULT);
    assert_false(fake_irq_assert(LEVEL_GSI)); /* masked again */
    assert_int_equal(OP(irq_status_query, (struct physdev_irq_status_query){LEVEL_GSI, 0}), -EFAULT);
    assert_int_equal(OP(alloc_irq_vector, (struct physdev_irq){LEVEL_GSI, 0}), -EFAULT);
    fake.read_only_from = 0;
    uint32_t port = bound(LEVEL_GSI);
    assert_true(fake_irq_assert(LEVEL_GSI));
    assert_true(event_pending(port));
}

static void unmapping(void **state)
{
    (void)state;
    int32_t pirq = mapped(message_of(FAKE_DEVICE, 0, 0));

    assert_int_equal(OP(unmap_pirq, (struct physdev_unmap_pirq){OTHER_DOMAIN, pirq}), -ESRCH);
    assert_int_equal(unmap(-1), -EINVAL);
    assert_int_equal(unmap(pirq + 0x10000), -EINVAL); /* numbers have 32 bits */
    assert_int_equal(unmap(LEVEL_GSI), -EINVAL);
    uint32_t port = bound((uint32_t)pirq);
    assert_int_equal(unmap(pirq), -EBUSY);
    assert_true(fake_irq_send(FAKE_DEVICE, IRQ_MSI));
    assert_true(event_pending(port));
    assert_int_equal(close_port(port), 0);
    assert_int_equal(unmap(pirq), 0);
    assert_int_equal(fake_irq_open(), 0);
    assert_int_equal(bind((uint32_t)pirq), -EINVAL);
}

/* ---- events ---- */

static void an_interrupt_makes_its_port_pending(void **state)
{
    (void)state;
    uint32_t ports[6];

    for (int32_t i = 0; i < 4; i++)
        ports[i] = bound((uint32_t)mapped(message_of(FAKE_DEVICE, TABLE, i)));
    ports[4] = bound((uint32_t)mapped(message_of(FAKE_OTHER, 0, 0)));
    ports[5] = bound((uint32_t)mapped(line_of(EDGE_GSI)));
    for (uint32_t i = 0; i < 6; i++) {
        memset(guest.shared->evtchn_pending, 0, sizeof guest.shared->evtchn_pending);
        guest.vcpu->evtchn_upcall_pending = 0;
        guest.vcpu->evtchn_pending_sel = 0;
        fake.preemption_requests = 0;
        assert_true(i == 5   ? fake_irq_assert(EDGE_GSI)
                    : i == 4 ? fake_irq_send(FAKE_OTHER, IRQ_MSI)
                             : fake_irq_send(FAKE_DEVICE, i));
        assert_int_equal(pending_ports(), 1);
        assert_true(event_pending(ports[i]));
        assert_int_equal(guest.vcpu->evtchn_upcall_pending, 1);
        assert_int_equal(fake.preemption_requests, 1);
    }
}

static void binding(void **state)
{
    (void)state;
    uint32_t pirq = (uint32_t)mapped(message_of(FAKE_DEVICE, 0, 0));

    assert_false(fake_irq_send(FAKE_DEVICE, IRQ_MSI)); /* masked until somebody listens */
    assert_int_equal(bind(pirq + 1), -EINVAL);
    assert_int_equal(bind(UINT32_MAX), -EINVAL);
    assert_int_equal(bind(pirq + 0x10000), -EINVAL);
    assert_int_equal(EVENT(bind_pirq, (struct evtchn_bind_pirq){pirq, 2, 0}), -EINVAL);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, 0, 0), -EFAULT);
    assert_int_equal(EVENT(bind_pirq, (struct evtchn_bind_pirq){pirq, 0, 0}), 0);
    uint32_t port = ((struct evtchn_bind_pirq *)at(GUEST_BASE))->port;
    assert_int_equal(bind(pirq), -EEXIST);
    assert_int_equal(EVENT(status, (struct evtchn_status){.dom = DOMID_SELF, .port = port}), 0);
    const struct evtchn_status *status = at(GUEST_BASE);
    assert_int_equal(status->status, EVTCHNSTAT_pirq);
    assert_int_equal(status->u.pirq, pirq);
    assert_int_equal(EVENT(send, (struct evtchn_port_op){port}), -EINVAL); /* nobody but the device */
    assert_int_equal(EVENT(bind_vcpu, (struct evtchn_bind_vcpu){port, 0}), 0);
}

static void a_closed_port_masks_its_device(void **state)
{
    (void)state;
    uint32_t pirq = (uint32_t)mapped(message_of(FAKE_DEVICE, 0, 0)), port = bound(pirq);

    assert_true(fake_irq_send(FAKE_DEVICE, IRQ_MSI));
    assert_int_equal(close_port(port), 0);
    assert_false(event_pending(port));
    assert_false(fake_irq_send(FAKE_DEVICE, IRQ_MSI));
    bound(pirq);
    mapped(line_of(LEVEL_GSI));
    bound(LEVEL_GSI);
    assert_int_equal(reset_ports(), 0);
    assert_false(fake_irq_send(FAKE_DEVICE, IRQ_MSI));
    assert_false(fake_irq_assert(LEVEL_GSI));
    assert_int_equal(fake_irq_open(), 2);
    assert_int_equal(unmap((int32_t)pirq), 0); /* nobody is bound */
    assert_int_equal(unmap(LEVEL_GSI), 0);
}

/* Ports run out before anything is changed. */
static void no_port_is_left(void **state)
{
    (void)state;
    uint32_t pirq = (uint32_t)mapped(message_of(FAKE_DEVICE, 0, 0));

    while (EVENT(bind_ipi, (struct evtchn_bind_ipi){0, 0}) == 0)
        continue;
    assert_int_equal(bind(pirq), -ENOSPC);
    assert_false(fake_irq_send(FAKE_DEVICE, IRQ_MSI));
    assert_int_equal(reset_ports(), 0);
    bound(pirq);
}

static void a_level_waits_for_its_end(void **state)
{
    (void)state;
    mapped(line_of(LEVEL_GSI));
    uint32_t port = bound(LEVEL_GSI);

    assert_int_equal(OP(eoi, (struct physdev_eoi){EDGE_GSI}), -EINVAL);
    assert_int_equal(OP(eoi, (struct physdev_eoi){UINT32_MAX}), -EINVAL);
    assert_true(fake_irq_assert(LEVEL_GSI));
    assert_false(fake_irq_assert(LEVEL_GSI));
    assert_int_equal(OP(eoi, (struct physdev_eoi){LEVEL_GSI}), 0);
    assert_true(fake_irq_assert(LEVEL_GSI));
    assert_int_equal(close_port(port), 0); /* and nobody says that it is over */
    bound(LEVEL_GSI);
    assert_true(fake_irq_assert(LEVEL_GSI));

    uint32_t message = (uint32_t)mapped(message_of(FAKE_DEVICE, 0, 0));
    bound(message);
    assert_true(fake_irq_send(FAKE_DEVICE, IRQ_MSI));
    assert_true(fake_irq_send(FAKE_DEVICE, IRQ_MSI)); /* edges */
    assert_int_equal(OP(eoi, (struct physdev_eoi){message}), 0);
}

/* ---- the rest ---- */

static uint32_t flags_of(uint32_t pirq)
{
    assert_int_equal(OP(irq_status_query, (struct physdev_irq_status_query){pirq, 0xff}), 0);
    return ((struct physdev_irq_status_query *)at(GUEST_BASE))->flags;
}

static void what_is_known_of_a_pirq(void **state)
{
    (void)state;
    mapped(line_of(LEVEL_GSI));
    mapped(line_of(EDGE_GSI));
    uint32_t message = (uint32_t)mapped(message_of(FAKE_DEVICE, 0, 0));

    assert_int_equal(flags_of(LEVEL_GSI), XENIRQSTAT_needs_eoi);
    assert_int_equal(flags_of(EDGE_GSI), 0);
    assert_int_equal(flags_of(message), 0);
    assert_int_equal(OP(irq_status_query, (struct physdev_irq_status_query){5, 0}), -EINVAL);
    assert_int_equal(OP(alloc_irq_vector, (struct physdev_irq){5, 0}), -EINVAL);
    assert_int_equal(OP(alloc_irq_vector, (struct physdev_irq){LEVEL_GSI, 0}), 0);
    assert_int_not_equal(((struct physdev_irq *)at(GUEST_BASE))->vector, 0);
}

static void types_of_lines(void **state)
{
    (void)state;
    assert_int_equal(OP(setup_gsi, (struct physdev_setup_gsi){EDGE_GSI, 2, 0}), -EINVAL);
    assert_int_equal(OP(setup_gsi, (struct physdev_setup_gsi){EDGE_GSI, 1, 2}), -EINVAL);
    assert_int_equal(OP(setup_gsi, (struct physdev_setup_gsi){-1, 1, 1}), -ENODEV);
    assert_int_equal(OP(setup_gsi, (struct physdev_setup_gsi){FAKE_LINES, 1, 1}), -ENODEV);
    assert_int_equal(OP(setup_gsi, (struct physdev_setup_gsi){EDGE_GSI, 1, 1}), 0);
    assert_int_equal(OP(setup_gsi, (struct physdev_setup_gsi){EDGE_GSI, 1, 1}), -EEXIST);
    mapped(line_of(EDGE_GSI));
    assert_int_equal(flags_of(EDGE_GSI), XENIRQSTAT_needs_eoi);
}

static void restoring(void **state)
{
    (void)state;
    fake_irq_restored = 0;
    assert_int_equal(OP(restore_msi, (struct physdev_restore_msi){BUS(FAKE_DEVICE), DEVFN(FAKE_DEVICE)}), 0);
    assert_int_equal(OP(restore_msi_ext, (struct physdev_pci_device){0, 0, DEVFN(FAKE_OTHER)}), 0);
    assert_int_equal(fake_irq_restored, 2);
    assert_int_equal(OP(restore_msi, (struct physdev_restore_msi){0, DEVFN(FAKE_HIDDEN)}), -ENODEV);
    assert_int_equal(OP(restore_msi, (struct physdev_restore_msi){9, 9}), -ENODEV);
    assert_int_equal(OP(restore_msi_ext, (struct physdev_pci_device){1, 0, DEVFN(FAKE_DEVICE)}), -ENODEV);
    assert_int_equal(fake_irq_restored, 2);
}

static void what_the_guest_finds(void **state)
{
    (void)state;
    assert_int_equal(OP(pci_device_add, (struct physdev_pci_device_add){.devfn = DEVFN(FAKE_DEVICE)}), 0);
    assert_int_equal(OP(pci_device_add, (struct physdev_pci_device_add){.devfn = DEVFN(FAKE_HIDDEN)}),
                     -ENODEV);
    assert_int_equal(OP(pci_device_add, (struct physdev_pci_device_add){.bus = 3}), -ENODEV);
    assert_int_equal(OP(pci_device_add, (struct physdev_pci_device_add){1, 0, DEVFN(FAKE_DEVICE), 0, {0}}),
                     -ENODEV);
    assert_int_equal(OP(pci_mmcfg_reserved, (struct physdev_pci_mmcfg_reserved){.address = FAKE_MCFG}), 0);
    assert_int_equal(OP(pci_mmcfg_reserved, (struct physdev_pci_mmcfg_reserved){.address = FAKE_MCFG + 4096}),
                     -ENODEV);
    assert_int_equal(
        OP(pci_mmcfg_reserved, (struct physdev_pci_mmcfg_reserved){.address = FAKE_MCFG, .segment = 1}),
        -ENODEV);
}

/* Every command: no argument, one that ends beyond the guest's memory, and unknown ones. */
static void arguments_that_are_nowhere(void **state)
{
    static const uint32_t commands[] = {PHYSDEVOP_irq_status_query, PHYSDEVOP_eoi,
                                        PHYSDEVOP_alloc_irq_vector, PHYSDEVOP_setup_gsi,
                                        PHYSDEVOP_map_pirq,         PHYSDEVOP_unmap_pirq,
                                        PHYSDEVOP_restore_msi,      PHYSDEVOP_restore_msi_ext,
                                        PHYSDEVOP_pci_device_add,   PHYSDEVOP_pci_mmcfg_reserved};

    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        assert_int_equal(pirq_op(commands[i], 0), -EFAULT);
        assert_int_equal(pirq_op(commands[i], GUEST_END - 1), -EFAULT);
    }
    for (uint32_t command = 28; command < 100; command++)
        assert_int_equal(pirq_op(command, GUEST_BASE), -ENOSYS);
    assert_int_equal(pirq_op(UINT32_MAX, GUEST_BASE), -ENOSYS);
    assert_int_equal(fake_irq_open(), 0);
}

#define TEST(function) cmocka_unit_test_setup(function, nothing_mapped)

int run_pirq_tests(void)
{
    const struct CMUnitTest pirqs[] = {
        TEST(messages_have_numbers_of_their_own),
        TEST(functions_that_cannot_be_named),
        TEST(mappings_that_are_refused),
        TEST(errors_come_through),
        TEST(a_line_can_be_mapped_twice),
        TEST(what_cannot_be_told_is_undone),
        TEST(unmapping),
        TEST(an_interrupt_makes_its_port_pending),
        TEST(binding),
        TEST(a_closed_port_masks_its_device),
        TEST(no_port_is_left),
        TEST(a_level_waits_for_its_end),
        TEST(what_is_known_of_a_pirq),
        TEST(types_of_lines),
        TEST(restoring),
        TEST(what_the_guest_finds),
        TEST(arguments_that_are_nowhere),
    };

    return cmocka_run_group_tests(pirqs, NULL, NULL);
}
