/* SPDX-License-Identifier: MIT */
/*
 * Rule: what a page of descriptors holds was judged, whichever call would write it: mmu_update does not.
 *
 * From: guest-abi/pv_memory.md, section 4 (-EINVAL: "in a descriptor page").
 *
 * Method: a call gate to ring 0 is written into a page of the GDT by mmu_update; if that works it is called.
 *
 * Errors: -EINVAL.
 *
 * run: default
 */
#include "common/rule.h"
#include "common/tables.h"

#define RING_0_CODE 0xe008ul
#define GATE        (0xecul << 40) /* present, for ring 3, of 64 bits */
#define GATE_INDEX  2u

extern uint64_t seen_cs;
uint64_t seen_cs;

__attribute__((naked, aligned(16))) static void in_ring_0(void)
{
    __asm__ volatile("push %rax\n\t"
                     "mov %cs, %rax\n\t"
                     "mov %rax, seen_cs(%rip)\n\t"
                     "pop %rax\n\t"
                     "lretq");
}

static void through_the_gate(void)
{
    const struct {
        uint32_t offset;
        uint16_t selector;
    } __attribute__((packed)) pointer = {0, GATE_INDEX * 8 | 3};

    __asm__ volatile(".byte 0xff, 0x18" : : "a"(&pointer) : "memory"); /* lcall *(%rax) */
    report_error("the guest has run with CS 0x%lx", seen_cs);
}

void guest_main(void)
{
    struct table gdt, l4;
    uint64_t target = (uint64_t)(uintptr_t)in_ring_0;
    uint64_t gate = (target & 0xffff) | RING_0_CODE << 16 | GATE | (target >> 16 & 0xffff) << 48;

    table_begin(&l4);
    table_seal(&l4);
    table_begin(&gdt);
    gdt.view[GATE_INDEX + 1] = target >> 32; /* not present by itself */
    table_seal(&gdt);
    EXPECT_RETURN(set_gdt(&gdt.mfn, TABLE_ENTRIES), 0);
    EXPECT_RETURN(update_descriptor(gdt.mfn << PAGE_SHIFT | GATE_INDEX * 8, gate), -EINVAL);
    long result = set_entry(gdt.mfn, GATE_INDEX, gate);
    if (gdt.view[GATE_INDEX] == gate)
        through_the_gate();
    EXPECT_RETURN(result, -EINVAL);
    EXPECT_RETURN(set_entry(gdt.mfn, GATE_INDEX, table_link(&l4)), -EINVAL);
    EXPECT_RETURN(gdt.view[GATE_INDEX], 0);
    EXPECT_RETURN(table_view(&l4, MAP_RAM), 0);
    report_success("mmu_update writes no descriptor");
}
