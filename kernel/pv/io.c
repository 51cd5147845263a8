/* SPDX-License-Identifier: MIT */
/*
 * Ports of the guest's: an allow-list. Whatever is not on it reads as ones and takes no writes; the list is
 * in guest-abi/devices.md. Who may use ports at all is iopl.c's.
 */
#include "cpu/io.h"
#include "acpi/acpi.h"
#include "cpu/ops.h"
#include "cpu/trap.h"
#include "lib/log.h"
#include "mem/guest_copy.h"
#include "pv/device.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "pv/io.h"
#include "pv/trap.h"

static struct log_limit denied_limit = {.what = "port accesses of the guest refused", .burst = 4};

void guest_io_log_refill(void)
{
    log_limit_refill(&denied_limit);
}

static uint32_t ones(uint8_t bytes)
{
    return bytes >= 4 ? UINT32_MAX : (1u << (8 * bytes)) - 1;
}

static uint32_t hardware_in(uint16_t port, uint8_t bytes)
{
    return bytes == 1 ? in8(port) : bytes == 2 ? in16(port) : in32(port);
}

static void hardware_out(uint16_t port, uint8_t bytes, uint32_t value)
{
    if (bytes == 1)
        out8(port, (uint8_t)value);
    else if (bytes == 2)
        out16(port, (uint16_t)value);
    else
        out32(port, value);
}

static void log_denied(const char *what, uint16_t port, uint8_t bytes)
{
    if (log_limit_pass(&denied_limit))
        log_line("port 0x%x: %s of %u bits refused", port, what, bytes * 8);
}

/* ---- configuration mechanism #1, on a latch of the guest's own ---- */

#define CONFIG_ADDRESS   0xcf8u
#define CONFIG_DATA      0xcfcu
#define CONFIG_ENABLE    0x80000000u
#define CONFIG_LATCH     0x80fffffcu
#define CONFIG_ID_SHIFT  8
#define CONFIG_DATA_SIZE 4u

static uint32_t config_latch;

static bool is_config_data(uint16_t port, uint8_t bytes)
{
    return port >= CONFIG_DATA && port + bytes <= CONFIG_DATA + CONFIG_DATA_SIZE;
}

static uint16_t config_offset(uint16_t port)
{
    return (uint16_t)((config_latch & 0xfc) + (port - CONFIG_DATA));
}

static uint32_t config_in(uint16_t port, uint8_t bytes)
{
    if (!(config_latch & CONFIG_ENABLE))
        return ones(bytes);
    return config_guest_read((uint16_t)(config_latch >> CONFIG_ID_SHIFT), config_offset(port), bytes);
}

static void config_out(uint16_t port, uint8_t bytes, uint32_t value)
{
    if (config_latch & CONFIG_ENABLE)
        config_guest_write((uint16_t)(config_latch >> CONFIG_ID_SHIFT), config_offset(port), bytes, value);
}

/* ---- legacy ports, a byte at a time ---- */

#define PIT_COUNTER_0 0x40u
#define PIT_COUNTER_2 0x42u
#define PIT_CONTROL   0x43u
#define KEYBOARD_DATA 0x60u
#define SPEAKER       0x61u
#define KEYBOARD      0x64u
#define RTC_INDEX     0x70u
#define RTC_DATA      0x71u
#define POST_CODE     0x80u

#define PIT_SELECT_MASK   0xc0u
#define PIT_SELECT_2      0x80u
#define SPEAKER_GUEST     0x03u /* counter 2's gate and the speaker; the NMI bits are not the guest's */
#define SPEAKER_NMI       0x0cu
#define RTC_INDEX_MASK    0x7fu /* bit 7 masks NMI */
#define KEYBOARD_OUT_PORT 0xd1u /* next data byte drives the reset line and A20 */
#define KEYBOARD_A20_OFF  0xddu
#define KEYBOARD_A20_ON   0xdfu
#define KEYBOARD_PULSE    0xf0u /* and up: pulses output lines, reset among them */

static uint8_t rtc_index;

