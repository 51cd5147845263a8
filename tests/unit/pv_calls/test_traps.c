/* SPDX-License-Identifier: MIT */
/* What the guest's handlers see, and what a guest may make of its registers by iret. */
#include "fakes.h"

#include <string.h>

#define HANDLER 0x7000u
#define STACK   (GUEST_BASE + 0x1008) /* not aligned to 16 */
#define TOP     (GUEST_BASE + 0x1000)

static struct cpu_regs running(void)
{
    return (struct cpu_regs){.rip = GUEST_BASE + 0x2000,
                             .cs = FLAT_RING3_CS64,
                             .ss = FLAT_RING3_SS64,
                             .rsp = STACK,
                             .rflags = 0x202,
                             .rcx = 0xc,
                             .r11 = 0x11};
}

/* RPL 0, as if nobody had forced it: what the processor gets must be ring 3 all the same. */
static void set_handler(uint8_t vector, uint8_t flags)
{
    guest.traps[vector] =
        (struct trap_info){.vector = vector, .flags = flags, .cs = FLAT_RING3_CS64 & ~3, .address = HANDLER};
}

static void raise(struct cpu_regs *regs, uint32_t vector, uint64_t error_code)
{
    regs->vector = vector;
    regs->error_code = error_code;
    pv_guest_exception(regs);
}

/* ---- the bounce frame ---- */

static void a_frame_without_error_code(void **state)
{
    struct cpu_regs regs = running();

    (void)state;
    set_handler(TRAP_DE, 0);
    regs.rflags = 0x202 | RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC;
    raise(&regs, TRAP_DE, 0);
    assert_int_equal(regs.rip, HANDLER);
    assert_int_equal(regs.cs, FLAT_RING3_CS64);
    assert_int_equal(regs.ss, FLAT_RING3_SS64);
    assert_int_equal(regs.rsp, TOP - 7 * 8);
    assert_int_equal(regs.rflags, 0x202);
    assert_int_equal(word(regs.rsp), 0xc);
    assert_int_equal(word(regs.rsp + 8), 0x11);
    assert_int_equal(word(regs.rsp + 16), GUEST_BASE + 0x2000);
    assert_int_equal(word(regs.rsp + 24), 0xe030);
    assert_int_equal(word(regs.rsp + 32), 0x202 | RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC);
    assert_int_equal(word(regs.rsp + 40), STACK);
    assert_int_equal(word(regs.rsp + 48), FLAT_RING3_SS64);
    assert_int_equal(guest.shared->vcpu_info[0].evtchn_upcall_mask, 0);
}

static void the_mask_rides_in_the_frame(void **state)
{
    struct cpu_regs regs = running();

    (void)state;
    set_handler(TRAP_GP, TRAP_INFO_MASK_EVENTS);
    guest.shared->vcpu_info[0].evtchn_upcall_mask = 1;
    guest_bounce(&regs, TRAP_GP, true, 0x18);
    assert_int_equal(regs.rsp, TOP - 8 * 8);
    assert_int_equal(word(regs.rsp + 16), 0x18);
    assert_int_equal(word(regs.rsp + 32), 0x10000e030);
    assert_int_equal(word(regs.rsp + 40), 0x002); /* the interrupt flag is off */
    assert_int_equal(regs.rflags, 0x202);         /* but never the machine's */

    regs = running();
    guest.shared->vcpu_info[0].evtchn_upcall_mask = 0;
    guest_bounce(&regs, TRAP_GP, true, 0x18);
    assert_int_equal(word(regs.rsp + 32), 0xe030);
    assert_int_equal(guest.shared->vcpu_info[0].evtchn_upcall_mask, 1);
}

static void no_handler_or_no_stack_is_a_crash(void **state)
{
    const uint64_t stacks[] = {0, 8, GUEST_BASE, GUEST_BASE + 40, 0x800000000000, 0xffff820000001000, ~0ull};

    (void)state;
    for (uint32_t vector = 0; vector < 32; vector++) {
        struct cpu_regs regs = running();

        if (vector != TRAP_NMI && vector != TRAP_PF)
            assert_true(CRASHES(raise(&regs, vector, 0)));
    }
    set_handler(TRAP_UD, 0);
    for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) {
        struct cpu_regs regs = running();

        regs.rsp = stacks[i];
        assert_true(CRASHES(raise(&regs, TRAP_UD, 0)));
    }
}

/* ---- user mode ---- */

#define KERNEL_L4 0x11u
#define USER_L4   0x22u

static void in_user_mode(void)
{
    guest.l4_mfn = KERNEL_L4;
    guest.user_l4_mfn = USER_L4;
    guest.kernel_sp = STACK + 0x100;
    guest_to_user();
}

