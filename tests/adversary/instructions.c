/* SPDX-License-Identifier: MIT */
/* Instructions that only ring 0 has, and stores to what may be a table: what the hypervisor emulates or
 * reflects. */
#include "tests/adversary/calls.h"
#include "tests/adversary/choose.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

#define UD 6u
#define GP 13u
#define PF 14u

/* safe: a fragile world survives it whatever the registers are. */
struct form {
    uint8_t bytes[8], length, vector;
    bool safe, stores;
};
static const struct form forms[] = {
    {{0xfa}, 1, GP, true, false},                                  /* CLI */
    {{0xfb}, 1, GP, true, false},                                  /* STI */
    {{0xf4}, 1, GP, true, false},                                  /* HLT */
    {{0x0f, 0x09}, 2, GP, true, false},                            /* WBINVD */
    {{0x0f, 0x08}, 2, GP, true, false},                            /* INVD */
    {{0x0f, 0x06}, 2, GP, true, false},                            /* CLTS */
    {{0x0f, 0x32}, 2, GP, true, false},                            /* RDMSR */
    {{0x0f, 0x30}, 2, GP, true, false},                            /* WRMSR */
    {{0x0f, 0x33}, 2, GP, true, false},                            /* RDPMC */
    {{0x0f, 0x01, 0xd1}, 3, GP, true, false},                      /* XSETBV */
    {{0x0f, 0x20, 0xc0}, 3, GP, true, false},                      /* MOV from CR0 */
    {{0x0f, 0x20, 0xd8}, 3, GP, true, false},                      /* MOV from CR3 */
    {{0x44, 0x0f, 0x20, 0xc0}, 4, GP, true, false},                /* MOV from CR8 */
    {{0x0f, 0x22, 0xc0}, 3, GP, true, false},                      /* MOV to CR0 */
    {{0x0f, 0x22, 0xd8}, 3, GP, true, false},                      /* MOV to CR3 */
    {{0x0f, 0x22, 0xe0}, 3, GP, true, false},                      /* MOV to CR4 */
    {{0x0f, 0x21, 0xf0}, 3, GP, true, false},                      /* MOV from DR6 */
    {{0x0f, 0x23, 0xc0}, 3, GP, false, false},                     /* MOV to DR0 */
    {{0x0f, 0x23, 0xf8}, 3, GP, false, false},                     /* MOV to DR7 */
    {{0x0f, 0x01, 0x3f}, 3, GP, true, false},                      /* INVLPG */
    {{0x0f, 0x01, 0x17}, 3, GP, true, false},                      /* LGDT */
    {{0x0f, 0x00, 0xd8}, 3, GP, true, false},                      /* LTR */
    {{0x0f, 0x01, 0xf8}, 3, GP, true, false},                      /* SWAPGS */
    {{0xec}, 1, GP, true, false},                                  /* IN */
    {{0x66, 0xed}, 2, GP, true, false},                            /* IN, 16 bits */
    {{0xe5, 0x61}, 2, GP, true, false},                            /* IN, immediate */
    {{0xee}, 1, GP, false, false},                                 /* OUT */
    {{0xef}, 1, GP, false, false},                                 /* OUT, 32 bits */
    {{0x6c}, 1, GP, false, false},                                 /* INSB */
    {{0xf3, 0x6c}, 2, GP, false, false},                           /* REP INSB */
    {{0xf3, 0x6d}, 2, GP, false, false},                           /* REP INSD */
    {{0xf3, 0x6e}, 2, GP, false, false},                           /* REP OUTSB */
    {{0x67, 0xf3, 0x6c}, 3, GP, false, false},                     /* ... with 32 bits of address */
    {{0x0f, 0x0b}, 2, UD, true, false},                            /* UD2 */
    {{0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2}, 7, UD, true, false}, /* forced CPUID */
    {{0xf0, 0xfa}, 2, UD, true, false},                            /* LOCK CLI */
    {{0x48, 0x89, 0x07}, 3, PF, false, true},                      /* MOV of RAX to memory */
};

static uint64_t any_port(void)
{
    static const uint16_t ports[] = {0x20, 0x21, 0x40, 0x43,  0x61,  0x70,
                                     0x71, 0x80, 0x92, 0x3f8, 0x3fd, 0xcf8};

    return world.fragile || one_in(2) ? ports[below(COUNT(ports))] : any_word();
}

static uint64_t any_msr(void)
{
    static const uint32_t msrs[] = {0x10,       0x1b,       0x277,      0xc0000080,
                                    0xc0000081, 0xc0000082, 0xc0000100, 0xc0000102};

    return one_in(4) ? any_word() : msrs[below(COUNT(msrs))];
}

void execute_something(void)
{
    const struct form *form = &forms[below(COUNT(forms))];
    struct world_instruction instruction = {
        .length = form->length, .vector = form->vector, .stores = form->stores};

    if (world.fragile && !form->safe)
        return;
    for (uint32_t i = 0; i < form->length; i++)
        instruction.bytes[i] = form->bytes[i];
    instruction.rax = one_in(2) ? any_entry(1 + below(4)) : any_word();
    instruction.rdx = form->bytes[0] == 0x0f ? any_word() & 0xffffffff : any_port();
    instruction.rcx = form->bytes[0] == 0x0f ? any_msr() : one_in(8) ? any_word() : below(300);
    instruction.rdi = one_in(8) ? any_pointer(any_address()) : any_address();
    world_note("an instruction of ring 0");
    world_execute(&instruction);
}
