/* SPDX-License-Identifier: MIT */
/*
 * Rule: an instruction that ring 3 may not execute is either emulated or #GP with error code 0 at its own
 * address, and then nothing has changed. Control registers can be read; CR0.TS, CR2, CR4.TSD and CR4.DE can
 * be written, the others with what they show; XCR0 takes what CPUID offers. CLI and STI do nothing at a
 * virtual I/O privilege level of 1 or more. A block ends, and nothing the guest prints can pass for a line of
 * the hypervisor's.
 *
 * From: guest-abi/instructions.md; guest-abi/hypercalls.md, console_io and sched_op; the x86-64 PV contract.
 *
 * Method: every privileged instruction by its bytes, with good and with bad operands, prefixes that mean
 * nothing among them.
 *
 * Errors: none.
 *
 * run: default says="^sluice:\|summary .I am the guest.$"
 * run: poor-cpu cpu="qemu64"
 */
#include "common/code.h"

#define CR0_TS  8ul
#define CR4_TSD 4ul
#define CR4_DE  8ul

/* ---- control registers ---- */

static struct code_regs regs;

static uint64_t cr0(void)
{
    CODE_WORKS("mov %cr0, %rax", &regs, 0x0f, 0x20, 0xc0);
    return regs.rax;
}

static uint64_t cr4(void)
{
    CODE_WORKS("mov %cr4, %rax", &regs, 0x0f, 0x20, 0xe0);
    return regs.rax;
}

static void control_registers_can_be_read(void)
{
    struct pte_place place;
    struct trap_result result;
    EXPECT(!trap_read_works((const volatile void *)0x123, &result), "page 0 can be read");
    EXPECT((cr0() & 0x80010001) == 0x80010001, "CR0 0x%lx: paging, write protection, protection", cr0());
    CODE_WORKS("mov %cr2, %rbx", &regs, 0x0f, 0x20, 0xd3);
    EXPECT(regs.rbx == 0x123, "CR2 0x%lx", regs.rbx);
    CODE_WORKS("mov %cr3, %rdi, mode bits 00, and prefixes", &regs, 0x2e, 0x66, 0x67, 0x40, 0x0f, 0x20, 0x1f);
    EXPECT(page_table_walk(hypercall_pointer(&control_registers_can_be_read), 4, &place) &&
               regs.rdi == place.table_mfn << PAGE_SHIFT,
           "CR3 0x%lx, the L4 is MFN 0x%lx", regs.rdi, place.table_mfn);
    EXPECT((cr4() & 0x20) && !(cr4() & (1u << 20 | 1u << 21 | 1u << 17 | 1u << 13 | 1u << 11 | 1u << 16)),
           "CR4 0x%lx", cr4());
}

static void control_registers_take_little(void)
{
    regs.rax = cr0() ^ CR0_TS;
    CODE_WORKS("TS", &regs, 0x0f, 0x22, 0xc0);
    EXPECT(cr0() & CR0_TS, "CR0 0x%lx", cr0());
    CODE_WORKS("clts", &regs, 0x0f, 0x06);
    EXPECT(!(cr0() & CR0_TS), "CR0 0x%lx", cr0());
    for (uint32_t bit = 0; bit < 64; bit++) {
        if (bit != 3) {
            regs.rax = cr0() ^ 1ul << bit;
            CODE_REFUSED("another bit of CR0", &regs, 0x0f, 0x22, 0xc0);
        }
        if (!(1ul << bit & (CR4_TSD | CR4_DE))) {
            regs.rax = cr4() ^ 1ul << bit;
            CODE_REFUSED("a bit of CR4", &regs, 0x0f, 0x22, 0xe0);
        }
    }
    regs.rax = cr4();
    CODE_WORKS("what CR4 shows", &regs, 0x0f, 0x22, 0xe0);

    regs.rax = 0x1122334455667788;
    CODE_WORKS("mov %rax, %cr2", &regs, 0x0f, 0x22, 0xd0);
    EXPECT(shared_info->vcpu_info[0].arch.cr2 == 0x1122334455667788, "CR2 0x%lx",
           shared_info->vcpu_info[0].arch.cr2);
    CODE_WORKS("mov %cr3, %rax", &regs, 0x0f, 0x20, 0xd8);
    CODE_WORKS("what CR3 shows", &regs, 0x0f, 0x22, 0xd8);
    regs.rax += PAGE_SIZE;
    CODE_REFUSED("another CR3", &regs, 0x0f, 0x22, 0xd8);
    CODE_REFUSED("mov %cr8, %rax", &regs, 0x44, 0x0f, 0x20, 0xc0);
    CODE_REFUSED("mov %rax, %cr8", &regs, 0x44, 0x0f, 0x22, 0xc0);
}