static void user_mode_ends_on_the_kernels_stack(void **state)
{
    struct cpu_regs regs = running();

    (void)state;
    set_handler(TRAP_NP, TRAP_INFO_MASK_EVENTS);
    in_user_mode();
    assert_int_equal(fake.loaded_l4, USER_L4);
    regs.rsp = 0xffff830000000001; /* not looked at */
    raise(&regs, TRAP_NP, 6);
    assert_int_equal(fake.loaded_l4, KERNEL_L4);
    assert_int_equal(fake.gs_swaps, 2);
    assert_false(guest.in_user);
    assert_int_equal(regs.rsp, TOP + 0x100 - 8 * 8);
    assert_int_equal(word(regs.rsp + 16), 6);
    assert_int_equal(word(regs.rsp + 32), 0xe033);
    assert_int_equal(word(regs.rsp + 48), 0xffff830000000001);
    assert_int_equal(guest.vcpu->evtchn_upcall_mask, 1);
}

static void user_mode_calls_go_to_their_callbacks(void **state)
{
    const struct {
        uint64_t vector;
        uint32_t type, refused;
    } calls[] = {{VECTOR_SYSCALL32, CALLBACKTYPE_syscall32, TRAP_UD},
                 {VECTOR_SYSENTER, CALLBACKTYPE_sysenter, TRAP_GP}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (unsigned int registered = 0; registered < 2; registered++) {
            struct cpu_regs regs = running();

            guest.traps[calls[i].refused] = (struct trap_info){.cs = FLAT_RING3_CS64, .address = HANDLER + 1};
            guest.callbacks[calls[i].type] = registered ? HANDLER : 0;
            in_user_mode();
            regs.vector = calls[i].vector;
            regs.rflags = 0; /* as SYSENTER leaves it */
            pv_guest_old_call(&regs);
            assert_int_equal(regs.rip, registered ? HANDLER : HANDLER + 1);
            assert_int_equal(regs.rflags & RFLAGS_IF, RFLAGS_IF);
            assert_false(guest.in_user);

            regs = running(); /* the kernel never has them */
            regs.vector = calls[i].vector;
            pv_guest_old_call(&regs);
            assert_int_equal(regs.rip, HANDLER + 1);
        }
    }
}

/* ---- int n ---- */

static void software_interrupt(struct cpu_regs *regs, uint8_t vector, uint64_t error_code)
{
    *regs = running();
    memcpy(at(regs->rip), (uint8_t[]){0xcd, vector}, 2);
    raise(regs, TRAP_GP, error_code);
}

static void int_n_is_reflected_from_its_opcode(void **state)
{
    struct cpu_regs regs;

    (void)state;
    set_handler(TRAP_GP, 0);
    set_handler(0x80, 3);
    software_interrupt(&regs, 0x80, 0x80 * 8 + 2);
    assert_int_equal(regs.rsp, TOP - 7 * 8); /* no error code */
    assert_int_equal(word(regs.rsp + 16), GUEST_BASE + 0x2002);
    /* QEMU 7.2's error code. */
    software_interrupt(&regs, 0x80, 0x80 * 16 + 2);
    assert_int_equal(regs.rsp, TOP - 7 * 8);
}

static void int_n_to_a_closed_gate_is_gp(void **state)
{
    struct cpu_regs regs;

    (void)state;
    set_handler(TRAP_GP, 0);
    set_handler(0x21, 0);
    software_interrupt(&regs, 0x21, 0x21 * 16 + 2);
    assert_int_equal(regs.rsp, TOP - 8 * 8);
    assert_int_equal(word(regs.rsp + 16), 0x21 * 8 + 2);
    assert_int_equal(word(regs.rsp + 24), GUEST_BASE + 0x2000);
    /* An ordinary #GP whose bytes happen to look like one. */
    set_handler(0x80, 3);
    software_interrupt(&regs, 0x80, 0);
    assert_int_equal(regs.rsp, TOP - 8 * 8);
    assert_int_equal(word(regs.rsp + 16), 0);
}

/* ---- forced CPUID ---- */

static void forced_cpuid_is_answered_and_hides_ring_0(void **state)
{
    struct cpu_regs regs = running();

    (void)state;
    memcpy(at(regs.rip), "\x0f\x0bxen\x0f\xa2", 7);
    regs.rax = 0x40000000;
    raise(&regs, TRAP_UD, 0);
    assert_int_equal(regs.rip, GUEST_BASE + 0x2007);
    assert_int_equal(regs.rax, 0x40000005);
    assert_memory_equal(&regs.rbx, "XenV", 4);
    assert_memory_equal(&regs.rcx, "MMXe", 4);
    assert_memory_equal(&regs.rdx, "nVMM", 4);

    regs = running();
    regs.rax = 1;
    raise(&regs, TRAP_UD, 0);
    assert_int_equal(regs.rcx & (1u << 5 | 1u << 17 | 1u << 21), 0); /* VMX, PCID, x2APIC */
    assert_true(regs.rcx >> 31 & 1);

    regs = running();
    set_handler(TRAP_UD, 0);
    memcpy(at(regs.rip), "\x0f\x0bxem\x0f\xa2", 7);
    raise(&regs, TRAP_UD, 0);
    assert_int_equal(regs.rip, HANDLER);
}

