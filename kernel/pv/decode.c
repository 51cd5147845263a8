/* SPDX-License-Identifier: MIT */
/* The decoder's table, and how an instruction is put together: Intel SDM volume 2, chapter 2. */
#include "pv/decode.h"

enum form {
    FORM_PLAIN,
    FORM_PORT,           /* an immediate byte without a sign */
    FORM_THIRD_BYTE,     /* the extension is a whole byte */
    FORM_SYSTEM,         /* ModRM names two registers, whatever its mode bits say */
    FORM_STORE,          /* ModRM: memory and a register */
    FORM_STORE_BYTE,     /* ModRM: memory; an immediate byte */
    FORM_STORE_IMMEDIATE /* ModRM: memory; an immediate of the operand's size, at most 4 bytes */
};

#define SIZED     0x1u /* bit 0 of the opcode clear: bytes */
#define NO_WIDE   0x2u /* REX.W widens nothing */
#define LOCKABLE  0x4u
#define REPEAT    0x8u  /* F2 and F3 have a meaning, or none */
#define EXTENSION 0x10u /* ModRM.reg is part of the opcode */

struct pattern {
    uint16_t opcode; /* 0x0f00 and up: the two-byte map */
    uint8_t op, form, flags, extension;
};

#define TWO(opcode)  (0x0f00u | (opcode))
#define PORT_FLAGS   (SIZED | NO_WIDE | REPEAT)
#define STORE_FLAGS  (SIZED | REPEAT)
#define LOCKED_FLAGS (STORE_FLAGS | LOCKABLE)
#define GROUP_FLAGS  (LOCKED_FLAGS | EXTENSION)
#define BIT_FLAGS    (REPEAT | LOCKABLE)

/* Opcodes of SIZED patterns have bit 0 clear. The most frequent come first. */
static const struct pattern patterns[] = {
    {0xec, INSN_IN, FORM_PLAIN, PORT_FLAGS, 0},
    {0xee, INSN_OUT, FORM_PLAIN, PORT_FLAGS, 0},
    {TWO(0x32), INSN_RDMSR, FORM_PLAIN, 0, 0},
    {0x88, INSN_MOV, FORM_STORE, STORE_FLAGS, 0},
    {0xe4, INSN_IN, FORM_PORT, PORT_FLAGS, 0},
    {0xe6, INSN_OUT, FORM_PORT, PORT_FLAGS, 0},
    {0xfa, INSN_CLI, FORM_PLAIN, REPEAT, 0},
    {0xfb, INSN_STI, FORM_PLAIN, REPEAT, 0},
    {TWO(0x30), INSN_WRMSR, FORM_PLAIN, 0, 0},
    {TWO(0x20), INSN_MOV_FROM_CR, FORM_SYSTEM, 0, 0},
    {TWO(0x22), INSN_MOV_TO_CR, FORM_SYSTEM, 0, 0},
    {TWO(0x21), INSN_MOV_FROM_DR, FORM_SYSTEM, 0, 0},
    {TWO(0x23), INSN_MOV_TO_DR, FORM_SYSTEM, 0, 0},
    {TWO(0x06), INSN_CLTS, FORM_PLAIN, 0, 0},
    {TWO(0x09), INSN_WBINVD, FORM_PLAIN, 0, 0},
    {TWO(0x01), INSN_XSETBV, FORM_THIRD_BYTE, 0, 0xd1},
    {TWO(0x01), INSN_RDTSCP, FORM_THIRD_BYTE, 0, 0xf9},
    {TWO(0x31), INSN_RDTSC, FORM_PLAIN, 0, 0},
    {0x6c, INSN_INS, FORM_PLAIN, PORT_FLAGS, 0},
    {0x6e, INSN_OUTS, FORM_PLAIN, PORT_FLAGS, 0},
    {0xc6, INSN_MOV, FORM_STORE_IMMEDIATE, STORE_FLAGS | EXTENSION, 0},
    {0x86, INSN_XCHG, FORM_STORE, LOCKED_FLAGS, 0},
    {TWO(0xb0), INSN_CMPXCHG, FORM_STORE, LOCKED_FLAGS, 0},
    {0x00, INSN_ADD, FORM_STORE, LOCKED_FLAGS, 0},
    {0x08, INSN_OR, FORM_STORE, LOCKED_FLAGS, 0},
    {0x20, INSN_AND, FORM_STORE, LOCKED_FLAGS, 0},
    {0x30, INSN_XOR, FORM_STORE, LOCKED_FLAGS, 0},
    {0x80, INSN_ADD, FORM_STORE_IMMEDIATE, GROUP_FLAGS, 0},
    {0x80, INSN_OR, FORM_STORE_IMMEDIATE, GROUP_FLAGS, 1},
    {0x80, INSN_AND, FORM_STORE_IMMEDIATE, GROUP_FLAGS, 4},
    {0x80, INSN_XOR, FORM_STORE_IMMEDIATE, GROUP_FLAGS, 6},
    {0x83, INSN_ADD, FORM_STORE_BYTE, GROUP_FLAGS & ~SIZED, 0},
    {0x83, INSN_OR, FORM_STORE_BYTE, GROUP_FLAGS & ~SIZED, 1},
    {0x83, INSN_AND, FORM_STORE_BYTE, GROUP_FLAGS & ~SIZED, 4},
    {0x83, INSN_XOR, FORM_STORE_BYTE, GROUP_FLAGS & ~SIZED, 6},
    {TWO(0xab), INSN_BTS, FORM_STORE, BIT_FLAGS, 0},
    {TWO(0xb3), INSN_BTR, FORM_STORE, BIT_FLAGS, 0},
    {TWO(0xbb), INSN_BTC, FORM_STORE, BIT_FLAGS, 0},
    {TWO(0xba), INSN_BTS, FORM_STORE_BYTE, BIT_FLAGS | EXTENSION, 5},
    {TWO(0xba), INSN_BTR, FORM_STORE_BYTE, BIT_FLAGS | EXTENSION, 6},
    {TWO(0xba), INSN_BTC, FORM_STORE_BYTE, BIT_FLAGS | EXTENSION, 7},
};

