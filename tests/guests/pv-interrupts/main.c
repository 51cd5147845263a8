/* SPDX-License-Identifier: MIT */
/*
 * Rule: a device's interrupt becomes a pirq, and a pirq an event channel: MSI, an entry of an MSI-X table, or
 * an input of an IO-APIC. It comes while it is bound, and not before or after. A level comes once until it is
 * ended, and again when it still holds then. The guest switches MSI and MSI-X on only when nothing of
 * firmware's can be sent by it.
 *
 * From: guest-abi/interrupts.md; the x86-64 PV contract.
 *
 * Method: each command with each error it has; then edu by MSI and by wire, NVMe by MSI-X.
 *
 * Errors: -EFAULT, -ESRCH, -EINVAL, -ENODEV, -EEXIST, -EBUSY, -ENXIO, -EOPNOTSUPP.
 *
 * run: default
 * run: off options="iommu=off"
 * run: continued options="continue-every=1"
 * run: bridges devices="nvme-behind-root-port edu-behind-bridge" cmdline="no-wire"
 *      only="intel: QEMU's amd-iommu takes bus numbers before firmware gives them"
 */
#include "kit/edu.h"
#include "kit/guest.h"
#include "kit/nvme.h"
#include "kit/pci.h"
#include "kit/time.h"

#define OTHER_DOMAIN 5
#define WAIT_MS      200u

#define CAP_MSI  0x05
#define CAP_MSIX 0x11
#define ENABLE   2u /* offset of the control register in both */
#define MSI_ON   0x0001u
#define MSIX_ON  0x8000u
#define MSIX_ALL 0x4000u /* all entries masked */

#define EDU_RAISE 0x60u
#define EDU_ACK   0x64u

static struct edu edu;

/* ---- calls ---- */

static struct physdev_map_pirq request_for(pci_id id, int32_t entry, uint64_t table)
{
    return (struct physdev_map_pirq){.domid = DOMID_SELF,
                                     .type = MAP_PIRQ_TYPE_MSI_SEG,
                                     .index = -1,
                                     .pirq = -1,
                                     .bus = id >> 8,
                                     .devfn = id & 0xff,
                                     .entry_nr = entry,
                                     .table_base = table};
}

static uint32_t map(pci_id id, int32_t entry, uint64_t table)
{
    struct physdev_map_pirq request = request_for(id, entry, table);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_map_pirq, &request), 0);
    EXPECT(request.pirq >= 256, "a message is pirq %d", request.pirq);
    return (uint32_t)request.pirq;
}

static long unmap(uint32_t pirq)
{
    return physdev_op(PHYSDEVOP_unmap_pirq, &(struct physdev_unmap_pirq){DOMID_SELF, (int32_t)pirq});
}

static long try_bind(uint32_t pirq, uint32_t flags, evtchn_port_t *port)
{
    struct evtchn_bind_pirq request = {.pirq = pirq, .flags = flags};
    long result = event_channel_op(EVTCHNOP_bind_pirq, &request);
    *port = request.port;
    return result;
}

static evtchn_port_t bind(uint32_t pirq)
{
    evtchn_port_t port;
    EXPECT_RETURN(try_bind(pirq, BIND_PIRQ__WILL_SHARE, &port), 0);
    EXPECT(port > 0 && port < EVTCHN_2L_NR_CHANNELS, "port %u", port);
    struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_status, &status), 0);
    EXPECT(status.status == EVTCHNSTAT_pirq && status.u.pirq == pirq, "status %u, pirq %u", status.status,
           status.u.pirq);
    return port;
}

static long close_port(evtchn_port_t port)
{
    return event_channel_op(EVTCHNOP_close, &(struct evtchn_port_op){port});
}

/* Whether the port becomes pending; takes it. */
static bool arrives(evtchn_port_t port)
{
    uint64_t end = deadline_after(WAIT_MS);
    while (!event_is_pending(port) && !deadline_passed(end))
        EXPECT_RETURN(xen_version(XENVER_version, NULL), 0x40011);
    bool seen = event_is_pending(port);
    event_clear(port);
    return seen;
}

