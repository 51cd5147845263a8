/* SPDX-License-Identifier: MIT */
/*
 * Rule: a frame is a page table or writable, never both. The first use as a table judges every entry of it
 * and of the tables below; the last one lets all of that go. Entries of any level can be changed, under the
 * same rules. An L4 may show itself, for reading, once. What a call took away is gone when it returns.
 *
 * From: guest-abi/pv_memory.md, sections 4, 6 and 7. Advisories whose mistakes this looks for: 58 and 291
 * (references left by a failed use), 148 (large pages), 182 (a change of flags that is not judged), 185 and
 * 240 (recursive tables), 286 (stale translations when a table above goes), 299 and 310 (a cut off
 * validation).
 *
 * Method: tables of its own, pinned, changed, unpinned; after each refusal the frames must be writable again.
 *
 * Errors: -EPERM a frame that is not the guest's; -EBUSY used as something else; -EINVAL an entry that is not
 * allowed, a pin twice, an unpin without one; -ESRCH another domain; -EFAULT; -ENOSYS an unknown command.
 *
 * run: default
 * run: cut options="continue-every=1"
 * run: scramble options="p2m=scramble:7"
 * run: no-premap options="premap=off"
 */
#include "common/pointers.h"
#include "common/rule.h"
#include "common/tables.h"

static uint64_t data; /* an own frame, for leaves; mapped nowhere else writable */

static uint64_t leaf(uint64_t mfn, uint64_t flags)
{
    return mfn << PAGE_SHIFT | flags;
}

/* ---- pins ---- */

static void pins_of_empty_tables(void)
{
    for (uint32_t level = 1; level <= 4; level++) {
        struct table table;
        table_begin(&table);
        EXPECT_RETURN(pin(level, table.mfn), -EBUSY); /* still writable */
        table_seal(&table);
        EXPECT_RETURN(unpin(table.mfn), -EINVAL);
        EXPECT_RETURN(pin(level, table.mfn), 0);
        EXPECT_RETURN(pin(level, table.mfn), -EINVAL);
        EXPECT_RETURN(table_view(&table, MAP_RAM), -EBUSY);
        EXPECT_RETURN(unpin(table.mfn), 0);
        EXPECT_RETURN(unpin(table.mfn), -EINVAL);
        table_unseal(&table);
    }
}

static void pins_of_others_frames(void)
{
    const uint64_t frames[] = {start_info->shared_info >> PAGE_SHIFT,
                               0xfee00,
                               0xfed90,
                               highest_mfn() + 1,
                               UINT64_MAX >> PAGE_SHIFT,
                               UINT64_MAX};
    for (uint32_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        for (uint32_t level = 1; level <= 4; level++)
            EXPECT_RETURN(pin(level, frames[i]), -EPERM);
        EXPECT_RETURN(unpin(frames[i]), -EPERM);
        EXPECT_RETURN(mmuext(MMUEXT_NEW_BASEPTR, frames[i], 0), -EPERM);
        EXPECT_RETURN(mmuext(MMUEXT_NEW_USER_BASEPTR, frames[i], 0), -EPERM);
        EXPECT_RETURN(mmuext(MMUEXT_CLEAR_PAGE, frames[i], 0), -EPERM);
        EXPECT_RETURN(mmuext(MMUEXT_COPY_PAGE, frames[i], data), -EPERM);
        EXPECT_RETURN(mmuext(MMUEXT_COPY_PAGE, data, frames[i]), -EPERM);
    }
}

/* ---- what an entry may be ---- */

/* The table of that level with one entry is refused, and nothing of it stays. */
static void refused(uint32_t level, uint64_t entry, long error, const char *what)
{
    struct table table;
    table_begin(&table);
    table.view[300] = entry;
    table.view[0] = level == 1 ? leaf(data, MAP_RAM) : 0;
    table_seal(&table);
    long result = pin(level, table.mfn);
    EXPECT(result == error, "an L%u with %s: pinning it gave %ld, not %ld", level, what, result, error);
    table_unseal(&table);
    memset((void *)(uintptr_t)table.view, 0, PAGE_SIZE);
    table_seal(&table);
    EXPECT_RETURN(pin(level, table.mfn), 0);
    result = set_entry(table.mfn, 300, entry);
    EXPECT(result == error, "an L%u: setting %s gave %ld, not %ld", level, what, result, error);
    EXPECT_RETURN(table.view[300], 0);
    EXPECT_RETURN(unpin(table.mfn), 0);
    table_unseal(&table);
}

