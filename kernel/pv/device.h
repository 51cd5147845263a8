/* SPDX-License-Identifier: MIT */
/*
 * The windows of the guest's devices, one record for each base address register: device.c decides which are
 * the guest's, place.c where one may go, config.c and io.c ask.
 */
#ifndef SLUICE_PV_DEVICE_H
#define SLUICE_PV_DEVICE_H

#include "pci/pci.h"

#include <stdbool.h>
#include <stdint.h>

#define DEVICE_BARS_MAX  512u
#define DEVICE_PORTS_MAX 64u /* I/O windows */
#define DEVICE_MOVED_MAX 16u /* memory windows that are elsewhere than at boot, at one time */

struct device_bar {
    const struct pci_function *function;
    uint64_t boot;    /* where firmware put it; 0 = nowhere */
    uint64_t base;    /* where it is */
    uint64_t size;    /* bytes, a power of two */
    uint64_t written; /* what the guest wrote last, address bits only */
    uint8_t index;    /* first register, 0..5 */
    uint8_t kind;     /* enum pci_bar_kind */
    bool prefetchable;
    bool refused; /* not the guest's: the sentence was logged at boot */
    bool fixed;   /* holds an MSI-X table or pending bits: never moves */
};

uint32_t device_bar_count(void);
struct device_bar *device_bar_at(uint32_t index);

/* The window whose register (or second half) is number `index` of the function; NULL when there is none. */
struct device_bar *device_bar_find(const struct pci_function *function, uint32_t index);

/* True when a window of that kind (I/O or memory) was refused: its decoding stays as firmware left it. */
bool device_decode_is_frozen(const struct pci_function *function, bool io);

/* True when all of [port, port + bytes) lies in one I/O window of the guest's. */
bool device_port_is_own(uint32_t port, uint32_t bytes);

/* Whose page of the configuration window the frame is, whether there is such a function or not. */
bool device_config_function(uint64_t mfn, uint16_t *id);

/* Pages [base, base + size) touch RAM, firmware's memory, the configuration window or the hypervisor's
 * registers. */
bool device_range_is_forbidden(uint64_t base, uint64_t size);

/* Records an accepted place (place.c has checked it); false when too many windows have moved. */
bool device_bar_set_base(struct device_bar *bar, uint64_t base);

/* ---- place.c ---- */

/* A memory window may go there: see guest-abi/devices.md, "Moving a window". */
bool device_place_is_free(const struct device_bar *bar, uint64_t base);

#endif
