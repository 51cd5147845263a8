/* SPDX-License-Identifier: MIT */
/*
 * Groups: functions that a guest gets together or not at all, because one of them could reach another past
 * the IOMMU, or because the IOMMU cannot tell them apart.
 */
#ifndef SLUICE_PCI_GROUP_H
#define SLUICE_PCI_GROUP_H

#include "pci/pci.h"

#define PCI_REQUESTER_IDS_MAX 9u /* its own, a bridge's, seven phantom functions' */

/* Every requester id that the function's DMA can carry, aliases of firmware's left out; how many they are. */
uint32_t pci_requester_ids(const struct pci_function *function, uint16_t ids[PCI_REQUESTER_IDS_MAX]);

/*
 * Sets `group` of each of `count` linked functions, sorted by id: the index of its group's first member.
 * alias: the id as which firmware says that an id shows, the same id when it has none.
 */
void pci_group(struct pci_function *functions, uint32_t count, uint16_t (*alias)(uint16_t id));

#endif
