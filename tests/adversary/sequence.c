/* SPDX-License-Identifier: MIT */
/*
 * Steps of a sequence. Some are single calls with random arguments; the others are what a working guest does,
 * so that there is something to go wrong: tables are built, pinned, linked, edited and given up, frames are
 * exchanged, the bus is mapped, devices go to work.
 */
#include "tests/adversary/sequence.h"

#include "guest-abi/include/sluice/event_channel.h"
#include "guest-abi/include/sluice/iommu_op.h"
#include "guest-abi/include/sluice/xen.h"
#include "tests/adversary/calls.h"
#include "tests/adversary/choose.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

void sequence_begin(uint64_t seed)
{
    choose_begin(seed);
}

static long run(const struct call *call)
{
    world_note(call->name);
    return world_call(call->slot, call->a);
}

/* ---- calls as a working guest makes them ---- */

static long map_home(uint32_t page, uint64_t entry)
{
    const struct call call = {__HYPERVISOR_update_va_mapping,
                              {home(page), entry, UVMF_INVLPG | UVMF_ALL},
                              "mapping a page at its place"};

    return run(&call);
}

static long extended(uint32_t command, uint64_t first, const char *name)
{
    const uint64_t words[3] = {command, first, 0};
    const struct call call = {
        __HYPERVISOR_mmuext_op, {scratch_put(words, sizeof words), 1, 0, DOMID_SELF}, name};

    return run(&call);
}

static long set_entry(uint64_t machine, uint64_t entry)
{
    const struct mmu_update update = {machine | (one_in(4) ? MMU_PT_UPDATE_PRESERVE_AD : 0), entry};
    const struct call call = {
        __HYPERVISOR_mmu_update, {scratch_put(&update, sizeof update), 1, 0, DOMID_SELF}, "setting an entry"};

    return run(&call);
}

/* ---- tables ---- */

static void fill_table(uint32_t page, uint32_t level)
{
    static uint64_t entries[512];

    for (uint32_t i = 0; i < 512; i++)
        entries[i] = 0;
    for (uint32_t i = below(10); i > 0; i--) {
        uint32_t slot = any_slot();

        /* The upper half of a base table may have to carry the sequence itself. */
        entries[level == 4 && world.fragile ? slot % 256 : slot] = any_entry(level);
    }
    if (level == 4 && (world.fragile || !one_in(12)))
        entries[world.image_slot] = world.image_entry;
    world_put(home(page), entries, sizeof entries);
}

static uint32_t any_level(void)
{
    static const uint8_t levels[] = {1, 1, 1, 2, 2, 3, 4};

    return levels[below(COUNT(levels))];
}

static void make_table(void)
{
    uint32_t page = any_page(), level = any_level();

    if (beliefs[page].level != 0 || beliefs[page].left)
        return;
    fill_table(page, level);
    if (map_home(page, world.arena_mfn[page] << 12 | READ_ONLY) != 0)
        return;
    beliefs[page].level = (uint8_t)level;
    if (!one_in(3))
        beliefs[page].pinned =
            extended(PIN_L1 + level - 1, world.arena_mfn[page], "pinning a table that was built") == 0;
}

static void drop_table(void)
{
    uint32_t page = page_of_level(any_level());

    if (beliefs[page].pinned || one_in(8))
        beliefs[page].pinned = extended(UNPIN, world.arena_mfn[page], "unpinning a table") != 0;
    if (map_home(page, world.arena_mfn[page] << 12 | READ_WRITE) == 0)
        beliefs[page].level = 0;
}

static void link_table(void)
{
    uint32_t level = 2 + below(3);
    uint32_t child = page_of_level(level - 1);
    uint64_t parent = level == 4 && one_in(2) ? world.table_mfn[4] : world.arena_mfn[page_of_level(level)];
    uint64_t entry = one_in(4) ? 0 : world.arena_mfn[child] << 12 | READ_WRITE;

    set_entry(parent << 12 | 8 * (level == 4 ? below(4) : any_slot()), entry);
}

