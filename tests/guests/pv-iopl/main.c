/* SPDX-License-Identifier: MIT */
/*
 * Rule: at virtual I/O privilege level 0, which a guest begins with, its kernel may use neither ports nor CLI
 * and STI; at 1 to 3 it may. Ports whose bits are clear in the bitmap are open at any level. The machine's
 * own level stays 0.
 *
 * From: guest-abi/hypercalls.md, physdev_op; guest-abi/instructions.md; the x86-64 PV contract.
 *
 * Method: each level with each instruction; bitmaps that end within an access, within a page, or nowhere.
 *
 * Errors: -EINVAL a level above 3, more than 65536 ports; -EFAULT the argument cannot be read.
 *
 * run: default
 */
#include "common/code.h"

static long set_level(uint32_t level)
{
    struct physdev_set_iopl request = {level};
    return physdev_op(PHYSDEVOP_set_iopl, &request);
}

static long set_bitmap(uint64_t bitmap, uint32_t ports)
{
    struct physdev_set_iobitmap request = {bitmap, ports};
    return physdev_op(PHYSDEVOP_set_iobitmap, &request);
}

static void expect(const char *what, uint32_t level, bool works, struct trap_result seen)
{
    EXPECT(works ? !seen.trapped
                 : seen.trapped && seen.vector == TRAP_PROTECTION && seen.error_code == 0 && seen.rip == 0,
           "%s at level %u: trapped %u, vector %u, error code 0x%x", what, level, seen.trapped, seen.vector,
           seen.error_code);
}

static void levels(void)
{
    static uint8_t buffer[8];
    uint64_t flags;
    for (uint32_t level = 0; level <= 3; level++) {
        struct code_regs regs = {
            .rdx = 0x80, .rdi = hypercall_pointer(buffer), .rsi = hypercall_pointer(buffer)};
        EXPECT_RETURN(set_level(level), 0);
        expect("cli", level, level, CODE(&regs, 0xfa));
        expect("sti", level, level, CODE(&regs, 0xfb));
        expect("in %dx", level, level, CODE(&regs, 0xec));
        expect("in $0x71", level, level, CODE(&regs, 0xe4, 0x71));
        expect("out %dx", level, level, CODE(&regs, 0xee));
        expect("insb", level, level, CODE(&regs, 0x6c));
        expect("outsb", level, level, CODE(&regs, 0x6e));
        __asm__ volatile("pushfq; pop %0" : "=r"(flags));
        EXPECT((flags & 0x3200) == 0x200, "RFLAGS 0x%lx at level %u", flags, level);
    }
}

static void bad_arguments(void)
{
    EXPECT_RETURN(set_level(0), 0);
    EXPECT_RETURN(set_level(4), -EINVAL);
    EXPECT_RETURN(set_level(UINT32_MAX), -EINVAL);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_set_iopl, NULL), -EFAULT);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_set_iopl, (void *)HYPERVISOR_VIRT_START), -EFAULT);
    EXPECT_RETURN(set_bitmap(0, 65537), -EINVAL);
    EXPECT_RETURN(set_bitmap(0, UINT32_MAX), -EINVAL);
    EXPECT_RETURN(physdev_op(PHYSDEVOP_set_iobitmap, NULL), -EFAULT);
    struct code_regs regs = {0};
    expect("cli", 0, false, CODE(&regs, 0xfa));
}

static bool opens(uint16_t port, uint32_t bytes)
{
    struct code_regs regs = {.rdx = port};
    struct trap_result seen = bytes == 1   ? CODE(&regs, 0xec)
                              : bytes == 2 ? CODE(&regs, 0x66, 0xed)
                                           : CODE(&regs, 0xed);
    return !seen.trapped;
}

static void bitmaps(void)
{
    static uint8_t bitmap[8192];
    memset(bitmap, 0xff, sizeof(bitmap));
    bitmap[0x80 / 8] = 0xfe;
    bitmap[0x608 / 8] = 0xf0;
    bitmap[0xfff8 / 8] = 0x7f;
    EXPECT_RETURN(set_bitmap(hypercall_pointer(bitmap), 65536), 0);
    for (uint32_t port = 0; port < 0x10000; port += port < 0x1000 ? 1 : 0x101)
        EXPECT(opens((uint16_t)port, 1) == !(bitmap[port / 8] >> port % 8 & 1), "port 0x%x", port);
    EXPECT(opens(0x608, 4) && !opens(0x609, 4) && !opens(0x607, 2) && opens(0x60a, 2),
           "the PM timer's ports");
    EXPECT(!opens(0xffff, 2) && !opens(0xffff, 4) && !opens(0xfffd, 4) && opens(0xffff, 1), "the last ports");

    EXPECT_RETURN(set_bitmap(hypercall_pointer(bitmap), 0x60a), 0);
    EXPECT(opens(0x608, 2) && !opens(0x608, 4) && !opens(0x60a, 1), "a bitmap that ends at 0x60a");
    bitmap[0x608 / 8] = 0xff; /* looked at when it is used */
    EXPECT(!opens(0x608, 2), "a bit that was set meanwhile");

    static const uint64_t nowhere[] = {0, HYPERVISOR_VIRT_START, 0xffff830000000000, 0x0000800000000000,
                                       UINT64_MAX};
    for (uint32_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        EXPECT_RETURN(set_bitmap(nowhere[i], 65536), 0);
        EXPECT(!opens(0x80, 1), "a bitmap at 0x%lx opens port 0x80", nowhere[i]);
    }
    EXPECT_RETURN(set_bitmap(0, 0), 0);
    EXPECT(!opens(0x80, 1), "no bitmap opens port 0x80");
}

void guest_main(void)
{
    levels();
    bad_arguments();
    bitmaps();
    EXPECT_RETURN(set_level(1), 0);
    report_success("ports are as the level and the bitmap have them");
}
