/* SPDX-License-Identifier: MIT */
/*
 * What hypercalls cost, in ticks of the time-stamp counter; under -icount a tick count is an instruction
 * count. Prints lines "bench: NAME ELEMENTS TICKS", the least of several tries less what reading the counter
 * costs.
 */
#include "kit/bus.h"
#include "kit/guest.h"
#include "kit/iommu.h"
#include "kit/time.h"

#define TRIES 12u
#define MANY  256u

static struct iommu_map_op ops[MANY];
static uint64_t empty; /* cost of an empty measurement */

static void nothing(uint64_t n)
{
    (void)n;
}

static uint64_t least(void (*prepare)(uint64_t), void (*run)(uint64_t), uint64_t n)
{
    uint64_t best = UINT64_MAX;
    for (uint32_t i = 0; i < TRIES; i++) {
        prepare(n);
        uint64_t start = rdtsc();
        run(n);
        uint64_t ticks = rdtsc() - start;
        best = ticks < best ? ticks : best;
    }
    return best - empty;
}

static void show(const char *name, void (*prepare)(uint64_t), void (*run)(uint64_t), uint64_t n)
{
    printk("bench: %s %lu %lu\n", name, n, least(prepare, run, n));
}

/* ---- calls that do nothing ---- */

static void unknown_call(uint64_t n)
{
    (void)n;
    hypercall(63, 0, 0, 0, 0, 0);
}

static void version_call(uint64_t n)
{
    (void)n;
    xen_version(XENVER_version, NULL);
}

static void empty_iommu_call(uint64_t n)
{
    (void)n;
    iommu_probe();
}

/* ---- an event: sent, and its upcall taken ---- */

static struct evtchn_port_op to_self;

static void event_call(uint64_t n)
{
    (void)n;
    event_channel_op(EVTCHNOP_send, &to_self);
}

static void event_to_self(void)
{
    struct evtchn_bind_ipi request = {0};
    if (events_init() || event_channel_op(EVTCHNOP_bind_ipi, &request))
        report_error("there are no events here");
    to_self.port = request.port;
    events_allow();
    show("event-to-self", nothing, event_call, 1);
}

/* ---- IOMMUOP ---- */

static uint64_t bfn, mfns[MANY];
static uint64_t apart; /* BFNs between two elements */
static bool shuffled;  /* else machine frames ascend, given p2m=linear */

static void fill(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        ops[i] = (struct iommu_map_op){bfn + i * apart, mfns[shuffled ? i * 97 % MANY : i], IOMMU_RW,
                                       STATUS_NOT_REACHED};
}

static void unmap(uint64_t n)
{
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, ops, n), 0);
}

static void map(uint64_t n)
{
    EXPECT_RETURN(iommu_op(IOMMUOP_map_page, ops, n), 0);
}

static void fill_and_unmap(uint64_t n)
{
    fill(n);
    unmap(n);
    fill(n);
}

static void fill_and_map(uint64_t n)
{
    fill(n);
    map(n);
    fill(n);
}

static void map_by_physdev(uint64_t n)
{
    (void)n;
    EXPECT_RETURN(iommu_physdev(ops), 0);
}

/* A neighbour stays in each leaf table, so that tables are neither built nor taken down: "warm". */
static void keep_tables(void)
{
    for (uint64_t i = 0; i < 3; i++)
        ops[i] = (struct iommu_map_op){bfn + 512 * i + 511, mfns[0], IOMMU_RW, STATUS_NOT_REACHED};
    map(3);
}

static void iommu_calls(const char *map_name, const char *unmap_name)
{
    for (uint64_t n = 1; n <= MANY; n *= 2) {
        show(map_name, fill_and_unmap, map, n);
        show(unmap_name, fill_and_map, unmap, n);
    }
}

/* ---- page tables, exceptions ---- */

#define ENTRIES 32u

static volatile uint64_t *window;
static uint64_t window_entry; /* machine address of its L1 entry */
static struct mmu_update updates[ENTRIES];
static struct multicall_entry calls[ENTRIES];

