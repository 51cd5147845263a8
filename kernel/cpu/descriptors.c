/* SPDX-License-Identifier: MIT */
#include "cpu/descriptors.h"

#include "cpu/stack.h"
#include "cpu/trap.h"

#define VECTORS 256u

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "Intel SDM volume 3, 6.14.1");

struct task_state {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));
_Static_assert(sizeof(struct task_state) == 104, "Intel SDM volume 3, 7.7");

struct table_register {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

#define GATE_INTERRUPT 0x8e /* present, DPL 0, interrupts off on entry */
#define GATE_DPL3      0x60

/* Accessed bits are set, so that the CPU never writes here but for the task's busy bit. */
#define DESCRIPTOR_CODE   0x00af9b000000ffffull
#define DESCRIPTOR_DATA   0x00cf93000000ffffull
#define DESCRIPTOR_USER32 0x00cffb000000ffffull
#define DESCRIPTOR_USER   0x00cff3000000ffffull
#define DESCRIPTOR_USER64 0x00affb000000ffffull
#define DESCRIPTOR_TSS    0x0000890000000000ull
#define DESCRIPTOR_LDT    0x0000820000000000ull

#define SLOT(selector) (((selector)&0xfff) >> 3)
#define GDT_LIMIT      ((GDT_RESERVED_PAGE + 1) * 4096 - 1)

static uint64_t gdt_page[512] __attribute__((aligned(4096)));
static struct gate idt[VECTORS] __attribute__((aligned(4096)));
static struct task_state task_state __attribute__((aligned(128)));

/* entry.S: one stub a vector. */
extern const int32_t trap_stub_offsets[VECTORS];

/* A descriptor of two slots, with a limit in bytes. */
static void fill_system_slots(uint32_t slot, uint64_t descriptor, uint64_t base, uint32_t limit)
{
    gdt_page[slot] = descriptor | (limit & 0xffff) | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
    gdt_page[slot + 1] = base >> 32;
}

static void fill_gdt(void)
{
    gdt_page[SLOT(SELECTOR_CODE)] = DESCRIPTOR_CODE;
    gdt_page[SLOT(SELECTOR_DATA)] = DESCRIPTOR_DATA;
    gdt_page[SLOT(SELECTOR_USER32)] = DESCRIPTOR_USER32;
    gdt_page[SLOT(SELECTOR_USER_SS)] = DESCRIPTOR_USER;
    gdt_page[SLOT(SELECTOR_USER64)] = DESCRIPTOR_USER64;
    fill_system_slots(SLOT(SELECTOR_TSS), DESCRIPTOR_TSS, (uint64_t)(uintptr_t)&task_state,
                      sizeof(task_state) - 1);
}

static void fill_task_state(void)
{
    task_state.rsp[0] = stack_top(STACK_MAIN);
    for (unsigned i = STACK_NMI; i < STACK_COUNT; i++)
        task_state.ist[i - 1] = stack_top(i);
    task_state.io_map_base = sizeof(task_state); /* no map: every port access from ring 3 faults */
}

static uint8_t ist_of(uint32_t vector)
{
    switch (vector) {
    case TRAP_NMI:
        return STACK_NMI;
    case TRAP_DF:
        return STACK_DF;
    case TRAP_MC:
        return STACK_MC;
    case TRAP_DB:
        return STACK_DB;
    default:
        return 0;
    }
}

static void fill_idt(void)
{
    for (uint32_t vector = 0; vector < VECTORS; vector++) {
        uint64_t stub = (uint64_t)(uintptr_t)trap_stub_offsets + (uint64_t)trap_stub_offsets[vector];
        bool guest_may = vector == TRAP_BP || vector == TRAP_OF;
        idt[vector] = (struct gate){
            .offset_low = (uint16_t)stub,
            .selector = SELECTOR_CODE,
            .ist = ist_of(vector),
            .type = guest_may ? GATE_INTERRUPT | GATE_DPL3 : GATE_INTERRUPT,
            .offset_middle = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
}

static void load_segments(void)
{
    __asm__ volatile("push %q0\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "mov %1, %%ss\n\t"
                     "xor %%eax, %%eax\n\t"
                     "mov %%eax, %%ds\n\t"
                     "mov %%eax, %%es\n\t"
                     "mov %%eax, %%fs\n\t"
                     "mov %%eax, %%gs\n\t"
                     "lldt %%ax"
                     :
                     : "r"((uint64_t)SELECTOR_CODE), "r"(SELECTOR_DATA)
                     : "rax", "memory");
}

void descriptors_init(void)
{
    fill_gdt();
    fill_task_state();
    fill_idt();
    descriptors_move_gdt((uint64_t)(uintptr_t)gdt_page - GDT_RESERVED_PAGE * 4096);
    load_segments();
    struct table_register idtr = {sizeof(idt) - 1, (uint64_t)(uintptr_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
}

const void *descriptors_gdt_page(void)
{
    return gdt_page;
}

void descriptors_move_gdt(uint64_t base)
{
    struct table_register gdtr = {GDT_LIMIT, base};
    __asm__ volatile("lgdt %0" : : "m"(gdtr));
}

void descriptors_load_ldt(uint64_t base, uint32_t entries)
{
    if (entries != 0)
        fill_system_slots(SLOT(SELECTOR_LDT), DESCRIPTOR_LDT, base, entries * 8 - 1);
    __asm__ volatile("lldt %w0" : : "r"(entries != 0 ? SELECTOR_LDT : 0) : "memory");
}