static void raise(void)
{
    *(volatile uint32_t *)(edu.registers + EDU_RAISE) = 1;
}

static void acknowledge(void)
{
    *(volatile uint32_t *)(edu.registers + EDU_ACK) = 1;
}

static uint32_t control(pci_id id, uint8_t capability)
{
    return pci_read(id, pci_capability(id, capability) + ENABLE, 2);
}

static void set_control(pci_id id, uint8_t capability, uint32_t value)
{
    pci_write(id, pci_capability(id, capability) + ENABLE, 2, value);
}

/* ---- errors ---- */

static void map_gives(long expected, struct physdev_map_pirq request)
{
    EXPECT_RETURN(physdev_op(PHYSDEVOP_map_pirq, &request), expected);
}

static bool one_hidden(pci_id id, void *found)
{
    *(pci_id *)found = id;
    return pci_read(id, PCI_CLASS_REVISION, 4) >> 8 == 0x060100; /* ISA bridge */
}

static void map_refuses(void)
{
    struct physdev_map_pirq good = request_for(edu.id, 0, 0), bad;
    pci_id isa = 0;
    bad = good, bad.domid = OTHER_DOMAIN;
    map_gives(-ESRCH, bad);
    const int32_t types[] = {MAP_PIRQ_TYPE_UNKNOWN, 5, -1, 0x10003};
    for (uint32_t i = 0; i < 4; i++) {
        bad = good, bad.type = types[i];
        map_gives(-EINVAL, bad);
    }
    bad = good, bad.type = MAP_PIRQ_TYPE_MULTI_MSI;
    map_gives(-EOPNOTSUPP, bad);
    const int32_t buses[] = {0x42, 0x10000, -1, 0x100};
    for (uint32_t i = 0; i < 4; i++) {
        bad = good, bad.bus = buses[i];
        map_gives(-ENODEV, bad);
    }
    bad = good, bad.type = MAP_PIRQ_TYPE_MSI, bad.bus = 0x10000;
    map_gives(-ENODEV, bad);
    bad = good, bad.devfn = 0x100 | bad.devfn;
    map_gives(-ENODEV, bad);
    map_gives(-ENODEV, request_for(0, 0, 0)); /* the host bridge */
    EXPECT(pci_walk(one_hidden, &isa), "there is no ISA bridge");
    map_gives(-ENODEV, request_for(isa, 0, 0));
    map_gives(-ENODEV, request_for(edu.id, 0, 0xc0000000)); /* edu has no MSI-X */
    map_gives(-EINVAL, request_for(edu.id, -1, 0xc0000000));
    bad = good, bad.pirq = 300;
    map_gives(-EINVAL, bad);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_map_pirq, NULL), -EFAULT);
}

static void others_refuse(void)
{
    const uint32_t commands[] = {PHYSDEVOP_irq_status_query, PHYSDEVOP_eoi,
                                 PHYSDEVOP_alloc_irq_vector, PHYSDEVOP_unmap_pirq,
                                 PHYSDEVOP_restore_msi,      PHYSDEVOP_setup_gsi,
                                 PHYSDEVOP_pci_device_add,   PHYSDEVOP_pci_mmcfg_reserved,
                                 PHYSDEVOP_restore_msi_ext};
    for (uint32_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        EXPECT_RETURN(physdev_op(commands[i], NULL), -EFAULT);
    const uint32_t numbers[] = {5, 0x1ff, 0x250, 0x2ff, UINT32_MAX};
    for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        evtchn_port_t port;
        EXPECT_RETURN(
            physdev_op(PHYSDEVOP_irq_status_query, &(struct physdev_irq_status_query){numbers[i], 0}),
            -EINVAL);
        EXPECT_RETURN(physdev_op(PHYSDEVOP_eoi, &(struct physdev_eoi){numbers[i]}), -EINVAL);
        EXPECT_RETURN(physdev_op(PHYSDEVOP_alloc_irq_vector, &(struct physdev_irq){numbers[i], 0}), -EINVAL);
        EXPECT_RETURN(unmap(numbers[i]), -EINVAL);
        EXPECT_RETURN(try_bind(numbers[i], 0, &port), -EINVAL);
    }
    EXPECT_RETURN(physdev_op(PHYSDEVOP_unmap_pirq, &(struct physdev_unmap_pirq){OTHER_DOMAIN, 5}), -ESRCH);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_pirq, NULL), -EFAULT);
}

