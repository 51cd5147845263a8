/* SPDX-License-Identifier: MIT */
/*
 * Rule: ports are an allow-list: configuration space, the I/O BARs of own devices, a few legacy ports by
 * name. Every other port reads as ones and ignores writes. All forms of IN and OUT are carried out; the
 * string forms go on where they were interrupted or faulted. ACPI's sleep register ends the run when it says
 * S5.
 *
 * From: guest-abi/devices.md; guest-abi/instructions.md.
 *
 * Method: ports that would end, reset or reprogram the machine are written to; every port number is read;
 * string and prefixed forms are tried, across pages that are not there or take no writes. The last write is
 * S5.
 *
 * Errors: none.
 *
 * run: default says="switched itself off by ACPI"
 */
#include "common/code.h"
#include "kit/pci.h"

static void nothing_happens(void)
{
    port_write(0xf4, 4, 0x10); /* QEMU's exit port: would end the machine with success */
    port_write(0xf4, 1, 0x10);
    port_write(0xcf9, 1, 0x02); /* reset */
    port_write(0xcf9, 1, 0x06);
    port_write(0x64, 1, 0xfe);    /* reset by the keyboard controller */
    port_write(0x92, 1, 0x01);    /* fast reset */
    port_write(0xb2, 1, 0x01);    /* SMI */
    port_write(0x604, 2, 0x3c00); /* ACPI: a state that q35 does not have, S5 without the enable bit */
    port_write(0x604, 2, 0x0000);
    port_write(0x604, 4, 0x2000);
    port_write(0x605, 1, 0x34);
    port_write(0x3f8, 1, '!'); /* the hypervisor's serial line */
    port_write(0x3f9, 1, 0xff);
    port_write(0x3fb, 1, 0x80);
    port_write(0x20, 1, 0x11); /* interrupt controllers */
    port_write(0x21, 1, 0x00);
    port_write(0xa1, 1, 0x00);
    printk("the machine still runs\n");
}

static void closed_ports_read_ones(void)
{
    static const uint16_t closed[] = {0xf4, 0xcf9, 0xb2, 0x3f8, 0x3fd, 0x20, 0x21, 0xa1, 0x510, 0x5658};
    for (uint32_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
        for (uint32_t bytes = 1; bytes <= 4; bytes *= 2) {
            if (closed[i] == 0xcf9 && bytes > 1)
                continue;
            uint32_t ones = bytes == 4 ? 0xffffffff : (1u << 8 * bytes) - 1;
            EXPECT(port_read(closed[i], bytes) == ones, "port 0x%x, %u bytes, reads 0x%x", closed[i], bytes,
                   port_read(closed[i], bytes));
        }
    }
}

static void every_port_can_be_read(void)
{
    for (uint32_t port = 0; port < 0x10000; port += 7)
        port_read((uint16_t)port, 1 + (port & 1));
}

#define FORM(name, text)                                                                                     \
    static void name(void *buffer)                                                                           \
    {                                                                                                        \
        uint64_t rsi = (uint64_t)(uintptr_t)buffer, rdi = rsi, rcx = 4;                                      \
        __asm__ volatile(text : "+S"(rsi), "+D"(rdi), "+c"(rcx) : "d"(0xf4ul) : "rax", "memory", "cc");      \
    }
FORM(out_string, "mov $0x10, %%eax; outsb")
FORM(repeated_out_string, "rep outsl")
FORM(in_string, "insb")
FORM(repeated_in_string, "rep insl")
FORM(operand_size_twice, ".byte 0x66, 0x66; mov $0x10, %%eax; .byte 0x66, 0x66, 0xef")
FORM(repeated_out, "mov $0x10, %%eax; .byte 0xf3, 0xef")
FORM(locked_out, "mov $0x10, %%eax; .byte 0xf0, 0xef")
FORM(rex_out, "mov $0x10, %%eax; .byte 0x48, 0xef")
FORM(many_prefixes, "mov $0x10, %%eax; .byte 0x2e, 0x3e, 0x26, 0x64, 0x65, 0x36, 0x67, 0x66, 0xf2, 0xef")
FORM(too_many_prefixes,
     ".byte 0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0x2e,0xef")
FORM(immediate_out, "mov $0x10, %%eax; out %%eax, $0xf4")
FORM(immediate_in, "in $0xf4, %%al")

static void odd_forms(void)
{
    static uint8_t buffer[64];
    static void (*const forms[])(void *) = {
        out_string,         repeated_out_string, in_string,     repeated_in_string,
        operand_size_twice, repeated_out,        locked_out,    rex_out,
        many_prefixes,      too_many_prefixes,   immediate_out, immediate_in,
    };
    for (uint32_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct trap_result seen = trap_try(forms[i], buffer);
        EXPECT(!seen.trapped || seen.vector == TRAP_PROTECTION || seen.vector == TRAP_INVALID_OP,
               "form %u gave vector %u", i, seen.vector);
    }
}

/* ---- strings ---- */

#define PM_TIMER  0x608
#define POST_CODE 0x80