static void entries_that_are_refused(void)
{
    struct table l1, l2;
    table_begin(&l1);
    table_begin(&l2);
    table_seal(&l1);
    table_seal(&l2);
    EXPECT_RETURN(pin(1, l1.mfn), 0);
    EXPECT_RETURN(pin(2, l2.mfn), 0);

    refused(1, leaf(l1.mfn, MAP_RAM), -EBUSY, "a writable table");
    refused(1, leaf(data, MAP_RAM) | 1ul << 55, -EINVAL, "a reserved bit");
    refused(1, leaf(0xfee00, MAP_MMIO), -EPERM, "the local APIC");
    for (uint32_t level = 2; level <= 4; level++) {
        uint64_t below = level == 2 ? l2.mfn : l1.mfn;
        refused(level, leaf(below, TABLE_LINK), -EBUSY, "a table of the wrong level");
        refused(level, leaf(data, TABLE_LINK | 0x80), -EINVAL, "a large page");
        refused(level, leaf(data, TABLE_LINK) | 1ul << 52, -EINVAL, "a reserved bit");
        refused(level, leaf(1ul << 39, TABLE_LINK), -EINVAL, "a frame beyond the machine");
        refused(level, leaf(0xfee00, TABLE_LINK), -EPERM, "the local APIC as a table");
        refused(level, leaf(start_info->shared_info >> PAGE_SHIFT, TABLE_LINK), -EPERM,
                "the shared page as a table");
    }
    EXPECT_RETURN(unpin(l1.mfn), 0);
    EXPECT_RETURN(unpin(l2.mfn), 0);
    table_unseal(&l1);
    table_unseal(&l2);
}

/* A mistake deep in a tree: everything above and beside it is let go again. */
static void a_tree_with_a_mistake(void)
{
    struct table tree[5];
    tree_begin(tree, leaf(data, MAP_RAM));
    table_unseal(&tree[1]);
    tree[1].view[511] = leaf(data, MAP_RAM) | 1ul << 55;
    table_seal(&tree[1]);
    for (uint32_t level = 1; level <= 4; level++)
        EXPECT_RETURN(pin(level, tree[level].mfn), -EINVAL);
    for (uint32_t level = 1; level <= 4; level++)
        table_unseal(&tree[level]);
    EXPECT_RETURN(pin(1, data), 0);
    EXPECT_RETURN(unpin(data), 0);
}

static void a_tree_pins_what_is_below(void)
{
    struct table tree[5];
    tree_begin(tree, leaf(data, MAP_RAM));
    EXPECT_RETURN(pin(4, tree[4].mfn), 0);
    for (uint32_t level = 1; level <= 4; level++)
        EXPECT_RETURN(table_view(&tree[level], MAP_RAM), -EBUSY);
    EXPECT_RETURN(pin(1, data), -EBUSY); /* writable by the leaf */
    EXPECT_RETURN(pin(1, tree[1].mfn), 0);
    EXPECT_RETURN(unpin(tree[4].mfn), 0);
    for (uint32_t level = 2; level <= 4; level++)
        table_unseal(&tree[level]);
    EXPECT_RETURN(table_view(&tree[1], MAP_RAM), -EBUSY);
    EXPECT_RETURN(unpin(tree[1].mfn), 0);
    table_unseal(&tree[1]);
}

/* ---- tables in use ---- */

#define FREE_SLOT 100u /* of the L4 in use */

static volatile uint64_t *at_slot(uint32_t slot, uint64_t offset)
{
    return (volatile uint64_t *)(uintptr_t)(((uint64_t)slot << 39) + offset);
}

static void tables_above_can_be_changed(void)
{
    struct table tree[5];
    volatile uint64_t *page = at_slot(FREE_SLOT, 0);
    tree_begin(tree, leaf(data, MAP_RAM));
    for (uint32_t level = 4; level >= 2; level--) {
        uint64_t table = level == 4 ? loaded_l4() : tree[level].mfn;
        uint32_t index = level == 4 ? FREE_SLOT : 0;
        if (level == 4)
            EXPECT(!trap_read_works(page, NULL), "something is at the free slot");
        EXPECT_RETURN(set_entry(loaded_l4(), FREE_SLOT, table_link(&tree[3])), 0);
        EXPECT_RETURN(update_va_mapping((uint64_t)(uintptr_t)page, leaf(data, MAP_RAM), 0), 0);
        *page = 0x1234 + level;
        EXPECT_RETURN(set_entry(table, index, table_link(&tree[level - 1]) & ~PTE_WRITE), 0);
        EXPECT(!trap_write_works(page, NULL), "level %u: without W above, and yet it can be written", level);
        EXPECT_RETURN(*page, 0x1234 + level);
        EXPECT_RETURN(set_entry(table, index, 0), 0);
        EXPECT(!trap_read_works(page, NULL), "level %u: the table is gone, its page is not", level);
        EXPECT_RETURN(update_va_mapping((uint64_t)(uintptr_t)page, 0, 0), -EINVAL);
        EXPECT_RETURN(set_entry(table, index, table_link(&tree[level - 1])), 0);
        EXPECT_RETURN(*page, 0x1234 + level);
    }
    EXPECT_RETURN(set_entry(loaded_l4(), FREE_SLOT, 0), 0);
    for (uint32_t level = 1; level <= 4; level++)
        table_unseal(&tree[level]);
}

