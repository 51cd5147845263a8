/* SPDX-License-Identifier: MIT */
/*
 * The oracle of blocked DMA: how a case knows that a device was stopped.
 *
 * On both vendors the judge is the data: what must not arrive has not arrived. That a fault is told in words
 * is asserted beside it, from what the unit logged. QEMU's VT-d model logs it; its AMD-Vi model never writes
 * the event log, so there the entry that hardware would write is put into the log by the test
 * (vendor_log_blocked()), and the line shows that it is read and decoded, not that QEMU raised it. Its two
 * other signs, the master-abort bit in the unit's PCI status (bit 11) and the trace event amdvi_page_fault,
 * come only where an entry above the leaf lacks a permission. Sluice's tables never have one, so they judge
 * nothing.
 */
#ifndef SLUICE_TESTS_ORACLE_H
#define SLUICE_TESTS_ORACLE_H

#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

enum access { READ_FROM, WRITE_TO };

/* The requester's DMA was blocked just now: exactly one line says so, with these words. */
void expect_told(uint16_t id, enum access access, uint64_t bfn, const char *why);

/*
 * edu tries, and is blocked and told of. mfn: the frame that it must not reach, which is what is mapped
 * there, or what lies there without an IOMMU. A read needs machine_up().
 */
void expect_blocked(enum access access, uint64_t bfn, uint64_t mfn, const char *why);

/* Ends QEMU, whose trace is whole then: its local APICs were sent these interrupts, in this order, and
 * nothing else. */
void expect_interrupts(const struct iommu_interrupt *expected, uint32_t count);

/* No fault was told of so far, and none waits to be. */
void expect_no_fault(void);

#endif
