/* SPDX-License-Identifier: MIT */
/*
 * IN and OUT of the guest's: decoded at the #GP, carried out by an allow-list. Whatever is not on it reads
 * as ones and takes no writes; the list is in guest-abi/devices.md.
 */
#include "cpu/io.h"
#include "acpi/acpi.h"
#include "lib/log.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "pv/device.h"
#include "pv/guest.h"
#include "pv/io.h"

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
    if (device_port_is_own(port, bytes) || is_pm_timer(port, bytes))
        return hardware_in(port, bytes);
    if (bytes == 1 && legacy_in(port, &value))
        return value;
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
    else if (bytes != 1 || !legacy_out(port, (uint8_t)value))
        log_denied("a write", port, bytes);
}

/* ---- decode ---- */

#define INSTRUCTION_MAX 15u
#define OPERAND_SIZE    0x66u
#define IS_REX(byte)    (((byte)&0xf0) == 0x40)

struct instruction {
    uint8_t length;
    uint8_t bytes; /* operand: 1, 2 or 4 */
    bool is_out;
    uint16_t port;
};

/* The bytes at RIP up to the end of their page, then, only if the page does not hold them all, what follows.
 */
static size_t fetch(uint8_t code[INSTRUCTION_MAX], uint64_t rip)
{
    size_t here = FRAME_SIZE - (rip & (FRAME_SIZE - 1));

    if (here > INSTRUCTION_MAX)
        here = INSTRUCTION_MAX;
    if (copy_from_guest(code, rip, here))
        return 0;
    if (here < INSTRUCTION_MAX && !copy_from_guest(code + here, rip + here, INSTRUCTION_MAX - here))
        here = INSTRUCTION_MAX;
    return here;
}

/* Intel SDM volume 2, IN and OUT. Only what compilers and people write: 66h, one REX, the opcode. */
static bool decode(const uint8_t *code, size_t size, const struct cpu_regs *regs, struct instruction *out)
{
    bool short_operand = false;
    size_t at = 0;
    uint8_t opcode;

    while (at < size && code[at] == OPERAND_SIZE) {
        short_operand = true;
        at++;
    }
    if (at < size && IS_REX(code[at]))
        at++;
    if (at >= size)
        return false;
    opcode = code[at++];
    /* E4..E7 and EC..EF: bit 0 wide, bit 1 out, bit 3 port in DX. */
    if ((opcode & 0xf4) != 0xe4)
        return false;
    out->is_out = (opcode & 2) != 0;
    out->bytes = !(opcode & 1) ? 1 : short_operand ? 2 : 4;
    if (opcode & 8) {
        out->port = (uint16_t)regs->rdx;
    } else {
        if (at >= size)
            return false;
        out->port = code[at++];
    }
    out->length = (uint8_t)at;
    return true;
}

/* A 32-bit result clears the upper half of RAX; narrower ones leave the rest as it was. */
static void set_result(struct cpu_regs *regs, uint8_t bytes, uint32_t value)
{
    if (bytes == 4)
        regs->rax = value;
    else
        regs->rax = (regs->rax & ~(uint64_t)ones(bytes)) | (value & ones(bytes));
}

bool guest_io_emulate(struct cpu_regs *regs)
{
    uint8_t code[INSTRUCTION_MAX];
    struct instruction instruction;
    size_t size = fetch(code, regs->rip);

    if (!decode(code, size, regs, &instruction))
        return false;
    if (instruction.is_out)
        guest_out(instruction.port, instruction.bytes, (uint32_t)regs->rax & ones(instruction.bytes));
    else
        set_result(regs, instruction.bytes, guest_in(instruction.port, instruction.bytes));
    regs->rip += instruction.length;
    return true;
}
