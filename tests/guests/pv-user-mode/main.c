/* SPDX-License-Identifier: MIT */
/*
 * Rule: the guest's user mode has tables and a GS base of its own. Whatever ends it (a system call, an
 * exception, a software interrupt, an event) goes to the kernel's handler, on the stack of stack_switch, in
 * the kernel's address space, with a frame whose CS has RPL 3; page faults keep their U bit. Nothing that is
 * the kernel's by privilege works in user mode: ports, bases, gates that are not open to it.
 *
 * From: guest-abi/modes.md; the x86-64 PV contract. Advisories whose mistakes this looks for: 7 (a return to
 * an address that is not canonical), 213 and 260 (entries in an odd state).
 *
 * Method: short pieces of code, each run in user mode; the registers that come back are compared.
 *
 * Errors: none.
 *
 * run: default
 * run: no-smap cpu="max,-smap"
 * run: qemu64 cpu="qemu64"
 * run: intel cpu="max,vendor=GenuineIntel"
 */
#include "common/tables.h"
#include "kit/user.h"

#define RFLAGS_TF       0x100ul
#define RFLAGS_AC       0x40000ul
#define ENTRY_SP(stack) ((void *)((stack) + 512))

static uint64_t user_stack[512];

/* Code for user mode; each begins at its name. */
#define USER_ASM(name, text)                                                                                 \
    __asm__(".pushsection .text\n.globl " #name "\n" #name ": " text "\n.popsection");                       \
    extern const char name[]
USER_ASM(code_syscall, "syscall; ud2");
USER_ASM(code_ud2, "ud2");
USER_ASM(code_int3, "int3");
USER_ASM(code_divide, "xor %eax, %eax; xor %edx, %edx; xor %ecx, %ecx; code_divide_at: div %ecx");
USER_ASM(code_read, "mov 0x10, %eax");
USER_ASM(code_write, "mov %eax, 0x18");
USER_ASM(code_read_hypervisor, "movabs 0xffff82d080200000, %rax");
USER_ASM(code_hlt, "hlt");
USER_ASM(code_in, "mov $0x71, %edx; code_in_at: in %dx, %al");
USER_ASM(code_out, "out %al, $0x80");
USER_ASM(code_rdmsr, "rdmsr");
USER_ASM(code_wrmsr, "wrmsr");
USER_ASM(code_cr2, "mov %cr2, %rax");
USER_ASM(code_cli, "cli");
USER_ASM(code_int_80, "int $0x80");
USER_ASM(code_int_81, "int $0x81");
USER_ASM(code_int_14, "int $14");
USER_ASM(code_gs, "mov %gs:0, %rax; syscall");
USER_ASM(code_load, "mov (%rdi), %rax; syscall");
USER_ASM(code_nops, "nop; nop; nop");
USER_ASM(code_jump, "jmp *%rdi");
USER_ASM(code_iretq, "mov %rsp, %rcx; push $0xe02b; push %rcx; pushfq; push $0xe033; push %rdi; iretq");
extern const char code_divide_at[], code_in_at[];

static struct trap_regs run(const char *code)
{
    struct trap_regs regs = user_regs(code, ENTRY_SP(user_stack));
    return user_run(&regs);
}

static void frame_is_right(const struct trap_regs *seen, uint64_t rip, const char *what)
{
    EXPECT(seen->rip == rip, "%s: RIP 0x%lx, not 0x%lx", what, seen->rip, rip);
    EXPECT(seen->cs == FLAT_RING3_CS64, "%s: the slot of CS has 0x%lx", what, seen->cs);
    EXPECT(seen->ss == FLAT_RING3_SS64, "%s: the slot of SS has 0x%lx", what, seen->ss);
    EXPECT(seen->rsp == hypercall_pointer(ENTRY_SP(user_stack)), "%s: RSP 0x%lx", what, seen->rsp);
    EXPECT((seen->rflags & 0x3300) == 0x200, "%s: RFLAGS 0x%lx", what, seen->rflags);
}

/* ---- exceptions ---- */

static void exceptions(void)
{
    const struct {
        const char *what, *code;
        uint64_t rip_from_code;
        uint32_t vector, error_code;
    } all[] = {
        {"ud2", code_ud2, 0, TRAP_INVALID_OP, 0},
        {"int3", code_int3, 1, TRAP_BREAKPOINT, 0},
        {"div", code_divide, (uint64_t)(code_divide_at - code_divide), TRAP_DIVIDE, 0},
        {"a read", code_read, 0, TRAP_PAGE_FAULT, PF_USER},
        {"a write", code_write, 0, TRAP_PAGE_FAULT, PF_USER | PF_WRITE},
        {"a read of the hypervisor's", code_read_hypervisor, 0, TRAP_PAGE_FAULT, PF_USER | PF_PRESENT},
        {"hlt", code_hlt, 0, TRAP_PROTECTION, 0},
        {"in", code_in, (uint64_t)(code_in_at - code_in), TRAP_PROTECTION, 0},
        {"out", code_out, 0, TRAP_PROTECTION, 0},
        {"rdmsr", code_rdmsr, 0, TRAP_PROTECTION, 0},
        {"wrmsr", code_wrmsr, 0, TRAP_PROTECTION, 0},
        {"mov from cr2", code_cr2, 0, TRAP_PROTECTION, 0},
        {"cli", code_cli, 0, TRAP_PROTECTION, 0},
        {"int $14", code_int_14, 0, TRAP_PROTECTION, 14 * 8 + 2},
        {"int $0x81, DPL 1", code_int_81, 0, TRAP_PROTECTION, 0x81 * 8 + 2},
        {"int $0x80, DPL 3", code_int_80, 2, TRAP_SOFTWARE_INTERRUPT, 0},
    };
    for (uint32_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct trap_regs regs = user_regs(all[i].code, ENTRY_SP(user_stack));
        regs.rcx = 0xc0000100; /* MSR_FS_BASE */
        regs = user_run(&regs);
        EXPECT(regs.vector == all[i].vector && regs.error_code == all[i].error_code,
               "%s in user mode: vector %lu, error code 0x%lx", all[i].what, regs.vector, regs.error_code);
        frame_is_right(&regs, hypercall_pointer(all[i].code) + all[i].rip_from_code, all[i].what);
    }
    EXPECT_RETURN(run(code_write).vector, TRAP_PAGE_FAULT);
    EXPECT_RETURN(shared_info->vcpu_info[0].arch.cr2, 0x18);
}

static void int_81(void *unused)
{
    (void)unused;
    __asm__ volatile("int $0x81");
}

static void gates_by_privilege(void)
{
    const struct trap_info gates[] = {
        {0x80, 3, FLAT_RING3_CS64, hypercall_pointer(trap_software_interrupt)},
        {0x81, 1, FLAT_RING3_CS64, hypercall_pointer(trap_software_interrupt)},
        {0},
    };
    EXPECT_RETURN(set_trap_table(gates), 0);
    struct trap_result seen = trap_try(int_81, NULL);
    EXPECT(seen.vector == TRAP_SOFTWARE_INTERRUPT, "int $0x81 in the kernel: vector %u", seen.vector);
}

/* ---- system calls ---- */

static void system_calls(void)
{
    struct trap_regs regs = user_regs(code_syscall, ENTRY_SP(user_stack)), seen;
    regs.rax = __HYPERVISOR_xen_version; /* no hypercall in user mode */
    regs.rdi = 7;
    regs.r8 = 8;
    regs.rbx = 9;
    seen = user_run(&regs);
    EXPECT_RETURN(seen.vector, TRAP_SYSCALL);
    frame_is_right(&seen, hypercall_pointer(code_syscall) + 2, "syscall");
    EXPECT(seen.rax == regs.rax && seen.rdi == 7 && seen.r8 == 8 && seen.rbx == 9, "its registers changed");
    EXPECT(seen.rcx == seen.rip && seen.r11 == (seen.rflags | 2), "RCX 0x%lx, R11 0x%lx", seen.rcx, seen.r11);

    /* Whatever its stack pointer is. */
    const uint64_t stacks[] = {0, 1, 0xffff830000000000, 0x8000000000000000, UINT64_MAX};
    for (uint32_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
        regs.rsp = stacks[i];
        seen = user_run(&regs);
        EXPECT(seen.vector == TRAP_SYSCALL && seen.rsp == stacks[i], "RSP 0x%lx: vector %lu, RSP 0x%lx",
               stacks[i], seen.vector, seen.rsp);
    }
    regs = user_regs(code_syscall, ENTRY_SP(user_stack));
    EXPECT_RETURN(callback_register(CALLBACKTYPE_syscall, 0, NULL), 0);
    seen = user_run(&regs);
    EXPECT_RETURN(seen.vector, TRAP_INVALID_OP);
    frame_is_right(&seen, hypercall_pointer(code_syscall), "syscall without a callback");
    EXPECT_RETURN(callback_register(CALLBACKTYPE_syscall, 0, trap_syscall), 0);
}

static void the_mask(void)
{
    struct vcpu_info *vcpu = &shared_info->vcpu_info[0];

    EXPECT_RETURN(run(code_syscall).rflags & 0x200, 0x200);
    EXPECT_RETURN(callback_register(CALLBACKTYPE_syscall, CALLBACKF_mask_events, trap_syscall), 0);
    struct trap_regs seen = run(code_syscall);
    /* What user_run() returned by has put the frame's flag back. */
    EXPECT(seen.cs >> 32 == 0 && seen.rflags & 0x200, "CS 0x%lx, RFLAGS 0x%lx", seen.cs, seen.rflags);
    struct trap_regs regs = user_regs(code_syscall, ENTRY_SP(user_stack));
    regs.rflags = 0; /* events masked */
    seen = user_run(&regs);
    EXPECT(seen.cs >> 32 == 1 && !(seen.rflags & 0x200), "masked: CS 0x%lx, RFLAGS 0x%lx", seen.cs,
           seen.rflags);
    EXPECT_RETURN(callback_register(CALLBACKTYPE_syscall, 0, trap_syscall), 0);
    vcpu->evtchn_upcall_mask = 1;
}

/* Pending still when user_run() has come back: then it is the kernel's turn. */
static void take_event(struct trap_regs *regs)
{
    (void)regs;
    shared_info->vcpu_info[0].evtchn_upcall_pending = 0;
}

static void an_event(void)
{
    struct vcpu_info *vcpu = &shared_info->vcpu_info[0];

    vcpu->evtchn_upcall_mask = 1;
    EXPECT_RETURN(callback_register(CALLBACKTYPE_event, 0, trap_event), 0);
    trap_set_handler(TRAP_EVENT, take_event);
    vcpu->evtchn_upcall_pending = 1;
    struct trap_regs seen = run(code_syscall);
    EXPECT_RETURN(seen.vector, TRAP_EVENT);
    frame_is_right(&seen, hypercall_pointer(code_syscall), "an event");
    EXPECT_RETURN(vcpu->evtchn_upcall_pending, 0);
}

static void single_steps(void)
{
    struct trap_regs regs = user_regs(code_nops, ENTRY_SP(user_stack)), seen;
    regs.rflags |= RFLAGS_TF;
    seen = user_run(&regs);
    EXPECT(seen.vector == TRAP_DEBUG && seen.rip == regs.rip + 1 && seen.rflags & RFLAGS_TF,
           "a step: vector %lu, RIP 0x%lx, RFLAGS 0x%lx", seen.vector, seen.rip, seen.rflags);
    regs.rip = hypercall_pointer(code_syscall);
    regs.rflags |= RFLAGS_AC;
    seen = user_run(&regs);
    EXPECT(seen.vector == TRAP_SYSCALL && (seen.rflags & (RFLAGS_TF | RFLAGS_AC)) == (RFLAGS_TF | RFLAGS_AC),
           "a step that is a system call: vector %lu, RFLAGS 0x%lx", seen.vector, seen.rflags);
}

/* ---- what is the mode's own ---- */

static void gs_bases(void)
{
    static uint64_t kernels = 0x6b, users = 0x75;
    uint64_t mine;

    EXPECT_RETURN(set_segment_base(SEGBASE_GS_KERNEL, hypercall_pointer(&kernels)), 0);
    EXPECT_RETURN(set_segment_base(SEGBASE_GS_USER, hypercall_pointer(&users)), 0);
    struct trap_regs seen = run(code_gs);
    EXPECT(seen.vector == TRAP_SYSCALL && seen.rax == users, "user mode reads 0x%lx through GS", seen.rax);
    __asm__ volatile("mov %%gs:0, %0" : "=r"(mine));
    EXPECT(mine == kernels, "the kernel reads 0x%lx through GS", mine);
    EXPECT_RETURN(set_segment_base(SEGBASE_GS_KERNEL, 0), 0);
    EXPECT_RETURN(set_segment_base(SEGBASE_GS_USER, 0), 0);
}

/* A frame at one address of user mode, by tables the kernel's L4 does not name. */
static void map_in_user(uint64_t l4, uint64_t address, uint64_t mfn)
{
    struct table tables[4];
    for (uint32_t level = 1; level <= 3; level++) {
        uint32_t index = address >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
        table_begin(&tables[level]);
        tables[level].view[index] = level == 1 ? mfn << PAGE_SHIFT | MAP_RAM : table_link(&tables[level - 1]);
        table_seal(&tables[level]);
    }
    EXPECT_RETURN(set_entry(l4, address >> 39 & 511, table_link(&tables[3])), 0);
}

static void address_spaces(void)
{
    const uint64_t only_users = 0x8000000000, last_page = 0x7ffffffff000;
    uint64_t l4 = user_l4_create(), pfn;
    uint64_t *page = page_alloc(&pfn);

    EXPECT(l4 != NO_FRAME && page, "no second user L4: %ld", user_error);
    page[0] = 0x12345678;
    memcpy((uint8_t *)page + PAGE_SIZE - 2, code_syscall, 2);
    map_in_user(l4, only_users, pfn_to_mfn(pfn));
    map_in_user(l4, last_page, pfn_to_mfn(pfn));

    struct trap_regs regs = user_regs(code_load, ENTRY_SP(user_stack)), seen;
    regs.rdi = only_users;
    seen = user_run(&regs);
    EXPECT(seen.vector == TRAP_PAGE_FAULT && seen.error_code == PF_USER,
           "the first user L4: vector %lu, 0x%lx", seen.vector, seen.error_code);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_USER_BASEPTR, l4, 0), 0);
    seen = user_run(&regs);
    EXPECT(seen.vector == TRAP_SYSCALL && seen.rax == page[0], "the second: vector %lu, RAX 0x%lx",
           seen.vector, seen.rax);
    EXPECT(!trap_read_works((const volatile void *)only_users, NULL),
           "the kernel sees what is user mode's alone");

    /* A system call whose next instruction has no canonical address. */
    regs = user_regs((const void *)(last_page + PAGE_SIZE - 2), ENTRY_SP(user_stack));
    seen = user_run(&regs);
    EXPECT(seen.vector == TRAP_SYSCALL && seen.rip == 0x800000000000,
           "at the end of the lower half: vector %lu, RIP 0x%lx", seen.vector, seen.rip);
    regs = seen;
    seen = user_run(&regs);
    EXPECT(seen.vector == TRAP_FAILSAFE && seen.rip == 0x800000000000, "back there: vector %lu, RIP 0x%lx",
           seen.vector, seen.rip);
}

static void jumps(void)
{
    const uint64_t nowhere[] = {0x800000000000, 0xffff7fffffffffff, 0xffff800000000000, 0xffff82d080200000};
    for (uint32_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        struct trap_regs regs = user_regs(code_jump, ENTRY_SP(user_stack));
        regs.rdi = nowhere[i];
        regs = user_run(&regs);
        EXPECT(regs.vector == (i < 2 ? TRAP_PROTECTION : TRAP_PAGE_FAULT), "a jump to 0x%lx: vector %lu",
               nowhere[i], regs.vector);
    }
    /* IRETQ of ring 3 to ring 3 is the processor's own business. */
    struct trap_regs regs = user_regs(code_iretq, ENTRY_SP(user_stack));
    regs.rdi = hypercall_pointer(code_syscall);
    regs = user_run(&regs);
    EXPECT_RETURN(regs.vector, TRAP_SYSCALL);
}

void guest_main(void)
{
    EXPECT_RETURN(user_mode_init(), 0);
    gates_by_privilege();
    exceptions();
    system_calls();
    the_mask();
    an_event();
    single_steps();
    gs_bases();
    jumps();
    address_spaces();
    report_success("user mode is a mode of its own");
}
