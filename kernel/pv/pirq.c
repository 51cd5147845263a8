/* SPDX-License-Identifier: MIT */
/*
 * physdev_op, the part about interrupts: a message of a device (MSI, or an entry of its MSI-X table) or an
 * input of an IO-APIC becomes a pirq, and a pirq an event channel. Which vector, which entry of the IOMMU and
 * which message that takes is ours; the guest switches MSI and MSI-X on and off, which config.c lets it when
 * something is mapped.
 */
#include "pv/pirq.h"

#include "acpi/acpi.h"
#include "guest-abi/include/sluice/errno.h"
#include "guest-abi/include/sluice/physdev.h"
#include "irq/ioapic.h"
#include "irq/message.h"
#include "irq/route.h"
#include "mem/guest_copy.h"
#include "pv/event.h"
#include "pv/guest.h"
#include "pv/reservation.h"

#include <stddef.h>

/* Below are the IO-APICs' inputs, which have the numbers that firmware gives them. */
#define FIRST_MESSAGE 0x200u
_Static_assert(IRQ_LINES_MAX <= FIRST_MESSAGE, "a number is one or the other");

#define ANY_PIRQ (-1)

struct pirq {
    bool mapped;
    uint16_t number; /* the guest's */
    uint16_t port;   /* 0: not bound */
};
static struct pirq pirqs[IRQ_VECTORS]; /* by vector */

static struct pirq *find_mapped(uint32_t number)
{
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (pirqs[i].mapped && pirqs[i].number == number)
            return &pirqs[i];
    }
    return NULL;
}

static bool is_line(const struct pirq *pirq)
{
    return pirq->number < FIRST_MESSAGE;
}

static uint32_t vector_of(const struct pirq *pirq)
{
    return IRQ_FIRST_VECTOR + (uint32_t)(pirq - pirqs);
}

/* An MSI that cannot be masked comes although nobody is bound. */
static void device_interrupt(uint32_t vector)
{
    const struct pirq *pirq = &pirqs[vector - IRQ_FIRST_VECTOR];

    if (is_line(pirq))
        irq_line_arrived(pirq->number);
    if (pirq->port != 0)
        event_raise(pirq->port);
}

/* ---- event channels ---- */

static void mask(const struct pirq *pirq, bool masked)
{
    if (is_line(pirq))
        irq_line_mask(pirq->number, masked);
    else
        irq_message_mask(vector_of(pirq), masked);
}

int pirq_bind(uint32_t number, uint32_t port)
{
    struct pirq *pirq = find_mapped(number);

    if (pirq == NULL)
        return -EINVAL;
    if (pirq->port != 0)
        return -EEXIST;
    pirq->port = (uint16_t)port;
    if (is_line(pirq))
        irq_line_end(number); /* of whom it was bound to before */
    mask(pirq, false);
    return 0;
}

void pirq_unbind(uint32_t number)
{
    struct pirq *pirq = find_mapped(number);

    mask(pirq, true);
    pirq->port = 0;
}

/* ---- mapping ---- */

/* The endpoint that the guest names, if it sees such a one: what a bridge sends stays off. */
static const struct pci_function *visible(uint32_t segment, uint32_t bus, uint32_t devfn)
{
    if (segment != 0 || bus > UINT8_MAX || devfn > UINT8_MAX)
        return NULL;
    const struct pci_function *function = pci_find((uint16_t)(bus << 8 | devfn));

    return function != NULL && !function->hidden && function->kind == PCI_KIND_ENDPOINT ? function : NULL;
}

static const struct pci_function *function_of(const struct physdev_map_pirq *request)
{
    uint32_t bus = (uint32_t)request->bus, segment = 0;

    if (request->type == MAP_PIRQ_TYPE_MSI_SEG) {
        segment = bus >> 16;
        bus &= UINT16_MAX;
    }
    return visible(segment, bus, (uint32_t)request->devfn);
}

/* A table's address tells MSI-X from MSI; where the table is Sluice knows by itself. */
static int open_message(const struct physdev_map_pirq *request, uint32_t *vector)
{
    const struct pci_function *function = function_of(request);
    bool msix = request->table_base != 0;

    if (function == NULL)
        return -ENODEV;
    if (msix && request->entry_nr < 0)
        return -EINVAL;
    return irq_message_open(function, msix ? (uint32_t)request->entry_nr : IRQ_MSI, device_interrupt, vector);
}

static long finish_map(uint64_t argument, struct physdev_map_pirq *request, uint32_t number)
{
    request->pirq = (int32_t)number;
    return copy_to_guest(argument, request, sizeof *request) ? -EFAULT : 0;
}

static void unmap(struct pirq *pirq)
{
    if (is_line(pirq))
        irq_line_close(pirq->number);
    else
        irq_message_close(vector_of(pirq));
    *pirq = (struct pirq){.mapped = false};
}

static long map_message(uint64_t argument, struct physdev_map_pirq *request)
{
    uint32_t vector;

    if (request->pirq != ANY_PIRQ)
        return -EINVAL;
    int error = open_message(request, &vector);
    if (error != 0)
        return error;
    struct pirq *pirq = &pirqs[vector - IRQ_FIRST_VECTOR];
    *pirq = (struct pirq){.mapped = true, .number = (uint16_t)(FIRST_MESSAGE + vector)};
    long result = finish_map(argument, request, pirq->number);
    if (result != 0)
        unmap(pirq);
    return result;
}