static void edit_table(void)
{
    uint32_t level = any_level(), page = page_of_level(level);

    set_entry(world.arena_mfn[page] << 12 | 8 * (level == 4 ? below(256) : any_slot()), any_entry(level));
}

/* Some time on other tables, or with other tables for user mode. */
static void switch_base(void)
{
    uint32_t page = page_of_level(4);

    if (one_in(2)) {
        extended(NEW_USER_BASEPTR, one_in(4) ? 0 : world.arena_mfn[page], "a new base for user mode");
        return;
    }
    /* Whatever became of the frame, the sequence lives on behind this entry. */
    if (world.fragile &&
        set_entry(world.arena_mfn[page] << 12 | 8 * world.image_slot, world.image_entry) != 0)
        return;
    if (beliefs[page].level != 4 ||
        extended(NEW_BASEPTR, world.arena_mfn[page], "a new base for kernel mode") != 0)
        return;
    for (uint32_t i = below(4); i > 0; i--) {
        uint64_t value;

        world_load(any_address(), &value);
    }
    extended(NEW_BASEPTR, world.table_mfn[4], "the first base again");
}

/* Pages come back to where they were, so that a sequence does not run dry. */
static void restore_page(void)
{
    uint32_t page = any_page();

    if (!beliefs[page].left && map_home(page, world.arena_mfn[page] << 12 | READ_WRITE) == 0)
        beliefs[page].level = 0;
}

/* ---- frames that leave and come ---- */

static void exchange_frame(void)
{
    uint32_t page = any_page();
    uint64_t in = world.arena_mfn[page], out = world.arena_pfn[page];
    uint64_t words[9] = {scratch_put(&in, sizeof in),   1, 0, DOMID_SELF,
                         scratch_put(&out, sizeof out), 1, 0, DOMID_SELF};
    struct call call = {__HYPERVISOR_memory_op, {XENMEM_exchange}, "exchanging a frame"};

    if (beliefs[page].level != 0 || beliefs[page].left || map_home(page, 0) != 0)
        return;
    call.a[1] = scratch_put(words, sizeof words);
    if (run(&call) == 0 && world_load(words[4], &out))
        world.arena_mfn[page] = out;
    map_home(page, world.arena_mfn[page] << 12 | READ_WRITE);
}

static void decrease(uint32_t page)
{
    uint64_t words[4] = {scratch_put(&world.arena_mfn[page], 8), 1, 0, DOMID_SELF};
    struct call call = {__HYPERVISOR_memory_op, {XENMEM_decrease_reservation}, "giving a frame back"};

    if (beliefs[page].level != 0 || map_home(page, 0) != 0)
        return;
    call.a[1] = scratch_put(words, sizeof words);
    beliefs[page].left = run(&call) == 1;
    if (!beliefs[page].left)
        map_home(page, world.arena_mfn[page] << 12 | READ_WRITE);
}

static void populate(uint32_t page)
{
    uint64_t words[4] = {scratch_put(&world.arena_pfn[page], 8), 1, 0, DOMID_SELF};
    struct call call = {__HYPERVISOR_memory_op, {XENMEM_populate_physmap}, "taking a frame"};

    call.a[1] = scratch_put(words, sizeof words);
    if (run(&call) != 1 || !world_load(words[0], &world.arena_mfn[page]))
        return;
    beliefs[page].left = false;
    map_home(page, world.arena_mfn[page] << 12 | READ_WRITE);
}

static void balloon(void)
{
    uint32_t page = any_page();

    if (beliefs[page].left)
        populate(page);
    else if (one_in(4))
        decrease(page);
}

/* ---- devices ---- */

