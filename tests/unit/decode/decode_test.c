/* SPDX-License-Identifier: MIT */
/* The decoder against encodings that an assembler made, and against what the processor refuses. */
#include "pv/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Bits of the code segment, text for the assembler, its bytes, and what the decoder is to say: see show(). */
static const struct known {
    uint8_t bits;
    const char *text, *code, *insn;
} known[] = {
    {64, "inb $0x80, %al", "e4 80", "in 1 #128"},
    {64, "inl $0x80, %eax", "e5 80", "in 4 #128"},
    {64, "inw $0xff, %ax", "66 e5 ff", "in 2 #255"},
    {64, "outb %al, $0xff", "e6 ff", "out 1 #255"},
    {64, "outw %ax, $0x10", "66 e7 10", "out 2 #16"},
    {64, "outl %eax, $0x10", "e7 10", "out 4 #16"},
    {64, "inb %dx, %al", "ec", "in 1"},
    {64, "inw %dx, %ax", "66 ed", "in 2"},
    {64, "inl %dx, %eax", "ed", "in 4"},
    {64, "outb %al, %dx", "ee", "out 1"},
    {64, "outw %ax, %dx", "66 ef", "out 2"},
    {64, "outl %eax, %dx", "ef", "out 4"},
    {64, "insb", "6c", "ins 1"},
    {64, "rep insw", "f3 66 6d", "rep ins 2"},
    {64, "rep insl", "f3 6d", "rep ins 4"},
    {64, "outsb", "6e", "outs 1"},
    {64, "rep outsw", "f3 66 6f", "rep outs 2"},
    {64, "rep outsl", "f3 6f", "rep outs 4"},
    {64, "addr32 rep insb", "67 f3 6c", "rep ins 1 a4"},
    {64, "rep outsb %gs:(%rsi), %dx", "f3 65 6e", "rep outs 1 gs"},
    {64, "outsl %fs:(%rsi), %dx", "64 6f", "outs 4 fs"},
    {64, "cli", "fa", "cli 4"},
    {64, "sti", "fb", "sti 4"},
    {64, "clts", "0f 06", "clts 4"},
    {64, "wbinvd", "0f 09", "wbinvd 4"},
    {64, "rdmsr", "0f 32", "rdmsr 4"},
    {64, "wrmsr", "0f 30", "wrmsr 4"},
    {64, "xsetbv", "0f 01 d1", "xsetbv 4"},
    {64, "rdtsc", "0f 31", "rdtsc 4"},
    {64, "rdtscp", "0f 01 f9", "rdtscp 4"},
    {64, "mov %cr0, %rax", "0f 20 c0", "mov_from_cr 8 r0 r0"},
    {64, "mov %cr4, %r15", "41 0f 20 e7", "mov_from_cr 8 r4 r15"},
    {64, "mov %cr8, %rdi", "44 0f 20 c7", "mov_from_cr 8 r8 r7"},
    {64, "mov %rsp, %cr3", "0f 22 dc", "mov_to_cr 8 r3 r4"},
    {64, "mov %r8, %cr4", "41 0f 22 e0", "mov_to_cr 8 r4 r8"},
    {64, "mov %db7, %rcx", "0f 21 f9", "mov_from_dr 8 r7 r1"},
    {64, "mov %r9, %db6", "41 0f 23 f1", "mov_to_dr 8 r6 r9"},
    {64, "mov %rax, %db0", "0f 23 c0", "mov_to_dr 8 r0 r0"},
    {64, "mov %rax, (%rbx)", "48 89 03", "mov 8 r0 [r3+0]"},
    {64, "mov %r15, (%r12)", "4d 89 3c 24", "mov 8 r15 [r12+0]"},
    {64, "mov %rcx, 0x7f(%rbp)", "48 89 4d 7f", "mov 8 r1 [r5+127]"},
    {64, "mov %rcx, -0x80(%r13)", "49 89 4d 80", "mov 8 r1 [r13+-128]"},
    {64, "mov %rdx, 0x12345678(%rsp)", "48 89 94 24 78 56 34 12", "mov 8 r2 [r4+305419896]"},
    {64, "mov %rsi, -0x80000000(%r8,%r9,8)", "4b 89 b4 c8 00 00 00 80", "mov 8 r6 [r8+r9*8+-2147483648]"},
    {64, "mov %rdi, (%rax,%r12,2)", "4a 89 3c 60", "mov 8 r7 [r0+r12*2+0]"},
    {64, "mov %rdi, 0x10(,%rcx,4)", "48 89 3c 8d 10 00 00 00", "mov 8 r7 [r1*4+16]"},
    {64, "mov %rax, 0x1000", "48 89 04 25 00 10 00 00", "mov 8 r0 [4096]"},
    {64, "mov %rax, 0x100(%rip)", "48 89 05 00 01 00 00", "mov 8 r0 [rip+256]"},
    {64, "mov %rax, (%rbp,%rax,1)", "48 89 44 05 00", "mov 8 r0 [r5+r0*1+0]"},
    {64, "mov %rax, (%r13,%rax,1)", "49 89 44 05 00", "mov 8 r0 [r13+r0*1+0]"},
    {64, "mov %eax, (%rbx)", "89 03", "mov 4 r0 [r3+0]"},
    {64, "mov %ax, (%rbx)", "66 89 03", "mov 2 r0 [r3+0]"},
    {64, "mov %al, (%rbx)", "88 03", "mov 1 r0 [r3+0]"},
    {64, "mov %sil, (%rbx)", "40 88 33", "mov 1 r6 [r3+0]"},
    {64, "mov %r9b, (%rbx)", "44 88 0b", "mov 1 r9 [r3+0]"},
    {64, "mov %rax, (%ebx)", "67 48 89 03", "mov 8 r0 [r3+0] a4"},
    {64, "mov %rax, %gs:0x28(%rbx)", "65 48 89 43 28", "mov 8 r0 [r3+40] gs"},
    {64, "movq $-2, (%rdi)", "48 c7 07 fe ff ff ff", "mov 8 #-2 [r7+0]"},
    {64, "movq $0x7fffffff, 0x8(%rip)", "48 c7 05 08 00 00 00 ff ff ff 7f", "mov 8 #2147483647 [rip+8]"},
    {64, "movl $0x12345678, (%rdi)", "c7 07 78 56 34 12", "mov 4 #305419896 [r7+0]"},
    {64, "movw $-3, (%rdi)", "66 c7 07 fd ff", "mov 2 #-3 [r7+0]"},
    {64, "movb $-4, 1(%rdi)", "c6 47 01 fc", "mov 1 #-4 [r7+1]"},
    {64, "xchg %rax, (%rdx)", "48 87 02", "xchg 8 r0 [r2+0]"},
    {64, "lock xchg %r10, (%rdx)", "f0 4c 87 12", "lock xchg 8 r10 [r2+0]"},
    {64, "cmpxchg %rbx, (%rcx)", "48 0f b1 19", "cmpxchg 8 r3 [r1+0]"},
    {64, "lock cmpxchg %r8, 8(%rsp)", "f0 4c 0f b1 44 24 08", "lock cmpxchg 8 r8 [r4+8]"},
    {64, "lock cmpxchg %bl, (%rcx)", "f0 0f b0 19", "lock cmpxchg 1 r3 [r1+0]"},
    {64, "lock addq $8, (%rax)", "f0 48 83 00 08", "lock add 8 #8 [r0+0]"},
    {64, "add %rax, (%rbx)", "48 01 03", "add 8 r0 [r3+0]"},
    {64, "orq $0x12345678, (%rax)", "48 81 08 78 56 34 12", "or 8 #305419896 [r0+0]"},
    {64, "lock or %r11, (%rax)", "f0 4c 09 18", "lock or 8 r11 [r0+0]"},
    {64, "lock andq $-3, (%rax)", "f0 48 83 20 fd", "lock and 8 #-3 [r0+0]"},
    {64, "andq $-0x1001, (%r9)", "49 81 21 ff ef ff ff", "and 8 #-4097 [r9+0]"},
    {64, "and %rbp, (%rbx)", "48 21 2b", "and 8 r5 [r3+0]"},
    {64, "lock andb $-3, (%rdi)", "f0 80 27 fd", "lock and 1 #-3 [r7+0]"},
    {64, "andw $0x1234, (%rdi)", "66 81 27 34 12", "and 2 #4660 [r7+0]"},
    {64, "xorq $1, (%rax)", "48 83 30 01", "xor 8 #1 [r0+0]"},
    {64, "xor %rsi, (%rbx)", "48 31 33", "xor 8 r6 [r3+0]"},
    {64, "lock btsq $6, (%rax)", "f0 48 0f ba 28 06", "lock bts 8 #6 [r0+0]"},
    {64, "lock btrq $1, 0x10(%r14)", "f0 49 0f ba 76 10 01", "lock btr 8 #1 [r14+16]"},
    {64, "btcq $63, (%rax)", "48 0f ba 38 3f", "btc 8 #63 [r0+0]"},
    {64, "lock bts %rcx, (%rax)", "f0 48 0f ab 08", "lock bts 8 r1 [r0+0]"},
    {64, "btr %rcx, (%rax)", "48 0f b3 08", "btr 8 r1 [r0+0]"},
    {64, "lock btc %r9, (%rax)", "f0 4c 0f bb 08", "lock btc 8 r9 [r0+0]"},
    {32, "inl %dx, %eax", "ed", "in 4"},
    {32, "inw %dx, %ax", "66 ed", "in 2"},
    {32, "outb %al, $0x80", "e6 80", "out 1 #128"},
    {32, "cli", "fa", "cli 4"},
    {32, "rdmsr", "0f 32", "rdmsr 4"},
    {32, "mov %cr4, %ebx", "0f 20 e3", "mov_from_cr 4 r4 r3"},
    {32, "mov %eax, %cr0", "0f 22 c0", "mov_to_cr 4 r0 r0"},
    {32, "movl %ecx, 0x1000", "89 0d 00 10 00 00", "mov 4 r1 [4096]"},
    {32, "lock xchg %eax, 4(%esp)", "f0 87 44 24 04", "lock xchg 4 r0 [r4+4]"},
    {32, "andl $-3, (%esi,%edi,4)", "83 24 be fd", "and 4 #-3 [r6+r7*4+0]"},
};
#define KNOWN (sizeof known / sizeof known[0])