static void functions_are_known(void)
{
    struct physdev_pci_device here = {0, (uint8_t)(edu.id >> 8), (uint8_t)edu.id}, absent = {0, 0x42, 0},
                              elsewhere = {1, here.bus, here.devfn};
    struct physdev_pci_device_add add = {.bus = here.bus, .devfn = here.devfn};
    EXPECT_RETURN(physdev_op(PHYSDEVOP_pci_device_add, &add), 0);
    add.seg = 1;
    EXPECT_RETURN(physdev_op(PHYSDEVOP_pci_device_add, &add), -ENODEV);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_restore_msi_ext, &here), 0);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_restore_msi_ext, &absent), -ENODEV);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_restore_msi_ext, &elsewhere), -ENODEV);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_restore_msi, &(struct physdev_restore_msi){here.bus, here.devfn}), 0);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_restore_msi, &(struct physdev_restore_msi){0x42, 0}), -ENODEV);
    struct physdev_pci_mmcfg_reserved window = {.address = 0xb0000000, .end_bus = 0xff};
    EXPECT_RETURN(physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &window), 0);
    window.address += 0x1000;
    EXPECT_RETURN(physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &window), -ENODEV);
}

/* ---- MSI ---- */

static void without_a_mapping_it_stays_off(void)
{
    set_control(edu.id, CAP_MSI, control(edu.id, CAP_MSI) | MSI_ON);
    EXPECT(!(control(edu.id, CAP_MSI) & MSI_ON), "MSI is on although nothing is mapped");
}

/* The answer cannot be written, so nothing is mapped. */
static void a_lost_answer_maps_nothing(void)
{
    uint64_t pfn;
    struct physdev_map_pirq *request = page_alloc(&pfn);
    EXPECT(request != NULL, "no page");
    *request = request_for(edu.id, 0, 0);
    struct physdev_map_pirq *view = map_frame(pfn_to_mfn(pfn), MAP_RAM_READ);
    EXPECT(view != NULL, "no view of a page: %ld", window_error);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_map_pirq, view), -EFAULT);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_map_pirq, view), -EFAULT);
    unmap_frames(view, 1);
}

static void by_msi(void)
{
    evtchn_port_t other;
    without_a_mapping_it_stays_off();
    a_lost_answer_maps_nothing();
    uint32_t pirq = map(edu.id, 0, 0);
    map_gives(-EEXIST, request_for(edu.id, 0, 0));
    set_control(edu.id, CAP_MSI, control(edu.id, CAP_MSI) | MSI_ON | 0x70);
    EXPECT((control(edu.id, CAP_MSI) & (MSI_ON | 0x70)) == MSI_ON, "MSI control 0x%x",
           control(edu.id, CAP_MSI));
    raise();
    acknowledge();

    evtchn_port_t port = bind(pirq);
    EXPECT(!event_is_pending(port), "an interrupt from before it was bound");
    EXPECT_RETURN(try_bind(pirq, 0, &other), -EEXIST);
    EXPECT_RETURN(try_bind(pirq, 2, &other), -EINVAL);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_send, &(struct evtchn_port_op){port}), -EINVAL);
    struct physdev_irq_status_query query = {pirq, ~0u};
    EXPECT_RETURN(physdev_op(PHYSDEVOP_irq_status_query, &query), 0);
    EXPECT(query.flags == 0, "a message wants 0x%x", query.flags);
    for (uint32_t i = 0; i < 5; i++) {
        raise();
        EXPECT(arrives(port), "MSI %u did not come", i);
        acknowledge();
        EXPECT_RETURN(physdev_op(PHYSDEVOP_eoi, &(struct physdev_eoi){pirq}), 0);
    }
    EXPECT_RETURN(unmap(pirq), -EBUSY);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_restore_msi,
                             &(struct physdev_restore_msi){(uint8_t)(edu.id >> 8), (uint8_t)edu.id}),
                  0);
    raise();
    EXPECT(arrives(port), "no MSI after it was restored");
    acknowledge();

    EXPECT_RETURN(close_port(port), 0);
    raise();
    acknowledge();
    port = bind(pirq);
    EXPECT(!event_is_pending(port), "an interrupt from while nobody was bound");
    raise();
    EXPECT(arrives(port), "no MSI after it was bound again");
    acknowledge();
    EXPECT_RETURN(close_port(port), 0);
    EXPECT_RETURN(unmap(pirq), 0);
    EXPECT_RETURN(unmap(pirq), -EINVAL);
    EXPECT(!(control(edu.id, CAP_MSI) & MSI_ON), "MSI is on although nothing is mapped any more");
    without_a_mapping_it_stays_off();
}

