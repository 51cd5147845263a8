/* SPDX-License-Identifier: MIT */
/*
 * PCI: what functions there are, what they claim, and under which requester ids their DMA shows.
 * The walk only reads configuration space; bus numbers are as firmware left them.
 */
#ifndef SLUICE_PCI_PCI_H
#define SLUICE_PCI_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_FUNCTIONS_MAX 512u
#define PCI_BARS          6u

static inline uint16_t pci_id(uint8_t bus, uint8_t device, uint8_t function)
{
    return (uint16_t)((uint32_t)bus << 8 | (device & 31u) << 3 | (function & 7u));
}
#define PCI_BUS(id)      ((uint8_t)((id) >> 8))
#define PCI_DEVICE(id)   ((uint8_t)((id) >> 3 & 31u))
#define PCI_FUNCTION(id) ((uint8_t)((id)&7u))
/* For log lines: printf(PCI_FMT, PCI_ARG(id)) gives "00:1f.2". */
#define PCI_FMT          "%02x:%02x.%x"
#define PCI_ARG(id)      PCI_BUS(id), PCI_DEVICE(id), PCI_FUNCTION(id)

enum pci_kind {
    PCI_KIND_ENDPOINT = 0,
    PCI_KIND_HOST_BRIDGE,
    PCI_KIND_ISA_BRIDGE,
    PCI_KIND_BRIDGE, /* header type 1 */
    PCI_KIND_IOMMU,
};

enum pci_bar_kind { PCI_BAR_NONE = 0, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_bar {
    enum pci_bar_kind kind;
    bool prefetchable;
    uint64_t base; /* as firmware programmed it; bytes */
    uint64_t size; /* bytes; 0 until pci_size_bars() */
};

struct pci_function {
    uint16_t id; /* bus << 8 | device << 3 | function, segment 0 */
    uint16_t vendor, device;
    uint32_t class_code; /* class << 16 | subclass << 8 | interface */
    uint8_t header_type; /* without the multi-function bit */
    enum pci_kind kind;
    bool is_pcie;
    bool bypasses_iommu;                    /* virtio without ACCESS_PLATFORM: decided by pci_find_bypass() */
    bool hidden;                            /* the guest sees no such function */
    uint8_t secondary_bus, subordinate_bus; /* bridges */
    uint8_t pcie_type;                      /* PCIe capability, device/port type */
    uint16_t cap_msi, cap_msix, cap_pcie, cap_iommu; /* offsets, 0 = none */
    uint8_t msix_bar, msix_pba_bar;
    uint32_t msix_table_offset, msix_table_entries; /* bytes into the BAR; number of 16-byte entries */
    uint32_t msix_pba_offset;
    uint16_t requester_id; /* what DMA of this function shows on the bus */
    uint8_t phantom_bits;  /* high bits of the function number that it uses as it likes; 0 unless enabled */
    uint8_t phantoms;      /* set of the function numbers of its device that are its phantoms */
    bool access_control;   /* a port that sends what comes from behind it to the root */
    uint16_t group;        /* index of the first function of its group, from pci_form_groups() on */
    struct pci_function *parent; /* bridge above, or NULL on a root bus */
    struct pci_bar bars[PCI_BARS];
    uint32_t rom_size; /* bytes of the expansion ROM; 0 until pci_size_bars() and when there is none */
};

/* Offsets in configuration space, PCI 3.0, 6.1, and PCI-PCI bridge 1.2, 3.2. */
#define PCI_VENDOR         0x00u
#define PCI_COMMAND        0x04u
#define PCI_STATUS         0x06u
#define PCI_REVISION_CLASS 0x08u
#define PCI_HEADER_TYPE    0x0eu
#define PCI_BAR0           0x10u
#define PCI_ROM_NORMAL     0x30u
#define PCI_ROM_BRIDGE     0x38u
#define PCI_CAPABILITIES   0x34u
#define PCI_CONFIG_END     0x100u  /* what cf8/cfc reaches */
#define PCI_EXTENDED_END   0x1000u /* what MCFG reaches */

#define PCI_PRIMARY_BUS     0x18u
#define PCI_SECONDARY_BUS   0x19u
#define PCI_SUBORDINATE_BUS 0x1au
#define PCI_MEMORY_WINDOW   0x20u
#define PCI_PREFETCH_WINDOW 0x24u
#define PCI_PREFETCH_BASE_H 0x28u
#define PCI_PREFETCH_LIM_H  0x2cu

#define PCI_COMMAND_IO     0x0001u
#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_COMMAND_MASTER 0x0004u
#define PCI_COMMAND_INTX   0x0400u /* set: INTx disabled */
#define PCI_STATUS_CAPS    0x0010u

#define PCI_BAR_IS_IO    0x1u
#define PCI_BAR_IO_MASK  0xfffffffcu
#define PCI_BAR_MEM_MASK 0xfffffff0u

#define PCI_CAP_PM     0x01u
#define PCI_CAP_MSI    0x05u
#define PCI_CAP_VENDOR 0x09u
#define PCI_CAP_SECURE 0x0fu
#define PCI_CAP_PCIE   0x10u
#define PCI_CAP_MSIX   0x11u
#define PCI_CAPS_MAX   48u /* as many as fit; a longer chain is a loop */

/* PCI Express capability, device/port types (PCIe 4.0, 7.5.3.2). */
#define PCIE_TYPE_ROOT_PORT       4u
#define PCIE_TYPE_UPSTREAM        5u
#define PCIE_TYPE_DOWNSTREAM      6u
#define PCIE_TYPE_TO_PCI_BRIDGE   7u
#define PCIE_TYPE_FROM_PCI_BRIDGE 8u

/* A port of a root complex or a switch: the functions that can have access control for what is behind them.
 */
static inline bool pci_is_port(const struct pci_function *function)
{
    return function->kind == PCI_KIND_BRIDGE && function->is_pcie &&
           (function->pcie_type == PCIE_TYPE_ROOT_PORT || function->pcie_type == PCIE_TYPE_UPSTREAM ||
            function->pcie_type == PCIE_TYPE_DOWNSTREAM);
}

/* How many BARs the header has. */
static inline uint32_t pci_bar_count(const struct pci_function *function)
{
    return function->header_type == 0 ? 6 : function->header_type == 1 ? 2 : 0;
}

/* The capability at or after `at` in the chain (0 = from the start); 0 = end. A loop ends it, by *hops. */
uint8_t pci_next_capability(uint16_t id, uint8_t at, uint32_t *hops);

/* Raw access by cf8/cfc (extended registers by MCFG where firmware gives it). All ones when absent. */
uint32_t pci_read(uint16_t id, uint16_t offset, uint8_t bytes);
void pci_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value);

