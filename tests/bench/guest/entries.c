/* SPDX-License-Identifier: MIT */
/* Calls that change page tables, one entry or a table of them at a time. */
#include "kit/guest.h"
#include "measure.h"

#define ENTRIES 32u

static volatile uint64_t *window;
static uint64_t window_table, window_entry; /* its L1, and the machine address of its entry there */
static uint64_t present;                    /* what is put there */
static struct mmu_update updates[ENTRIES];
static struct multicall_entry calls[ENTRIES];

/* ---- one entry ---- */

static void set_by_address(uint64_t n)
{
    (void)n;
    update_va_mapping((uint64_t)(uintptr_t)window, present, UVMF_INVLPG);
}

static void clear_by_address(uint64_t n)
{
    (void)n;
    update_va_mapping((uint64_t)(uintptr_t)window, 0, UVMF_INVLPG);
}

static void prepare_updates(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        updates[i] = (struct mmu_update){window_entry, (i & 1) ? 0 : present};
    clear_by_address(0);
}

static void update(uint64_t n)
{
    EXPECT_RETURN(mmu_update(updates, (uint32_t)n, NULL), 0);
}

static void prepare_calls(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        calls[i] = (struct multicall_entry){
            .op = __HYPERVISOR_update_va_mapping,
            .args = {(uint64_t)(uintptr_t)window, (i & 1) ? 0 : present, UVMF_INVLPG}};
    clear_by_address(0);
}

static void all_calls(uint64_t n)
{
    EXPECT_RETURN(multicall(calls, (uint32_t)n), 0);
}

/* ---- a store to a table, which is a page fault to the hypervisor ---- */

static volatile uint64_t *entry_seen; /* the window's entry, where the guest can only read it */

static void store(uint64_t n)
{
    (void)n;
    *entry_seen = present;
}

static void stores(void)
{
    volatile uint64_t *table = map_frame(window_table, MAP_RAM_READ);
    if (!table)
        report_error("the table cannot be mapped: %ld", window_error);
    entry_seen = &table[window_entry % PAGE_SIZE / sizeof(uint64_t)];
    show("store-to-table", clear_by_address, store, 1);
    EXPECT((*entry_seen & PTE_FRAME) == (present & PTE_FRAME), "the store left 0x%lx", *entry_seen);
}

/* ---- a whole table ---- */

static uint64_t full_table;

static void pin(uint64_t n)
{
    (void)n;
    EXPECT_RETURN(mmuext(MMUEXT_PIN_L1_TABLE, full_table, 0), 0);
}

static void unpin(uint64_t n)
{
    (void)n;
    EXPECT_RETURN(mmuext(MMUEXT_UNPIN_TABLE, full_table, 0), 0);
}

static void pins(const uint64_t mfns[TABLE_ENTRIES])
{
    full_table = pfn_to_mfn(frame_take_from_end()); /* nothing else maps it */
    uint64_t *table = map_frame(full_table, MAP_RAM);
    if (!table)
        report_error("no page for a table: %ld", window_error);
    for (uint32_t i = 0; i < TABLE_ENTRIES; i++)
        table[i] = mfns[i] << PAGE_SHIFT | MAP_RAM;
    unmap_frames(table, 1);
    show("unpin-l1", pin, unpin, 1);
    pin(1);
    show("pin-l1", unpin, pin, 1);
}

void page_table_rows(const uint64_t mfns[TABLE_ENTRIES])
{
    struct pte_place place;
    window = map_frame(mfns[0], MAP_RAM);
    if (!window || !page_table_walk((uint64_t)(uintptr_t)window, 1, &place))
        report_error("no window: %ld", window_error);
    window_table = place.table_mfn;
    window_entry = window_table << PAGE_SHIFT | place.index * sizeof(uint64_t);
    present = mfns[0] << PAGE_SHIFT | MAP_RAM;
    show("update_va_mapping-set", clear_by_address, set_by_address, 1);
    show("update_va_mapping-clear", set_by_address, clear_by_address, 1);
    show("mmu_update", prepare_updates, update, 1);
    show("mmu_update", prepare_updates, update, ENTRIES);
    show("multicall-update_va_mapping", prepare_calls, all_calls, ENTRIES);
    stores();
    pins(mfns);
}
