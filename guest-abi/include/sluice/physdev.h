/* SPDX-License-Identifier: MIT */
/* physdev_op(command, argument): numbers, names and layouts of Xen's public contract. */
#ifndef SLUICE_PHYSDEV_H
#define SLUICE_PHYSDEV_H

#include <stdint.h>

#define PHYSDEVOP_irq_status_query   5
#define PHYSDEVOP_set_iopl           6
#define PHYSDEVOP_set_iobitmap       7
#define PHYSDEVOP_alloc_irq_vector   10
#define PHYSDEVOP_eoi                12
#define PHYSDEVOP_map_pirq           13
#define PHYSDEVOP_unmap_pirq         14
#define PHYSDEVOP_restore_msi        19
#define PHYSDEVOP_setup_gsi          21
#define PHYSDEVOP_pci_mmcfg_reserved 24
#define PHYSDEVOP_pci_device_add     25
#define PHYSDEVOP_restore_msi_ext    27

struct physdev_set_iopl {
    uint32_t iopl; /* 0 to 3 */
};

struct physdev_set_iobitmap {
    uint64_t bitmap;   /* guest virtual address; a clear bit opens its port to user mode */
    uint32_t nr_ports; /* bits; ports beyond stay closed */
};

struct physdev_eoi {
    uint32_t irq;
};

#define XENIRQSTAT_needs_eoi 1u
#define XENIRQSTAT_shared    2u

struct physdev_irq_status_query {
    uint32_t irq;   /* in */
    uint32_t flags; /* out: XENIRQSTAT_* */
};

#define MAP_PIRQ_TYPE_MSI       0
#define MAP_PIRQ_TYPE_GSI       1
#define MAP_PIRQ_TYPE_UNKNOWN   2
#define MAP_PIRQ_TYPE_MSI_SEG   3
#define MAP_PIRQ_TYPE_MULTI_MSI 4

struct physdev_map_pirq {
    uint16_t domid;
    int32_t type;        /* MAP_PIRQ_TYPE_* */
    int32_t index;       /* GSI; not looked at for messages */
    int32_t pirq;        /* in: -1 = any; out: the one that was taken */
    int32_t bus;         /* bits 0 to 15; with MAP_PIRQ_TYPE_MSI_SEG the segment above */
    int32_t devfn;       /* device << 3 | function */
    int32_t entry_nr;    /* MSI-X: index in its table */
    uint64_t table_base; /* MSI-X: not 0; MSI: 0 */
};

struct physdev_unmap_pirq {
    uint16_t domid;
    int32_t pirq;
};

struct physdev_irq {
    uint32_t irq;    /* in */
    uint32_t vector; /* out: not 0, and of no use */
};

struct physdev_setup_gsi {
    int32_t gsi;
    uint8_t triggering; /* 0 edge, 1 level */
    uint8_t polarity;   /* 0 high, 1 low */
};

struct physdev_restore_msi {
    uint8_t bus, devfn;
};

struct physdev_pci_device {
    uint16_t seg;
    uint8_t bus, devfn;
};

struct physdev_pci_device_add {
    uint16_t seg;
    uint8_t bus, devfn;
    uint32_t flags;
    struct {
        uint8_t bus, devfn;
    } physfn;
};

struct physdev_pci_mmcfg_reserved {
    uint64_t address;
    uint16_t segment;
    uint8_t start_bus, end_bus;
    uint32_t flags;
};

_Static_assert(sizeof(struct physdev_map_pirq) == 40, "public ABI");
_Static_assert(sizeof(struct physdev_unmap_pirq) == 8, "public ABI");
_Static_assert(sizeof(struct physdev_pci_device_add) == 12, "public ABI");
_Static_assert(sizeof(struct physdev_pci_mmcfg_reserved) == 16, "public ABI");

#endif
