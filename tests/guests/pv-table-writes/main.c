/* SPDX-License-Identifier: MIT */
/*
 * Rule: the guest's kernel may store to its L1 tables as if they were writable: a store into one entry, of
 * all its bytes or of some, does what mmu_update would, registers and flags as the processor leaves them.
 * What mmu_update would refuse, any other store, and stores to other tables are page faults.
 *
 * From: guest-abi/pv_memory.md, section 3.
 *
 * Method: each instruction on an L1 entry through a read-only view of it, and the same one on plain memory;
 * both must end alike.
 *
 * Errors: none; #PF with the error code of a write to a read-only page.
 *
 * run: default
 * run: no-smap cpu="max,-smap"
 * run: qemu64 cpu="qemu64"
 */
#include "common/rule.h"
#include "common/tables.h"

static struct table l1;
static uint64_t data;

struct outcome {
    uint64_t memory, reg, rax, flags;
};

#define FLAGS 0x8d5ul

#define STORE(name, instruction)                                                                             \
    static void name(volatile uint64_t *entry, uint64_t value, struct outcome *out)                          \
    {                                                                                                        \
        __asm__ volatile("pushf; andq $~0x8d5, (%%rsp); popf\n\t" instruction "\n\tpushf; pop %2"            \
                         : "+r"(value), "+a"(out->rax), "=r"(out->flags)                                     \
                         : "r"(entry)                                                                        \
                         : "memory", "cc");                                                                  \
        out->reg = value;                                                                                    \
    }
STORE(mov, "movq %0, (%3)")
STORE(mov_immediate, "movq $0x7f000, (%3)")
STORE(mov_indexed, "push %%rbx; mov $2, %%ebx; movq %0, -16(%3,%%rbx,8); pop %%rbx")
STORE(exchange, "xchgq %0, (%3)")
STORE(compare_exchange, "cmpxchgq %0, (%3)")
STORE(locked_compare_exchange, "lock cmpxchgq %0, (%3)")
STORE(add, "lock addq %0, (%3)")
STORE(or, "lock orq %0, (%3)")
STORE(and, "andq %0, (%3)")
STORE(exclusive_or, "xorq %0, (%3)")
STORE(and_immediate, "lock andq $-3, (%3)")
STORE(or_byte_immediate, "orq $0x40, (%3)")
STORE(set_bit, "lock btsq $9, (%3)")
STORE(reset_bit, "lock btrq $1, (%3)")
STORE(complement_bit, "btcq $10, (%3)")
STORE(reset_numbered_bit, "push %%rbx; mov $5, %%ebx; btrq %%rbx, (%3); pop %%rbx")
/* Part of the entry. */
STORE(write_protect, "lock andb $0xfd, (%3)")
STORE(mov_byte, "movb %b0, 7(%3)")
STORE(mov_word, "movw %w0, 6(%3)")
STORE(mov_half, "movl %k0, 4(%3)")
STORE(mov_low_half, "movl %k0, (%3)")
STORE(mov_odd_half, "movl $0x1ff, 3(%3)")
STORE(exchange_byte, "xchgb %b0, 5(%3)")
STORE(exchange_word, "xchgw %w0, 1(%3)")
STORE(exchange_half, "xchgl %k0, 4(%3)")
STORE(compare_exchange_byte, "lock cmpxchgb %b0, (%3)")
STORE(compare_exchange_word, "cmpxchgw %w0, 6(%3)")
STORE(compare_exchange_half, "lock cmpxchgl %k0, 4(%3)")
STORE(add_byte, "addb %b0, 7(%3)")
STORE(add_word, "lock addw %w0, 6(%3)")
STORE(add_half, "addl %k0, 4(%3)")
STORE(or_word, "lock orw $0x8000, 6(%3)")
STORE(exclusive_or_half, "xorl %k0, 4(%3)")
STORE(set_bit_of_half, "lock btsl $31, 4(%3)")
STORE(reset_bit_of_word, "push %%rbx; mov $15, %%ebx; btrw %%bx, 6(%3); pop %%rbx")

static const struct {
    const char *name;
    void (*store)(volatile uint64_t *entry, uint64_t value, struct outcome *out);
} stores[] = {
    {"mov", mov},
    {"mov immediate", mov_immediate},
    {"mov with an index", mov_indexed},
    {"xchg", exchange},
    {"cmpxchg", compare_exchange},
    {"lock cmpxchg", locked_compare_exchange},
    {"lock add", add},
    {"lock or", or },
    {"and", and},
    {"xor", exclusive_or},
    {"lock and immediate", and_immediate},
    {"or byte immediate", or_byte_immediate},
    {"lock bts", set_bit},
    {"lock btr", reset_bit},
    {"btc", complement_bit},
    {"btr of a numbered bit", reset_numbered_bit},
    {"lock andb", write_protect},
    {"movb", mov_byte},
    {"movw", mov_word},
    {"movl", mov_half},
    {"movl to the low half", mov_low_half},
    {"movl to an odd address", mov_odd_half},
    {"xchgb", exchange_byte},
    {"xchgw", exchange_word},
    {"xchgl", exchange_half},
    {"lock cmpxchgb", compare_exchange_byte},
    {"cmpxchgw", compare_exchange_word},
    {"lock cmpxchgl", compare_exchange_half},
    {"addb", add_byte},
    {"lock addw", add_word},
    {"addl", add_half},
    {"lock orw", or_word},
    {"xorl", exclusive_or_half},
    {"lock btsl", set_bit_of_half},
    {"btrw of a numbered bit", reset_bit_of_word},
};

