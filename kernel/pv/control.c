/* SPDX-License-Identifier: MIT */
/*
 * Control registers. The machine's are the hypervisor's; the guest sees them without what is not its
 * business, and may change CR0.TS, its own CR2, and CR4.TSD and CR4.DE. XCR0 is the guest's within what CPUID
 * offers.
 */
#include "cpu/ops.h"
#include "mem/frame.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "pv/tlb.h"

#define CR4_TSD   0x4ull
#define CR4_DE    0x8ull
/* TSD, PAE, MCE, OSFXSR, OSXMMEXCPT, OSXSAVE: as the machine's. */
#define CR4_SHOWN (CR4_TSD | 0x40660ull)

bool guest_control_read(uint32_t number, uint64_t *value)
{
    switch (number) {
    case 0:
        *value = cr0_read();
        return true;
    case 2:
        *value = guest.vcpu->arch.cr2;
        return true;
    case 3:
        *value = guest.l4_mfn << FRAME_SHIFT;
        return true;
    case 4:
        *value = (cr4_read() & CR4_SHOWN) | (guest.de_cleared ? 0 : CR4_DE);
        return true;
    default:
        return false;
    }
}

static bool write_cr0(uint64_t value)
{
    uint64_t now = cr0_read();

    if ((value ^ now) & ~(uint64_t)CR0_TS)
        return false;
    if (value != now)
        cr0_write(value);
    return true;
}

/* The machine's DE stays on, whatever the guest reads: without it a breakpoint on ports would have no
 * meaning. */
static bool write_cr4(uint64_t value)
{
    uint64_t now;

    if (!guest_control_read(4, &now) || ((value ^ now) & ~(CR4_TSD | CR4_DE)))
        return false;
    guest.de_cleared = !(value & CR4_DE);
    if ((value ^ now) & CR4_TSD)
        cr4_write(cr4_read() ^ CR4_TSD);
    return true;
}

bool guest_control_write(uint32_t number, uint64_t value)
{
    switch (number) {
    case 0:
        return write_cr0(value);
    case 2:
        guest.vcpu->arch.cr2 = value;
        return true;
    case 3: /* the base pointer changes by mmuext_op; the same again flushes */
        if (value != guest.l4_mfn << FRAME_SHIFT)
            return false;
        tlb_load(guest.l4_mfn);
        return true;
    case 4:
        return write_cr4(value);
    default:
        return false;
    }
}

/* ---- XCR0 ---- */

#define XCR0_X87    0x1u
#define XCR0_SSE    0x2u
#define XCR0_AVX    0x4u
#define XCR0_AVX512 0xe0u

/* What the processor would refuse is refused here, where it does not fault. Intel SDM volume 1, 13.3. */
bool guest_xcr_write(uint32_t number, uint64_t value)
{
    uint64_t wide = value & XCR0_AVX512;

    if (number != 0 || !(value & XCR0_X87) || (value & ~guest_xcr0_offered()))
        return false;
    if ((value & XCR0_AVX) && !(value & XCR0_SSE))
        return false;
    if (wide && (wide != XCR0_AVX512 || !(value & XCR0_AVX)))
        return false;
    xcr0_write(value);
    return true;
}

/* ---- fpu_taskswitch(set) ---- */

void guest_fpu_wanted(void)
{
    cr0_write(cr0_read() & ~CR0_TS);
}

long do_fpu_taskswitch(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t cr0 = cr0_read();

    (void)regs;
    cr0_write(args->a[0] ? cr0 | CR0_TS : cr0 & ~CR0_TS);
    return 0;
}
