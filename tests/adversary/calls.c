/* SPDX-License-Identifier: MIT */
#include "tests/adversary/calls.h"

#include "guest-abi/include/sluice/iommu_op.h"
#include "guest-abi/include/sluice/xen.h"
#include "tests/adversary/choose.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

static struct call call(const char *name, uint64_t slot, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return (struct call){slot, {a, b, c, d, any_word()}, name};
}

static uint64_t words_at(const uint64_t *words, uint32_t count)
{
    return any_pointer(scratch_put(words, count * 8));
}

/* So many words of anything; what they mean depends on who reads them. */
static uint64_t noise(uint32_t count)
{
    uint64_t words[16];

    for (uint32_t i = 0; i < count; i++)
        words[i] = one_in(4) ? any_mfn() : any_word();
    return words_at(words, count);
}

/* Room for the longest answer there is: what lies behind it is another call's. */
static uint64_t room(void)
{
    static const uint8_t nothing[1024];

    return any_pointer(scratch_put(nothing, sizeof nothing));
}

static uint64_t any_domain(void)
{
    return one_in(24) ? any_word() : one_in(8) ? 0x7ff1 : DOMID_SELF;
}

/* ---- memory ---- */

/* A table entry's machine address, with the command in its low bits. The image's own tables are edited where
 * the arena's pages are. */
static uint64_t any_update_target(uint32_t *level)
{
    uint32_t page = any_page();

    *level = 1;
    switch (below(8)) {
    case 0:
    case 1:
        return world.arena_pte[page];
    case 2:
        if (world.fragile)
            return world.foreign_mfn[below(world.foreign_count)] << 12 | 8 * any_slot();
        return any_mfn() << 12 | below(4096);
    case 3:
        *level = 4; /* the lower half is nobody's */
        return world.table_mfn[4] << 12 | 8 * below(4);
    default:
        *level = 1 + below(4);
        page = page_of_level(*level);
        if (world.fragile && *level == 4)
            return world.arena_mfn[page] << 12 | 8 * below(256);
        return world.arena_mfn[page] << 12 | 8 * any_slot();
    }
}

struct call any_mmu_update(void)
{
    uint32_t count = one_in(8) ? 33 + below(8) : 1 + below(5), level;
    struct mmu_update updates[40];
    uint32_t done = 0;

    for (uint32_t i = 0; i < count; i++) {
        updates[i].ptr = any_update_target(&level);
        updates[i].val = any_entry(level);
        if (one_in(4))
            updates[i].ptr |= 1 + below(3);
        if ((updates[i].ptr & 3) == MMU_MACHPHYS_UPDATE) {
            updates[i].ptr = any_mfn() << 12 | MMU_MACHPHYS_UPDATE;
            updates[i].val = any_word();
        }
    }
    uint64_t array = any_pointer(scratch_put(updates, count * (uint32_t)sizeof updates[0]));
    return call("mmu_update", __HYPERVISOR_mmu_update, array, any_count(count),
                one_in(4) ? 0 : any_pointer(scratch_put(&done, sizeof done)), any_domain());
}

static struct call any_update_va_mapping(void)
{
    static const uint64_t flags[] = {0, 1, 2, 5, 6, 3, 7};
    uint64_t address = world.fragile || !one_in(8) ? home(any_page()) : any_address();

    if (one_in(16) && !world.fragile)
        address = any_pointer(address);
    return call("update_va_mapping", __HYPERVISOR_update_va_mapping, address, any_entry(1),
                one_in(8) ? any_word() : flags[below(COUNT(flags))], any_domain());
}

struct call any_mmuext_op(void)
{
    uint64_t ops[4][3];
    uint32_t count = 1 + below(4), done = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t command = one_in(16) ? (uint32_t)any_word() : below(20);

