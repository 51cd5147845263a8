/* SPDX-License-Identifier: MIT */
#include "ports.h"

#include "cpu/ops.h"
#include "cpu/trap.h"
#include "mem/guest_copy.h"
#include "pv/descriptor.h"
#include "pv/device.h"
#include "pv/trap.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is below: code memory that ends at a page's end, configuration space, windows ---- */

uint8_t code[CODE_BYTES];
bool second_page;
uint64_t read_only;
uint32_t byte_fetched[CODE_BYTES];

int copy_from_guest(void *destination, uint64_t address, size_t count)
{
    size_t offset = (size_t)(address - CODE_PAGE), limit = second_page ? sizeof code : 4096;

    if (address < CODE_PAGE || offset > limit || count > limit - offset)
        return -14;
    memcpy(destination, code + offset, count);
    for (size_t i = 0; i < count; i++)
        byte_fetched[offset + i]++;
    return 0;
}

uint64_t segment_base(uint16_t selector)
{
    return selector == SEGMENT_ELSEWHERE ? 0x1000 : 0;
}

struct config_access config;

uint32_t config_guest_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    config.id = id;
    config.offset = offset;
    config.bytes = bytes;
    config.reads++;
    return config.value;
}

void config_guest_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    config.id = id;
    config.offset = offset;
    config.bytes = bytes;
    config.value = value;
    config.writes++;
}

bool device_port_is_own(uint32_t port, uint32_t bytes)
{
    return port >= OWN_FIRST && port + bytes <= OWN_END;
}

struct acpi_power power;

struct acpi_power acpi_power(void)
{
    return power;
}

int get_guest_words3(uint64_t words[3], uint64_t address)
{
    return copy_from_guest(words, address, 24);
}

int copy_to_guest(uint64_t address, const void *source, size_t count)
{
    size_t offset = (size_t)(address - CODE_PAGE), limit = second_page ? sizeof code : 4096;

    if (address < CODE_PAGE + read_only || offset > limit || count > limit - offset)
        return -14;
    memcpy(code + offset, source, count);
    return 0;
}

bool guest_range_is_tried(uint64_t address, size_t count)
{
    return address + count <= 0x0000800000000000 || address >= 0xffff880000000000;
}

jmp_buf machine;

_Noreturn void machine_stop(enum stop_reason reason)
{
    longjmp(machine, (int)reason);
}

/* ---- the rest of the emulator: not here ---- */

struct guest guest;
uint32_t mode_changes, page_faults, steps;
uint64_t page_fault_error;

void guest_to_kernel(void)
{
    mode_changes += guest.in_user;
    guest.in_user = false;
}

void guest_to_user(void)
{
    mode_changes++;
    guest.in_user = true;
}

uint64_t trap_fixed_error(void)
{
    return 0;
}

void pv_guest_exception(struct cpu_regs *at)
{
    page_faults += at->vector == TRAP_PF;
    page_fault_error = at->error_code;
}

void guest_bounce(struct cpu_regs *at, uint32_t vector, bool error_code_present, uint32_t error_code)
{
    (void)at;
    (void)error_code_present;
    (void)error_code;
    steps += vector == TRAP_DB;
}

void guest_debug_stepped(void)
{
}

struct cpuid guest_cpuid(uint32_t leaf, uint32_t subleaf)
{
    return (struct cpuid){leaf, subleaf, 0, 0};
}

#define REFUSES(name, first)                                                                                 \
    bool name(uint32_t number, first value)                                                                  \
    {                                                                                                        \
        (void)number;                                                                                        \
        (void)value;                                                                                         \
        return false;                                                                                        \
    }
REFUSES(guest_msr_read, uint64_t *)
REFUSES(guest_msr_write, uint64_t)
REFUSES(guest_control_read, uint64_t *)
REFUSES(guest_control_write, uint64_t)
REFUSES(guest_xcr_write, uint64_t)
REFUSES(guest_debug_read, uint64_t *)
REFUSES(guest_debug_write, uint64_t)

/* ---- running one instruction ---- */

struct cpu_regs regs;

bool guest_io_emulate(struct cpu_regs *at)
{
    uint64_t offset = at->rip - CODE_PAGE, limit = second_page ? sizeof code : 4096;
    struct insn insn;

    return offset < limit && insn_decode(code + offset, limit - offset, true, &insn) && insn.op >= INSN_IN &&
           insn.op <= INSN_OUTS && guest_emulate_privileged(at);
}

void set_level(uint32_t level)
{
    memcpy(code + 5000, &level, sizeof level);
    assert_int_equal(iopl_set(CODE_PAGE + 5000), 0);
}

int reset(void **state)
{
    (void)state;
    model_reset();
    memset(code, 0x90, sizeof code);
    memset(byte_fetched, 0, sizeof byte_fetched);
    memset(&config, 0, sizeof config);
    memset(&guest, 0, sizeof guest);
    mode_changes = page_faults = steps = 0;
    read_only = 0;
    power = (struct acpi_power){.valid = true, .pm_timer = PM_TIMER, .pm1a_control = 0x604, .s5_type_a = 6};
    second_page = true;
    set_level(1);
    regs = (struct cpu_regs){
        .rip = CODE_PAGE, .rax = 0x1122334455667788, .rdx = 0xffffffff00000000, .cs = 0xe033};
    return 0;
}

bool run_at(size_t offset, const uint8_t *bytes, size_t size)
{
    memcpy(code + offset, bytes, size);
    regs.rip = CODE_PAGE + offset;
    return guest_io_emulate(&regs);
}
uint32_t in(uint16_t port, uint32_t bytes)
{
    regs.rdx = 0xabcd0000u | port;
    regs.rax = 0;
    assert_true(bytes == 1 ? RUN(0xec) : bytes == 2 ? RUN(0x66, 0xed) : RUN(0xed));
    return (uint32_t)regs.rax;
}

void out(uint16_t port, uint32_t bytes, uint32_t value)
{
    regs.rdx = port;
    regs.rax = 0xffffffff00000000u | value;
    assert_true(bytes == 1 ? RUN(0xee) : bytes == 2 ? RUN(0x66, 0xef) : RUN(0xef));
}

void assert_last_access(uint16_t port, uint32_t bytes, bool write, uint32_t value)
{
    assert_true(model_access_count > 0);
    const struct model_access *last = &model_accesses[(model_access_count - 1) % 64];
    assert_int_equal(last->port, port);
    assert_int_equal(last->bytes, bytes);
    assert_int_equal(last->write, write);
    if (write)
        assert_int_equal(last->value, value);
}
