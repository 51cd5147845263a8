/* SPDX-License-Identifier: MIT */
/*
 * Rule: at its first instruction the guest finds what the contract says: start_info, page tables that are
 * read-only and together, a P2M and an M2P that agree, events masked. No page is mapped that is not the
 * guest's.
 *
 * From: guest-abi/pv_memory.md, sections 1 and 2.
 *
 * Method: all of it is looked at, every page-table entry included.
 *
 * Errors: none.
 *
 * run: default cmdline="mixed"
 * run: linear options="p2m=linear"
 * run: identity options="p2m=identity"
 * run: other-seed options="p2m=scramble:99" cmdline="mixed"
 * run: small options="guest-memory=64" cmdline="mixed"
 * run: small-machine memory="96" cmdline="mixed"
 */
#include "common/rule.h"

static void start_information(void)
{
    const struct start_info *info = start_info;
    EXPECT(strncmp(info->magic, START_INFO_MAGIC, sizeof(START_INFO_MAGIC) - 1) == 0,
           "the magic is \"%.32s\"", info->magic);
    EXPECT((info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN)) == (SIF_PRIVILEGED | SIF_INITDOMAIN),
           "flags 0x%x", info->flags);
    EXPECT(info->nr_pages > 2048 && info->nr_pt_frames >= 4, "%lu pages, %lu tables", info->nr_pages,
           info->nr_pt_frames);
    EXPECT(info->store_mfn == 0 && info->store_evtchn == 0, "there is a store");
    for (uint32_t i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        EXPECT(shared_info->vcpu_info[i].evtchn_upcall_mask == 1 || i == 0, "events of CPU %u are not masked",
               i);
}

static void lists_agree(void)
{
    uint64_t moved = 0, neighbours = 0;
    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++) {
        uint64_t mfn = pfn_to_mfn(pfn);
        EXPECT(mfn_to_pfn(mfn) == pfn, "PFN 0x%lx is MFN 0x%lx, which is PFN 0x%lx", pfn, mfn,
               mfn_to_pfn(mfn));
        moved += mfn != pfn;
        neighbours += pfn && mfn == pfn_to_mfn(pfn - 1) + 1;
    }
    printk("%lu frames, %lu moved, %lu next to their neighbour\n", start_info->nr_pages, moved, neighbours);
    if (strstr(start_info->cmd_line, "mixed"))
        EXPECT(neighbours * 50 < start_info->nr_pages, "the frames are not scattered: %lu neighbours",
               neighbours);
}

static bool is_table(uint64_t mfn)
{
    uint64_t pfn = mfn_to_pfn(mfn), first = virt_to_pfn((const void *)(uintptr_t)start_info->pt_base);
    return pfn != NO_FRAME && pfn >= first && pfn < first + start_info->nr_pt_frames;
}

static uint64_t mapped;

static void judge_leaf(uint64_t entry)
{
    uint64_t mfn = (entry & PTE_FRAME) >> PAGE_SHIFT;
    mapped++;
    EXPECT(entry & PTE_USER, "the guest cannot use its own entry 0x%lx", entry);
    EXPECT(mfn_to_pfn(mfn) != NO_FRAME || mfn == start_info->shared_info >> PAGE_SHIFT,
           "entry 0x%lx names a frame that is not the guest's", entry);
    EXPECT(!(is_table(mfn) && entry & PTE_WRITE), "entry 0x%lx makes a table writable", entry);
}

/* Slots 256 to 271 of the L4 are the hypervisor's and are not looked into. */
static void walk(uint64_t table_mfn, uint32_t level)
{
    const volatile uint64_t *table = pfn_to_virt(mfn_to_pfn(table_mfn));
    for (uint32_t i = 0; i < 512; i++) {
        uint64_t entry = table[i];
        if (!(entry & PTE_PRESENT) || (level == 4 && i >= 256 && i < 272))
            continue;
        if (level == 1) {
            judge_leaf(entry);
            continue;
        }
        uint64_t next = (entry & PTE_FRAME) >> PAGE_SHIFT;
        EXPECT(is_table(next), "entry %u of a level %u table, 0x%lx, leads to no table of the guest's", i,
               level, entry);
        walk(next, level - 1);
    }
}

static void hypervisor_is_out_of_reach(void)
{
    EXPECT(trap_read_works((const void *)MACH2PHYS_VIRT_START, NULL), "the M2P cannot be read");
    EXPECT(!trap_write_works((void *)MACH2PHYS_VIRT_START, NULL), "the M2P can be written");
    static const uint64_t places[] = {0xffff818000000000,     0xffff820000000000, 0xffff82d080200000,
                                      0xffff82d080300000,     0xffff830000000000, 0xffff830000100000,
                                      HYPERVISOR_VIRT_END - 8};
    for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        EXPECT(!trap_read_works((const void *)(uintptr_t)places[i], NULL), "0x%lx can be read", places[i]);
        EXPECT(!trap_write_works((void *)(uintptr_t)places[i], NULL), "0x%lx can be written", places[i]);
    }
}

void guest_main(void)
{
    start_information();
    lists_agree();
    walk(virt_to_mfn((const void *)(uintptr_t)start_info->pt_base), 4);
    printk("%lu pages are mapped\n", mapped);
    hypervisor_is_out_of_reach();
    report_success("the guest finds what it was promised");
}
