/* SPDX-License-Identifier: MIT */
/*
 * Calls whose invalidations are counted in QEMU's trace. Between two calls the guest reads a register of the
 * host bridge that nothing else reads: the trace has both, in order. The scenarios hold the expected counts,
 * by step.
 */
#include "kit/bus.h"
#include "kit/guest.h"
#include "kit/iommu.h"
#include "kit/pci.h"

#define HOST_BRIDGE 0
#define MARK        0xfcu
#define COUNT       256u

static struct iommu_map_op ops[COUNT];
static uint64_t mfn;

static void step(const char *what)
{
    pci_read(HOST_BRIDGE, MARK, 4);
    printk("step: %s\n", what);
}

static void run(uint32_t subop, uint64_t bfn, uint64_t apart, uint32_t count, uint32_t flags)
{
    for (uint32_t i = 0; i < count; i++)
        ops[i] = (struct iommu_map_op){bfn + i * apart, mfn, flags, STATUS_NOT_REACHED};
    EXPECT_RETURN(iommu_op(subop, ops, count), 0);
}

static void unmap_with_an_error_after(uint64_t bfn, uint32_t good)
{
    for (uint32_t i = 0; i <= good; i++)
        ops[i] = (struct iommu_map_op){.bfn = i < good ? bfn + i : UINT64_MAX, .status = STATUS_NOT_REACHED};
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, ops, good + 1), -EFAULT);
}

void guest_main(void)
{
    EXPECT(bus_init(), "there is no IOMMUOP here");
    uint64_t pfn = frame_alloc();
    mfn = pfn_to_mfn(pfn);
    uint64_t aligned = (bus_reserve(4096) + 1023) & ~1023ul, odd = aligned + 1024 + 100;
    uint64_t sparse = bus_query()->max_bfn / 2 & ~511ul;
    /* The tables must be there before: unlinking one owes more than a leaf does. */
    run(IOMMUOP_map_page, aligned + 512, 1, 1, IOMMU_RW);
    run(IOMMUOP_map_page, aligned + 2000, 1, 1, IOMMU_RW);

    step("map 256 absent");
    run(IOMMUOP_map_page, aligned, 1, COUNT, IOMMU_RW);
    step("unmap 256 aligned");
    run(IOMMUOP_unmap_page, aligned, 1, COUNT, 0);
    step("unmap 256 absent");
    run(IOMMUOP_unmap_page, aligned, 1, COUNT, 0);
    step("map 256 absent, odd start");
    run(IOMMUOP_map_page, odd, 1, COUNT, IOMMU_RW);
    step("unmap 256, odd start");
    run(IOMMUOP_unmap_page, odd, 1, COUNT, 0);
    step("map 1 absent");
    run(IOMMUOP_map_page, aligned, 1, 1, IOMMU_RW);
    step("replace 1");
    run(IOMMUOP_map_page, aligned, 1, 1, IOMMU_MAP_OP_readable);
    step("unmap 1");
    run(IOMMUOP_unmap_page, aligned, 1, 1, 0);
    step("map 3 absent");
    run(IOMMUOP_map_page, aligned, 1, 3, IOMMU_RW);
    step("unmap 3, then an error");
    unmap_with_an_error_after(aligned, 3);
    step("map 256 sparse");
    run(IOMMUOP_map_page, sparse, 1024, COUNT, IOMMU_RW);
    step("unmap 256 sparse");
    run(IOMMUOP_unmap_page, sparse, 1024, COUNT, 0);
    step("end");
    report_success("the counts are in the trace");
}