static void write_cr4(uint64_t value)
{
    regs.rax = value;
    CODE_WORKS("mov %rax, %cr4", &regs, 0x0f, 0x22, 0xe0);
    EXPECT(cr4() == value, "CR4 0x%lx after 0x%lx", cr4(), value);
}

/* A kernel keeps its time-stamp counter when it takes user mode's. */
static void the_counter_stays_with_the_kernel(void)
{
    uint32_t a = 0x80000001, b, c = 0, d;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    uint64_t last = __builtin_ia32_rdtsc();
    for (uint32_t i = 0; i < 3; i++) {
        regs = (struct code_regs){.rax = ~0ul, .rdx = ~0ul};
        CODE_WORKS("rdtsc", &regs, 0x0f, 0x31);
        uint64_t now = regs.rdx << 32 | regs.rax;
        EXPECT(regs.rax <= UINT32_MAX && now > last, "the counter went from 0x%lx to 0x%lx", last, now);
        last = now;
        if (!(d & 1u << 27))
            continue;
        regs = (struct code_regs){.rcx = ~0ul};
        CODE_WORKS("rdtscp", &regs, 0x0f, 0x01, 0xf9);
        now = regs.rdx << 32 | regs.rax;
        EXPECT(regs.rcx <= UINT32_MAX && now > last, "the counter went from 0x%lx to 0x%lx", last, now);
        last = now;
    }
}

static void two_bits_of_cr4_are_the_guests(void)
{
    uint64_t start = cr4();
    EXPECT((start & (CR4_TSD | CR4_DE)) == CR4_DE, "CR4 0x%lx", start);
    the_counter_stays_with_the_kernel();
    write_cr4(start ^ CR4_DE);
    write_cr4(start ^ CR4_DE ^ CR4_TSD);
    the_counter_stays_with_the_kernel();
    write_cr4(start ^ CR4_TSD);
    write_cr4(start);
}

/* ---- XCR0 ---- */

static uint64_t xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool set_xcr0(uint32_t number, uint64_t value)
{
    regs = (struct code_regs){.rax = (uint32_t)value, .rdx = value >> 32, .rcx = number};
    struct trap_result seen = CODE(&regs, 0x0f, 0x01, 0xd1);
    EXPECT(!seen.trapped || (seen.vector == TRAP_PROTECTION && seen.rip == 0), "xsetbv gave vector %u",
           seen.vector);
    return !seen.trapped;
}

static void xcr0_takes_what_is_offered(void)
{
    uint32_t a = 0xd, b, c = 0, d;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(cr4() & 1u << 18)) {
        regs = (struct code_regs){.rax = 3};
        struct trap_result seen = CODE(&regs, 0x0f, 0x01, 0xd1);
        EXPECT(a == 0 && seen.trapped && seen.vector == TRAP_INVALID_OP,
               "XSAVE is off; CPUID offers 0x%x, vector %u", a, seen.vector);
        return;
    }
    EXPECT((a & 3) == 3 && !(a & ~0xe7u) && d == 0, "CPUID offers 0x%x%08x", d, a);
    for (uint64_t value = 0; value < 0x400; value++) {
        bool wide = value & 0xe0;
        bool good = (value & 1) && !(value & ~(uint64_t)a) && (!(value & 4) || (value & 2)) &&
                    (!wide || ((value & 0xe0) == 0xe0 && (value & 4)));
        EXPECT(set_xcr0(0, value) == good, "XCR0 0x%lx", value);
        EXPECT(!good || xcr0() == value, "XCR0 is 0x%lx", xcr0());
    }
    EXPECT(!set_xcr0(1, 3) && !set_xcr0(0, 1ul << 62 | 3) && !set_xcr0(0, 1ul << 32 | 3), "odd values");
    EXPECT(set_xcr0(0, a), "all of it");
}

/* ---- the rest ---- */

