/* SPDX-License-Identifier: MIT */
/*
 * The guest's bus address space: BFNs of its own choosing, far above any machine frame that a hypervisor
 * may have mapped at boot. Without IOMMUOP a bus address is a machine address, and nothing is protected.
 */
#ifndef KIT_BUS_H
#define KIT_BUS_H

#include <sluice/iommu_op.h>

#include <stdbool.h>
#include <stdint.h>

#define NO_BUS UINT64_MAX

/* Asks once what there is. True: bus addresses are the guest's to choose. */
bool bus_init(void);
bool bus_steered(void);
const struct iommu_query *bus_query(void); /* valid when steered */

/* BFNs nobody uses yet, consecutive, outside every reserved range; NO_BUS when there are none left. */
uint64_t bus_reserve(uint32_t frames);

/*
 * Maps machine frames at consecutive BFNs in one hypercall; flags are IOMMU_MAP_OP_*. The first BFN, or
 * NO_BUS (bus_error has the failed element's status). At most 512 frames. Needs bus_steered().
 */
uint64_t bus_map(const uint64_t *mfns, uint32_t count, uint32_t flags);
extern long bus_error;

/* A bus address for one frame, steered or not: for a driver's rings. */
uint64_t bus_address(uint64_t pfn);

#endif
