/* SPDX-License-Identifier: MIT */
#include "pv/ptwr.h"

#include "cpu/ops.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/map.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "pv/mmu.h"
#include "pv/pte.h"
#include "pv/trap.h"
#include "pv/types.h"
#include "pv/walk.h"

#define ENTRY_BYTES 8u

#define FLAG_CARRY  0x001u
#define FLAG_PARITY 0x004u
#define FLAG_ADJUST 0x010u
#define FLAG_ZERO   0x040u
#define FLAG_SIGN   0x080u
#define FLAG_OVER   0x800u
#define FLAGS_ALL   (FLAG_CARRY | FLAG_PARITY | FLAG_ADJUST | FLAG_ZERO | FLAG_SIGN | FLAG_OVER)

/* ---- where ---- */

/* The entry that the faulting address, a byte of it, shows read-only, or NULL when it shows no L1 table. */
static uint64_t *faulting_entry(uint64_t address)
{
    if (!address_is_canonical(address) || address_is_hypervisor(address))
        return NULL;
    const uint64_t *mapping = walk_to_l1_entry(address);
    if (mapping == NULL || (*mapping & (PTE_PRESENT | PTE_WRITABLE)) != PTE_PRESENT)
        return NULL;
    uint64_t mfn = pte_mfn(*mapping);
    if (!is_whole(frame_of(mfn), FRAME_TYPE_L1))
        return NULL;
    return phys_to_virt(mfn << FRAME_SHIFT | (address & (FRAME_SIZE - ENTRY_BYTES)));
}

/* ---- what: in terms of the operand, the whole entry or some of its bytes ---- */

static uint64_t bit_of(struct cpu_regs *regs, const struct insn *insn)
{
    return 1ull << (guest_store_source(regs, insn) & (8u * insn->bytes - 1));
}

/* A register's bit number may lead out of the operand: such an instruction faulted somewhere else. */
static bool stays_inside(struct cpu_regs *regs, const struct insn *insn)
{
    bool is_bit = insn->op == INSN_BTS || insn->op == INSN_BTR || insn->op == INSN_BTC;

    return !is_bit || insn->has_immediate || guest_store_source(regs, insn) < 8u * insn->bytes;
}

/* Whether CMPXCHG finds what it expects. */
static bool matches(const struct cpu_regs *regs, const struct insn *insn, uint64_t old)
{
    return old == (regs->rax & insn_mask(insn));
}

/* What the operand becomes. CMPXCHG stores what was there when it does not match, as the processor does. */
static uint64_t result(struct cpu_regs *regs, const struct insn *insn, uint64_t old)
{
    switch (insn->op) {
    case INSN_CMPXCHG:
        return matches(regs, insn, old) ? guest_store_source(regs, insn) : old;
    case INSN_ADD:
        return (old + guest_store_source(regs, insn)) & insn_mask(insn);
    case INSN_OR:
        return old | guest_store_source(regs, insn);
    case INSN_AND:
        return old & guest_store_source(regs, insn);
    case INSN_XOR:
        return old ^ guest_store_source(regs, insn);
    case INSN_BTS:
        return old | bit_of(regs, insn);
    case INSN_BTR:
        return old & ~bit_of(regs, insn);
    case INSN_BTC:
        return old ^ bit_of(regs, insn);
    default: /* MOV, XCHG */
        return guest_store_source(regs, insn);
    }
}

/* ---- what else changes ---- */

static uint64_t flags_of(const struct insn *insn, uint64_t value)
{
    bool even = (__builtin_popcountll(value & 0xff) & 1) == 0;
    bool negative = value >> (8u * insn->bytes - 1) != 0;

    return (value == 0 ? FLAG_ZERO : 0) | (negative ? FLAG_SIGN : 0) | (even ? FLAG_PARITY : 0);
}

/* left + right = sum, all of the operand's size. */
static uint64_t flags_of_sum(const struct insn *insn, uint64_t left, uint64_t right, uint64_t sum)
{
    bool over = ((left ^ sum) & (right ^ sum)) >> (8u * insn->bytes - 1) != 0;

    return flags_of(insn, sum) | (sum < left ? FLAG_CARRY : 0) | ((left ^ right ^ sum) & FLAG_ADJUST) |
           (over ? FLAG_OVER : 0);
}