        if (world.fragile && command == NEW_BASEPTR)
            command = UNPIN;
        ops[i][0] = command;
        ops[i][1] = one_in(4) ? any_word() : any_mfn();
        if (command <= 3 && one_in(2))
            ops[i][1] = world.arena_mfn[page_of_level(command + 1)];
        ops[i][2] = one_in(2) ? any_word() : any_mfn();
        if (command == 7 || command == 9 || command == 11)
            ops[i][1] = any_address();
        /* Its own code, cleared or copied over: whoever owns a frame may. */
        if ((command == 16 || command == 17) && world_lives_by(ops[i][1]))
            ops[i][1] = world.arena_mfn[any_page()];
        /* Its first base, unpinned while another is loaded, is any device's to write, and it comes back to
         * it. */
        if (world.fragile && command == UNPIN && ops[i][1] == world.table_mfn[4])
            ops[i][0] = below(2);
    }
    return call("mmuext_op", __HYPERVISOR_mmuext_op, any_pointer(scratch_put(ops, count * 24)),
                any_count(count), one_in(4) ? 0 : any_pointer(scratch_put(&done, sizeof done)), any_domain());
}

/* struct xen_memory_reservation, with frames of the arena. */
static void any_reservation(uint64_t words[4], bool by_pfn)
{
    uint64_t extents[4];
    uint32_t count = 1 + below(4);

    for (uint32_t i = 0; i < count; i++)
        extents[i] = by_pfn ? world.arena_pfn[any_page()] : any_mfn();
    words[0] = words_at(extents, count);
    words[1] = any_count(count);
    words[2] = (one_in(4) ? below(12) : 0) | (uint64_t)(one_in(4) ? below(64) : 0) << 32;
    words[3] = any_domain();
}

static struct call any_memory_op(void)
{
    static const uint32_t commands[] = {0, 1, 2, 3, 4, 6, 9, 10, 11, 12, 16, 17, 24, 27};
    uint32_t command = one_in(16) ? (uint32_t)any_word() : commands[below(COUNT(commands))];
    uint64_t words[9] = {0};

    if (command == 11) {
        any_reservation(words, false);
        any_reservation(words + 4, true);
        words[8] = one_in(4) ? any_word() : 0;
    } else if (command <= 1 || command == 6) {
        any_reservation(words, command != 1);
    } else {
        words[0] = any_count(8);
        words[1] = room();
    }
    return call("memory_op", __HYPERVISOR_memory_op, command, words_at(words, 9), any_word(), any_word());
}

/* ---- the bus ---- */

static void any_element(struct iommu_map_op *op)
{
    op->bfn = any_bfn();
    op->mfn = any_mfn();
    op->flags = one_in(32) ? (uint32_t)any_word() : below(4);
    op->status = 1;
}

struct call any_iommu_op(void)
{
    static const uint32_t commands[] = {1, 1, 1, 2, 2, 0x102, 0x100, 0x101};
    uint32_t command = one_in(24) ? (uint32_t)any_word() : commands[below(COUNT(commands))];
    uint32_t count = one_in(8) ? 60 + below(20) : 1 + below(6);
    struct iommu_map_op ops[80];

    for (uint32_t i = 0; i < count; i++) {
        any_element(&ops[i]);
        if (count > 6 && i > 0 && !one_in(8))
            ops[i].bfn = ops[i - 1].bfn + 1;
    }
    return call("iommu_op", __HYPERVISOR_iommu_op, command,
                any_pointer(scratch_put(ops, count * (uint32_t)sizeof ops[0])), any_count(count), any_word());
}

static struct call any_physdev_op(void)
{
    struct iommu_map_op op;

    any_element(&op);
    if (one_in(2))
        return call("physdev_op", __HYPERVISOR_physdev_op, PHYSDEVOP_iommu_map,
                    any_pointer(scratch_put(&op, sizeof op)), any_word(), any_word());
    return call("physdev_op", __HYPERVISOR_physdev_op, one_in(8) ? any_word() : below(40), noise(8),
                any_word(), any_word());
}

/* ---- descriptors ---- */

static struct call any_set_gdt(void)
{
    uint64_t frames[4];

    for (uint32_t i = 0; i < COUNT(frames); i++)
        frames[i] = any_mfn();
    return call("set_gdt", __HYPERVISOR_set_gdt, words_at(frames, COUNT(frames)),
                one_in(3) ? any_word() : 512 * below(4), any_word(), any_word());
}