static void map_bus(void)
{
    struct iommu_map_op ops[8];
    uint32_t count = 1 + below(COUNT(ops));
    struct call call = {__HYPERVISOR_iommu_op, {IOMMUOP_map_page, 0, count}, "mapping frames for devices"};

    for (uint32_t i = 0; i < count; i++)
        ops[i] = (struct iommu_map_op){world.bus_first + below(48), world.arena_mfn[any_page()], below(4), 1};
    call.a[1] = scratch_put(ops, count * (uint32_t)sizeof ops[0]);
    run(&call);
}

static void use_device(void)
{
    uint64_t bfn = any_bfn();

    if (bfn - 0xfee00 < 0x100)
        return;
    world_note("a device at work");
    world_dma(bfn, !one_in(4), any_entry(1 + below(4)));
}

/* Maps an interrupt and listens to it. */
static void use_interrupt(void)
{
    const struct physdev_map_pirq map = any_map();
    struct evtchn_bind_pirq bind = {0};
    uint64_t place = scratch_put(&map, sizeof map), word;
    struct call call = {__HYPERVISOR_physdev_op, {PHYSDEVOP_map_pirq, place}, "mapping a device's interrupt"};

    if (run(&call) != 0 || !world_load(place + 8, &word))
        return;
    bind.pirq = (uint32_t)(word >> 32);
    call = (struct call){__HYPERVISOR_event_channel_op,
                         {EVTCHNOP_bind_pirq, scratch_put(&bind, sizeof bind)},
                         "listening to a device's interrupt"};
    run(&call);
}

/* ---- the guest's own accesses ---- */

static void access_memory(void)
{
    uint64_t address = any_address(), value;

    world_note("an access");
    if (one_in(16))
        address = any_pointer(address) & ~7ull;
    if (one_in(2) || (world.fragile && address - world.arena_va >= (uint64_t)world.arena_frames << 12))
        world_load(address, &value);
    else
        world_store(address, any_entry(1 + below(4)));
}

/* ---- many at once ---- */

static void random_call(void)
{
    struct call call = any_call();

    run(&call);
}

static void multicall(void)
{
    static struct multicall_entry entries[12];
    uint32_t count = 1 + below(COUNT(entries));
    struct call call = {__HYPERVISOR_multicall, {0}, "multicall"};

    for (uint32_t i = 0; i < count; i++) {
        struct call inner = any_call();

        /* A call before it may write what these read, and a handler be anywhere. */
        while (world.fragile &&
               (inner.slot == __HYPERVISOR_set_trap_table || inner.slot == __HYPERVISOR_callback_op))
            inner = any_call();
        entries[i] = (struct multicall_entry){.op = inner.slot};
        for (uint32_t k = 0; k < COUNT(inner.a); k++)
            entries[i].args[k] = inner.a[k];
        if (one_in(32))
            entries[i].op = __HYPERVISOR_multicall;
    }
    call.a[0] = (uint64_t)(uintptr_t)entries;
    call.a[1] = count;
    /* Where the calls inside can write, an entry may become an iret to anywhere. */
    if (!world.fragile) {
        call.a[0] = any_pointer(scratch_put(entries, count * (uint32_t)sizeof entries[0]));
        call.a[1] = any_count(count);
    }
    run(&call);
}

void sequence_step(void)
{
    static const struct {
        void (*act)(void);
        uint32_t weight;
    } acts[] = {
        {random_call, 20},   {make_table, 14},    {drop_table, 8},    {link_table, 8},
        {edit_table, 8},     {switch_base, 3},    {restore_page, 10}, {balloon, 3},
        {map_bus, 8},        {use_device, 8},     {multicall, 3},     {execute_something, 4},
        {access_memory, 12}, {exchange_frame, 4}, {use_interrupt, 3},
    };
    uint32_t total = 0, at = 0;

    scratch_reset();
    for (uint32_t i = 0; i < COUNT(acts); i++)
        total += acts[i].weight;
    for (total = below(total); total >= acts[at].weight; at++)
        total -= acts[at].weight;
    acts[at].act();
}
