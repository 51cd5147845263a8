/* SPDX-License-Identifier: MIT */
/* The stations of the tour. Each judges itself by data and returns whether it passed. */
#ifndef TOUR_H
#define TOUR_H

#include "kit/guest.h"
#include "kit/pci.h"

#include <stdbool.h>
#include <stdint.h>

/* One remark below a station's sentence. refute() says what was wrong and returns false. */
void remark(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool refute(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A frame of the guest with its three faces. */
struct frame {
    uint64_t pfn, mfn;
    uint8_t *page;
};
/* A spare frame, mapped. The guest ends when there is none. */
struct frame frame_get(void);

/* find.c: a disk that can be read, whatever its controller */

struct disk {
    const char *kind; /* NVMe, or AHCI */
    pci_id id;
    const char *model;
    uint64_t blocks, pages; /* pages: whole ones of 4 KiB */
    uint32_t block_size, max_bytes;
    bool sgl; /* takes one descriptor for a bus range */
};

/* Looks at every controller, says what there is, and opens the first disk. False: there is none. */
bool disk_find(void);
/* Whether a controller was there that did not do what it should. */
bool disk_trouble(void);
const struct disk *disk_now(void); /* valid after disk_find() has found one */
/* Reads count pages of 4 KiB, the first being number first: 0, or a kit driver's error. */
long disk_read_pages(uint64_t first, uint32_t count, const uint64_t *pages, bool one_descriptor);
/* Leaves its controller stopped. */
void disk_close(void);

/* disk.c */
bool disk_identify(void);
bool disk_read(void);

/* stray.c: the rules of the bus where a disk is the only device */
bool stray_unmapped(void);
bool stray_read_only(void);
bool stray_remapped(void);
bool stray_unmapped_after_use(void);

/* device.c: edu and the rules of the bus */
bool device_open(void);
bool device_is_here(void);
bool device_is_cut_off(void); /* nothing it writes arrives, not even in its own page */
bool device_direct(void);
bool device_page_edge(void);
bool device_unmapped(void);
bool device_read_only(void);
bool device_remapped(void);
bool device_unmapped_after_use(void);

/* pages.c: entries of 2 MiB, made and split */
bool pages_of_two_sizes(void);
bool pages_split_under_dma(void);

/* refused.c: what the hypervisor must not let a guest ask for */
bool refused_bad_element(void);
bool refused_hypervisor_memory(void);
bool refused_page_table_write(void);

/* ---- the device as the stations use it (device.c) ---- */

#define PAYLOAD 64u /* bytes of one transfer */

void fill_poison(uint8_t *page);
bool is_poison(const uint8_t *page, uint32_t from, uint32_t bytes);
/* Has the device write PAYLOAD bytes that only this seed makes; false when its engine never finished. */
bool device_writes(uint64_t bus_address, uint32_t seed);
/* Has the device read PAYLOAD bytes and brings what it got; preset is what it held before. */
bool device_reads(uint64_t bus_address, uint32_t preset, uint8_t *got);
/* The same in steps, for what is to happen while the device is busy; device_shows() brings what it has read.
 */
bool device_starts_write(uint64_t bus_address, uint32_t seed);
bool device_starts_read(uint64_t bus_address, uint32_t preset);
bool device_is_busy(void);
bool device_finishes(void);
bool device_shows(uint8_t *got);
bool is_payload(const uint8_t *bytes, uint32_t seed);
void fill_payload(uint8_t *bytes, uint32_t seed);

#endif