static const char *const names[] = {
    [INSN_IN] = "in",
    [INSN_OUT] = "out",
    [INSN_INS] = "ins",
    [INSN_OUTS] = "outs",
    [INSN_CLI] = "cli",
    [INSN_STI] = "sti",
    [INSN_CLTS] = "clts",
    [INSN_WBINVD] = "wbinvd",
    [INSN_RDMSR] = "rdmsr",
    [INSN_WRMSR] = "wrmsr",
    [INSN_XSETBV] = "xsetbv",
    [INSN_RDTSC] = "rdtsc",
    [INSN_RDTSCP] = "rdtscp",
    [INSN_MOV_FROM_CR] = "mov_from_cr",
    [INSN_MOV_TO_CR] = "mov_to_cr",
    [INSN_MOV_FROM_DR] = "mov_from_dr",
    [INSN_MOV_TO_DR] = "mov_to_dr",
    [INSN_MOV] = "mov",
    [INSN_XCHG] = "xchg",
    [INSN_CMPXCHG] = "cmpxchg",
    [INSN_ADD] = "add",
    [INSN_OR] = "or",
    [INSN_AND] = "and",
    [INSN_XOR] = "xor",
    [INSN_BTS] = "bts",
    [INSN_BTR] = "btr",
    [INSN_BTC] = "btc",
};

