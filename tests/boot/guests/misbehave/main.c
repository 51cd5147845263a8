/* SPDX-License-Identifier: MIT */
/* A guest that goes wrong in the way its command line names. None of it may hurt anything but itself. */
#include "kit/guest.h"
#include "kit/user.h"

static void jump_to(uint64_t address)
{
    __asm__ volatile("jmp *%0" : : "r"(address) : "memory");
}

static void no_handlers(void)
{
    set_trap_table(NULL);
}

static void jump_low(void)
{
    no_handlers();
    jump_to(0x1234);
}

static void jump_noncanonical(void)
{
    no_handlers();
    jump_to(0x8000000000000000);
}

static void jump_into_hypervisor(void)
{
    no_handlers();
    jump_to(0xffff82d080200000);
}

static void jump_low_with_handlers(void)
{
    jump_to(0x1234);
}

static void invalid_opcode(void)
{
    no_handlers();
    __asm__ volatile("ud2");
}

static void halt(void)
{
    no_handlers();
    __asm__ volatile("cli; hlt");
}

static uint64_t __attribute__((noinline)) deeper(uint64_t n)
{
    volatile uint64_t frame[64];
    frame[n & 63] = n;
    if (frame[n & 63] != n) /* never, but the compiler cannot know */
        return 0;
    return deeper(n + 1) + frame[n & 31];
}

static void stack_overflow(void)
{
    deeper(0);
}

static void stack_overflow_without_handlers(void)
{
    no_handlers();
    deeper(0);
}

static void loop_forever(void)
{
    printk("misbehave: looping\n");
    for (;;)
        __asm__ volatile("" : : : "memory");
}

static void hypercall_forever(void)
{
    printk("misbehave: looping\n");
    for (;;)
        xen_version(XENVER_version, NULL);
}

static void handler_in_nonsense(void)
{
    static const struct trap_info table[] = {
        {.vector = TRAP_PAGE_FAULT, .cs = FLAT_RING3_CS64, .address = 0x1000},
        {.vector = TRAP_INVALID_OP, .cs = FLAT_RING3_CS64, .address = 0x1000},
        {.vector = TRAP_PROTECTION, .cs = FLAT_RING3_CS64, .address = 0x1000},
        {0},
    };
    set_trap_table(table);
    __asm__ volatile("ud2");
}

static void handler_in_hypervisor(void)
{
    static const struct trap_info table[] = {
        {.vector = TRAP_PAGE_FAULT, .cs = FLAT_RING3_CS64, .address = 0xffff82d080200000},
        {.vector = TRAP_INVALID_OP, .cs = FLAT_RING3_CS64, .address = 0xffff82d080200000},
        {0},
    };
    set_trap_table(table);
    __asm__ volatile("ud2");
}

static void handler_with_bad_selector(void)
{
    static const struct trap_info table[] = {
        {.vector = TRAP_INVALID_OP, .cs = 0x0003, .address = 0x1000},
        {.vector = TRAP_PROTECTION, .cs = 0xfffb, .address = 0x1000},
        {0},
    };
    set_trap_table(NULL);
    set_trap_table(table);
    __asm__ volatile("ud2");
}

#define WITH_STACK(name, value)                                                                              \
    static void name(void)                                                                                   \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%rsp; ud2" : : "r"((uint64_t)(value)) : "memory");                        \
    }
WITH_STACK(stack_at_zero, 0)
WITH_STACK(stack_noncanonical, 0x8000000000000000)
WITH_STACK(stack_in_hypervisor, 0xffff830000100000)
WITH_STACK(stack_above_hypervisor, 0xffff880000000008)

#define IRET_WITH_STACK(name, value)                                                                         \
    static void name(void)                                                                                   \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall; ud2"                                       \
                         :                                                                                   \
                         : "r"((uint64_t)(value))                                                            \
                         : "memory");                                                                        \
    }
IRET_WITH_STACK(iret_without_frame, 0)
IRET_WITH_STACK(iret_from_hypervisor, 0xffff830000100000)

static void iret_to(uint64_t rip, uint64_t cs, uint64_t rflags, uint64_t rsp, uint64_t ss)
{
    static uint64_t frame[9];
    frame[4] = rip;
    frame[5] = cs;
    frame[6] = rflags;
    frame[7] = rsp;
    frame[8] = ss;
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall; ud2" : : "r"(frame) : "memory");
}

static void iret_noncanonical(void)
{
    iret_to(0x8000000000000000, 0xe030, 0x202, 0x1000, 0xe02b);
}

static void iret_into_hypervisor(void)
{
    no_handlers();
    iret_to(0xffff82d080200000, 0xe030, 0x202, 0x1000, 0xe02b);
}

static void iret_bad_selectors(void)
{
    iret_to((uint64_t)(uintptr_t)&loop_forever, 0x0008 & ~3ul, 0x202, 0x1000, 0x0010);
}

static void iret_null_selectors(void)
{
    iret_to((uint64_t)(uintptr_t)&loop_forever, 0, 0x202, 0x1000, 0);
}

static void iret_to_user(void)
{
    iret_to((uint64_t)(uintptr_t)&loop_forever, 0xe033, 0x202, 0x1000, 0xe02b);
}