#define REX_W 0x8u
#define REX_R 0x4u
#define REX_X 0x2u
#define REX_B 0x1u

struct decoder {
    const uint8_t *code;
    size_t size, at;
    bool code64, cut_short;
    bool operand_size, address_size; /* prefixes 66 and 67 */
    uint8_t rex;                     /* 0: none */
    struct insn *insn;
};

static uint8_t next_byte(struct decoder *d)
{
    if (d->at < d->size)
        return d->code[d->at++];
    d->cut_short = true;
    return 0;
}

/* Little-endian and signed; bytes is 1, 2 or 4. */
static int32_t next_signed(struct decoder *d, uint32_t bytes)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint32_t)next_byte(d) << 8 * i;
    return bytes == 1 ? (int8_t)value : bytes == 2 ? (int16_t)value : (int32_t)value;
}

/* ---- prefixes and opcode ---- */

/* Ignored in 64-bit code, where it does not take FS or GS back either. */
static bool take_old_segment(struct decoder *d, enum insn_segment segment)
{
    if (!d->code64)
        d->insn->segment = (uint8_t)segment;
    return true;
}

static bool take_prefix(struct decoder *d, uint8_t byte)
{
    switch (byte) {
    case 0x26:
        return take_old_segment(d, INSN_SEGMENT_ES);
    case 0x2e:
        return take_old_segment(d, INSN_SEGMENT_CS);
    case 0x36:
        return take_old_segment(d, INSN_SEGMENT_SS);
    case 0x3e:
        return take_old_segment(d, INSN_SEGMENT_DS);
    case 0x64:
        d->insn->segment = INSN_SEGMENT_FS;
        return true;
    case 0x65:
        d->insn->segment = INSN_SEGMENT_GS;
        return true;
    case 0x66:
        d->operand_size = true;
        return true;
    case 0x67:
        d->address_size = true;
        return true;
    case 0xf0:
        d->insn->lock = true;
        return true;
    case 0xf2:
    case 0xf3:
        d->insn->repeat = true;
        return true;
    default:
        return false;
    }
}

/* A REX prefix counts only when the opcode follows it. */
static uint16_t next_opcode(struct decoder *d)
{
    for (;;) {
        uint8_t byte = next_byte(d);

        if (d->code64 && (byte & 0xf0) == 0x40)
            d->rex = byte;
        else if (take_prefix(d, byte))
            d->rex = 0;
        else
            return byte == 0x0f ? (uint16_t)TWO(next_byte(d)) : byte;
    }
}

static const struct pattern *find(uint16_t opcode, uint8_t following)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        const struct pattern *pattern = &patterns[i];

        if ((opcode & ~(pattern->flags & SIZED)) != pattern->opcode)
            continue;
        if ((pattern->flags & EXTENSION) && (following >> 3 & 7) != pattern->extension)
            continue;
        if (pattern->form == FORM_THIRD_BYTE && following != pattern->extension)
            continue;
        return pattern;
    }
    return NULL;
}

