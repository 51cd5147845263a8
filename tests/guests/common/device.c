/* SPDX-License-Identifier: MIT */
#include "device.h"

#include "kit/bus.h"
#include "kit/edu.h"
#include "kit/guest.h"

#define WORD 8u

static struct edu edu;
static volatile uint64_t *scratch;
static uint64_t scratch_bus;

void device_open(void)
{
    bus_init();
    if (!edu_open(&edu, 0))
        report_skip("there is no edu device to judge by");
    uint64_t pfn;
    scratch = page_alloc(&pfn);
    scratch_bus = scratch ? bus_address(pfn) : NO_BUS;
    if (scratch_bus == NO_BUS)
        report_error("no page for the device's own use: %ld", bus_error);
    *scratch = 0x1234;
    device_write(scratch_bus >> PAGE_SHIFT, 0x5678);
    EXPECT(*scratch == 0x5678, "the device cannot reach a page that is mapped for it");
}

static void fill_device(uint64_t value)
{
    *scratch = value;
    if (!edu_load(&edu, scratch_bus, 0, WORD))
        report_error("edu does not answer");
}

uint64_t device_read(uint64_t bfn)
{
    fill_device(DEVICE_POISON);
    if (!edu_load(&edu, bfn << PAGE_SHIFT, 0, WORD))
        report_error("edu does not answer");
    *scratch = 0;
    if (!edu_store(&edu, scratch_bus, 0, WORD))
        report_error("edu does not answer");
    return *scratch;
}

void device_write(uint64_t bfn, uint64_t value)
{
    fill_device(value);
    /* The page behind scratch may be the target: leave no trace of the way there. */
    *scratch = 0;
    if (!edu_store(&edu, bfn << PAGE_SHIFT, 0, WORD))
        report_error("edu does not answer");
}

volatile uint64_t *marked_page(uint64_t mark, uint64_t *mfn)
{
    uint64_t pfn;
    volatile uint64_t *page = page_alloc(&pfn);
    if (!page)
        report_error("no page left");
    *page = mark;
    *mfn = pfn_to_mfn(pfn);
    return page;
}
