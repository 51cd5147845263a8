/* SPDX-License-Identifier: MIT */
/*
 * Instructions that are emulated, and no others: what ring 3 may not execute, and stores that a page table
 * may be edited with. A pure function over bytes.
 */
#ifndef SLUICE_PV_DECODE_H
#define SLUICE_PV_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSN_MAX         15u /* bytes; the processor refuses longer ones */
#define INSN_NO_REGISTER 0xffu

enum insn_op {
    INSN_NONE = 0,
    INSN_IN, /* port: the immediate, or DX without one */
    INSN_OUT,
    INSN_INS,
    INSN_OUTS,
    INSN_CLI,
    INSN_STI,
    INSN_CLTS,
    INSN_WBINVD,
    INSN_RDMSR,
    INSN_WRMSR,
    INSN_XSETBV,
    INSN_RDTSC,
    INSN_RDTSCP,
    INSN_MOV_FROM_CR, /* reg: the control or debug register; rm: the general one */
    INSN_MOV_TO_CR,
    INSN_MOV_FROM_DR,
    INSN_MOV_TO_DR,
    INSN_STORES, /* from here on: memory operand; source is the immediate, or reg without one */
    INSN_MOV = INSN_STORES,
    INSN_XCHG,
    INSN_CMPXCHG,
    INSN_ADD,
    INSN_OR,
    INSN_AND,
    INSN_XOR,
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
};

enum insn_segment {
    INSN_SEGMENT_DEFAULT = 0,
    INSN_SEGMENT_ES,
    INSN_SEGMENT_CS,
    INSN_SEGMENT_SS,
    INSN_SEGMENT_DS,
    INSN_SEGMENT_FS,
    INSN_SEGMENT_GS,
};

struct insn {
    uint8_t op;            /* enum insn_op */
    uint8_t length;        /* 1 to INSN_MAX */
    uint8_t bytes;         /* operand: 1, 2, 4 or 8 */
    uint8_t address_bytes; /* 2, 4 or 8 */
    uint8_t reg, rm;       /* 0 to 15 */
    uint8_t segment;       /* enum insn_segment: the override */
    bool lock;
    bool repeat; /* F2 or F3 */
    bool has_immediate;
    int64_t immediate; /* sign-extended; a port is not */
    /* The memory operand of a store. */
    uint8_t base, index; /* INSN_NO_REGISTER: none */
    uint8_t scale;       /* 1, 2, 4 or 8 */
    bool rip_relative;   /* to the next instruction */
    int32_t displacement;
};

/* As many low bits as the operand has. */
static inline uint64_t insn_mask(const struct insn *insn)
{
    return ~0ull >> (64 - 8u * insn->bytes);
}

/*
 * True when the size bytes at code begin with an instruction of the above, as the processor would decode it
 * in a 64-bit or 32-bit code segment. False for any other, for one that is cut short or longer than
 * INSN_MAX, and for what the processor refuses (LOCK where there is none to take); *insn is undefined then.
 */
bool insn_decode(const uint8_t *code, size_t size, bool code64, struct insn *insn);

#endif