/* More elements than one trap does. */
static void strings_are_whole(void)
{
    static uint32_t times[200];
    uint64_t rdi = hypercall_pointer(times), rsi = rdi + sizeof(times) - 1, rcx = 200;
    for (uint32_t i = 0; i < 200; i++)
        times[i] = 0xffffffff;
    __asm__ volatile("rep insl" : "+D"(rdi), "+c"(rcx) : "d"(PM_TIMER) : "memory");
    EXPECT(rcx == 0 && rdi == hypercall_pointer(times + 200), "RCX %lu, RDI 0x%lx", rcx, rdi);
    for (uint32_t i = 1; i < 200; i++)
        EXPECT(((times[i] - times[i - 1]) & 0xffffff) < 0x800000 && times[i] <= 0xffffff,
               "time %u is 0x%x after 0x%x", i, times[i], times[i - 1]);
    EXPECT(times[0] != times[199], "the timer stands still");

    rcx = sizeof(times);
    __asm__ volatile("std; rep outsb; cld" : "+S"(rsi), "+c"(rcx) : "d"(POST_CODE) : "memory", "cc");
    EXPECT(rcx == 0 && rsi == hypercall_pointer(times) - 1, "RCX %lu, RSI 0x%lx", rcx, rsi);
}

static struct trap_regs fault;

static void note_fault(struct trap_regs *regs)
{
    fault = *regs;
    regs->rip += 2; /* REP and the opcode */
}

static void expect_fault(const char *what, uint64_t left, uint32_t error_code, uint64_t address)
{
    uint64_t cr2 = shared_info->vcpu_info[0].arch.cr2;
    EXPECT(fault.vector == TRAP_PAGE_FAULT && fault.error_code == error_code && cr2 == address &&
               fault.rcx == left,
           "%s: vector %lu, error code 0x%lx, CR2 0x%lx, RCX %lu", what, fault.vector, fault.error_code, cr2,
           fault.rcx);
}

static void strings_fault_where_they_are(void)
{
    uint64_t frames[2] = {pfn_to_mfn(frame_alloc()), pfn_to_mfn(frame_alloc())};
    uint8_t *pages = map_frames(frames, 2, MAP_RAM);
    uint64_t second = hypercall_pointer(pages) + PAGE_SIZE, rdi, rsi, rcx;
    if (!pages || update_va_mapping(second, frames[1] << PAGE_SHIFT | MAP_RAM_READ, UVMF_INVLPG))
        report_error("two pages cannot be set up: %ld", window_error);
    trap_set_handler(TRAP_PAGE_FAULT, note_fault);

    rdi = second - 6;
    rcx = 10;
    __asm__ volatile("rep insb" : "+D"(rdi), "+c"(rcx) : "d"(PM_TIMER) : "memory");
    expect_fault("insb into a read-only page", 4, PF_PRESENT | PF_WRITE, second);
    EXPECT(rdi == second && rcx == 4, "RDI 0x%lx, RCX %lu", rdi, rcx);
    rdi = second - 6;
    rcx = 2;
    __asm__ volatile("rep insl" : "+D"(rdi), "+c"(rcx) : "d"(PM_TIMER) : "memory");
    expect_fault("insl half into a read-only page", 1, PF_PRESENT | PF_WRITE, second);

    EXPECT_RETURN(update_va_mapping(second, 0, UVMF_INVLPG), 0);
    rsi = second - 3;
    rcx = 5;
    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(POST_CODE) : "memory");
    expect_fault("outsb from no page", 2, 0, second);
    rdi = second;
    rcx = 1;
    __asm__ volatile("rep insb" : "+D"(rdi), "+c"(rcx) : "d"(PM_TIMER) : "memory");
    expect_fault("insb into no page", 1, PF_WRITE, second);
    trap_set_handler(TRAP_PAGE_FAULT, NULL);
    unmap_frames(pages, 2);
}

static void strings_keep_out_of_the_hypervisor(void)
{
    static const uint64_t addresses[] = {HYPERVISOR_VIRT_START, HYPERVISOR_VIRT_END - 1, 0xffff82d080200000,
                                         0xffff830000000000,    0x0000800000000000,      0x00007ffffffffffe};
    for (uint32_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct code_regs regs = {.rdi = addresses[i], .rsi = addresses[i], .rdx = PM_TIMER, .rcx = 1};
        CODE_REFUSED("insl", &regs, 0x6d);
        CODE_REFUSED("rep outsl", &regs, 0xf3, 0x6f);
    }
}

/* An IN that ends with the last byte of a page, behind which nothing is mapped. */
static void at_the_end_of_a_page(void)
{
    uint64_t pfn, frames[2];
    frames[0] = pfn_to_mfn(pfn = frame_alloc());
    frames[1] = pfn_to_mfn(frame_alloc());
    uint8_t *pages = map_frames(frames, 2, MAP_RAM);
    if (!pages || update_va_mapping((uint64_t)(uintptr_t)pages + PAGE_SIZE, 0, UVMF_INVLPG))
        report_error("two pages cannot be set up: %ld", window_error);
    uint8_t *code = pages + PAGE_SIZE - 1;
    *code = 0xec; /* in (%dx), %al; then execution runs off the page */
    struct trap_result seen = trap_try((void (*)(void *))(uintptr_t)code, NULL);
    EXPECT(seen.trapped && seen.vector == TRAP_PAGE_FAULT && seen.rip == (uint64_t)(uintptr_t)code + 1,
           "vector %u at 0x%lx", seen.vector, seen.rip);
}

void guest_main(void)
{
    nothing_happens();
    closed_ports_read_ones();
    every_port_can_be_read();
    odd_forms();
    at_the_end_of_a_page();
    nothing_happens();
    strings_are_whole();
    strings_fault_where_they_are();
    strings_keep_out_of_the_hypervisor();
    EXPECT(port_read(0x604, 2) == 1, "the sleep register reads 0x%x", port_read(0x604, 2));
    printk("ports are what they should be\nTest result: SUCCESS\n");
    console_flush();
    port_write(0x604, 2, 0x2000);
    report_failure("the guest ran on");
}