static void set_by_address(uint64_t n)
{
    (void)n;
    update_va_mapping((uint64_t)(uintptr_t)window, mfns[0] << PAGE_SHIFT | MAP_RAM, UVMF_INVLPG);
}

static void clear_by_address(uint64_t n)
{
    (void)n;
    update_va_mapping((uint64_t)(uintptr_t)window, 0, UVMF_INVLPG);
}

static void prepare_updates(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        updates[i] = (struct mmu_update){window_entry, (i & 1) ? 0 : mfns[0] << PAGE_SHIFT | MAP_RAM};
    clear_by_address(0);
}

static void update(uint64_t n)
{
    EXPECT_RETURN(mmu_update(updates, (uint32_t)n, NULL), 0);
}

static void prepare_calls(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        calls[i] =
            (struct multicall_entry){.op = __HYPERVISOR_update_va_mapping,
                                     .args = {(uint64_t)(uintptr_t)window,
                                              (i & 1) ? 0 : mfns[0] << PAGE_SHIFT | MAP_RAM, UVMF_INVLPG}};
    clear_by_address(0);
}

static void all_calls(uint64_t n)
{
    EXPECT_RETURN(multicall(calls, (uint32_t)n), 0);
}

static void skip_load(struct trap_regs *regs)
{
    regs->rip += 4; /* mov (%rax), %rax with a 1-byte displacement */
}

static void page_fault(uint64_t n)
{
    (void)n;
    __asm__ volatile("xor %%eax, %%eax; .byte 0x48, 0x8b, 0x40, 0x10" : : : "rax", "memory");
}

static void page_tables(void)
{
    struct pte_place place;
    window = map_frame(mfns[0], MAP_RAM);
    if (!window || !page_table_walk((uint64_t)(uintptr_t)window, 1, &place))
        report_error("no window: %ld", window_error);
    window_entry = place.table_mfn << PAGE_SHIFT | place.index * 8;
    show("update_va_mapping-set", clear_by_address, set_by_address, 1);
    show("update_va_mapping-clear", set_by_address, clear_by_address, 1);
    show("mmu_update", prepare_updates, update, 1);
    show("mmu_update", prepare_updates, update, ENTRIES);
    show("multicall-update_va_mapping", prepare_calls, all_calls, ENTRIES);
    trap_set_handler(TRAP_PAGE_FAULT, skip_load);
    show("page-fault-and-iret", nothing, page_fault, 1);
}

/* ---- what ring 3 may not execute ---- */

static void read_msr(uint64_t n)
{
    (void)n;
    __asm__ volatile("rdmsr" : : "c"(0xc0000102) : "rax", "rdx");
}

static void read_port(uint64_t n)
{
    (void)n;
    __asm__ volatile("inl %%dx, %%eax" : : "d"(0x608) : "rax"); /* the PM timer on q35 */
}

static void emulated(void)
{
    show("rdmsr", nothing, read_msr, 1);
    show("in", nothing, read_port, 1);
}

void guest_main(void)
{
    if (!bus_init())
        report_error("there is no IOMMUOP here");
    for (uint32_t i = 0; i < MANY; i++)
        mfns[i] = pfn_to_mfn(frame_alloc());
    uint64_t reserved = bus_reserve(8192);
    empty = least(nothing, nothing, 0);

    show("unknown-hypercall", nothing, unknown_call, 1);
    show("xen_version", nothing, version_call, 1);
    show("iommu_op-empty", nothing, empty_iommu_call, 1);
    bfn = (reserved + 511) & ~511ul;
    apart = 1;
    keep_tables();
    iommu_calls("map-contiguous", "unmap-contiguous");
    shuffled = true;
    iommu_calls("map-scattered-frames", "unmap-scattered-frames");
    apart = 5;
    iommu_calls("map-scattered", "unmap-scattered");
    show("physdev-map", fill_and_unmap, map_by_physdev, 1);
    page_tables();
    emulated();
    event_to_self();
    report_success("bench: done");
}
