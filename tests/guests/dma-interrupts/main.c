/* SPDX-License-Identifier: MIT */
/*
 * Rule: interrupts that a device makes up do no harm. Where interrupts are not remapped a device can send any
 * vector by a write to 0xfeexxxxx, those of exceptions and an NMI among them; each is counted and survived,
 * and the guest's registers and exceptions are what they would be without. Where they are, none arrives.
 *
 * From: docs/caveats.md; design rule "no panic is reachable by a device".
 *
 * Method: edu writes message after message; after each the guest makes a hypercall and takes an exception.
 * QEMU's intel-iommu lets messages of the compatibility format pass whatever its unit is told, its amd-iommu
 * blocks them.
 *
 * Errors: none.
 *
 * run: default devices="edu" says-intel="stray interrupt" never-amd="stray interrupt"
 * run: qemu64 devices="edu" cpu="qemu64"
 */
#include "common/rule.h"
#include "kit/edu.h"

#define MESSAGE_ADDRESS 0xfee00000ul
#define FIXED           0x000u
#define LOWEST_PRIORITY 0x100u
#define NON_MASKABLE    0x400u

static struct edu edu;
static volatile uint32_t *page;
static uint64_t page_mfn;

static void undefined(void *unused)
{
    (void)unused;
    __asm__ volatile("ud2");
}

static void send(uint32_t message)
{
    *page = message;
    EXPECT(edu_load(&edu, page_mfn << 12, 0, 4), "edu did not read the message 0x%x", message);
    EXPECT(edu_store(&edu, MESSAGE_ADDRESS, 0, 4), "edu did not send the message 0x%x", message);
    EXPECT_RETURN(xen_version(XENVER_version, NULL), 0x40011);
    struct trap_result seen = trap_try(undefined, NULL);
    EXPECT(seen.trapped && seen.vector == TRAP_INVALID_OP, "after message 0x%x ud2 gave %u, vector %u",
           message, seen.trapped, seen.vector);
}

void guest_main(void)
{
    if (!edu_open(&edu, 0))
        report_skip("no edu in this machine");
    uint64_t pfn;
    page = page_alloc(&pfn);
    if (!page)
        report_error("no page left");
    page_mfn = pfn_to_mfn(pfn);
    for (uint32_t vector = 0; vector < 48; vector++)
        send(FIXED | vector);
    for (uint32_t vector = 48; vector < 0xf0; vector += 13)
        send(LOWEST_PRIORITY | vector);
    for (uint32_t vector = 0xf0; vector < 0x100; vector++)
        send(FIXED | vector);
    for (uint32_t i = 0; i < 3; i++)
        send(NON_MASKABLE | 2);
    report_success("made-up interrupts were survived");
}
