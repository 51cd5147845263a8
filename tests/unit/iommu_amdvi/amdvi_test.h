/* SPDX-License-Identifier: MIT */
/* What the tests of the AMD-Vi driver share: a machine of one or two units, from table to context. */
#ifndef SLUICE_TESTS_AMDVI_TEST_H
#define SLUICE_TESTS_AMDVI_TEST_H

#include "drivers/iommu/iommu.h"
#include "tests/unit/iommu_amdvi/unit_model.h"

#include <stdint.h>

#define RW        (IOMMU_READ | IOMMU_WRITE)
#define DEVICE(n) ((uint16_t)((n)*8u)) /* 00:n.0 */
#define SECOND    0x2008u              /* a device of the second unit */

extern struct iommu_context *context;
extern struct iommu_flush flush;
extern uint32_t test_units;        /* that the table names: 1 unless a case says otherwise */
extern uint64_t test_firmware_efr; /* ... with these features */

/* A machine with its levers at rest. */
int test_setup(void **state);
/* From the table to a context with a quota of 100: init, enable. Result of the first that failed. */
int test_bring_up(void);
/* The same, and DEVICE(1) is in the context, where bfn leads to bfn + 1. */
void test_with_device(uint64_t bfn);

/* event_test.c */
void every_event_has_words(void **state);
void page_faults_are_decoded(void **state);
void the_log_wraps(void **state);
void an_overflow_restarts_the_log(void **state);
void a_late_event_is_waited_for_and_taken_later(void **state);
void a_storm_cuts_the_device_off(void **state);
void a_storm_among_many_is_seen(void **state);

#endif