static bool legacy_in(uint16_t port, uint32_t *value)
{
    switch (port) {
    case PIT_COUNTER_0:
    case PIT_COUNTER_2:
    case KEYBOARD_DATA:
    case SPEAKER:
    case KEYBOARD:
        *value = in8(port);
        return true;
    case RTC_INDEX:
        *value = rtc_index;
        return true;
    case RTC_DATA:
        out8(RTC_INDEX, rtc_index);
        *value = in8(RTC_DATA);
        return true;
    default:
        return false;
    }
}

static bool keyboard_command_is_harmless(uint8_t command)
{
    return command < KEYBOARD_PULSE && command != KEYBOARD_OUT_PORT && command != KEYBOARD_A20_OFF &&
           command != KEYBOARD_A20_ON;
}

static bool legacy_out(uint16_t port, uint8_t value)
{
    switch (port) {
    case PIT_CONTROL:
        if ((value & PIT_SELECT_MASK) != PIT_SELECT_2)
            return false;
        out8(port, value);
        return true;
    case PIT_COUNTER_2:
    case KEYBOARD_DATA:
    case POST_CODE:
        out8(port, value);
        return true;
    case SPEAKER:
        out8(port, (uint8_t)((in8(port) & SPEAKER_NMI) | (value & SPEAKER_GUEST)));
        return true;
    case KEYBOARD:
        if (!keyboard_command_is_harmless(value))
            return false;
        out8(port, value);
        return true;
    case RTC_INDEX:
        rtc_index = value & RTC_INDEX_MASK;
        return true;
    default:
        return false;
    }
}

/* ---- ACPI: the sleep register, ACPI 6.5, 4.8.3.2.1 ---- */

#define POWER_CONTROL_BYTES     2u
#define POWER_CONTROL_SHOWN     0x0001u /* ACPI mode */
#define POWER_SLEEP             0x2000u
#define POWER_SLEEP_TYPE(value) ((value) >> 10 & 7)

static bool is_power_control(uint16_t port, uint8_t bytes)
{
    struct acpi_power power = acpi_power();

    return power.valid && port == power.pm1a_control && bytes == POWER_CONTROL_BYTES;
}

/* S5 ends the run as a shutdown does; other states are not offered, and the register stays as it is. */
static void power_control_out(uint32_t value)
{
    if (!(value & POWER_SLEEP) || POWER_SLEEP_TYPE(value) != acpi_power().s5_type_a)
        return;
    log_line("the guest switched itself off by ACPI's sleep register");
    machine_stop(STOP_GUEST_POWEROFF);
}

/* ---- policy ---- */

#define PM_TIMER_BYTES 4u

static bool is_pm_timer(uint16_t port, uint8_t bytes)
{
    uint16_t timer = acpi_power().pm_timer;

    return timer && port >= timer && port + bytes <= timer + PM_TIMER_BYTES;
}

static uint32_t guest_in(uint16_t port, uint8_t bytes)
{
    uint32_t value;

    if (port == CONFIG_ADDRESS && bytes == 4)
        return config_latch;
    if (is_config_data(port, bytes))
        return config_in(port, bytes);
    if (is_pm_timer(port, bytes) || device_port_is_own(port, bytes))
        return hardware_in(port, bytes);
    if (bytes == 1 && legacy_in(port, &value))
        return value;
    if (is_power_control(port, bytes))
        return POWER_CONTROL_SHOWN;
    log_denied("a read", port, bytes);
    return ones(bytes);
}

static void guest_out(uint16_t port, uint8_t bytes, uint32_t value)
{
    if (port == CONFIG_ADDRESS && bytes == 4)
        config_latch = value & CONFIG_LATCH;
    else if (is_config_data(port, bytes))
        config_out(port, bytes, value);
    else if (device_port_is_own(port, bytes))
        hardware_out(port, bytes, value);
    else if (is_power_control(port, bytes))
        power_control_out(value);
    else if (bytes != 1 || !legacy_out(port, (uint8_t)value))
        log_denied("a write", port, bytes);
}