/* A descriptor of one of the forms that matter, with odd bits. */
static uint64_t any_descriptor(void)
{
    static const uint64_t forms[] = {0x00affb000000ffff,
                                     0x00cff3000000ffff,
                                     0x00af9b000000ffff,
                                     0x0000e90000000000,
                                     0x0000ec0000000000,
                                     0x0000820000000000,
                                     0};
    uint64_t form = forms[below(COUNT(forms))];

    return one_in(4) ? form ^ 1ull << below(64) : form;
}

static struct call any_update_descriptor(void)
{
    uint64_t machine =
        world.fragile ? world.arena_mfn[any_page()] << 12 | 8 * below(512) : any_mfn() << 12 | 8 * below(512);

    if (one_in(8) && !world.fragile)
        machine |= below(8);
    return call("update_descriptor", __HYPERVISOR_update_descriptor, machine, any_descriptor(), any_word(),
                any_word());
}

/* ---- traps, time, events ---- */

static struct call any_set_trap_table(void)
{
    struct trap_info traps[3] = {0};
    uint32_t count = below(3);

    for (uint32_t i = 0; i < count; i++) {
        traps[i].vector = (uint8_t)(world.fragile ? 0x30 + below(0xd0) : below(256));
        traps[i].flags = (uint8_t)any_word();
        traps[i].cs = one_in(2) ? FLAT_RING3_CS64 : (uint16_t)any_word();
        traps[i].address = one_in(2) ? home(any_page()) : any_word();
    }
    uint64_t table = scratch_put(traps, sizeof traps);

    /* Without a table, all handlers are gone. */
    return call("set_trap_table", __HYPERVISOR_set_trap_table, world.fragile ? table : any_pointer(table),
                any_word(), any_word(), any_word());
}

static struct call any_callback_op(void)
{
    uint64_t words[2];
    uint32_t type = one_in(4) ? (uint32_t)any_word() & 0xffff : below(9);

    if (world.fragile && type < 7)
        type = 7;
    words[0] = type | (uint64_t)below(4) << 16;
    words[1] = one_in(2) ? home(any_page()) : any_word();
    uint64_t argument = scratch_put(words, sizeof words);

    /* Any other words may be those of a callback that it does not survive. */
    return call("callback_op", __HYPERVISOR_callback_op, one_in(8) ? any_word() : below(2),
                world.fragile ? argument : any_pointer(argument), any_word(), any_word());
}

static struct call any_event_channel_op(void)
{
    uint32_t words[6];

    for (uint32_t i = 0; i < COUNT(words); i++)
        words[i] = one_in(4) ? (uint32_t)any_word() : one_in(4) ? DOMID_SELF : below(16);
    return call("event_channel_op", __HYPERVISOR_event_channel_op, one_in(8) ? any_word() : below(14),
                any_pointer(scratch_put(words, sizeof words)), any_word(), any_word());
}

static struct call any_vcpu_op(void)
{
    uint64_t words[8];

    for (uint32_t i = 0; i < COUNT(words); i++)
        words[i] = one_in(3) ? any_mfn() : one_in(3) ? home(any_page()) + 8 * below(512) : any_word();
    if (world_lives_by(words[0]))
        words[0] = world.arena_mfn[any_page()];
    uint64_t command = one_in(8) ? any_word() : below(16);

    /* That the only virtual CPU goes down ends the guest. */
    return call("vcpu_op", __HYPERVISOR_vcpu_op, (uint32_t)command == 2 ? 3 : command,
                one_in(16) ? any_word() : 0, words_at(words, COUNT(words)), any_word());
}

static struct call any_sched_op(void)
{
    uint64_t words[3] = {noise(2), below(3), any_word()};
    uint32_t command = one_in(8) ? (uint32_t)any_word() : below(8);

    /* A guest that sleeps or stops is no adversary. */
    if (command == SCHEDOP_shutdown || command == 4 ||
        (world.fragile && (command == SCHEDOP_block || command == SCHEDOP_poll)))
        command = SCHEDOP_yield;
    if (command == SCHEDOP_poll)
        words[2] = 1;
    return call("sched_op", __HYPERVISOR_sched_op, command, words_at(words, 3), any_word(), any_word());
}