static void the_hypervisors_slots(void)
{
    for (uint32_t slot = 256; slot <= 271; slot++) {
        EXPECT_RETURN(set_entry(loaded_l4(), slot, 0), -EINVAL);
        EXPECT_RETURN(set_entry(loaded_l4(), slot, leaf(data, TABLE_LINK)), -EINVAL);
    }
    struct table l4;
    table_begin(&l4);
    for (uint32_t slot = 256; slot <= 271; slot++)
        l4.view[slot] = leaf(data, TABLE_LINK); /* overwritten, not judged */
    table_seal(&l4);
    EXPECT_RETURN(pin(4, l4.mfn), 0);
    EXPECT(l4.view[256] != leaf(data, TABLE_LINK), "the guest's entry is in a slot of the hypervisor's");
    EXPECT_RETURN(unpin(l4.mfn), 0);
    EXPECT_RETURN(l4.view[256], 0);
    table_unseal(&l4);
}

static void a_recursive_entry(void)
{
    uint64_t self = loaded_l4();
    volatile uint64_t *linear = at_slot(FREE_SLOT, 0);
    uint64_t through = (uint64_t)FREE_SLOT << 39 | (uint64_t)FREE_SLOT << 30 | (uint64_t)FREE_SLOT << 21 |
                       (uint64_t)FREE_SLOT << 12; /* the L4 as a page */
    const volatile uint64_t *l4 = (const volatile uint64_t *)(uintptr_t)through;

    EXPECT_RETURN(set_entry(self, FREE_SLOT, leaf(self, TABLE_LINK)), -EINVAL);
    EXPECT_RETURN(set_entry(self, FREE_SLOT, leaf(self, TABLE_LINK & ~PTE_WRITE)), 0);
    EXPECT_RETURN(set_entry(self, FREE_SLOT + 1, leaf(self, TABLE_LINK & ~PTE_WRITE)), -EINVAL);
    EXPECT_RETURN(l4[FREE_SLOT] & PTE_FRAME, self << PAGE_SHIFT);
    EXPECT(!trap_write_works((volatile uint64_t *)(uintptr_t)through, NULL), "the L4 can be written");
    EXPECT_RETURN(set_entry(self, FREE_SLOT, leaf(self, TABLE_LINK)), -EINVAL);

    /* Ring 0 could follow the hypervisor's own tables from there; no pointer of the guest's may. */
    for (uint64_t slot = 0; slot < 512; slot += 64) {
        uint64_t pointer = (uint64_t)FREE_SLOT << 39 | slot << 30;
        EXPECT_RETURN(console_io(CONSOLEIO_write, 8, (const char *)(uintptr_t)pointer), -EFAULT);
        EXPECT_RETURN(console_io(CONSOLEIO_write, 8, (const char *)(uintptr_t)(pointer - 4)), -EFAULT);
    }
    EXPECT_RETURN(set_entry(self, FREE_SLOT, 0), 0);
    EXPECT(!trap_read_works(linear, NULL), "the recursive entry is gone, its tables are not");
    EXPECT_RETURN(set_entry(self, FREE_SLOT + 1, leaf(self, TABLE_LINK & ~PTE_WRITE)), 0);
    EXPECT_RETURN(set_entry(self, FREE_SLOT + 1, 0), 0);
}