static void alike(uint32_t i, uint64_t before, uint64_t value, uint64_t rax)
{
    static volatile uint64_t plain[4];
    struct outcome there = {.rax = rax}, here = {.rax = rax};

    plain[1] = before;
    stores[i].store(&plain[1], value, &there);
    there.memory = plain[1];
    EXPECT_RETURN(set_entry(l1.mfn, 1, before), 0);
    stores[i].store(&l1.view[1], value, &here);
    here.memory = l1.view[1];
    /* A is undefined after a logical operation; entries are always the user's. */
    uint64_t user = there.memory & PTE_PRESENT ? PTE_USER : 0;
    EXPECT(here.memory == (there.memory | user), "%s of 0x%lx to 0x%lx: 0x%lx, not 0x%lx", stores[i].name,
           value, before, here.memory, there.memory);
    EXPECT(here.reg == there.reg && here.rax == there.rax && !((here.flags ^ there.flags) & FLAGS & ~0x10ul),
           "%s of 0x%lx to 0x%lx: register 0x%lx, rax 0x%lx, flags 0x%lx; not 0x%lx, 0x%lx, 0x%lx",
           stores[i].name, value, before, here.reg, here.rax, here.flags, there.reg, there.rax, there.flags);
}

/* All values are allowed entries: absent ones, or of an own frame. */
static void each_instruction(void)
{
    const uint64_t entry = data << PAGE_SHIFT | MAP_RAM,
                   absent[] = {0, 0x1000, 0x7ffffffffffff000, 0x8000000000000000, 0xfffffffffffffffe};
    for (uint32_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        for (uint32_t j = 0; j < 5; j++) {
            for (uint32_t k = 0; k < 5; k++) {
                if (stores[i].store == add && (absent[j] + absent[k]) & 1)
                    continue;
                alike(i, absent[j], absent[k], absent[j]);
                alike(i, absent[j], absent[k], 5);
            }
        }
    }
    alike(0, 0, entry, 0);
    alike(0, entry, 0, 0);
    alike(3, entry, entry & ~PTE_WRITE, 0);
    alike(4, entry, 0, entry);
    alike(10, entry, 0, 0);
    alike(13, entry, 0, 0);
    alike(16, entry, 0, 0);
    EXPECT_RETURN(l1.view[1], entry & ~PTE_WRITE);
    EXPECT_RETURN(set_entry(l1.mfn, 1, 0), 0);
}

/* ---- what stays a fault ---- */

static uint64_t value_to_store;

static void store(void *entry)
{
    *(volatile uint64_t *)entry = value_to_store;
}

static void store_half(void *entry)
{
    *(volatile uint32_t *)entry = (uint32_t)value_to_store;
}

static void faults(void (*function)(void *), volatile void *entry, uint64_t value, const char *what)
{
    value_to_store = value;
    struct trap_result fault = trap_try(function, (void *)(uintptr_t)entry);
    EXPECT(fault.trapped && fault.vector == TRAP_PAGE_FAULT && fault.error_code == (PF_PRESENT | PF_WRITE),
           "%s: trapped %u, vector %u, error code 0x%x", what, fault.trapped, fault.vector, fault.error_code);
}

static void store_bit(void *entry)
{
    __asm__ volatile("lock btsq %0, (%1)" : : "r"(value_to_store), "r"(entry) : "memory", "cc");
}

static void what_stays_a_fault(void)
{
    struct pte_place place;
    faults(store, &l1.view[1], l1.mfn << PAGE_SHIFT | MAP_RAM, "a writable mapping of a table");
    faults(store, &l1.view[1], data << PAGE_SHIFT | MAP_RAM | 1ul << 53, "a reserved bit");
    faults(store, &l1.view[1], 0xfee00000ul | MAP_MMIO, "the local APIC");
    faults(store_half, (volatile char *)&l1.view[1] + 6, 0, "two entries");
    faults(store, (volatile char *)&l1.view[1] + 4, 0, "an entry that is not aligned");
    faults(store_half, &l1.view[1], 0xfee00000u | MAP_MMIO, "the local APIC, by half an entry");
    faults(store_bit, &l1.view[0], 64, "a bit of the next entry");
    for (uint32_t level = 2; level <= 4; level++) {
        page_table_walk((uint64_t)(uintptr_t)&value_to_store, level, &place);
        volatile uint64_t *table = map_frame(place.table_mfn, MAP_RAM_READ);
        EXPECT(table, "an L%u cannot be seen", level);
        faults(store, &table[place.index], place.entry, "an entry of a higher table");
        unmap_frames((void *)(uintptr_t)table, 1);
    }
    EXPECT_RETURN(unpin(l1.mfn), 0);
    faults(store, &l1.view[1], 0, "a read-only page that is no table");
}

/* A store over the end of one page faults at the start of the next, which is aligned, and not what is meant.
 */
static void over_two_pages(void)
{
    uint64_t frames[2] = {own_mfn(), l1.mfn};
    char *pages = map_frames(frames, 2, MAP_RAM_READ);
    EXPECT(pages, "no window");
    EXPECT_RETURN(
        update_va_mapping((uint64_t)(uintptr_t)pages, frames[0] << PAGE_SHIFT | MAP_RAM, UVMF_INVLPG), 0);
    faults(store, pages + PAGE_SIZE - 4, 0x1234567800000000, "a store over two pages");
    EXPECT_RETURN(l1.view[0], 0);
    unmap_frames(pages, 2);
}

void guest_main(void)
{
    data = own_mfn();
    table_begin(&l1);
    table_seal(&l1);
    EXPECT_RETURN(pin(1, l1.mfn), 0);
    each_instruction();
    over_two_pages();
    what_stays_a_fault();
    report_success("an L1 table can be stored to");
}
