/* SPDX-License-Identifier: MIT */
/* Who is behind whom, and what that does to requester ids. */
#ifndef SLUICE_PCI_TOPOLOGY_H
#define SLUICE_PCI_TOPOLOGY_H

#include "pci/pci.h"

/*
 * Sets parent, requester_id and phantoms of each of `count` functions, sorted by id. A bridge whose bus
 * numbers make no tree (not above its own bus, outside its parent's, shared with another) is refused in a
 * sentence: its bus numbers become 0, and it is hidden, with what answers on those buses.
 */
void pci_link(struct pci_function *functions, uint32_t count);

#endif
