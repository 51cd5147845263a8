/* SPDX-License-Identifier: MIT */
/*
 * Rule: CPUID behind the prefix is the machine's answer without what needs ring 0 or a register that the
 * guest does not have; the hypervisor's leaves name the contract. Leaves and subleaves beyond are 0. OSXSAVE
 * is what CR4 has, the area of XSAVE is what the offered components need, and the local APIC stays.
 *
 * From: guest-abi/instructions.md; the x86-64 PV contract.
 *
 * Method: each leaf behind the prefix against the plain instruction, and every leaf up to beyond the last.
 *
 * Errors: none.
 *
 * run: default
 * run: poor-cpu cpu="qemu64"
 * run: broadwell cpu="Broadwell"
 */
#include "common/code.h"

struct leaf {
    uint32_t a, b, c, d;
};

static struct leaf forced(uint32_t number, uint32_t part)
{
    struct leaf leaf;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid"
                     : "=a"(leaf.a), "=b"(leaf.b), "=c"(leaf.c), "=d"(leaf.d)
                     : "0"(number), "2"(part));
    return leaf;
}

static struct leaf plain(uint32_t number, uint32_t part)
{
    struct leaf leaf;
    __asm__ volatile("cpuid"
                     : "=a"(leaf.a), "=b"(leaf.b), "=c"(leaf.c), "=d"(leaf.d)
                     : "0"(number), "2"(part));
    return leaf;
}

static bool is_zero(struct leaf leaf)
{
    return !(leaf.a | leaf.b | leaf.c | leaf.d);
}

static void features(void)
{
    uint64_t cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    struct leaf seen = forced(1, 0), machine = plain(1, 0);
    const uint32_t hidden_c =
        1u << 2 | 1u << 3 | 1u << 5 | 1u << 6 | 1u << 15 | 1u << 17 | 1u << 21 | 1u << 24;
    const uint32_t hidden_d = 1u << 3 | 1u << 12 | 1u << 13 | 1u << 17;
    EXPECT(!(seen.c & hidden_c), "leaf 1 ECX 0x%x", seen.c);
    EXPECT(!(seen.d & hidden_d), "leaf 1 EDX 0x%x", seen.d);
    EXPECT(seen.c >> 31, "no hypervisor: 0x%x", seen.c);
    EXPECT(seen.d & 1u << 9, "no APIC: 0x%x", seen.d);
    EXPECT(!(seen.c & ~(machine.c | 1u << 31)) && !(seen.d & ~machine.d) && seen.a == machine.a, "made up");
    EXPECT((seen.c >> 27 & 1) == (cr4 >> 18 & 1), "OSXSAVE in 0x%x, CR4 0x%lx", seen.c, cr4);
    const uint32_t plain_c = 1u << 0 | 1u << 1 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 19 | 1u << 20 |
                             1u << 23 | 1u << 25 | 1u << 26 | 1u << 28 | 1u << 30;
    EXPECT((seen.c & plain_c) == (machine.c & plain_c), "leaf 1 ECX 0x%x of 0x%x", seen.c, machine.c);

    seen = forced(7, 0);
    EXPECT(!(seen.b & (1u << 0 | 1u << 1 | 1u << 7 | 1u << 10 | 1u << 20)), "leaf 7 EBX 0x%x", seen.b);
    EXPECT(!(seen.c & (1u << 2 | 1u << 3 | 1u << 4 | 1u << 7 | 1u << 16)), "leaf 7 ECX 0x%x", seen.c);
    EXPECT(!(seen.d >> 24) && seen.a == 0, "leaf 7 EDX 0x%x", seen.d);
    EXPECT(is_zero(forced(7, 1)), "leaf 7.1");

    seen = forced(0x80000001, 0);
    EXPECT(!(seen.c & (1u << 2 | 1u << 10 | 1u << 12 | 1u << 22)), "leaf 0x80000001 ECX 0x%x", seen.c);
    EXPECT(!(seen.d & 1u << 26) && (seen.d & 1u << 29), "leaf 0x80000001 EDX 0x%x", seen.d);
    EXPECT(!(forced(0x80000008, 0).b & (1u << 12 | 1u << 14 | 1u << 24)), "speculation controls");
    EXPECT((forced(0x80000008, 0).a & 0xff) == (plain(0x80000008, 0).a & 0xff), "another address width");
}

