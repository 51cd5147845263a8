/* SPDX-License-Identifier: MIT */
/* What a guest may ask for and must not get. */
#include "tour.h"

#include "kit/bus.h"
#include "kit/iommu.h"

/* A machine may have more memory than its bus has addresses. */
static bool is_absent(uint64_t bfn)
{
    struct iommu_map_op op = {.bfn = bfn, .status = STATUS_NOT_REACHED};
    return bfn > bus_query()->max_bfn || (iommu_lookup(&op) == -EFAULT && op.status == -ENOENT);
}

static bool is_mapped(uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    struct iommu_map_op op = {.bfn = bfn, .status = STATUS_NOT_REACHED};
    return iommu_lookup(&op) == 0 && op.status == 0 && op.mfn == mfn && op.flags == flags;
}

bool refused_bad_element(void)
{
    enum { COUNT = 5, BAD = 2 };
    struct iommu_map_op ops[COUNT];
    uint64_t bfn = bus_reserve(COUNT);
    if (bfn == NO_BUS)
        return refute("there are no bus frames left");
    for (uint32_t i = 0; i < COUNT; i++)
        ops[i] = (struct iommu_map_op){bfn + i, frame_get().mfn, IOMMU_RW, STATUS_NOT_REACHED};
    ops[BAD].flags |= 0x10; /* no such flag */
    long result = iommu_map_array(ops, COUNT);
    remark("the call gave %ld, the statuses are %d %d %d %d %d", result, ops[0].status, ops[1].status,
           ops[2].status, ops[3].status, ops[4].status);
    if (result != -EFAULT)
        return refute("it should have given %d", -EFAULT);
    for (uint32_t i = 0; i < COUNT; i++) {
        int32_t wanted = i < BAD ? 0 : i == BAD ? -EINVAL : STATUS_NOT_REACHED;
        if (ops[i].status != wanted)
            return refute("status %u should be %d", i, wanted);
        if (i < BAD ? !is_mapped(bfn + i, ops[i].mfn, IOMMU_RW) : !is_absent(bfn + i))
            return refute("page %u is not as its status says", i);
    }
    return true;
}

/* The hypervisor's level 3 tables hang in the reserved slots of every guest's level 4 table. */
static uint64_t hypervisor_frame(void)
{
    struct pte_place place;
    for (uint64_t slot = 0; slot < 16; slot++) {
        uint64_t address = HYPERVISOR_VIRT_START + (slot << 39);
        if (page_table_walk(address, 4, &place) && place.entry & PTE_PRESENT)
            return (place.entry & PTE_FRAME) >> PAGE_SHIFT;
    }
    return NO_FRAME;
}

/* The device sees nothing there: what it holds afterwards is what it held before, or zeros. */
static bool device_sees_nothing(uint64_t bfn)
{
    uint8_t got[PAYLOAD], zeros[PAYLOAD] = {0};
    if (!device_reads(bfn << PAGE_SHIFT, 70, got))
        return refute("the device did not finish");
    return is_payload(got, 70) || !memcmp(got, zeros, PAYLOAD) ||
           refute("the device read something at bus frame 0x%lx", bfn);
}

bool refused_hypervisor_memory(void)
{
    uint64_t mfn = hypervisor_frame(), bfn = bus_reserve(1);
    if (mfn == NO_FRAME || bfn == NO_BUS)
        return refute("no frame of the hypervisor is in sight");
    struct iommu_map_op op = {bfn, mfn, IOMMU_RW, STATUS_NOT_REACHED};
    long result = iommu_map_array(&op, 1);
    if (result != -EFAULT || op.status != -EPERM)
        return refute("the map gave %ld and status %d", result, op.status);
    if (!is_absent(bfn) || !is_absent(mfn))
        return refute("the frame is on the bus");
    void *page = map_frame(mfn, MAP_RAM);
    long refusal = window_error;
    if (page)
        return refute("I could map the frame for myself");
    remark("frame 0x%lx holds a table of the hypervisor: status %d on the bus, %ld for the CPU", mfn,
           op.status, refusal);
    if (!device_is_here())
        return true;
    return device_sees_nothing(bfn) && device_sees_nothing(mfn);
}

/* Compares a page table with its copy; the processor itself may set accessed and dirty bits. */
static bool table_unchanged(const volatile uint64_t *table, const uint64_t *copy)
{
    const uint64_t by_hardware = PTE_ACCESSED | PTE_DIRTY;
    for (uint32_t i = 0; i < PAGE_SIZE / sizeof(uint64_t); i++)
        if ((table[i] | by_hardware) != (copy[i] | by_hardware))
            return false;
    return true;
}

/*
 * A level 1 entry that nothing uses, and nor does the payload's length before it in the same table: the guest
 * survives even a write that arrives.
 */
static bool find_unused_entry(struct pte_place *place)
{
    const uint32_t entries = PAYLOAD / sizeof(uint64_t);
    uint64_t last = (uint64_t)(uintptr_t)window_last_page();
    if (!page_table_walk(last, 1, place))
        return false;
    return place->index + 1 >= entries || page_table_walk(last - entries * PAGE_SIZE, 1, place);
}

/* The device writes over entry and over those just before it, unused as well. */
static bool write_is_blocked(uint64_t bfn, const volatile uint64_t *table, uint32_t entry, uint32_t seed)
{
    static uint64_t copy[PAGE_SIZE / sizeof(uint64_t)];
    for (uint32_t i = 0; i < PAGE_SIZE / sizeof(uint64_t); i++)
        copy[i] = table[i];
    uint64_t offset = (entry + 1) * sizeof(uint64_t) - PAYLOAD;
    if (!device_writes((bfn << PAGE_SHIFT) + offset, seed))
        return refute("the device did not finish");
    return table_unchanged(table, copy) || refute("the device has written a page table");
}

bool refused_page_table_write(void)
{
    struct pte_place place;
    if (!find_unused_entry(&place))
        return refute("no page table in sight");
    uint64_t mfn = place.table_mfn, bfn = bus_reserve(1);
    const volatile uint64_t *table = pfn_to_virt(mfn_to_pfn(mfn));
    long status = iommu_map_one(bfn, mfn, IOMMU_RW);
    if (status)
        return refute("mapping the table for reading and writing gave %ld", status);
    if (!is_mapped(bfn, mfn, IOMMU_MAP_OP_readable | IOMMU_MAP_OP_write_withheld))
        return refute("lookup does not say that writing is withheld");
    status = iommu_map_one(bus_reserve(1), mfn, IOMMU_MAP_OP_writeable);
    if (status != -EPERM)
        return refute("mapping it for writing alone gave %ld", status);
    remark("frame 0x%lx holds a page table: readable, write withheld", mfn);
    if (!device_is_here())
        return true;
    if (!write_is_blocked(bfn, table, place.index, 80))
        return false;
    /* What was mapped at boot lies at the machine address. */
    return bus_query()->premap == IOMMU_PREMAP_none || write_is_blocked(mfn, table, place.index, 81);
}