/* ---- iret ---- */

#define IRET_FRAME (GUEST_BASE + 0x3000)

static struct cpu_regs iret(const uint64_t frame[9])
{
    struct cpu_regs regs = running();

    regs.rsp = IRET_FRAME;
    memcpy(at(IRET_FRAME), frame, 72);
    syscall_with(&regs, __HYPERVISOR_iret, 0, 0, 0);
    return regs;
}

static void iret_restores_and_sanitises(void **state)
{
    struct cpu_regs regs = iret((uint64_t[]){1, 2, 3, 0, 0x5000, 0xe030, ~0ull, 0x6000, 0xe028});

    (void)state;
    assert_int_equal(regs.rax, 1);
    assert_int_equal(regs.r11, 2);
    assert_int_equal(regs.rcx, 3);
    assert_int_equal(regs.rip, 0x5000);
    assert_int_equal(regs.cs, 0xe033);
    assert_int_equal(regs.rsp, 0x6000);
    assert_int_equal(regs.ss, 0xe02b);
    assert_int_equal(regs.rflags, 0x254fd7); /* no IOPL, VM, VIF, VIP; IF on */
    assert_int_equal(guest.shared->vcpu_info[0].evtchn_upcall_mask, 0);

    regs = iret((uint64_t[]){1, 2, 3, VGCF_in_syscall, 0x5000, 0xe030, 0, 0x6000, 0xe028});
    assert_int_equal(regs.rflags, 0x202);
    assert_int_equal(regs.rcx, 0x5000);
    assert_int_equal(regs.r11, 0x202);
    assert_int_equal(guest.shared->vcpu_info[0].evtchn_upcall_mask, 1);
}

static void iret_takes_back_a_bounce_frame(void **state)
{
    struct cpu_regs regs = running(), back = running();
    uint64_t frame[9] = {0xaa};

    (void)state;
    set_handler(TRAP_BP, TRAP_INFO_MASK_EVENTS);
    raise(&regs, TRAP_BP, 0);
    frame[1] = word(regs.rsp + 8);
    frame[2] = word(regs.rsp);
    memcpy(&frame[4], at(regs.rsp + 16), 40);
    regs = iret(frame);
    assert_int_equal(regs.rip, back.rip);
    assert_int_equal(regs.rsp, back.rsp);
    assert_int_equal(regs.cs, back.cs);
    assert_int_equal(regs.ss, back.ss);
    assert_int_equal(regs.rflags, back.rflags);
    assert_int_equal(guest.shared->vcpu_info[0].evtchn_upcall_mask, 0);
}

static void iret_that_cannot_be_is_failsafe_or_a_crash(void **state)
{
    const uint64_t nowhere[9] = {1, 2, 3, 0, 0x800000000000, 0xe030, 0x202, STACK, 0xe028};
    struct cpu_regs regs = running();

    (void)state;
    assert_true(CRASHES(iret(nowhere)));
    regs.rsp = GUEST_END - 71;
    assert_true(CRASHES(syscall_with(&regs, __HYPERVISOR_iret, 0, 0, 0)));
    assert_true(CRASHES(iret((uint64_t[]){1, 2, 3, 0, 0x5000, 0xe033, 0x202, 0x6000, 0xe02b})));

    guest.callbacks[CALLBACKTYPE_failsafe] = HANDLER;
    regs = iret(nowhere);
    assert_int_equal(regs.rip, HANDLER);
    assert_int_equal(regs.cs, FLAT_RING3_CS64);
    assert_int_equal(regs.rsp, TOP - 11 * 8);
    assert_int_equal(word(regs.rsp), 3);
    assert_int_equal(word(regs.rsp + 6 * 8), 0x800000000000);
    assert_int_equal(word(regs.rsp + 7 * 8), 0xe030);
    regs.rsp = 16;
    assert_true(CRASHES(pv_guest_iret_fault(&regs)));
}

/* ---- tables ---- */

