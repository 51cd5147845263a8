/* SPDX-License-Identifier: MIT */
/*
 * Building the model machine, by the product's own steps as far as they can be taken on a host: firmware's
 * memory map, the frame table, the allocator, the guest's frames, page tables and bus.
 */
#include "tests/adversary/native/machine.h"
#include "tests/adversary/random.h"
#include "tests/adversary/world.h"
#include "tests/unit/iommu_engine/model.h"

#include "boot_info.h"
#include "cpu/descriptors.h"
#include "cpu/features.h"
#include "lib/options.h"
#include "mem/alloc.h"
#include "mem/early.h"
#include "mem/frame_table.h"
#include "mem/memory_map.h"
#include "mem/tables.h"
#include "pv/build.h"
#include "pv/bus.h"
#include "pv/clock.h"
#include "pv/guest.h"
#include "pv/p2m.h"
#include "pv/pte.h"
#include "pv/tlb.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct guest guest;
struct cpu_features cpu_features;
uint64_t test_direct_base;
static struct frame frames[RAM_FRAMES];
struct frame *frame_table = frames;

/* ---- firmware's map ---- */

struct descriptor {
    uint32_t type, padding;
    uint64_t start, virtual_start, pages, attribute;
};
enum { LOADER = 2, RUNTIME = 6, USABLE = 7, RESERVED = 0, ACPI = 9, NVS = 10 };
#define IMAGE_MFN    24u
#define IMAGE_FRAMES 16u

static const struct descriptor firmware_map[] = {
    {.type = USABLE, .start = 0x1000, .pages = 15},
    {.type = ACPI, .start = 16 * FRAME_SIZE, .pages = 2},
    {.type = NVS, .start = 18 * FRAME_SIZE, .pages = 1},
    {.type = RUNTIME, .start = 19 * FRAME_SIZE, .pages = 1},
    {.type = RESERVED, .start = 20 * FRAME_SIZE, .pages = 4},
    {.type = LOADER, .start = IMAGE_MFN * FRAME_SIZE, .pages = IMAGE_FRAMES},
    {.type = USABLE, .start = 40 * FRAME_SIZE, .pages = RAM_FRAMES - 40},
};

static const struct boot_info info = {
    .memory_map = {(uint64_t)(uintptr_t)firmware_map, sizeof firmware_map},
    .memory_descriptor_size = sizeof firmware_map[0],
    .image = {IMAGE_MFN * FRAME_SIZE, IMAGE_FRAMES *FRAME_SIZE},
};

/* ---- the hypervisor's own page tables: nothing here walks them ---- */

#define TAKEN_EARLY 2u

bool page_tables_map(const struct page_tables *tables, uint64_t virtual, uint64_t physical, uint64_t size,
                     uint64_t flags)
{
    (void)tables, (void)virtual, (void)physical, (void)size, (void)flags;
    return true;
}

bool page_tables_share(const struct page_tables *tables, uint64_t virtual, uint64_t l1_physical)
{
    (void)tables, (void)virtual, (void)l1_physical;
    return true;
}

const struct page_tables *own_tables(void)
{
    static const struct page_tables none;

    return &none;
}

bool map_build(const struct boot_info *given)
{
    (void)given;
    return frame_table_map(own_tables(), 0, 0);
}

void map_switch(void)
{
}

void early_taken(uint64_t *first, uint64_t *count)
{
    *first = RAM_FRAMES - TAKEN_EARLY - (frame_table_bytes() >> FRAME_SHIFT);
    *count = TAKEN_EARLY;
}

/* What stands in the pages of the GDT and the LDT; 0: nothing of the guest's. */
uint64_t machine_descriptor_pages[DESCRIPTOR_PAGES];

void map_descriptor_page(uint32_t page, uint64_t mfn)
{
    if (page >= DESCRIPTOR_PAGES)
        machine_fail("there is no page %u of descriptors", page);
    machine_descriptor_pages[page] = mfn == MAP_NO_FRAME ? 0 : mfn;
}

void descriptors_load_ldt(uint64_t base, uint32_t entries)
{
    (void)base, (void)entries;
}

/* Firmware left no tables behind. */
const void *phys_map_readonly(uint64_t physical, uint64_t size)
{
    (void)physical, (void)size;
    return NULL;
}

void phys_unmap(const void *address, uint64_t size)
{
    (void)address, (void)size;
}

void map_fill_guest_l4(uint64_t *l4)
{
    for (unsigned slot = MAP_FIRST_SLOT; slot <= MAP_LAST_SLOT; slot++)
        l4[slot] = (0xabc00ull + slot) << FRAME_SHIFT | PTE_PRESENT | PTE_WRITABLE;
}

/* ---- the guest ---- */

#define KEPT        64u /* frames for exchanges */
#define V_START     0xffffffff80000000ull
#define TABLE_PFN   4u
#define ARENA_PFN   16u
#define ARENA_PAGES 96u
#define SCRATCH_PFN (ARENA_PFN + ARENA_PAGES)
#define SCRATCH     12u
#define STACK_PFN   (SCRATCH_PFN + SCRATCH + 1) /* after a page that is not mapped */
#define MAPPED      (STACK_PFN + 2)

static uint64_t p2m[GUEST_PAGES];

static uint64_t page_va(uint64_t pfn)
{
    return V_START + (pfn << FRAME_SHIFT);
}