static void some_do_nothing(void)
{
    uint64_t flags;
    CODE_WORKS("cli", &regs, 0xfa);
    EXPECT(shared_info->vcpu_info[0].evtchn_upcall_mask == 1, "cli changed the event mask");
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    EXPECT(flags & 1u << 9, "RFLAGS 0x%lx", flags);
    CODE_WORKS("sti", &regs, 0xfb);
    EXPECT(shared_info->vcpu_info[0].evtchn_upcall_mask == 1, "sti changed the event mask");
    CODE_WORKS("wbinvd", &regs, 0x0f, 0x09);
}

#define MANY_PREFIXES 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e

static void prefixes_count(void)
{
    CODE_WORKS("15 bytes of cli", &regs, MANY_PREFIXES, 0x66, 0x67, 0xfa);
    struct trap_result seen = CODE(&regs, MANY_PREFIXES, 0x2e, 0x2e, 0x2e, 0xfa);
    EXPECT(seen.trapped && seen.vector == TRAP_PROTECTION, "16 bytes of cli: trapped %u, vector %u",
           seen.trapped, seen.vector);
    static const uint8_t locked[][4] = {{0xf0, 0xfa, 0x90, 0x90},
                                        {0xf0, 0x0f, 0x32, 0x90},
                                        {0xf0, 0x0f, 0x06, 0x90},
                                        {0xf0, 0x0f, 0x22, 0xe0}};
    for (uint32_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++) {
        regs = (struct code_regs){.rax = 0, .rcx = 0x10};
        seen = code_run(locked[i], sizeof(locked[i]), &regs);
        EXPECT(seen.trapped && (seen.vector == TRAP_INVALID_OP || seen.vector == TRAP_PROTECTION),
               "locked instruction %u: trapped %u, vector %u", i, seen.trapped, seen.vector);
    }
}

static void the_rest_is_gp(void)
{
    regs = (struct code_regs){.rax = 8};
    CODE_REFUSED("hlt", &regs, 0xf4);
    CODE_REFUSED("invd", &regs, 0x0f, 0x08);
    CODE_REFUSED("invlpg (%rax)", &regs, 0x0f, 0x01, 0x38);
    CODE_REFUSED("rdpmc", &regs, 0x0f, 0x33);
    CODE_REFUSED("lmsw %ax", &regs, 0x0f, 0x01, 0xf0);
    CODE_REFUSED("lgdt (%rsp)", &regs, 0x0f, 0x01, 0x14, 0x24);
    CODE_REFUSED("lidt (%rsp)", &regs, 0x0f, 0x01, 0x1c, 0x24);
    CODE_REFUSED("ltr %ax", &regs, 0x0f, 0x00, 0xd8);
    CODE_REFUSED("lldt %ax", &regs, 0x0f, 0x00, 0xd0);
    CODE_REFUSED("swapgs", &regs, 0x0f, 0x01, 0xf8);
    CODE_REFUSED("sysretq", &regs, 0x48, 0x0f, 0x07);
}

/* The emulated instruction is one step, like any other. */
static uint64_t steps[2];
static uint32_t step_count;

static void note_step(struct trap_regs *at)
{
    steps[step_count++] = at->rip;
    if (step_count == 2)
        at->rflags &= ~0x100ul;
}

static void emulation_can_be_stepped(void)
{
    uint64_t behind_cli, behind_mov;
    trap_set_handler(TRAP_DEBUG, note_step);
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n\t"
                     "cli\n"
                     "1: mov %%cr0, %%rax\n"
                     "2: nop; nop; nop\n\t"
                     "lea 1b(%%rip), %0; lea 2b(%%rip), %1"
                     : "=r"(behind_cli), "=r"(behind_mov)
                     :
                     : "rax", "memory", "cc");
    trap_set_handler(TRAP_DEBUG, NULL);
    EXPECT(step_count == 2 && steps[0] == behind_cli && steps[1] == behind_mov,
           "%u steps, to 0x%lx and 0x%lx", step_count, steps[0], steps[1]);
    EXPECT(get_debugreg(6) & 0x4000, "DR6 0x%lx", get_debugreg(6));
    set_debugreg(6, 0);
}

void guest_main(void)
{
    control_registers_can_be_read();
    control_registers_take_little();
    two_bits_of_cr4_are_the_guests();
    xcr0_takes_what_is_offered();
    some_do_nothing();
    prefixes_count();
    the_rest_is_gp();
    emulation_can_be_stepped();
    printk("sluice: summary \"I am the guest\"\n");
    report_success("the privileged instructions are as the contract has them");
}
