/* SPDX-License-Identifier: MIT */
/* The end of a run, however it came: summary, then exit port, power-off or a sentence for a person. Option:
 * exit-port=PORT. */
#include "acpi/acpi.h"
#include "cpu/ops.h"
#include "cpu/panic.h"
#include "cpu/time.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/printf.h"
#include "pv/guest.h"
#include "pv/summary.h"
#include "screen/screen.h"

#define READING_SECONDS 60u

static uint16_t exit_port; /* 0 = nobody asked */
static bool stopping;

static void poke_exit_port(enum stop_reason reason)
{
    if (exit_port != 0)
        __asm__ volatile("outl %0, %1" : : "a"((uint32_t)reason), "Nd"(exit_port));
}

/* A second fault on the way down must not start all over. */
static void report(enum stop_reason reason)
{
    if (stopping)
        return;
    stopping = true;
    screen_guest_ended();
    summary_print(reason);
    poke_exit_port(reason);
}

static void stop_after_panic(void)
{
    report(STOP_HYPERVISOR_FAULT);
}

void machine_stop_init(void)
{
    exit_port = (uint16_t)option_number("exit-port", 1, UINT16_MAX, 0);
    panic_set_stop(stop_after_panic);
}

/* Whoever follows the guest on the screen would see it go dark in the moment it ends. */
static void wait_for_reader(void)
{
    uint64_t end = time_now_ns() + READING_SECONDS * 1000000000ull;

    while (screen_is_ours() && time_now_ns() < end)
        cpu_pause();
}

static void say_what_to_do(enum stop_reason reason)
{
    if (reason == STOP_REFUSED)
        log_say(LOG_ALERT, "the guest was not started, for the reason above; nothing was changed");
    if (reason == STOP_GUEST_POWEROFF && screen_is_ours() && acpi_power().valid)
        log_say(LOG_ALERT, "the machine switches itself off in %u seconds; you may do so at once",
                READING_SECONDS);
    log_say(LOG_ALERT, "to go back: take out what Sluice was started from, and switch on again");
}

void machine_stop(enum stop_reason reason)
{
    report(reason);
    say_what_to_do(reason);
    /* Only a guest that asked for it switches the machine off: after a refusal or a crash someone wants to
     * read why. */
    if (reason == STOP_GUEST_POWEROFF && acpi_power().valid) {
        wait_for_reader();
        acpi_power_off();
    }
    log_say(LOG_ALERT, "halted; it is safe to switch the machine off: hold the power button");
    cpu_halt_for_ever();
}

static void log_registers(const struct cpu_regs *regs)
{
#define WORD(name) (unsigned long long)regs->name
    log_line("  rip %016llx  rsp %016llx  rflags %08llx  cs %04llx ss %04llx", WORD(rip), WORD(rsp),
             WORD(rflags), WORD(cs), WORD(ss));
    log_line("  rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx", WORD(rax), WORD(rbx), WORD(rcx),
             WORD(rdx));
    log_line("  rsi %016llx  rdi %016llx  rbp %016llx  r8  %016llx", WORD(rsi), WORD(rdi), WORD(rbp),
             WORD(r8));
    log_line("  r9  %016llx  r10 %016llx  r11 %016llx  r12 %016llx", WORD(r9), WORD(r10), WORD(r11),
             WORD(r12));
    log_line("  r13 %016llx  r14 %016llx  r15 %016llx", WORD(r13), WORD(r14), WORD(r15));
#undef WORD
}

void guest_crash(const struct cpu_regs *regs, const char *format, ...)
{
    char reason[256];
    va_list args;
    va_start(args, format);
    format_string_v(reason, sizeof(reason), format, args);
    va_end(args);
    log_say(LOG_ALERT, "guest crashed: %s", reason);
    if (regs != NULL)
        log_registers(regs);
    machine_stop(STOP_GUEST_FAILED);
}