static void add(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(char *text, const char *format, ...)
{
    size_t length = strlen(text);
    va_list values;

    va_start(values, format);
    vsnprintf(text + length, 128 - length, format, values);
    va_end(values);
}

static void show_memory(char *text, const struct insn *insn)
{
    add(text, " [%s", insn->rip_relative ? "rip+" : "");
    if (insn->base != INSN_NO_REGISTER)
        add(text, "r%u+", insn->base);
    if (insn->index != INSN_NO_REGISTER)
        add(text, "r%u*%u+", insn->index, insn->scale);
    add(text, "%d]", insn->displacement);
}

/* "[lock|rep] operation bytes [registers|#immediate] [memory] [segment] [aN]". */
static void show(char text[128], const struct insn *insn, uint32_t bits)
{
    bool store = insn->op >= INSN_STORES;

    text[0] = 0;
    add(text, "%s%s%s %u", insn->lock ? "lock " : "", insn->repeat ? "rep " : "", names[insn->op],
        insn->bytes);
    if (insn->op >= INSN_MOV_FROM_CR && insn->op <= INSN_MOV_TO_DR)
        add(text, " r%u r%u", insn->reg, insn->rm);
    if (insn->has_immediate)
        add(text, " #%lld", (long long)insn->immediate);
    else if (store)
        add(text, " r%u", insn->reg);
    if (store)
        show_memory(text, insn);
    if (insn->segment >= INSN_SEGMENT_FS)
        add(text, insn->segment == INSN_SEGMENT_FS ? " fs" : " gs");
    if (insn->address_bytes != bits / 8)
        add(text, " a%u", insn->address_bytes);
}

static size_t parse(const char *hex, uint8_t *code)
{
    size_t size = 0;

    for (char *end; *hex; hex = end)
        code[size++] = (uint8_t)strtoul(hex, &end, 16);
    return size;
}

static void assert_decodes(const struct known *row, const uint8_t *code, size_t size)
{
    struct insn insn;
    char text[128];

    if (!insn_decode(code, size, row->bits == 64, &insn))
        fail_msg("%s: not decoded", row->text);
    show(text, &insn, row->bits);
    if (strcmp(text, row->insn) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", row->text, text, row->insn);
}

/* Cut short nowhere, and what follows does not matter. */
static void test_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        uint8_t code[INSN_MAX] = {0};
        size_t length = parse(known[i].code, code);
        uint8_t *exact = malloc(length);
        struct insn insn;

        memcpy(exact, code, length);
        for (size_t size = 0; size < length; size++)
            assert_false(insn_decode(exact, size, known[i].bits == 64, &insn));
        assert_decodes(&known[i], exact, length);
        assert_decodes(&known[i], code, sizeof code);
        assert_true(insn_decode(code, sizeof code, known[i].bits == 64, &insn));
        assert_int_equal(insn.length, length);
        free(exact);
    }
}

