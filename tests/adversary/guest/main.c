/* SPDX-License-Identifier: MIT */
/*
 * The adversary as a guest: the same sequences as on the host, from inside the machine that they attack.
 * Command line: seed=S, steps=N (0: without end). The hypervisor must live, devices must reach what the bus
 * map says and nothing else, and nobody may write the guest's own tables.
 */
#include "common/device.h"
#include "common/rule.h"
#include "kit/pci.h"
#include "tests/adversary/choose.h"
#include "tests/adversary/sequence.h"
#include "tests/adversary/world.h"

#define ARENA_PAGES   96u
#define SCRATCH_PAGES 12u
#define STEPS_TOLD    20000u
#define DEVICE_ONE_IN 16u /* a transfer takes as long as 100,000 steps */

/* Two pages more: what is written at the end of the last one goes on there, and not in what the guest lives
 * by. */
static uint8_t arena[(ARENA_PAGES + 2) * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
struct world world;
static const char *act;
static uint64_t calls, faults, transfers;

static uint64_t option(const char *name, uint64_t fallback)
{
    const char *at = strstr(start_info->cmd_line, name);
    uint64_t value = 0;

    if (!at)
        return fallback;
    for (at += strlen(name); *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

/* ---- what there is ---- */

#define FRAMES_MOST (1u << 18) /* of the machine: 1 GiB */

static uint64_t lived_by[FRAMES_MOST / 64]; /* bits */

static void live_by(uint64_t mfn)
{
    if (mfn >= FRAMES_MOST)
        report_error("the machine has too much memory");
    lived_by[mfn / 64] |= 1ull << mfn % 64;
}

bool world_lives_by(uint64_t mfn)
{
    return mfn < FRAMES_MOST && (lived_by[mfn / 64] >> mfn % 64 & 1) != 0;
}

static void find_arena(void)
{
    world.arena_va = (uint64_t)(uintptr_t)arena;
    world.arena_frames = ARENA_PAGES;
    for (uint32_t i = 0; i < ARENA_PAGES; i++) {
        struct pte_place place;

        if (!page_table_walk(home(i), 1, &place))
            report_error("the arena is not mapped");
        world.arena_pfn[i] = virt_to_pfn(arena + i * PAGE_SIZE);
        world.arena_mfn[i] = pfn_to_mfn(world.arena_pfn[i]);
        world.arena_pte[i] = (place.table_mfn << PAGE_SHIFT) + 8 * place.index;
    }
}

static void find_tables(void)
{
    struct pte_place place;

    for (uint32_t level = 1; level <= 4; level++) {
        if (!page_table_walk(world.arena_va, level, &place))
            report_error("the guest's own tables cannot be walked");
        world.table_mfn[level] = place.table_mfn;
        world.image_entry = place.entry;
        world.image_slot = place.index;
    }
}

/* Pages, behind which nothing is mapped. */
static void find_scratch(void)
{
    uint64_t mfns[SCRATCH_PAGES + 1];

    for (uint32_t i = 0; i <= SCRATCH_PAGES; i++)
        mfns[i] = own_mfn();
    uint8_t *pages = map_frames(mfns, SCRATCH_PAGES + 1, MAP_RAM);
    if (!pages || update_va_mapping((uint64_t)(uintptr_t)pages + SCRATCH_PAGES * PAGE_SIZE, 0, UVMF_INVLPG))
        report_error("no scratch pages: %ld", window_error);
    world.scratch_va = (uint64_t)(uintptr_t)pages;
    world.scratch_bytes = SCRATCH_PAGES * PAGE_SIZE;
}

static void find_foreign(void)
{
    const uint64_t *m2p = (const uint64_t *)MACH2PHYS_VIRT_START;
    static const uint64_t known[] = {0, 1, 0x9f, 0xfec00, 0xfed80, 0xfed90, 0xfee00};
    pci_id edu;

    world.foreign_mfn[world.foreign_count++] = start_info->shared_info >> PAGE_SHIFT;
    for (uint32_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        world.foreign_mfn[world.foreign_count++] = known[i];
    if (pci_find_device(0x1234, 0x11e8, 0, &edu))
        world.foreign_mfn[world.foreign_count++] = pci_bar(edu, 0) >> PAGE_SHIFT;
    /* From the top of memory downwards, where the hypervisor lives. */
    for (uint64_t mfn = highest_mfn(), found = 0; mfn && found < 4; mfn--)
        if (m2p[mfn] == NO_FRAME) {
            world.foreign_mfn[world.foreign_count++] = mfn;
            found++;
        }
}

/*
 * The image and what the loader put behind it, but for the tables, which the hypervisor must protect; what
 * was allocated since; the time and the events of the shared page. The next frame that is allocated is the
 * first that nobody needs.
 */
static void find_lived_by(void)
{
    uint64_t tables = virt_to_pfn((const void *)(uintptr_t)start_info->pt_base), end = frame_alloc(),
             arena_pages = virt_to_pfn(arena);

    live_by(start_info->shared_info >> PAGE_SHIFT);
    for (uint64_t pfn = 0; pfn < end; pfn++)
        if (pfn - tables >= start_info->nr_pt_frames && pfn - arena_pages >= ARENA_PAGES)
            live_by(pfn_to_mfn(pfn));
}

static void find_world(void)
{
    world.fragile = true;
    find_arena();
    find_tables();
    find_scratch();
    find_foreign();
    find_lived_by();
    world.machine_frames = highest_mfn() + 1;
    world.bus_first = bus_query()->max_bfn / 2 & ~0x3fffful;
    world.bus_last = bus_query()->max_bfn;
}

/* ---- what a sequence does ---- */

void world_note(const char *name)
{
    act = name;
}

long world_call(uint64_t slot, const uint64_t a[5])
{
    calls++;
    return hypercall(slot, a[0], a[1], a[2], a[3], a[4]);
}

static bool is_writable(uint64_t address)
{
    return trap_write_works((volatile uint8_t *)(uintptr_t)address, NULL);
}

void world_put(uint64_t address, const void *bytes, uint32_t count)
{
    if (address - world.arena_va < ARENA_PAGES * PAGE_SIZE && !is_writable(address))
        return;
    memcpy((void *)(uintptr_t)address, bytes, count);
}

struct access {
    uint64_t address, value;
};

static void load(void *argument)
{
    struct access *access = argument;

    access->value = *(const volatile uint64_t *)(uintptr_t)access->address;
}

static void store(void *argument)
{
    const struct access *access = argument;

    *(volatile uint64_t *)(uintptr_t)access->address = access->value;
}

bool world_load(uint64_t address, uint64_t *value)
{
    struct access access = {address, 0};
    bool trapped = trap_try(load, &access).trapped;

    *value = access.value;
    faults += trapped;
    return !trapped;
}

/* Not where it would be carried out as an edit of an L1, which may be one that the guest lives by. */
bool world_store(uint64_t address, uint64_t value)
{
    struct access access = {address, value};
    bool trapped = !is_writable(address) || trap_try(store, &access).trapped;

    faults += trapped;
    return !trapped;
}

/* The code page ends with RET, and the image may be executed and written. */
static uint8_t code[32] __attribute__((aligned(32)));

static void execute(void *argument)
{
    const struct world_instruction *instruction = argument;
    uint64_t rax = instruction->rax, rcx = instruction->rcx, rdx = instruction->rdx, rdi = instruction->rdi,
             rsi = instruction->rdi;

    __asm__ volatile("call *%5"
                     : "+a"(rax), "+c"(rcx), "+d"(rdx), "+D"(rdi), "+S"(rsi)
                     : "r"((const void *)code)
                     : "rbx", "r8", "r9", "r10", "r11", "memory", "cc");
}

void world_execute(const struct world_instruction *instruction)
{
    memcpy(code, instruction->bytes, instruction->length);
    code[instruction->length] = 0xc3;
    faults += trap_try(execute, (void *)(uintptr_t)instruction).trapped;
    __asm__ volatile("cld" : : : "cc");
}

/* ---- devices ---- */

/* The frame and the arena page that a bus frame leads to, and whether devices may write it; ARENA_PAGES: none
 * of them. */
static uint32_t page_on_bus(uint64_t bfn, uint64_t *mfn, bool *writes)
{
    struct iommu_map_op op;

    *writes = false;
    *mfn = NO_FRAME;
    if (looked_up(bfn, &op) != 0)
        return ARENA_PAGES;
    *mfn = op.mfn;
    *writes = (op.flags & (IOMMU_MAP_OP_writeable | IOMMU_MAP_OP_write_withheld)) == IOMMU_MAP_OP_writeable;
    for (uint32_t level = 1; level <= 4; level++)
        EXPECT(!*writes || op.mfn != world.table_mfn[level],
               "devices may write the level %u table at BFN 0x%lx", level, bfn);
    for (uint32_t i = 0; i < ARENA_PAGES; i++)
        if (world.arena_mfn[i] == op.mfn)
            return i;
    return ARENA_PAGES;
}

void world_dma(uint64_t bfn, bool write, uint64_t value)
{
    bool writes, readable;
    uint64_t mfn, before, now;

    if (transfers++ % DEVICE_ONE_IN)
        return;
    if (bfn > world.bus_last)
        bfn &= world.bus_last;
    uint32_t page = page_on_bus(bfn, &mfn, &writes);
    if (!write) {
        device_read(bfn);
        return;
    }
    if (writes && world_lives_by(mfn))
        return;
    readable = page < ARENA_PAGES && world_load(home(page), &before);
    device_write(bfn, value);
    if (readable && !writes && world_load(home(page), &now))
        EXPECT(now == before, "a device wrote 0x%lx to MFN 0x%lx at BFN 0x%lx, which it may not", now,
               world.arena_mfn[page], bfn);
}

/* ---- the run ---- */

static void own_tables_are_read_only(void)
{
    for (uint64_t i = 0; i < start_info->nr_pt_frames; i++)
        EXPECT(!is_writable(start_info->pt_base + i * PAGE_SIZE),
               "page %lu of the guest's own tables can be written, after %s", i, act);
}

static void end_breakpoints(struct trap_regs *regs)
{
    (void)regs;
    hypercall(__HYPERVISOR_set_debugreg, 7, 0, 0, 0, 0);
}

void guest_main(void)
{
    uint64_t seed = option("seed=", 1), steps = option("steps=", 10000);

    need_iommu();
    device_open();
    find_world();
    trap_set_handler(TRAP_DEBUG, end_breakpoints);
    sequence_begin(seed);
    for (uint64_t step = 1; !steps || step <= steps; step++) {
        sequence_step();
        if (step % 64 == 0)
            own_tables_are_read_only();
        if (step % STEPS_TOLD == 0)
            printk("adversary: seed %lu: %lu steps, %lu hypercalls, %lu faults, %lu transfers\n", seed, step,
                   calls, faults, transfers / DEVICE_ONE_IN);
    }
    report_success("seed %lu: %lu steps, %lu hypercalls, %lu faults, %lu transfers", seed, steps, calls,
                   faults, transfers / DEVICE_ONE_IN);
}