static uint64_t flags_of_difference(const struct insn *insn, uint64_t left, uint64_t right)
{
    uint64_t difference = (left - right) & insn_mask(insn);
    bool over = ((left ^ right) & (left ^ difference)) >> (8u * insn->bytes - 1) != 0;

    return flags_of(insn, difference) | (left < right ? FLAG_CARRY : 0) |
           ((left ^ right ^ difference) & FLAG_ADJUST) | (over ? FLAG_OVER : 0);
}

static void set_flags(struct cpu_regs *regs, uint64_t which, uint64_t flags)
{
    regs->rflags = (regs->rflags & ~which) | (flags & which);
}

/* Four bytes clear the upper half of the register; fewer leave the rest of it. */
static void set_register(uint64_t *reg, const struct insn *insn, uint64_t value)
{
    *reg = insn->bytes >= 4 ? value : (*reg & ~insn_mask(insn)) | value;
}

static void complete_exchange(struct cpu_regs *regs, const struct insn *insn, uint64_t old)
{
    set_flags(regs, FLAGS_ALL, flags_of_difference(insn, regs->rax & insn_mask(insn), old));
    if (!matches(regs, insn, old))
        set_register(&regs->rax, insn, old);
}

static void complete(struct cpu_regs *regs, const struct insn *insn, uint64_t old, uint64_t value)
{
    switch (insn->op) {
    case INSN_MOV:
        break;
    case INSN_XCHG:
        set_register(guest_register(regs, insn->reg), insn, old);
        break;
    case INSN_CMPXCHG:
        complete_exchange(regs, insn, old);
        break;
    case INSN_ADD:
        set_flags(regs, FLAGS_ALL, flags_of_sum(insn, old, guest_store_source(regs, insn), value));
        break;
    case INSN_BTS:
    case INSN_BTR:
    case INSN_BTC:
        set_flags(regs, FLAG_CARRY, (old & bit_of(regs, insn)) != 0 ? FLAG_CARRY : 0);
        break;
    default: /* AND, OR, XOR: A is undefined */
        set_flags(regs, FLAGS_ALL & ~FLAG_ADJUST, flags_of(insn, value));
        break;
    }
}

/* ---- all of it ---- */

/* Of the operand's size, at its place in an entry. */
static uint64_t put_operand(uint64_t entry, const struct insn *insn, uint32_t shift, uint64_t value)
{
    return (entry & ~(insn_mask(insn) << shift)) | value << shift;
}

/* An instruction that stores into one entry, at the address that faulted. */
static bool decode_store(struct cpu_regs *regs, uint64_t address, struct insn *insn)
{
    return guest_decode(regs, insn) && insn->op >= INSN_STORES &&
           address % ENTRY_BYTES + insn->bytes <= ENTRY_BYTES &&
           guest_operand_address(regs, insn) == address && stays_inside(regs, insn);
}

bool guest_emulate_table_write(struct cpu_regs *regs, uint64_t address)
{
    struct insn insn;

    if (types_owed())
        (void)types_settle(); /* a frame that is free again may be mapped */
    uint64_t *entry = faulting_entry(address);

    if (entry == NULL || !decode_store(regs, address, &insn))
        return false;

    uint32_t shift = (uint32_t)(address % ENTRY_BYTES * 8);
    uint64_t now = __atomic_load_n(entry, __ATOMIC_RELAXED);
    uint64_t old, value;
    int error;
    do { /* again when the processor has set A or D meanwhile: twice at most */
        old = now >> shift & insn_mask(&insn);
        value = result(regs, &insn, old);
        error = l1_compare_and_update(entry, &now, put_operand(now, &insn, shift, value));
    } while (error == -EAGAIN);
    if (error != 0)
        return false;
    complete(regs, &insn, old, value);
    guest_step_over(regs, insn.length);
    return true;
}