static void test_prefixes_up_to_15_bytes(void **state)
{
    static const uint8_t harmless[] = {0x26, 0x2e, 0x36, 0x3e};

    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        for (size_t count = 1; count <= INSN_MAX; count++) {
            uint8_t code[2 * INSN_MAX + 1] = {0};
            struct insn insn;

            for (size_t j = 0; j < count; j++)
                code[j] = harmless[(i + j) % sizeof harmless];
            size_t length = count + parse(known[i].code, code + count);
            if (insn_decode(code, sizeof code, known[i].bits == 64, &insn) != (length <= INSN_MAX))
                fail_msg("%s behind %zu prefixes", known[i].text, count);
            if (length <= INSN_MAX)
                assert_int_equal(insn.length, length);
        }
    }
}

static const struct {
    uint8_t bits;
    const char *why, *code;
} refused[] = {
    {64, "lock in", "f0 ec"},
    {64, "lock cli", "f0 fa"},
    {64, "lock mov to memory", "f0 48 89 03"},
    {64, "lock mov to cr0", "f0 0f 22 c0"},
    {64, "rep rdmsr", "f3 0f 32"},
    {64, "wbnoinvd", "f3 0f 09"},
    {64, "invd", "0f 08"},
    {64, "hlt", "f4"},
    {64, "rdpmc", "0f 33"},
    {64, "invlpg", "0f 01 38"},
    {64, "lmsw", "0f 01 f0"},
    {64, "smsw", "0f 01 e0"},
    {64, "xgetbv", "0f 01 d0"},
    {64, "66 xsetbv", "66 0f 01 d1"},
    {64, "swapgs", "0f 01 f8"},
    {64, "66 rdtscp", "66 0f 01 f9"},
    {64, "rep rdtsc", "f3 0f 31"},
    {64, "lgdt", "0f 01 10"},
    {64, "ltr", "0f 00 d8"},
    {64, "sysret", "48 0f 07"},
    {64, "mov between registers", "48 89 c3"},
    {64, "xchg between registers", "48 87 c3"},
    {64, "mov %ah to memory", "88 23"},
    {64, "mov from memory", "48 8b 03"},
    {64, "sub to memory", "48 29 03"},
    {64, "cmp with memory", "48 83 38 01"},
    {64, "bt of memory", "48 0f ba 20 01"},
    {64, "xabort", "c6 f8 00"},
    {64, "c6 with another extension", "c6 08 00"},
    {32, "inc in 32-bit code", "48 89 03"},
    {32, "16-bit addressing", "67 89 07"},
    {64, "nothing but prefixes", "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        uint8_t code[INSN_MAX];
        struct insn insn;

        if (insn_decode(code, parse(refused[i].code, code), refused[i].bits == 64, &insn))
            fail_msg("%s: decoded as operation %u", refused[i].why, insn.op);
    }
}

/* REX counts next to the opcode only; 66 loses to REX.W; the last of two segment prefixes counts. */
static void test_order_of_prefixes(void **state)
{
    static const uint8_t stray_rex[] = {0x4c, 0x66, 0x89, 0x03}, wide[] = {0x66, 0x48, 0x89, 0x03},
                         segments[] = {0x64, 0x65, 0x6e}, two_rex[] = {0x4f, 0x48, 0x89, 0x03};
    struct insn insn;

    (void)state;
    assert_true(insn_decode(stray_rex, sizeof stray_rex, true, &insn));
    assert_int_equal(insn.bytes, 2);
    assert_int_equal(insn.reg, 0);
    assert_true(insn_decode(wide, sizeof wide, true, &insn));
    assert_int_equal(insn.bytes, 8);
    assert_true(insn_decode(segments, sizeof segments, true, &insn));
    assert_int_equal(insn.segment, INSN_SEGMENT_GS);
    assert_true(insn_decode(two_rex, sizeof two_rex, true, &insn));
    assert_int_equal(insn.reg, 0);
    assert_int_equal(insn.base, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_prefixes_up_to_15_bytes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_order_of_prefixes),
    };

    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