static uint8_t operand_bytes(const struct decoder *d, const struct pattern *pattern, uint16_t opcode)
{
    if ((pattern->flags & SIZED) && !(opcode & 1))
        return 1;
    if (pattern->form == FORM_SYSTEM)
        return d->code64 ? 8 : 4;
    if ((d->rex & REX_W) && !(pattern->flags & NO_WIDE))
        return 8;
    return d->operand_size ? 2 : 4;
}

/* ---- operands ---- */

/* Bytes of the displacement that the mode calls for. */
static uint32_t displacement_bytes(uint8_t mode)
{
    return mode == 1 ? 1 : mode == 2 ? 4 : 0;
}

/* The scaled-index byte. Register 4 is no index, and base 5 in mode 0 is none but a displacement. */
static uint32_t decode_sib(struct decoder *d, uint8_t mode)
{
    struct insn *insn = d->insn;
    uint8_t sib = next_byte(d);
    uint8_t index = (uint8_t)((sib >> 3 & 7) | (d->rex & REX_X) << 2);

    insn->scale = (uint8_t)(1u << (sib >> 6));
    if (index != 4)
        insn->index = index;
    if ((sib & 7) == 5 && mode == 0)
        return 4;
    insn->base = (uint8_t)((sib & 7) | (d->rex & REX_B) << 3);
    return displacement_bytes(mode);
}

/* False for a register operand, and for 16-bit addresses, which are not worth their rules. */
static bool decode_memory(struct decoder *d, uint8_t modrm)
{
    struct insn *insn = d->insn;
    uint8_t mode = modrm >> 6, rm = modrm & 7;
    uint32_t bytes = displacement_bytes(mode);

    if (mode == 3 || insn->address_bytes == 2)
        return false;
    if (rm == 4) {
        bytes = decode_sib(d, mode);
    } else if (rm == 5 && mode == 0) {
        insn->rip_relative = d->code64;
        bytes = 4;
    } else {
        insn->base = (uint8_t)(rm | (d->rex & REX_B) << 3);
    }
    insn->displacement = next_signed(d, bytes);
    return true;
}

static void take_immediate(struct decoder *d, int32_t value)
{
    d->insn->has_immediate = true;
    d->insn->immediate = value;
}

/* Without REX, byte registers 4 to 7 are AH to BH. */
static bool names_high_byte(const struct decoder *d)
{
    return d->insn->bytes == 1 && d->rex == 0 && d->insn->reg >= 4;
}

static bool decode_modrm(struct decoder *d, const struct pattern *pattern)
{
    struct insn *insn = d->insn;
    uint8_t modrm = next_byte(d);

    insn->reg = (uint8_t)((modrm >> 3 & 7) | (d->rex & REX_R) << 1);
    insn->rm = (uint8_t)((modrm & 7) | (d->rex & REX_B) << 3);
    switch (pattern->form) {
    case FORM_SYSTEM:
        return true;
    case FORM_STORE:
        return decode_memory(d, modrm) && !names_high_byte(d);
    default:
        if (!decode_memory(d, modrm))
            return false;
        take_immediate(d, next_signed(d, pattern->form == FORM_STORE_BYTE || insn->bytes == 1 ? 1
                                         : insn->bytes == 2                                   ? 2
                                                                                              : 4));
        return true;
    }
}

static bool decode_operands(struct decoder *d, const struct pattern *pattern)
{
    switch (pattern->form) {
    case FORM_PLAIN:
        return true;
    case FORM_PORT:
        take_immediate(d, next_byte(d));
        return true;
    case FORM_THIRD_BYTE: /* 66 would make it another instruction */
        (void)next_byte(d);
        return !d->operand_size;
    default:
        return decode_modrm(d, pattern);
    }
}

bool insn_decode(const uint8_t *code, size_t size, bool code64, struct insn *insn)
{
    struct decoder d = {
        .code = code, .size = size < INSN_MAX ? size : INSN_MAX, .code64 = code64, .insn = insn};

    *insn = (struct insn){.base = INSN_NO_REGISTER, .index = INSN_NO_REGISTER, .scale = 1};

    uint16_t opcode = next_opcode(&d);
    const struct pattern *pattern = d.cut_short ? NULL : find(opcode, d.at < d.size ? d.code[d.at] : 0);

    if (!pattern || (insn->lock && !(pattern->flags & LOCKABLE)) ||
        (insn->repeat && !(pattern->flags & REPEAT)))
        return false;
    insn->op = pattern->op;
    insn->bytes = operand_bytes(&d, pattern, opcode);
    insn->address_bytes = code64 ? (d.address_size ? 4 : 8) : (d.address_size ? 2 : 4);
    if (!decode_operands(&d, pattern) || d.cut_short)
        return false;
    insn->length = (uint8_t)d.at;
    return true;
}
