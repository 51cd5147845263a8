/* SPDX-License-Identifier: MIT */
/* What the cases of unit/iommu_units share. */
#ifndef SLUICE_TESTS_UNITS_TEST_H
#define SLUICE_TESTS_UNITS_TEST_H

#include "tests/unit/iommu_units/plan.h"

/* Every case but those that say why is played on both. */
#define ON_BOTH(vendor)                                                                                      \
    for (enum iommu_vendor vendor = IOMMU_VENDOR_VTD; vendor <= IOMMU_VENDOR_AMDVI; vendor++)

#define BFN 0x1234u /* that the cases map */
#define MFN (MACHINE_GUEST_MFN + 7)

/* Attaches every function that may do DMA; each must succeed. */
void attach_all(struct iommu_context *context);
/* Attaches the devices OWN and BEHIND of the unit. */
void attach_unit(struct iommu_context *context, uint32_t unit);
/* The device of the unit on bus 0. */
const struct machine_function *own_function(uint32_t unit);

/* differ_test.c: units that are not alike */
void the_common_levels_count(void **state);
void firmware_only_narrows_bus_addresses(void **state);
void firmware_narrows_machine_addresses(void **state);
void no_width_in_common_is_refused(void **state);
void the_smallest_width_counts(void **state);
void the_fewest_domains_count(void **state);
void the_largest_leaves_in_common_count(void **state);
void one_that_caches_absence(void **state);
void one_that_is_not_coherent(void **state);
void each_by_what_it_can_invalidate(void **state);
void one_without_a_queue(void **state);

/* unusable_test.c: units that cannot be used, or not any more */
void an_unusable_unit_costs_its_own_devices(void **state);
void the_unusable_unit_has_the_rest(void **state);
void a_unit_that_dies_takes_nobody_with_it(void **state);
void one_unit_more_than_there_is_room_for(void **state);
void registers_of_every_unit_are_out_of_bounds(void **state);
void the_interrupt_window_is_always_listed(void **state);
void a_unit_that_does_not_come_on(void **state);

/* nth_test.c: memory that is short */
void each_allocation_of_bringing_up(void **state);
void each_allocation_of_a_context(void **state);
void failed_contexts_are_not_counted(void **state);
void each_allocation_of_an_attachment(void **state);
void each_allocation_of_an_interrupt(void **state);
void everything_else_takes_nothing(void **state);

#endif