static void base_pointers(void)
{
    struct table l4;
    uint64_t first = loaded_l4();
    const volatile uint64_t *old = (const volatile uint64_t *)(uintptr_t)start_info->pt_base;
    table_begin(&l4);
    for (uint32_t slot = 0; slot < TABLE_ENTRIES; slot++)
        l4.view[slot] = old[slot];
    table_seal(&l4);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_BASEPTR, l4.mfn, 0), 0);
    EXPECT_RETURN(unpin(l4.mfn), -EINVAL); /* in use, and not pinned */
    EXPECT_RETURN(table_view(&l4, MAP_RAM), -EBUSY);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_BASEPTR, first, 0), 0);
    table_unseal(&l4);

    memset((void *)(uintptr_t)l4.view, 0, PAGE_SIZE);
    table_seal(&l4);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_USER_BASEPTR, l4.mfn, 0), 0);
    EXPECT_RETURN(table_view(&l4, MAP_RAM), -EBUSY);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
    table_unseal(&l4);
    l4.view[0] = leaf(data, MAP_RAM) | 0x80;
    table_seal(&l4);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_BASEPTR, l4.mfn, 0), -EINVAL);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_USER_BASEPTR, l4.mfn, 0), -EINVAL);
    table_unseal(&l4);
}

/* ---- the rest of the call ---- */

static void whole_pages(void)
{
    uint64_t pfn;
    volatile uint64_t *page = page_alloc(&pfn);
    uint64_t mfn = pfn_to_mfn(pfn);
    page[511] = 0x77;
    EXPECT_RETURN(mmuext(MMUEXT_COPY_PAGE, data, mfn), 0);
    EXPECT_RETURN(mmuext(MMUEXT_CLEAR_PAGE, mfn, 0), 0);
    EXPECT_RETURN(page[511], 0);
    EXPECT_RETURN(mmuext(MMUEXT_COPY_PAGE, mfn, data), 0);
    EXPECT_RETURN(page[511], 0x77);
    EXPECT_RETURN(mmuext(MMUEXT_CLEAR_PAGE, loaded_l4(), 0), -EBUSY);
    EXPECT_RETURN(mmuext(MMUEXT_COPY_PAGE, loaded_l4(), mfn), -EBUSY);
    EXPECT_RETURN(mmuext(MMUEXT_COPY_PAGE, mfn, loaded_l4()), 0);
}

static void the_call_itself(void)
{
    static struct mmuext_op requests[3];
    uint32_t done = 9;
    uint64_t mask = 1;
    requests[0].cmd = MMUEXT_TLB_FLUSH_LOCAL;
    requests[1].cmd = 1000;
    EXPECT_RETURN(mmuext_op(requests, 3, &done), -ENOSYS);
    EXPECT_RETURN(done, 1);
    EXPECT_RETURN(hypercall(__HYPERVISOR_mmuext_op, hypercall_pointer(requests), 1, 0, 5, 0), -ESRCH);
    EXPECT_RETURN(
        hypercall(__HYPERVISOR_mmuext_op, hypercall_pointer(requests), 1, 0, DOMID_SELF | 0x10000, 0),
        -ESRCH);
    for (uint32_t i = 0; i < WILD_POINTERS; i++) {
        EXPECT_RETURN(hypercall(__HYPERVISOR_mmuext_op, wild_pointers[i], 1, 0, DOMID_SELF, 0), -EFAULT);
        if (wild_pointers[i])
            EXPECT_RETURN(hypercall(__HYPERVISOR_mmuext_op, hypercall_pointer(requests), 1, wild_pointers[i],
                                    DOMID_SELF, 0),
                          -EFAULT);
        EXPECT_RETURN(mmuext(MMUEXT_INVLPG_LOCAL, wild_pointers[i], 0), 0);
    }
    EXPECT_RETURN(mmuext_op(NULL, 0, &done), 0);
    EXPECT_RETURN(done, 0);
    EXPECT_RETURN(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
    EXPECT_RETURN(mmuext(MMUEXT_INVLPG_ALL, hypercall_pointer(&mask), 0), 0);
    EXPECT_RETURN(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, hypercall_pointer(&mask)), 0);
    EXPECT_RETURN(mmuext(MMUEXT_INVLPG_MULTI, hypercall_pointer(&mask), hypercall_pointer(&mask)), 0);
    EXPECT_RETURN(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, 8), -EFAULT);
    EXPECT_RETURN(mmuext(MMUEXT_INVLPG_MULTI, hypercall_pointer(&mask), 8), -EFAULT);
    EXPECT_RETURN(mmuext(MMUEXT_FLUSH_CACHE, 0, 0), 0);
    EXPECT_RETURN(mmuext(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0), 0);
}

void guest_main(void)
{
    struct table page;
    table_begin(&page);
    table_seal(&page);
    data = page.mfn;
    pins_of_empty_tables();
    pins_of_others_frames();
    entries_that_are_refused();
    a_tree_with_a_mistake();
    a_tree_pins_what_is_below();
    tables_above_can_be_changed();
    the_hypervisors_slots();
    a_recursive_entry();
    base_pointers();
    whole_pages();
    the_call_itself();
    report_success("a frame is a table or writable, never both");
}