/* A guest may map a line twice, as one that several devices share. */
static long map_line(uint64_t argument, struct physdev_map_pirq *request)
{
    uint32_t gsi = (uint32_t)request->index, vector;

    if (request->pirq != ANY_PIRQ && request->pirq != request->index)
        return -EINVAL;
    int error = irq_line_open(gsi, device_interrupt, &vector);
    if (error == -EEXIST)
        return finish_map(argument, request, gsi);
    if (error != 0)
        return error;
    pirqs[vector - IRQ_FIRST_VECTOR] = (struct pirq){.mapped = true, .number = (uint16_t)gsi};
    long result = finish_map(argument, request, gsi);
    if (result != 0)
        unmap(&pirqs[vector - IRQ_FIRST_VECTOR]);
    return result;
}

static long map_pirq(uint64_t argument)
{
    struct physdev_map_pirq request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (!reservation_is_own(request.domid))
        return -ESRCH;
    switch (request.type) {
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
        return map_message(argument, &request);
    case MAP_PIRQ_TYPE_GSI:
        return map_line(argument, &request);
    case MAP_PIRQ_TYPE_MULTI_MSI: /* the guest takes one message then */
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

static long unmap_pirq(uint64_t argument)
{
    struct physdev_unmap_pirq request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (!reservation_is_own(request.domid))
        return -ESRCH;
    struct pirq *pirq = find_mapped((uint32_t)request.pirq);
    if (pirq == NULL)
        return -EINVAL;
    if (pirq->port != 0)
        return -EBUSY;
    unmap(pirq);
    return 0;
}

/* What the vector of a line is, is nobody's business; that there is one the guest wants to hear. */
static long alloc_irq_vector(uint64_t argument)
{
    struct physdev_irq request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    const struct pirq *pirq = find_mapped(request.irq);
    if (pirq == NULL)
        return -EINVAL;
    request.vector = vector_of(pirq);
    return copy_to_guest(argument, &request, sizeof request) ? -EFAULT : 0;
}

static long setup_gsi(uint64_t argument)
{
    struct physdev_setup_gsi request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.triggering > 1 || request.polarity > 1)
        return -EINVAL;
    return irq_line_configure((uint32_t)request.gsi, request.triggering != 0, request.polarity != 0);
}

/* ---- the rest ---- */

/* Messages are edges: nothing waits for their end. */
static long status_query(uint64_t argument)
{
    struct physdev_irq_status_query request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    const struct pirq *pirq = find_mapped(request.irq);
    if (pirq == NULL)
        return -EINVAL;
    request.flags = is_line(pirq) && irq_line_is_level(pirq->number) ? XENIRQSTAT_needs_eoi : 0;
    return copy_to_guest(argument, &request, sizeof request) ? -EFAULT : 0;
}

static long end_of_interrupt(uint64_t argument)
{
    struct physdev_eoi request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    const struct pirq *pirq = find_mapped(request.irq);
    if (pirq == NULL)
        return -EINVAL;
    if (is_line(pirq))
        irq_line_end(pirq->number);
    return 0;
}

/* What the guest finds Sluice has found before; nothing is hot-plugged. */
static long device_known(uint64_t argument)
{
    struct physdev_pci_device request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    const struct pci_function *function =
        request.seg == 0 ? pci_find((uint16_t)((uint32_t)request.bus << 8 | request.devfn)) : NULL;
    return function != NULL && !function->hidden ? 0 : -ENODEV;
}

static long restore(uint32_t segment, uint32_t bus, uint32_t devfn)
{
    const struct pci_function *function = visible(segment, bus, devfn);

    if (function == NULL)
        return -ENODEV;
    irq_message_restore(function);
    return 0;
}

static long restore_msi(uint64_t argument)
{
    struct physdev_restore_msi request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    return restore(0, request.bus, request.devfn);
}

static long restore_msi_ext(uint64_t argument)
{
    struct physdev_pci_device request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    return restore(request.seg, request.bus, request.devfn);
}

/* The guest tells of a window of configuration space; Sluice goes by firmware's word. */
static long mmcfg_reserved(uint64_t argument)
{
    struct physdev_pci_mmcfg_reserved request;
    struct acpi_mcfg windows[4];
    uint32_t count = acpi_mcfg(windows, sizeof windows / sizeof windows[0]);

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    for (uint32_t i = 0; i < count; i++) {
        if (windows[i].base == request.address && windows[i].segment == request.segment)
            return 0;
    }
    return -ENODEV;
}

long pirq_op(uint32_t command, uint64_t argument)
{
    switch (command) {
    case PHYSDEVOP_irq_status_query:
        return status_query(argument);
    case PHYSDEVOP_eoi:
        return end_of_interrupt(argument);
    case PHYSDEVOP_alloc_irq_vector:
        return alloc_irq_vector(argument);
    case PHYSDEVOP_setup_gsi:
        return setup_gsi(argument);
    case PHYSDEVOP_map_pirq:
        return map_pirq(argument);
    case PHYSDEVOP_unmap_pirq:
        return unmap_pirq(argument);
    case PHYSDEVOP_restore_msi:
        return restore_msi(argument);
    case PHYSDEVOP_restore_msi_ext:
        return restore_msi_ext(argument);
    case PHYSDEVOP_pci_device_add:
        return device_known(argument);
    case PHYSDEVOP_pci_mmcfg_reserved:
        return mmcfg_reserved(argument);
    default:
        return -ENOSYS;
    }
}
