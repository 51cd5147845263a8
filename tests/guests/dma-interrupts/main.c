/* SPDX-License-Identifier: MIT */
/*
 * Rule: interrupts that a device makes up do no harm. Where interrupts are not remapped a device can send any
 * vector by a write to 0xfeexxxxx, those of exceptions and an NMI among them; each is counted and survived,
 * and the guest's registers and exceptions are what they would be without. Where they are, none arrives; nor
 * does one in remappable format, which names an entry of the unit's table: no entry is for this source.
 *
 * From: docs/caveats.md; design rule "no panic is reachable by a device".
 *
 * Method: edu writes message after message; after each the guest makes a hypercall and takes an exception.
 * QEMU's intel-iommu lets messages of the compatibility format pass whatever its unit is told, its amd-iommu
 * blocks them, and looks for an entry by the data in either format. An entry that is there for another source
 * is what driver/interrupt/the_wrong_source_is_blocked has.
 *
 * Errors: none.
 *
 * run: default devices="edu" says-intel="stray interrupt" never-amd="stray interrupt"
 * run: qemu64 devices="edu" cpu="qemu64"
 * run: remappable devices="edu" cmdline="remappable" never="stray interrupt"
 */
#include "common/rule.h"
#include "kit/edu.h"

#define MESSAGE_ADDRESS 0xfee00000ul
#define FIXED           0x000u
#define LOWEST_PRIORITY 0x100u
#define NON_MASKABLE    0x400u

/* The address in VT-d's remappable format: the entry, or with SUBHANDLE the entry plus the data. */
#define REMAPPABLE(entry) (MESSAGE_ADDRESS | 1u << 4 | (uint32_t)(entry) << 5)
#define SUBHANDLE         (1u << 3)

static struct edu edu;
static volatile uint32_t *page;
static uint64_t page_mfn;

static void undefined(void *unused)
{
    (void)unused;
    __asm__ volatile("ud2");
}

static void send_to(uint64_t address, uint32_t message)
{
    *page = message;
    EXPECT(edu_load(&edu, page_mfn << 12, 0, 4), "edu did not read the message 0x%x", message);
    EXPECT(edu_store(&edu, address, 0, 4), "edu did not send the message 0x%x", message);
    EXPECT_RETURN(xen_version(XENVER_version, NULL), 0x40011);
    struct trap_result seen = trap_try(undefined, NULL);
    EXPECT(seen.trapped && seen.vector == TRAP_INVALID_OP, "after message 0x%x ud2 gave %u, vector %u",
           message, seen.trapped, seen.vector);
}

static void send(uint32_t message)
{
    send_to(MESSAGE_ADDRESS, message);
}

static void compatible(void)
{
    for (uint32_t vector = 0; vector < 48; vector++)
        send(FIXED | vector);
    for (uint32_t vector = 48; vector < 0xf0; vector += 13)
        send(LOWEST_PRIORITY | vector);
    for (uint32_t vector = 0xf0; vector < 0x100; vector++)
        send(FIXED | vector);
    for (uint32_t i = 0; i < 3; i++)
        send(NON_MASKABLE | 2);
}

/* The first entries, and those about the end of a table of 1024. */
static void remappable(void)
{
    for (uint32_t i = 0; i < 16; i++) {
        send_to(REMAPPABLE(i), i);
        send_to(REMAPPABLE(0) | SUBHANDLE, i);
        send_to(REMAPPABLE(1016 + i), 1016 + i);
        send_to(REMAPPABLE(1016) | SUBHANDLE, i);
    }
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
    if (strstr(start_info->cmd_line, "remappable"))
        remappable();
    else
        compatible();
    report_success("made-up interrupts were survived");
}
