/* SPDX-License-Identifier: MIT */
/* PCI configuration space through ports 0xcf8 and 0xcfc (the hypervisor emulates the IN and OUT). */
#ifndef KIT_PCI_H
#define KIT_PCI_H

#include <stdbool.h>
#include <stdint.h>

/* A function: bus 15..8, device 7..3, function 2..0. */
typedef uint16_t pci_id;

#define PCI_VENDOR_ID           0x00u
#define PCI_COMMAND             0x04u
#define PCI_COMMAND_MEMORY      0x2u
#define PCI_COMMAND_MASTER      0x4u
#define PCI_COMMAND_INTX_OFF    0x400u
#define PCI_STATUS_CAPABILITIES 0x10u
#define PCI_CLASS_REVISION      0x08u
#define PCI_HEADER_TYPE         0x0eu
#define PCI_BAR0                0x10u
#define PCI_SECONDARY_BUS       0x19u
#define PCI_CAPABILITIES        0x34u

/* bytes is 1, 2 or 4 and offset a multiple of it. An absent function reads as ones. */
uint32_t pci_read(pci_id id, uint32_t offset, uint32_t bytes);
void pci_write(pci_id id, uint32_t offset, uint32_t bytes, uint32_t value);

/* Visits every function behind the host bridge, depth by depth; stops when visit returns true. */
bool pci_walk(bool (*visit)(pci_id id, void *argument), void *argument);

/* The index-th match, from 0. class_code is the class register's upper 24 bits. */
bool pci_find_device(uint16_t vendor, uint16_t device, uint32_t index, pci_id *id);
bool pci_find_class(uint32_t class_code, uint32_t index, pci_id *id);

/* Physical address of a memory BAR; 0 for an I/O BAR or one that is not placed. */
uint64_t pci_bar(pci_id id, uint32_t bar);

/* Offset of a capability in configuration space, or 0. */
uint32_t pci_capability(pci_id id, uint8_t capability);

/*
 * Its registers can be reached: memory decoding on, its legacy interrupt off. The bridges above it let
 * through both what it is told and what it sends.
 */
void pci_enable_memory(pci_id id);
/* Whether it may send reads and writes to memory. False: it does not stay as set. */
bool pci_set_master(pci_id id, bool on);
/* Both, for a device that firmware left idle. */
void pci_enable(pci_id id);

/* Raw ports. Those that the guest may not have read as ones; writes to them are ignored. */
uint32_t port_read(uint16_t port, uint32_t bytes);
void port_write(uint16_t port, uint32_t bytes, uint32_t value);

#define PCI_FORMAT   "%02x:%02x.%u"
#define PCI_SHOW(id) (unsigned)(id) >> 8, (unsigned)(id) >> 3 & 31, (unsigned)(id)&7

#endif
