/* SPDX-License-Identifier: MIT */
/*
 * Rule: the requests of one mmu_update are carried out in order, each as if it were a call of its own.
 *
 * From: guest-abi/pv_memory.md, section 4.
 *
 * Method: a page's writable entry, which the CPU has used, loses W, and the page is linked as a table, in one
 * call.
 *
 * Errors: none.
 *
 * run: default
 * run: cut options="continue-every=1"
 */
#include "common/rule.h"
#include "common/tables.h"

void guest_main(void)
{
    struct table l2, l1;
    struct pte_place place;
    table_begin(&l2);
    table_seal(&l2);
    table_begin(&l1);
    EXPECT_RETURN(pin(2, l2.mfn), 0);
    if (!page_table_walk((uint64_t)(uintptr_t)l1.view, 1, &place))
        report_error("the guest's own page tables cannot be walked");
    const struct mmu_update both[2] = {
        {place.table_mfn << PAGE_SHIFT | place.index * sizeof(uint64_t), l1.mfn << PAGE_SHIFT | MAP_RAM_READ},
        {l2.mfn << PAGE_SHIFT, table_link(&l1)},
    };
    uint32_t done = 9;
    EXPECT_RETURN(mmu_update(both, 2, &done), 0);
    EXPECT_RETURN(done, 2);
    EXPECT_RETURN(unpin(l2.mfn), 0);
    report_success("one request after the other");
}