static void trap_table_is_checked_and_its_rpl_forced(void **state)
{
    struct trap_info *table = at(GUEST_BASE);
    struct cpu_regs regs = running();

    (void)state;
    table[0] = (struct trap_info){14, 7, 0xe030, HANDLER};
    table[1] = (struct trap_info){255, 0, 0, 0xffffffff80000000};
    table[2] = (struct trap_info){0};
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_trap_table, GUEST_BASE, 0, 0), 0);
    assert_int_equal(guest.traps[14].cs, 0xe033);
    assert_int_equal(guest.traps[14].flags, 7);
    assert_int_equal(guest.traps[255].cs, 3);
    table[0] = (struct trap_info){3, 0, 0xe030, 0x800000000000};
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_trap_table, GUEST_BASE, 0, 0), -EINVAL);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_trap_table, 8, 0, 0), -EFAULT);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_trap_table, GUEST_END - 8, 0, 0), -EFAULT);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_trap_table, 0, 0, 0), 0);
    assert_int_equal(guest.traps[14].address, 0);
}

static void a_trap_table_without_end_is_preempted(void **state)
{
    struct trap_info *table = at(GUEST_BASE);
    struct cpu_regs regs = running();
    uint64_t rip = regs.rip;

    (void)state;
    for (unsigned int i = 0; i < GUEST_BYTES / sizeof *table; i++)
        table[i] = (struct trap_info){14, 0, 0xe033, HANDLER};
    fake.preempt_at = 3;
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_trap_table, GUEST_BASE, 0, 0),
                     __HYPERVISOR_set_trap_table);
    assert_int_equal(regs.rip, rip - 2);
    assert_int_equal(regs.rdi, GUEST_BASE + 48 * sizeof *table);
    regs.rip = rip;
    pv_guest_syscall(&regs);
    assert_int_equal((long)regs.rax, -EFAULT); /* it ran off the guest's memory */
}

static long callback_op(uint32_t command)
{
    struct cpu_regs regs = running();

    return syscall_with(&regs, __HYPERVISOR_callback_op, command, GUEST_BASE, 0);
}

static void callbacks_are_checked(void **state)
{
    struct callback_register *request = at(GUEST_BASE);
    struct cpu_regs regs = running();
    const uint32_t known = 0xb7; /* types 0, 1, 2, 4, 5 and 7 */

    (void)state;
    for (uint16_t type = 0; type < 32; type++) {
        *request = (struct callback_register){type, 1, HANDLER};
        assert_int_equal(callback_op(CALLBACKOP_register), known >> type & 1 ? 0 : -ENOSYS);
        assert_int_equal(callback_op(CALLBACKOP_unregister), !(known >> type & 1)       ? -ENOSYS
                                                             : type == CALLBACKTYPE_nmi ? 0
                                                                                        : -EINVAL);
    }
    assert_int_equal(guest.callbacks[CALLBACKTYPE_nmi], 0);
    assert_int_equal(guest.callbacks[CALLBACKTYPE_syscall32], HANDLER);
    *request = (struct callback_register){1, 1, 0x800000000000};
    assert_int_equal(callback_op(CALLBACKOP_register), -EINVAL);
    assert_int_equal(guest.callbacks[1], HANDLER);
    assert_int_equal(callback_op(2), -ENOSYS);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_callback_op, CALLBACKOP_register, 0, 0), -EFAULT);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_callback_op, CALLBACKOP_unregister, 0, 0), -EFAULT);
}

static void three_callbacks_at_once(void **state)
{
    struct cpu_regs regs = running();

    (void)state;
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_callbacks, 1, 2, 0x800000000000), -EINVAL);
    assert_int_equal(guest.callbacks[CALLBACKTYPE_event], 0);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_callbacks, 1, 2, 3), 0);
    assert_int_equal(guest.callbacks[CALLBACKTYPE_event], 1);
    assert_int_equal(guest.callbacks[CALLBACKTYPE_failsafe], 2);
    assert_int_equal(guest.callbacks[CALLBACKTYPE_syscall], 3);
}

#define TEST(function) cmocka_unit_test_setup(function, fresh)

int run_trap_tests(void)
{
    const struct CMUnitTest traps[] = {
        TEST(a_frame_without_error_code),
        TEST(the_mask_rides_in_the_frame),
        TEST(no_handler_or_no_stack_is_a_crash),
        TEST(user_mode_ends_on_the_kernels_stack),
        TEST(user_mode_calls_go_to_their_callbacks),
        TEST(int_n_is_reflected_from_its_opcode),
        TEST(int_n_to_a_closed_gate_is_gp),
        TEST(forced_cpuid_is_answered_and_hides_ring_0),
        TEST(iret_restores_and_sanitises),
        TEST(iret_takes_back_a_bounce_frame),
        TEST(iret_that_cannot_be_is_failsafe_or_a_crash),
        TEST(trap_table_is_checked_and_its_rpl_forced),
        TEST(a_trap_table_without_end_is_preempted),
        TEST(callbacks_are_checked),
        TEST(three_callbacks_at_once),
    };

    return cmocka_run_group_tests(traps, NULL, NULL);
}
