/* SPDX-License-Identifier: MIT */
/*
 * Rule: page tables can be read but not written by the guest. An L1 entry may name the guest's own frames and
 * own device registers; a page-table frame only for reading; never the hypervisor's memory, nor the registers
 * of IOMMU and interrupt controllers. When a call has returned, what it took away cannot be used any more.
 * Higher tables: pv-types.
 *
 * From: guest-abi/pv_memory.md, sections 3 to 5.
 *
 * Method: every case through update_va_mapping and through mmu_update; accesses through what was mapped.
 *
 * Errors: -EBUSY a table mapped writable; -EPERM a frame that is not allowed; -EINVAL reserved bits, and
 * addresses that are not the guest's.
 *
 * run: default
 * run: no-smap cpu="max,-smap"
 * run: qemu64 cpu="qemu64"
 * run: identity options="p2m=identity"
 */
#include "common/rule.h"
#include "kit/pci.h"

static volatile uint64_t *window; /* a page of its own to play with */
static uint64_t entry_address;    /* machine address of its L1 entry */
static uint64_t ram;              /* an own frame */

static long by_address(uint64_t entry)
{
    return update_va_mapping((uint64_t)(uintptr_t)window, entry, UVMF_INVLPG);
}

static long by_table(uint64_t entry)
{
    struct mmu_update request = {entry_address, entry};
    uint32_t done = 5;
    long result = mmu_update(&request, 1, &done);
    EXPECT_RETURN(done, result == 0);
    return result;
}

static void both_give(uint64_t entry, long wanted, const char *what)
{
    struct pte_place place;
    EXPECT_RETURN(by_address(ram << PAGE_SHIFT | MAP_RAM), 0);
    long result = by_address(entry);
    EXPECT(result == wanted, "%s: update_va_mapping of 0x%lx gave %ld, not %ld", what, entry, result, wanted);
    EXPECT_RETURN(by_address(ram << PAGE_SHIFT | MAP_RAM), 0);
    result = by_table(entry);
    EXPECT(result == wanted, "%s: mmu_update to 0x%lx gave %ld, not %ld", what, entry, result, wanted);
    page_table_walk((uint64_t)(uintptr_t)window, 1, &place);
    if (wanted)
        EXPECT((place.entry & PTE_FRAME) == ram << PAGE_SHIFT, "%s: refused, and yet the entry is 0x%lx",
               what, place.entry);
    EXPECT_RETURN(by_address(ram << PAGE_SHIFT | MAP_RAM), 0);
}

static void own_frames(void)
{
    both_give(0, 0, "nothing");
    both_give(0xdeadbeef00, 0, "an entry that is not present");
    both_give(ram << PAGE_SHIFT | MAP_RAM, 0, "own RAM");
    both_give(ram << PAGE_SHIFT | MAP_RAM_READ, 0, "own RAM, read-only");
    both_give(ram << PAGE_SHIFT | PTE_PRESENT | PTE_WRITE, 0, "own RAM without the user bit");
    both_give(start_info->shared_info | MAP_RAM, 0, "the shared information page");
    window[0] = 0x1234;
    EXPECT_RETURN(window[0], 0x1234);
}

static void tables(void)
{
    for (uint32_t level = 1; level <= 4; level++) {
        struct pte_place place;
        page_table_walk((uint64_t)(uintptr_t)window, level, &place);
        both_give(place.table_mfn << PAGE_SHIFT | MAP_RAM_READ, 0, "a table, for reading");
        both_give(place.table_mfn << PAGE_SHIFT | MAP_RAM, -EBUSY, "a table, for writing");
    }
    uint64_t first = virt_to_pfn((const void *)(uintptr_t)start_info->pt_base);
    for (uint64_t i = 0; i < start_info->nr_pt_frames; i++) {
        both_give(pfn_to_mfn(first + i) << PAGE_SHIFT | MAP_RAM, -EBUSY, "one of the initial tables");
        volatile uint64_t *table = pfn_to_virt(first + i);
        struct trap_result fault;
        EXPECT(trap_read_works(table, NULL), "table %lu cannot be read", i);
        EXPECT(!trap_write_works(table, &fault), "table %lu can be written", i);
        EXPECT(fault.vector == TRAP_PAGE_FAULT && fault.error_code == (PF_PRESENT | PF_WRITE) &&
                   fault.address == (uint64_t)(uintptr_t)table,
               "a write to a table: vector %u, error code 0x%x, address 0x%lx", fault.vector,
               fault.error_code, fault.address);
    }
}