/* ---- by wire ---- */

#define INTERRUPT_PIN 0x3du

/* Q35 and ICH9: pin A of slot n is GSI 20 + n % 4, for the slots below 25. */
static uint32_t gsi_of(pci_id id)
{
    return 20 + ((uint32_t)(id >> 3 & 31) + pci_read(id, INTERRUPT_PIN, 1) - 1) % 4;
}

static struct physdev_map_pirq line_request(int32_t gsi)
{
    return (struct physdev_map_pirq){
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = gsi};
}

static void line_errors(void)
{
    const int32_t absent[] = {24, 100, 255, 256, 0x7fffffff, -1};
    for (uint32_t i = 0; i < 6; i++) {
        map_gives(-ENODEV, line_request(absent[i]));
        EXPECT_RETURN(physdev_op(PHYSDEVOP_setup_gsi, &(struct physdev_setup_gsi){absent[i], 1, 1}), -ENODEV);
    }
    struct physdev_map_pirq request = line_request(19);
    request.pirq = 18;
    map_gives(-EINVAL, request);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_setup_gsi, &(struct physdev_setup_gsi){19, 2, 0}), -EINVAL);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_setup_gsi, &(struct physdev_setup_gsi){19, 0, 2}), -EINVAL);
}

static void by_wire(void)
{
    uint32_t gsi = gsi_of(edu.id);
    struct physdev_map_pirq request = line_request((int32_t)gsi);
    line_errors();
    map_gives(0, request);
    map_gives(0, request); /* shared */
    request.pirq = -1;
    EXPECT_RETURN(physdev_op(PHYSDEVOP_map_pirq, &request), 0);
    EXPECT_RETURN(request.pirq, (long)gsi);
    struct physdev_irq vector = {gsi, 0};
    EXPECT_RETURN(physdev_op(PHYSDEVOP_alloc_irq_vector, &vector), 0);
    EXPECT(vector.vector != 0, "no vector");
    struct physdev_setup_gsi setup = {(int32_t)gsi, 1, 1};
    EXPECT_RETURN(physdev_op(PHYSDEVOP_setup_gsi, &setup), 0);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_setup_gsi, &setup), -EEXIST);

    evtchn_port_t port = bind(gsi);
    struct physdev_irq_status_query query = {gsi, 0};
    struct physdev_eoi eoi = {gsi};
    EXPECT_RETURN(physdev_op(PHYSDEVOP_irq_status_query, &query), 0);
    EXPECT(query.flags == XENIRQSTAT_needs_eoi, "a level wants 0x%x", query.flags);
    pci_write(edu.id, PCI_COMMAND, 2, pci_read(edu.id, PCI_COMMAND, 2) & ~PCI_COMMAND_INTX_OFF);
    for (uint32_t i = 0; i < 3; i++) {
        raise();
        EXPECT(arrives(port), "level %u did not come", i);
        EXPECT(!arrives(port), "level %u came twice before its end", i);
        EXPECT_RETURN(physdev_op(PHYSDEVOP_eoi, &eoi), 0);
        EXPECT(arrives(port), "level %u holds, and does not come again", i);
        acknowledge();
        EXPECT_RETURN(physdev_op(PHYSDEVOP_eoi, &eoi), 0);
        EXPECT(!arrives(port), "level %u came after it went", i);
    }
    raise();
    EXPECT(arrives(port), "no level");
    EXPECT_RETURN(close_port(port), 0); /* never ended */
    port = bind(gsi);
    EXPECT(arrives(port), "a level that still holds does not come to whoever binds next");
    acknowledge();
    pci_write(edu.id, PCI_COMMAND, 2, pci_read(edu.id, PCI_COMMAND, 2) | PCI_COMMAND_INTX_OFF);
    EXPECT_RETURN(close_port(port), 0);
    EXPECT_RETURN(unmap(gsi), 0);
    EXPECT_RETURN(unmap(gsi), -EINVAL);
}

