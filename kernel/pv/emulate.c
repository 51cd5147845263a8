/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of the guest: read, decoded, and given to the file that has the rules.
 * guest-abi/instructions.md says in words what comes of each.
 */
#include "pv/emulate.h"
#include "cpu/ops.h"
#include "cpu/trap.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "pv/descriptor.h"
#include "pv/guest.h"
#include "pv/tlb.h"
#include "pv/trap.h"

uint64_t *guest_register(struct cpu_regs *regs, uint32_t number)
{
    uint64_t *const by_number[16] = {
        &regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp, &regs->rsi, &regs->rdi,
        &regs->r8,  &regs->r9,  &regs->r10, &regs->r11, &regs->r12, &regs->r13, &regs->r14, &regs->r15,
    };

    return by_number[number & 15];
}

void guest_step_over(struct cpu_regs *regs, uint32_t length)
{
    regs->rip += length;
    regs->rflags &= ~(uint64_t)RFLAGS_RF;
    if (!(regs->rflags & RFLAGS_TF))
        return;
    guest_debug_stepped();
    guest_bounce(regs, TRAP_DB, false, 0);
}

/* ---- fetch ---- */

#define FETCH_BYTES 24u
_Static_assert(FETCH_BYTES >= INSN_MAX, "one load is enough, but at the end of a page");

/* The bytes at RIP up to the end of their page, and what follows only when the page does not hold them all.
 */
static size_t fetch_at_end(uint8_t *code, uint64_t rip, size_t here)
{
    if (copy_from_guest(code, rip, here))
        return 0;
    return copy_from_guest(code + here, rip + here, INSN_MAX - here) ? here : INSN_MAX;
}

static size_t fetch(uint64_t words[3], uint64_t rip)
{
    size_t here = FRAME_SIZE - (rip & (FRAME_SIZE - 1));

    if (here >= FETCH_BYTES)
        return get_guest_words3(words, rip) ? 0 : FETCH_BYTES;
    return fetch_at_end((uint8_t *)words, rip, here < INSN_MAX ? here : INSN_MAX);
}

enum code_kind { CODE_OTHER, CODE_32, CODE_64 };

#define ACCESS_LONG  (1u << 21)
#define ACCESS_32BIT (1u << 22)

/* Of the 32-bit segments only those of all 4 GiB: elsewhere RIP is not the address of the instruction, or the
 * processor refuses to fetch it. */
static enum code_kind code_kind(uint64_t selector)
{
    if (selector == FLAT_RING3_CS64)
        return CODE_64;
    if (selector == FLAT_RING3_CS32)
        return CODE_32;

    uint32_t rights = access_rights((uint16_t)selector);

    if (rights & ACCESS_LONG)
        return CODE_64;
    bool whole = segment_base((uint16_t)selector) == 0 && segment_limit((uint16_t)selector) == UINT32_MAX;
    return rights & ACCESS_32BIT && whole ? CODE_32 : CODE_OTHER;
}

bool guest_decode(const struct cpu_regs *regs, struct insn *insn)
{
    enum code_kind kind = code_kind(regs->cs & 0xffff);
    uint64_t code[FETCH_BYTES / sizeof(uint64_t)];

    if (kind == CODE_OTHER ||
        !insn_decode((const uint8_t *)code, fetch(code, regs->rip), kind == CODE_64, insn))
        return false;
    /* The data segments of 32-bit code may begin anywhere. */
    return kind == CODE_64 || (insn->op != INSN_INS && insn->op != INSN_OUTS);
}

/* ---- operands of a store ---- */

static uint64_t override_base(const struct insn *insn)
{
    if (insn->segment == INSN_SEGMENT_FS)
        return msr_read(MSR_FS_BASE);
    return insn->segment == INSN_SEGMENT_GS ? msr_read(MSR_GS_BASE) : 0;
}

uint64_t guest_operand_address(struct cpu_regs *regs, const struct insn *insn)
{
    uint64_t address = (uint64_t)(int64_t)insn->displacement;

    if (insn->base != INSN_NO_REGISTER)
        address += *guest_register(regs, insn->base);
    if (insn->index != INSN_NO_REGISTER)
        address += *guest_register(regs, insn->index) * insn->scale;
    if (insn->rip_relative)
        address += regs->rip + insn->length;
    if (insn->address_bytes == 4)
        address = (uint32_t)address;
    return address + override_base(insn);
}

uint64_t guest_store_source(struct cpu_regs *regs, const struct insn *insn)
{
    return (insn->has_immediate ? (uint64_t)insn->immediate : *guest_register(regs, insn->reg)) &
           insn_mask(insn);
}

/* ---- CPUID behind the prefix ---- */