/* User mode, which begins with a system call or an exception. */
static void user(const char *code)
{
    struct trap_regs regs = user_regs(code, NULL);
    user_run(&regs);
}

__asm__(".pushsection .text\nuser_ud2: ud2\nuser_syscall: syscall\n.popsection");
extern const char user_ud2[], user_syscall[];

static void user_without_handlers(void)
{
    user_mode_init();
    no_handlers();
    user(user_ud2);
}

static void user_without_callbacks(void)
{
    user_mode_init();
    no_handlers();
    callback_register(CALLBACKTYPE_syscall, 0, NULL);
    user(user_syscall);
}

static void user_nowhere(void)
{
    user_mode_init();
    callback_register(CALLBACKTYPE_failsafe, 0, NULL);
    user((const char *)0x8000000000000000);
}

static void user_tables_taken_away(void)
{
    user_mode_init();
    mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    user(user_syscall);
}

#define WITH_KERNEL_STACK(name, value)                                                                       \
    static void name(void)                                                                                   \
    {                                                                                                        \
        user_mode_init();                                                                                    \
        stack_switch(FLAT_RING3_SS64, value);                                                                \
        user(user_syscall);                                                                                  \
    }
WITH_KERNEL_STACK(kernel_stack_at_zero, 0)
WITH_KERNEL_STACK(kernel_stack_noncanonical, 0x8000000000000000)
WITH_KERNEL_STACK(kernel_stack_in_hypervisor, 0xffff830000100000)
WITH_KERNEL_STACK(kernel_stack_above_hypervisor, 0xffff880000000008)
WITH_KERNEL_STACK(kernel_stack_read_only, (uint64_t)start_info->pt_base + PAGE_SIZE)

static void debug_trap_into_syscall(void)
{
    no_handlers();
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; mov $17, %%eax; xor %%edi, %%edi; syscall; ud2"
                     :
                     :
                     : "rax", "rdi", "rcx", "r11", "memory");
}

__asm__(".pushsection .text\nuser_push: push %rax; ud2\n.popsection");
extern const char user_push[];

/* QEMU raises #DB twice: for the step, and for the word. */
static void step_onto_watched_word(void)
{
    static uint64_t stack[64];
    user_mode_init();
    set_debugreg(0, hypercall_pointer(stack + 31));
    set_debugreg(7, 1 | 13ul << 16); /* writes of four bytes */
    struct trap_regs regs = user_regs(user_push, stack + 32);
    regs.rflags |= 0x100;
    user_run(&regs);
}

static void write_m2p(void)
{
    no_handlers();
    *(volatile uint64_t *)MACH2PHYS_VIRT_START = 1;
}

static void read_hypervisor(void)
{
    no_handlers();
    (void)*(volatile uint64_t *)0xffff82d080200000;
}

static void shut_down_for(uint32_t reason)
{
    guest_shutdown(reason);
}

static void crash(void)
{
    shut_down_for(SHUTDOWN_crash);
}

static void reboot(void)
{
    shut_down_for(SHUTDOWN_reboot);
}

static void odd_reason(void)
{
    shut_down_for(0xffffffff);
}

static void power_off(void)
{
    shut_down_for(SHUTDOWN_poweroff);
}

#define WAY(name)                                                                                            \
    {                                                                                                        \
#name, name                                                                                          \
    }

static const struct {
    const char *name;
    void (*go)(void);
} ways[] = {
    WAY(jump_low),
    WAY(jump_noncanonical),
    WAY(jump_into_hypervisor),
    WAY(jump_low_with_handlers),
    WAY(invalid_opcode),
    WAY(halt),
    WAY(stack_overflow),
    WAY(stack_overflow_without_handlers),
    WAY(loop_forever),
    WAY(hypercall_forever),
    WAY(handler_in_nonsense),
    WAY(handler_in_hypervisor),
    WAY(handler_with_bad_selector),
    WAY(stack_at_zero),
    WAY(stack_noncanonical),
    WAY(stack_in_hypervisor),
    WAY(stack_above_hypervisor),
    WAY(iret_without_frame),
    WAY(iret_from_hypervisor),
    WAY(iret_noncanonical),
    WAY(iret_into_hypervisor),
    WAY(iret_bad_selectors),
    WAY(iret_null_selectors),
    WAY(iret_to_user),
    WAY(user_without_handlers),
    WAY(user_without_callbacks),
    WAY(user_nowhere),
    WAY(user_tables_taken_away),
    WAY(kernel_stack_at_zero),
    WAY(kernel_stack_noncanonical),
    WAY(kernel_stack_in_hypervisor),
    WAY(kernel_stack_above_hypervisor),
    WAY(kernel_stack_read_only),
    WAY(debug_trap_into_syscall),
    WAY(step_onto_watched_word),
    WAY(write_m2p),
    WAY(read_hypervisor),
    WAY(crash),
    WAY(reboot),
    WAY(odd_reason),
    WAY(power_off),
};

void guest_main(void)
{
    for (uint32_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (strcmp(start_info->cmd_line, ways[i].name) == 0) {
            printk("misbehave: %s\n", ways[i].name);
            ways[i].go();
            printk("misbehave: still here\n");
            guest_shutdown(SHUTDOWN_poweroff);
        }
    }
    report_error("misbehave: I do not know \"%s\"", start_info->cmd_line);
}