/* Walks all buses. Functions are sorted by id; pointers stay valid for ever. */
void pci_walk(void);
uint32_t pci_count(void);
struct pci_function *pci_at(uint32_t index);
struct pci_function *pci_find(uint16_t id); /* NULL when there is none */
struct pci_function *pci_next(uint32_t id); /* the first one from id on, or NULL */

/* Sizes every BAR (decoding off meanwhile); only after DMA is denied by the IOMMU. */
void pci_size_bars(void);
/* Logs where the memory of each function is, once it is sized. */
void pci_report_memory(void);

/* Switches the function's MSI or MSI-X off, if it has one. */
void pci_stop_message(const struct pci_function *function, bool msix);

/* Switches off every MSI and MSI-X that firmware left on: nobody here waits for it. */
void pci_stop_messages(void);

/*
 * Switches bus mastering off at the disk, network, USB and FireWire controllers, which firmware's drivers may
 * have left at work on memory that is about to be the guest's; but for those that is_needed() says must go
 * on.
 */
void pci_stop_transfers(bool (*is_needed)(uint16_t id));

/* Switches access control on at every port that has it, and notes where it is on. Before devices are
 * attached. */
void pci_enable_access_control(void);

/* Forms the groups of group.h. */
void pci_form_groups(uint16_t (*alias)(uint16_t id));

/*
 * Marks functions whose DMA does not pass the IOMMU, names them, hides them and clears their bus mastering,
 * unless the option allow-bypass is given. Needs translation on: it opens memory decoding for a moment.
 */
void pci_find_bypass(void);

void pci_set_bus_master(uint16_t id, bool on);

#endif