/* ---- MSI-X ---- */

static void by_msix(void)
{
    static struct nvme nvme;
    pci_id id = 0;
    EXPECT(pci_find_class(NVME_CLASS, 0, &id), "there is no NVMe");
    uint32_t at = pci_capability(id, CAP_MSIX), table = pci_read(id, at + 4, 4);
    uint64_t base = pci_bar(id, table & 7);
    int32_t entries = (int32_t)(control(id, CAP_MSIX) & 0x7ff) + 1;
    pci_write(id, PCI_COMMAND, 2, pci_read(id, PCI_COMMAND, 2) & ~PCI_COMMAND_MEMORY);
    map_gives(-ENXIO, request_for(id, 0, base));
    pci_enable_memory(id);
    map_gives(-ENODEV, request_for(id, entries, base));
    map_gives(-ENODEV, request_for(id, 0, 0)); /* QEMU's has no MSI */
    /* Linux switches it on, masked, before it maps anything. */
    set_control(id, CAP_MSIX, control(id, CAP_MSIX) | MSIX_ON | MSIX_ALL);
    EXPECT((control(id, CAP_MSIX) & (MSIX_ON | MSIX_ALL)) == (MSIX_ON | MSIX_ALL), "MSI-X control 0x%x",
           control(id, CAP_MSIX));
    uint32_t first = map(id, 0, base), last = map(id, entries - 1, base);
    EXPECT(first != last, "two entries are pirq %u", first);
    map_gives(-EEXIST, request_for(id, 0, base));
    set_control(id, CAP_MSIX, control(id, CAP_MSIX) & ~MSIX_ALL);
    evtchn_port_t port = bind(first), other = bind(last);
    const char *trouble = nvme_open(&nvme, 0);
    EXPECT(trouble == NULL, "NVMe: %s", trouble ? trouble : "");
    EXPECT(arrives(port), "the admin queue's MSI-X did not come");
    EXPECT(!event_is_pending(other), "an entry that sends nothing has come");
    nvme_close(&nvme);
    EXPECT_RETURN(close_port(port), 0);
    EXPECT_RETURN(close_port(other), 0);
    EXPECT_RETURN(unmap(first), 0);
    EXPECT(control(id, CAP_MSIX) & MSIX_ON, "off with one entry left");
    EXPECT_RETURN(unmap(last), 0);
    EXPECT(!(control(id, CAP_MSIX) & MSIX_ON), "MSI-X is on although nothing is mapped any more");
}

/* Whatever is open is closed with the ports. */
static void reset_closes(void)
{
    uint32_t pirq = map(edu.id, 0, 0);
    bind(pirq);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_reset, &(struct evtchn_reset){DOMID_SELF}), 0);
    evtchn_port_t port = bind(pirq);
    EXPECT_RETURN(close_port(port), 0);
    EXPECT_RETURN(unmap(pirq), 0);
}

void guest_main(void)
{
    EXPECT_RETURN(events_init(), 0);
    EXPECT(edu_open(&edu, 0), "there is no edu");
    map_refuses();
    others_refuse();
    functions_are_known();
    by_msi();
    if (!strstr(start_info->cmd_line, "no-wire"))
        by_wire();
    by_msix();
    reset_closes();
    report_success("devices are heard");
}