static void others_frames(void)
{
    static const uint64_t registers[] = {0xfed90, 0xfee00, 0xfec00};
    for (uint32_t i = 0; i < 3; i++) {
        both_give(registers[i] << PAGE_SHIFT | MAP_MMIO, -EPERM, "registers of the machine");
        both_give(registers[i] << PAGE_SHIFT | MAP_RAM_READ, -EPERM, "registers of the machine, for reading");
    }
    struct xen_machphys_mapping mapping;
    EXPECT_RETURN(memory_op(XENMEM_machphys_mapping, &mapping), 0);
    /* The hypervisor's: where its own L4 entry points at, and every frame of RAM that M2P gives nobody. */
    static struct e820_entry list[256];
    struct xen_memory_map map = {256, hypercall_pointer(list)};
    EXPECT_RETURN(memory_op(XENMEM_machine_memory_map, &map), 0);
    uint64_t refused = 0;
    for (uint32_t i = 0; i < map.nr_entries; i++) {
        for (uint64_t mfn = list[i].addr >> PAGE_SHIFT; mfn < (list[i].addr + list[i].size) >> PAGE_SHIFT;
             mfn++) {
            if (list[i].type != E820_RAM || mfn > mapping.max_mfn || mfn_to_pfn(mfn) != NO_FRAME ||
                mfn == start_info->shared_info >> PAGE_SHIFT)
                continue;
            long result = by_address(mfn << PAGE_SHIFT | MAP_RAM);
            EXPECT(result == -EPERM, "MFN 0x%lx is RAM and not the guest's; mapping it gave %ld", mfn,
                   result);
            result = by_address(mfn << PAGE_SHIFT | MAP_RAM_READ);
            EXPECT(result == -EPERM, "MFN 0x%lx is RAM and not the guest's; mapping it to read gave %ld", mfn,
                   result);
            refused++;
        }
    }
    printk("%lu frames of RAM are not the guest's\n", refused);
    EXPECT(refused > 0, "the hypervisor has no memory?");
    both_give(((mapping.max_mfn + 0x100000) << PAGE_SHIFT) | MAP_RAM, -EPERM, "nothing at all");
}

static void bad_entries(void)
{
    for (uint32_t bit = 52; bit < 63; bit++)
        both_give(ram << PAGE_SHIFT | MAP_RAM | 1ul << bit, -EINVAL, "a reserved bit");
    both_give(1ul << 51 | MAP_RAM, -EINVAL, "a frame beyond the machine's width");
    static const uint64_t addresses[] = {
        0x0000800000000000,   0xffff7ffffffff000,
        MACH2PHYS_VIRT_START, 0xffff82d080200000,
        0xffff830000000000,   HYPERVISOR_VIRT_END - PAGE_SIZE,
        0x0000123400000000,   0,
        HYPERVISOR_VIRT_END,
    };
    for (uint32_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        EXPECT(update_va_mapping(addresses[i], ram << PAGE_SHIFT | MAP_RAM, 0) == -EINVAL,
               "update_va_mapping at 0x%lx is not -EINVAL", addresses[i]);
    static const uint64_t places[] = {
        0xfed90000, 0xfee00000, UINT64_MAX & ~7ul, 1ul << 52, 0, 0x7fffffffff000,
    };
    for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct mmu_update request = {places[i], ram << PAGE_SHIFT | MAP_RAM};
        if (mfn_to_pfn(places[i] >> PAGE_SHIFT) == NO_FRAME)
            EXPECT(mmu_update(&request, 1, NULL) == -EINVAL, "mmu_update at 0x%lx is not -EINVAL", places[i]);
    }
    struct mmu_update odd = {entry_address | 4, 0};
    EXPECT_RETURN(mmu_update(&odd, 1, NULL), -EINVAL);
    EXPECT_RETURN(update_va_mapping((uint64_t)(uintptr_t)window, ram << PAGE_SHIFT | MAP_RAM,
                                    UVMF_INVLPG | 0x8000000000000000),
                  -EFAULT);
}

static void nothing_stays_cached(void)
{
    uint64_t other = own_mfn();
    EXPECT_RETURN(by_address(other << PAGE_SHIFT | MAP_RAM), 0);
    window[0] = 0x2222;
    EXPECT_RETURN(by_address(ram << PAGE_SHIFT | MAP_RAM), 0);
    window[0] = 0x1111;
    /* No flag asks for a flush here: what is taken away is gone all the same. */
    EXPECT_RETURN(update_va_mapping((uint64_t)(uintptr_t)window, other << PAGE_SHIFT | MAP_RAM, UVMF_NONE),
                  0);
    EXPECT_RETURN(window[0], 0x2222);
    EXPECT_RETURN(by_table(ram << PAGE_SHIFT | MAP_RAM_READ), 0);
    EXPECT_RETURN(window[0], 0x1111);
    EXPECT(!trap_write_works(window, NULL), "a page that is read-only now can be written");
    EXPECT_RETURN(by_table(0), 0);
    EXPECT(!trap_read_works(window, NULL), "a page that is gone can be read");
}

void guest_main(void)
{
    ram = own_mfn();
    window = map_frame(ram, MAP_RAM);
    if (!window)
        report_error("no window: %ld", window_error);
    struct pte_place place;
    if (!page_table_walk((uint64_t)(uintptr_t)window, 1, &place))
        report_error("the window has no L1 entry");
    entry_address = place.table_mfn << PAGE_SHIFT | place.index * 8;
    own_frames();
    tables();
    others_frames();
    bad_entries();
    nothing_stays_cached();
    report_success("page tables hold what they may hold");
}