static struct call any_segment_base(void)
{
    return call("set_segment_base", __HYPERVISOR_set_segment_base, one_in(8) ? any_word() : below(4),
                one_in(2) ? home(any_page()) : any_word(), any_word(), any_word());
}

static struct call any_debugreg(void)
{
    if (one_in(2))
        return call("get_debugreg", __HYPERVISOR_get_debugreg, one_in(8) ? any_word() : below(8), any_word(),
                    any_word(), any_word());
    return call("set_debugreg", __HYPERVISOR_set_debugreg, one_in(8) ? any_word() : below(8),
                one_in(2) ? home(any_page()) : any_word(), any_word(), any_word());
}

/* ---- the rest ---- */

static struct call any_console_io(void)
{
    static const char text[] = "adversary\n";

    if (one_in(16))
        return call("console_io", __HYPERVISOR_console_io, CONSOLEIO_write, sizeof text - 1,
                    any_pointer(scratch_put(text, sizeof text)), any_word());
    return call("console_io", __HYPERVISOR_console_io,
                one_in(8) && !world.fragile ? any_word() : CONSOLEIO_read, any_count(32), room(), any_word());
}

static struct call any_xen_version(void)
{
    return call("xen_version", __HYPERVISOR_xen_version, one_in(8) ? any_word() : below(12), room(),
                any_word(), any_word());
}

/* Of platform_op, what would switch the machine off is left out. */
static struct call any_small(void)
{
    /* The last one is not for a guest that runs: it cannot have its callbacks just anywhere. */
    static const uint8_t slots[] = {__HYPERVISOR_stack_switch, __HYPERVISOR_fpu_taskswitch,
                                    __HYPERVISOR_set_timer_op, __HYPERVISOR_grant_table_op,
                                    __HYPERVISOR_vm_assist,    __HYPERVISOR_platform_op,
                                    __HYPERVISOR_set_callbacks};
    uint32_t slot = slots[below((uint32_t)COUNT(slots) - (world.fragile ? 1 : 0))];

    if (slot == __HYPERVISOR_platform_op) {
        uint64_t words[20] = {one_in(2) ? 50 : 52 + below(20), 0x03000000, below(8), below(8)};

        return call("platform_op", slot, words_at(words, COUNT(words)), any_word(), any_word(), any_word());
    }
    return call("a small call", slot, any_word(), one_in(2) ? home(any_page()) : any_word(), noise(4),
                any_word());
}

/* Slots that nobody has, or has to know. */
static struct call any_unknown(void)
{
    static const uint8_t slots[] = {6,  11, 16, 19, 22, 27, 28, 31, 34, 35, 36,
                                    37, 38, 39, 40, 41, 42, 43, 48, 56, 58, 63};
    uint64_t slot = one_in(4) ? 64 + (any_word() >> 1) : slots[below(COUNT(slots))];

    return call("an unknown slot", slot, any_word(), noise(4), any_word(), any_word());
}

struct call any_call(void)
{
    static const struct {
        struct call (*make)(void);
        uint32_t weight;
    } kinds[] = {
        {any_mmu_update, 12}, {any_update_va_mapping, 10}, {any_mmuext_op, 8},
        {any_iommu_op, 14},   {any_physdev_op, 4},         {any_memory_op, 6},
        {any_set_gdt, 3},     {any_update_descriptor, 3},  {any_set_trap_table, 1},
        {any_callback_op, 1}, {any_event_channel_op, 5},   {any_vcpu_op, 4},
        {any_sched_op, 1},    {any_segment_base, 1},       {any_debugreg, 1},
        {any_console_io, 1},  {any_xen_version, 1},        {any_small, 2},
        {any_unknown, 1},     {any_interrupt_call, 3},
    };
    uint32_t total = 0, at = 0;

    for (uint32_t i = 0; i < COUNT(kinds); i++)
        total += kinds[i].weight;
    for (total = below(total); total >= kinds[at].weight; at++)
        total -= kinds[at].weight;
    return kinds[at].make();
}
