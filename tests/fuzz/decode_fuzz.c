/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry: a byte that chooses the code segment, then any bytes as code. What the decoder promises
 * about an instruction, and that its own bytes alone decide what it is.
 */
#include "must.h"
#include "pv/decode.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PREFIX_CS 0x2e

static bool is_width(uint32_t bytes)
{
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

static void check_fields(const struct insn *insn, size_t size, bool code64)
{
    uint32_t registers = code64 ? 16 : 8;
    bool store = insn->op >= INSN_STORES;

    must(insn->op > INSN_NONE && insn->op <= INSN_BTC);
    must(insn->length > 0 && insn->length <= INSN_MAX && insn->length <= size);
    must(is_width(insn->bytes) && (code64 || insn->bytes < 8));
    must(is_width(insn->address_bytes) && (code64 ? insn->address_bytes >= 4 : insn->address_bytes <= 4));
    must(insn->op > INSN_OUTS || insn->bytes <= 4);
    must(insn->reg < registers && insn->rm < registers);
    must(store || !insn->lock);
    must(store || (insn->base == INSN_NO_REGISTER && insn->index == INSN_NO_REGISTER));
    must(insn->base == INSN_NO_REGISTER || insn->base < registers);
    must(insn->index == INSN_NO_REGISTER || (insn->index < registers && insn->index != 4));
    must(is_width(insn->scale));
    must(!insn->rip_relative || (code64 && insn->base == INSN_NO_REGISTER));
    must(insn->has_immediate || insn->immediate == 0);
    must(store || (insn->immediate >= 0 && insn->immediate <= 0xff));
}

static bool same(const struct insn *a, const struct insn *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool decode(const uint8_t *code, size_t size, bool code64, struct insn *insn)
{
    memset(insn, 0, sizeof *insn); /* padding too */
    return insn_decode(code, size, code64, insn);
}

static void check_length(const uint8_t *code, const struct insn *insn, bool code64)
{
    uint8_t longer[INSN_MAX + 1] = {0}, prefixed[INSN_MAX + 1] = {PREFIX_CS};
    struct insn other;

    must(!decode(code, insn->length - 1u, code64, &other));
    must(decode(code, insn->length, code64, &other) && same(&other, insn));
    memcpy(longer, code, insn->length);
    must(decode(longer, sizeof longer, code64, &other) && same(&other, insn));

    memcpy(prefixed + 1, code, insn->length);
    bool decoded = decode(prefixed, sizeof prefixed, code64, &other);
    must(decoded == (insn->length < INSN_MAX));
    if (!decoded)
        return;
    other.length--;
    if (insn->segment == INSN_SEGMENT_DEFAULT)
        other.segment = INSN_SEGMENT_DEFAULT;
    must(same(&other, insn));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct insn insn;

    if (size == 0)
        return 0;
    bool code64 = data[0] & 1;
    if (!decode(data + 1, size - 1, code64, &insn))
        return 0;
    check_fields(&insn, size - 1, code64);
    check_length(data + 1, &insn, code64);
    return 0;
}