static void build_shared_info(void)
{
    guest.shared_mfn = frames_alloc(1);
    frame_of(guest.shared_mfn)->flags |= FRAME_SHARED_RW;
    guest.shared = phys_to_virt(guest.shared_mfn << FRAME_SHIFT);
    for (uint32_t i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        guest.shared->vcpu_info[i].evtchn_upcall_mask = 1;
    guest.vcpu = &guest.shared->vcpu_info[0];
    clock_init();
}

static void build_tables(void)
{
    const struct guest_layout layout = {
        .v_start = V_START,
        .v_end = page_va(MAPPED),
        .tables = page_va(TABLE_PFN),
        .table_pages = 4,
        .counts = {1, 1, 1},
    };

    if (!guest_tables_build(&layout, p2m))
        machine_fail("the guest's tables cannot be built");
    tlb_load(guest.l4_mfn);
}

/* A handler for everything; nobody looks what is there. */
static void build_handlers(void)
{
    for (uint32_t vector = 0; vector < 256; vector++)
        guest.traps[vector] = (struct trap_info){
            .vector = (uint8_t)vector, .cs = FLAT_RING3_CS64, .address = page_va(0) + vector};
    guest.kernel_sp = page_va(MAPPED);
}

static void build_guest(void)
{
    build_shared_info();
    if (!map_m2p(memory_max_mfn()))
        machine_fail("no M2P");
    if (!guest_bus_options() || !guest_bus_create(GUEST_PAGES))
        machine_fail("no bus");
    guest.nr_pages = guest.pages_now = frames_alloc_guest(p2m, GUEST_PAGES, KEPT);
    if (guest.nr_pages != GUEST_PAGES)
        machine_fail("not enough frames");
    p2m_arrange(p2m, GUEST_PAGES, P2M_SCRAMBLE, machine_options.seed);
    for (uint64_t pfn = 0; pfn < GUEST_PAGES; pfn++)
        m2p_set(p2m[pfn], pfn);
    build_tables();
    build_handlers();
    guest.slots = HYPERCALL_SLOTS;
    if (!guest_bus_open())
        machine_fail("no bus map");
}

/* ---- the IOMMU: what it is like depends on the seed ---- */

static uint32_t choose(uint32_t limit)
{
    return random_below(&machine_random, limit);
}

/* As host_frames_release() of the kernel's does. */
static void on_release(uint64_t mfn, uint32_t flags)
{
    if ((flags & IOMMU_LOCKED) != 0)
        return;
    if ((flags & IOMMU_PREMAP) != 0)
        frames_premap_put(mfn, 1);
    else
        frame_bus_put(mfn, (flags & (IOMMU_WRITE | IOMMU_WITHHELD)) != 0);
}

static void build_iommu(void)
{
    uint8_t levels = (uint8_t)(3 + choose(2));

    model.vendor = machine_options.vendor;
    model.levels = model.levels_max = levels;
    model.leaf_level = (uint8_t)(1 + choose(3));
    model.coherent = choose(2) != 0;
    model.caching_mode = choose(2) != 0;
    model.units = 1 + choose(2);
    model.order_max = choose(2) != 0 ? 18 : 0;
    model_init();
    model.delay = 1;
    model.on_release = on_release;
    guest.iommu_on = true;
}

/* ---- what the sequence is told ---- */

static void tell_world(void)
{
    const uint64_t foreign[] = {
        guest.shared_mfn, 0, IMAGE_MFN + 3,  RAM_FRAMES - 1, 16, 18, 21, MFN_MMIO, MFN_MSIX, MFN_LOCAL_APIC,
        0xfed90,          1, MODEL_FIRST_MFN};

    world = (struct world){
        .arena_va = page_va(ARENA_PFN),
        .arena_frames = ARENA_PAGES,
        .scratch_va = page_va(SCRATCH_PFN),
        .scratch_bytes = SCRATCH * FRAME_SIZE,
        .table_mfn = {0, p2m[TABLE_PFN + 3], p2m[TABLE_PFN + 2], p2m[TABLE_PFN + 1], p2m[TABLE_PFN]},
        .image_slot = 511,
        .foreign_count = sizeof foreign / sizeof foreign[0],
        .machine_frames = RAM_FRAMES,
        .bus_first = 0x40000,
        .bus_last = iommu_max_bfn(guest.context),
    };
    world.image_entry = ((uint64_t *)phys_to_virt(world.table_mfn[4] << FRAME_SHIFT))[world.image_slot];
    memcpy(world.foreign_mfn, foreign, sizeof foreign);
    for (uint32_t i = 0; i < ARENA_PAGES; i++) {
        world.arena_pfn[i] = ARENA_PFN + i;
        world.arena_mfn[i] = p2m[ARENA_PFN + i];
        world.arena_pte[i] = (world.table_mfn[1] << FRAME_SHIFT) + (ARENA_PFN + i) * 8;
    }
}

void machine_boot(void)
{
    char options[64];
    void *ram =
        mmap(NULL, RAM_FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (ram == MAP_FAILED)
        machine_fail("no memory");
    test_direct_base = (uint64_t)(uintptr_t)ram;
    machine_random = random_seeded(machine_options.seed ^ 0xdeca0de);
    cpu_features = (struct cpu_features){.physical_bits = 40, .nx = true};
    snprintf(options, sizeof options, "premap=%s continue-every=%u", choose(4) != 0 ? "on" : "off",
             choose(3) == 0 ? 1 + choose(9) : 0);
    options_set(options, strlen(options));
    if (!memory_map_init(&info, cpu_features.physical_bits) || !memory_init(&info))
        machine_fail("no memory map");
    build_iommu();
    build_guest();
    tell_world();
}