/* ---- IN and OUT ---- */

/* A 32-bit result clears the upper half of RAX; narrower ones leave the rest as it was. */
static void set_result(struct cpu_regs *regs, uint8_t bytes, uint32_t value)
{
    if (bytes == 4)
        regs->rax = value;
    else
        regs->rax = (regs->rax & ~(uint64_t)ones(bytes)) | (value & ones(bytes));
}

/* ---- INS and OUTS: a few elements a trap, with the registers where a restart finds them ---- */

#define STRING_AT_ONCE 32u
#define PF_WRITE       0x2u
#define PF_USER        0x4u

static uint64_t string_base(const struct insn *insn)
{
    if (insn->op == INSN_INS)
        return 0;
    if (insn->segment == INSN_SEGMENT_FS)
        return msr_read(MSR_FS_BASE);
    return insn->segment == INSN_SEGMENT_GS ? msr_read(MSR_GS_BASE) : 0;
}

/* The copy faulted in ring 0: the guest gets the exception that it would have got itself. */
static enum emulation string_fault(struct cpu_regs *regs, uint32_t access)
{
    regs->vector = TRAP_PF;
    regs->error_code = trap_fixed_error() | PF_USER | access;
    pv_guest_exception(regs);
    return EMULATION_STAYS;
}

static enum emulation string_element(struct cpu_regs *regs, const struct insn *insn, uint64_t address)
{
    uint16_t port = (uint16_t)regs->rdx;
    uint32_t value = 0;

    if (!guest_range_is_tried(address, insn->bytes))
        return EMULATION_REFUSED;
    if (copy_from_guest(&value, address, insn->bytes))
        return string_fault(regs, insn->op == INSN_INS ? PF_WRITE : 0);
    if (insn->op == INSN_OUTS) {
        guest_out(port, insn->bytes, value);
        return EMULATION_DONE;
    }
    /* What the port gives must not be lost to a page that takes no writes. */
    if (copy_to_guest(address, &value, insn->bytes))
        return string_fault(regs, PF_WRITE);
    value = guest_in(port, insn->bytes);
    return copy_to_guest(address, &value, insn->bytes) ? EMULATION_REFUSED : EMULATION_DONE;
}

static enum emulation string_io(struct cpu_regs *regs, const struct insn *insn)
{
    uint64_t mask = insn->address_bytes == 8 ? UINT64_MAX : UINT32_MAX;
    uint64_t *pointer = insn->op == INSN_INS ? &regs->rdi : &regs->rsi;
    uint64_t step = regs->rflags & RFLAGS_DF ? (uint64_t)0 - insn->bytes : insn->bytes;
    uint64_t base = string_base(insn);

    for (uint32_t i = 0; i < STRING_AT_ONCE; i++) {
        if (insn->repeat && !(regs->rcx & mask))
            return EMULATION_DONE;

        enum emulation result = string_element(regs, insn, base + (*pointer & mask));

        if (result != EMULATION_DONE)
            return result;
        *pointer = (*pointer + step) & mask;
        if (!insn->repeat)
            return EMULATION_DONE;
        regs->rcx = (regs->rcx - 1) & mask;
    }
    return regs->rcx & mask ? EMULATION_STAYS : EMULATION_DONE;
}

/* ---- the instruction ---- */

enum emulation guest_io(struct cpu_regs *regs, const struct insn *insn)
{
    uint16_t port = (uint16_t)(insn->has_immediate ? (uint64_t)insn->immediate : regs->rdx);

    if (!iopl_allows_port(port, insn->bytes))
        return EMULATION_REFUSED;
    switch (insn->op) {
    case INSN_IN:
        set_result(regs, insn->bytes, guest_in(port, insn->bytes));
        return EMULATION_DONE;
    case INSN_OUT:
        guest_out(port, insn->bytes, (uint32_t)regs->rax & ones(insn->bytes));
        return EMULATION_DONE;
    default:
        return string_io(regs, insn);
    }
}
