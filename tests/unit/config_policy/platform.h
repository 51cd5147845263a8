/* SPDX-License-Identifier: MIT */
/*
 * A machine for tests of what the guest may do to its devices: 2 GiB of RAM, a PCI hole above it, the usual
 * registers below 4 GiB.
 *
 *   00:00.0 host bridge          00:1f.0 ISA bridge
 *   00:01.0 nvme    64-bit BAR 0 at 0x80000000 (16 KiB), MSI-X table at 0x2000, pending bits at 0x3000
 *   00:02.0 edu     BAR 0 at 0x80100000 (1 MiB)
 *   00:03.0 network BAR 0 at 0x80200000 (4 KiB), I/O BAR 1 at 0xc000 (64), MSI
 *   00:05.0 root port to bus 1, window 0x80400000 to 0x805fffff
 *   01:00.0 disk    BAR 0 at 0x80400000 (4 KiB)
 */
#ifndef SLUICE_TESTS_PLATFORM_H
#define SLUICE_TESTS_PLATFORM_H

#include "tests/unit/fakes/pci_model.h"

#include <stdbool.h>
#include <stdint.h>

#define ID(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))
#define HOST                      ID(0, 0, 0)
#define ISA                       ID(0, 31, 0)
#define NVME                      ID(0, 1, 0)
#define EDU                       ID(0, 2, 0)
#define NETWORK                   ID(0, 3, 0)
#define PORT                      ID(0, 5, 0)
#define DISK                      ID(1, 0, 0)

#define NVME_MSIX 0x40u
#define NET_MSI   0x50u
#define NET_PCIE  0x70u

#define IOMMU_REGISTERS 0xfed90000u
#define MCFG_BASE       0xb0000000u

extern bool platform_unit_dead;
extern uint32_t platform_harmless; /* the function whose MSI (or MSI-X) may be switched on, or none */
extern bool platform_harmless_msix;
extern uint32_t platform_isolated; /* a requester id, or none */

/* The devices above, with no policy yet: add to them, then platform_start(). */
void platform_reset(void);
void platform_start(void);

#endif