static void hypervisor(void)
{
    struct leaf leaf = forced(0x40000000, 0);
    EXPECT(leaf.a == 0x40000005 && memcmp(&leaf.b, "XenV", 4) == 0 && memcmp(&leaf.c, "MMXe", 4) == 0 &&
               memcmp(&leaf.d, "nVMM", 4) == 0,
           "leaf 0x40000000 says 0x%x 0x%x 0x%x 0x%x", leaf.a, leaf.b, leaf.c, leaf.d);
    EXPECT(forced(0x40000001, 0).a == (uint32_t)xen_version(XENVER_version, NULL),
           "leaf 0x40000001 says 0x%x", forced(0x40000001, 0).a);
    EXPECT(is_zero(forced(0x40000002, 0)) && is_zero(forced(0x40000004, 0)), "leaves 2 and 4");
    leaf = forced(0x40000003, 0);
    EXPECT(leaf.a == 0 && leaf.b == 2 && leaf.c > 1000, "leaf 0x40000003 says 0x%x 0x%x 0x%x", leaf.a, leaf.b,
           leaf.c);
    EXPECT(forced(0x40000005, 0).b == (plain(0x80000008, 0).a & 0xff), "leaf 0x40000005 says 0x%x",
           forced(0x40000005, 0).b);
    for (uint32_t number = 0x40000006; number < 0x40010000; number += 0x33)
        EXPECT(is_zero(forced(number, 0)), "leaf 0x%x", number);
}

static void xsave(void)
{
    struct leaf seen = forced(0xd, 0), part;
    uint32_t size = 576;
    if (!(forced(1, 0).c >> 26 & 1)) {
        EXPECT(is_zero(seen), "leaf 0xd without XSAVE: 0x%x", seen.a);
        return;
    }
    EXPECT((seen.a & 3) == 3 && !(seen.a & ~plain(0xd, 0).a), "components 0x%x", seen.a);
    for (uint32_t i = 2; i < 63; i++) {
        part = forced(0xd, i);
        bool offered = i < 32 && (seen.a >> i & 1);
        EXPECT(offered == !is_zero(part), "component %u", i);
        if (offered && part.a + part.b > size)
            size = part.a + part.b;
    }
    EXPECT(seen.c == size, "the area has %u bytes, not %u", seen.c, size);
    EXPECT(!(forced(0xd, 1).a & ~7u) && forced(0xd, 1).c == 0 && forced(0xd, 1).d == 0, "supervisor states");
}

static void the_edge(void)
{
    uint32_t last = forced(0, 0).a, extended = forced(0x80000000, 0).a;
    EXPECT(last <= 0xd && last <= plain(0, 0).a, "the last leaf is 0x%x", last);
    EXPECT(extended <= 0x80000008 && extended >= 0x80000001, "the last leaf is 0x%x", extended);
    for (uint32_t number = last + 1; number < 0x40; number++)
        EXPECT(is_zero(forced(number, 0)), "leaf 0x%x", number);
    for (uint32_t number = extended + 1; number < 0x80000040; number++)
        EXPECT(is_zero(forced(number, 0)), "leaf 0x%x", number);
    EXPECT(is_zero(forced(5, 0)) && is_zero(forced(6, 0)) && is_zero(forced(0xa, 0)), "leaves 5, 6 and 0xa");
    EXPECT(is_zero(forced(UINT32_MAX, 0)) && is_zero(forced(0x20000000, 0)) && is_zero(forced(0xc0000000, 0)),
           "leaves far away");
    struct leaf vendor = forced(0, 0), machine = plain(0, 0);
    EXPECT(vendor.b == machine.b && vendor.c == machine.c && vendor.d == machine.d, "another vendor");
}

static void the_prefix_alone_is_ud(void)
{
    struct code_regs regs = {0};
    struct trap_result seen = CODE(&regs, 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa3);
    EXPECT(seen.trapped && seen.vector == TRAP_INVALID_OP && seen.rip == 0, "vector %u at +%lu", seen.vector,
           seen.rip);
}

void guest_main(void)
{
    features();
    hypervisor();
    xsave();
    the_edge();
    the_prefix_alone_is_ud();
    report_success("CPUID is policy");
}