bool guest_emulate_forced_cpuid(struct cpu_regs *regs)
{
    static const uint8_t prefixed_cpuid[] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    uint8_t code[sizeof prefixed_cpuid];

    if (copy_from_guest(code, regs->rip, sizeof code))
        return false;
    for (size_t i = 0; i < sizeof code; i++) {
        if (code[i] != prefixed_cpuid[i])
            return false;
    }

    struct cpuid out = guest_cpuid((uint32_t)regs->rax, (uint32_t)regs->rcx);

    regs->rax = out.eax;
    regs->rbx = out.ebx;
    regs->rcx = out.ecx;
    regs->rdx = out.edx;
    guest_step_over(regs, sizeof code);
    return true;
}

/* ---- the rest ---- */

#define CPUID_EXTENDED 0x80000001u
#define CPUID_RDTSCP   (1u << 27)

static uint64_t edx_eax(const struct cpu_regs *regs)
{
    return regs->rdx << 32 | (uint32_t)regs->rax;
}

static bool read_msr(struct cpu_regs *regs)
{
    uint64_t value;

    if (!guest_msr_read((uint32_t)regs->rcx, &value))
        return false;
    regs->rax = (uint32_t)value;
    regs->rdx = value >> 32;
    return true;
}

/* CR4.TSD keeps the counter from user mode, not from the kernel: on hardware that is in ring 0. */
static bool read_tsc(struct cpu_regs *regs, bool with_aux)
{
    uint32_t aux;

    /* What faulted need not be what is decoded: a device may write the guest's code meanwhile. */
    if (with_aux && !(guest_cpuid(CPUID_EXTENDED, 0).edx & CPUID_RDTSCP))
        return false;
    uint64_t value = with_aux ? tsc_read_aux(&aux) : tsc_read();

    regs->rax = (uint32_t)value;
    regs->rdx = value >> 32;
    if (with_aux)
        regs->rcx = aux;
    return true;
}

/* A 32-bit code segment moves half registers. */
static uint64_t operand(uint64_t value, const struct insn *insn)
{
    return insn->bytes == 8 ? value : (uint32_t)value;
}

static bool read_system_register(struct cpu_regs *regs, const struct insn *insn)
{
    uint64_t value;

    if (!(insn->op == INSN_MOV_FROM_CR ? guest_control_read : guest_debug_read)(insn->reg, &value))
        return false;
    *guest_register(regs, insn->rm) = operand(value, insn);
    return true;
}

static bool write_system_register(struct cpu_regs *regs, const struct insn *insn)
{
    uint64_t value = operand(*guest_register(regs, insn->rm), insn);

    return (insn->op == INSN_MOV_TO_CR ? guest_control_write : guest_debug_write)(insn->reg, value);
}

static bool kernel_only(struct cpu_regs *regs, const struct insn *insn)
{
    if (guest.in_user)
        return false;
    switch (insn->op) {
    case INSN_CLTS:
        return guest_control_write(0, cr0_read() & ~CR0_TS);
    case INSN_WBINVD:
        cache_write_back();
        return true;
    case INSN_RDMSR:
        return read_msr(regs);
    case INSN_WRMSR:
        return guest_msr_write((uint32_t)regs->rcx, edx_eax(regs));
    case INSN_XSETBV:
        return guest_xcr_write((uint32_t)regs->rcx, edx_eax(regs));
    case INSN_RDTSC:
    case INSN_RDTSCP:
        return read_tsc(regs, insn->op == INSN_RDTSCP);
    case INSN_MOV_FROM_CR:
    case INSN_MOV_FROM_DR:
        return read_system_register(regs, insn);
    case INSN_MOV_TO_CR:
    case INSN_MOV_TO_DR:
        return write_system_register(regs, insn);
    default:
        return false;
    }
}

static enum emulation perform(struct cpu_regs *regs, const struct insn *insn)
{
    switch (insn->op) {
    case INSN_IN:
    case INSN_OUT:
    case INSN_INS:
    case INSN_OUTS:
        return guest_io(regs, insn);
    case INSN_CLI: /* the event mask is what holds events off */
    case INSN_STI:
        return iopl_covers_mode() ? EMULATION_DONE : EMULATION_REFUSED;
    default:
        return kernel_only(regs, insn) ? EMULATION_DONE : EMULATION_REFUSED;
    }
}

bool guest_emulate_privileged(struct cpu_regs *regs)
{
    struct insn insn;
    enum emulation result = guest_decode(regs, &insn) ? perform(regs, &insn) : EMULATION_REFUSED;

    if (result == EMULATION_DONE)
        guest_step_over(regs, insn.length);
    return result != EMULATION_REFUSED;
}
