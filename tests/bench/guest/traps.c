/* SPDX-License-Identifier: MIT */
/* Ways out of the guest and back into it, with the guest's ends in stubs.S. */
#include "kit/guest.h"
#include "kit/time.h"
#include "kit/user.h"
#include "measure.h"

extern const char page_fault_stub[], syscall_stub[], event_stub[];
extern void iret_call(uint64_t n);

/* ---- what ring 3 may not execute ---- */

static void read_msr(uint64_t n)
{
    (void)n;
    __asm__ volatile("rdmsr" : : "c"(0xc0000102) : "rax", "rdx");
}

static void read_port(uint64_t n)
{
    (void)n;
    __asm__ volatile("inl %%dx, %%eax" : : "d"(0x608) : "rax"); /* the PM timer on q35 */
}

/* ---- a page fault ---- */

static void touch_nothing(uint64_t n)
{
    (void)n;
    __asm__ volatile("xor %%eax, %%eax; .byte 0x48, 0x8b, 0x40, 0x10" /* mov 16(%rax), %rax */
                     :
                     :
                     : "rax", "rcx", "r11", "memory");
}

static void page_fault(void)
{
    const struct trap_info table[2] = {
        {.vector = TRAP_PAGE_FAULT, .cs = FLAT_RING3_CS64, .address = hypercall_pointer(page_fault_stub)}};
    EXPECT_RETURN(set_trap_table(table), 0);
    show("page-fault-and-iret", nothing, touch_nothing, 1);
    EXPECT_RETURN(trap_init(), 0);
}

/* ---- a system call: measured in user mode ---- */

static void system_call(uint64_t n)
{
    (void)n;
    __asm__ volatile("syscall" : : : "rcx", "r11", "memory");
}

static void user_system_calls(void)
{
    uint64_t ticks = least(nothing, system_call, 1);
    __asm__ volatile("ud2" : : "a"(ticks)); /* back to user_run() */
}

static void system_calls(void)
{
    static uint64_t stack[512] __attribute__((aligned(16)));
    if (user_mode_init())
        report_error("there is no user mode here: %ld", user_error);
    EXPECT_RETURN(callback_register(CALLBACKTYPE_syscall, 0, syscall_stub), 0);
    struct trap_regs regs = user_regs(user_system_calls, stack + 511);
    regs = user_run(&regs);
    EXPECT(regs.vector == TRAP_INVALID_OP, "user mode ended with %lu at 0x%lx", regs.vector, regs.rip);
    show_ticks("user-syscall", 1, regs.rax);
}

/* ---- an event: sent, and its upcall taken ---- */

uint32_t event_port; /* for event_stub */

static struct evtchn_port_op to_self;

static void event_call(uint64_t n)
{
    (void)n;
    event_channel_op(EVTCHNOP_send, &to_self);
}

static void event_to_self(void)
{
    struct evtchn_bind_ipi request = {0};
    if (callback_register(CALLBACKTYPE_event, 0, event_stub) || event_channel_op(EVTCHNOP_bind_ipi, &request))
        report_error("there are no events here");
    event_port = to_self.port = request.port;
    events_allow();
    show("event-to-self", nothing, event_call, 1);
    EXPECT(!event_is_pending(event_port), "the event was not taken");
}

void trap_rows(void)
{
    show("rdmsr", nothing, read_msr, 1);
    show("in", nothing, read_port, 1);
    show("iret", nothing, iret_call, 1);
    page_fault();
    system_calls();
    event_to_self();
}
