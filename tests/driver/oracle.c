/* SPDX-License-Identifier: MIT */
#include "tests/driver/oracle.h"

#include "tests/driver/machine.h"
#include "tests/driver/qtest.h"
#include "tests/driver/vendor.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WITNESS_BFN 0x7ff00u /* where edu's buffer can be looked at; no case uses it */

void expect_told(uint16_t id, enum access access, uint64_t bfn, const char *why)
{
    char line[160];

    snprintf(line, sizeof line, "device %02x:%02x.%x %s BFN 0x%llx: %s", id >> 8, id >> 3 & 31, id & 7,
             access == WRITE_TO ? "write to" : "read from", (unsigned long long)bfn, why);
    vendor_log_blocked(id, access == WRITE_TO, bfn);
    iommu_fault_interrupt();
    if (captured_count(line) != 1) {
        print_error("expected once: %s\n", line);
        captured_dump();
    }
    assert_int_equal(captured_count(line), 1);
}

/* True when edu's buffer holds what is in the frame after it has fetched from the bus address. */
static bool edu_reads(uint64_t bus_address, uint64_t mfn)
{
    uint64_t witness = data_frame();
    bool same;

    memset(frame_bytes(mfn), 0x5a, 8);
    map_now(WITNESS_BFN, witness, IOMMU_WRITE);
    edu_fetch(bus_address, 8);
    edu_store(WITNESS_BFN << 12, 8);
    same = memcmp(frame_bytes(witness), frame_bytes(mfn), 8) == 0;
    unmap_now(WITNESS_BFN);
    memset(frame_bytes(mfn), 0, 8);
    return same;
}

void expect_blocked(enum access access, uint64_t bfn, uint64_t mfn, const char *why)
{
    if (access == WRITE_TO)
        assert_false(edu_reaches(bfn << 12, mfn));
    else
        assert_false(edu_reads(bfn << 12, mfn));
    expect_told(EDU_ID, access, bfn, why);
}

void expect_no_fault(void)
{
    assert_false(vendor_fault_is_pending());
    assert_int_equal(iommu_counters.faults, 0);
}

/* ---- interrupts ---- */

#define DELIVERED_MAX 8u

struct delivered {
    unsigned destination, logical, mode, vector, level;
};

/*
 * What the local APIC was given so far, but for the one vector 0 that the machine begins with, and the unit's
 * own fault interrupt, which newer QEMUs send for a blocked one.
 */
static uint32_t read_delivered(struct delivered delivered[DELIVERED_MAX])
{
    const char *line;
    uint32_t count = 0;

    for (uint32_t i = 0; (line = qtest_trace_line("apic_deliver_irq", i)) != NULL; i++) {
        struct delivered one = {0};

        assert_int_equal(sscanf(line,
                                "apic_deliver_irq dest %u dest_mode %u delivery_mode %u vector %u "
                                "trigger_mode %u",
                                &one.destination, &one.logical, &one.mode, &one.vector, &one.level),
                         5);
        if ((i == 0 && one.vector == 0) || one.vector == FAULT_DATA)
            continue;
        assert_in_range(count, 0, DELIVERED_MAX - 1);
        delivered[count++] = one;
    }
    return count;
}

void expect_interrupts(const struct iommu_interrupt *expected, uint32_t count)
{
    struct delivered delivered[DELIVERED_MAX];

    qtest_stop();
    assert_int_equal(read_delivered(delivered), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(delivered[i].destination, expected[i].destination);
        assert_int_equal(delivered[i].vector, expected[i].vector);
        assert_int_equal(delivered[i].level, expected[i].level);
        assert_int_equal(delivered[i].logical, 0);
        assert_int_equal(delivered[i].mode, 0);
    }
}
