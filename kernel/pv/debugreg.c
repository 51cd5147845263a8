/* SPDX-License-Identifier: MIT */
/*
 * Debug registers. DR0 to DR3 and DR7 are the guest's and stay loaded: there is nobody else to use them. So
 * what they may say is bounded: nothing in the hypervisor may trap by them. A data breakpoint on guest
 * memory still fires when the hypervisor copies there; that #DB is dropped (cpu/trap.c), with its status.
 */
#include "cpu/ops.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/map.h"
#include "pv/emulate.h"
#include "pv/guest.h"

#define DR6_HITS     0xfu /* of DR0 to DR3: only the last #DB's; the rest stays until the guest clears it */
#define DR6_STEP     0x4000u
/* Bits that software may not change; DR6: 4 to 11 and 16 to 31 are ones, DR7: 10 is. */
#define DR6_WRITABLE 0xe00fu
#define DR7_WRITABLE 0xffff03ffu
#define DR7_FIXED    0x400u
#define DR7_DETECT   0x2000u /* #DB at MOV DR, in ring 0 too */

#define BREAKPOINTS         4u
#define BREAKPOINT_EXECUTE  0u
#define BREAKPOINT_PORT     2u
#define BREAKPOINT_FIELD(n) (16u + 4u * (n))

static uint64_t status = DR6_NOTHING;

void guest_debug_caught(void)
{
    status = (status & ~(uint64_t)DR6_HITS) | dr6_read();
    dr6_write(DR6_NOTHING);
}

void guest_debug_stepped(void)
{
    status |= DR6_STEP;
}

/* For each breakpoint, enabled or not: what is set up today is enabled tomorrow. */
static bool breakpoints_are_good(uint64_t control)
{
    for (uint32_t n = 0; n < BREAKPOINTS; n++) {
        uint64_t kind = control >> BREAKPOINT_FIELD(n) & 3, length = control >> BREAKPOINT_FIELD(n) >> 2 & 3;

        if (kind == BREAKPOINT_PORT || (kind == BREAKPOINT_EXECUTE && length))
            return false;
    }
    return true;
}

static long write_control(uint64_t value)
{
    if (value >> 32 || (value & DR7_DETECT) || !breakpoints_are_good(value))
        return -EPERM;
    dr7_write((value & DR7_WRITABLE) | DR7_FIXED);
    return 0;
}

static long write_status(uint64_t value)
{
    if (value >> 32)
        return -EPERM;
    status = (value & DR6_WRITABLE) | DR6_NOTHING;
    return 0;
}

/* An aligned breakpoint of up to 8 bytes does not reach into the range from below. */
static long write_address(uint32_t number, uint64_t value)
{
    if (!address_is_canonical(value) || address_is_hypervisor(value))
        return -EPERM;
    dr_write(number, value);
    return 0;
}

static long write_register(uint64_t number, uint64_t value)
{
    switch (number) {
    case 0:
    case 1:
    case 2:
    case 3:
        return write_address((uint32_t)number, value);
    case 6:
        return write_status(value);
    case 7:
        return write_control(value);
    default: /* 4 and 5 are other names of 6 and 7 only while CR4.DE is clear, which it is not */
        return -ENODEV;
    }
}

bool guest_debug_read(uint32_t number, uint64_t *value)
{
    if (number > 3 && number != 6 && number != 7)
        return false;
    *value = number == 6 ? status : number == 7 ? dr7_read() : dr_read(number);
    return true;
}

bool guest_debug_write(uint32_t number, uint64_t value)
{
    return write_register(number, value) == 0;
}

/* ---- set_debugreg(number, value), get_debugreg(number) ---- */

long do_set_debugreg(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    return write_register((uint32_t)args->a[0], args->a[1]);
}

long do_get_debugreg(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t value;

    (void)regs;
    return guest_debug_read((uint32_t)args->a[0], &value) ? (long)value : -ENODEV;
}
