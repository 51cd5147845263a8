/* SPDX-License-Identifier: MIT */
/* IN, OUT and their string forms: results in registers and memory, and who may execute them. */
#include "ports.h"
#include "tests/unit/fakes/cpu.h"

#include "guest-abi/include/sluice/physdev.h"

#include <stdlib.h>
#include <string.h>

/* ---- IN and OUT ---- */

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[5];
        uint8_t size;
        uint8_t width; /* 0: not handled */
        bool is_out;
    } forms[] = {
        {{0xe4, 0x80}, 2, 1, false},
        {{0xe5, 0x80}, 2, 4, false},
        {{0x66, 0xe5, 0x80}, 3, 2, false},
        {{0xe6, 0x80}, 2, 1, true},
        {{0xe7, 0x80}, 2, 4, true},
        {{0x66, 0xe7, 0x80}, 3, 2, true},
        {{0xec}, 1, 1, false},
        {{0xed}, 1, 4, false},
        {{0x66, 0xed}, 2, 2, false},
        {{0xee}, 1, 1, true},
        {{0xef}, 1, 4, true},
        {{0x66, 0xef}, 2, 2, true},
        {{0x48, 0xed}, 2, 4, false},
        {{0x66, 0x48, 0xed}, 3, 2, false},
        {{0x66, 0x66, 0xed}, 3, 2, false},
        {{0x48, 0x66, 0xed}, 3, 2, false},
        {{0x48, 0x48, 0xed}, 3, 4, false},
        {{0xf0, 0xef}, 2, 0, false},
        {{0xf3, 0xef}, 2, 4, true},
        {{0x67, 0xef}, 2, 4, true},
        {{0x2e, 0xef}, 2, 4, true},
        {{0xe0, 0x80}, 2, 0, false},
        {{0xe8, 0x80}, 2, 0, false},
        {{0xea}, 1, 0, false},
        {{0xfa}, 1, 0, false},
        {{0xf4}, 1, 0, false},
        {{0x0f, 0x32}, 2, 0, false},
        {{0xe3, 0x10}, 2, 0, false},
        {{0xeb, 0x10}, 2, 0, false},
        {{0xf4, 0xe4}, 2, 0, false},
    };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        reset(NULL);
        regs.rdx = OWN_FIRST;
        struct cpu_regs before = regs;
        uint32_t accesses = model_access_count;
        bool handled = run_at(0, forms[i].bytes, forms[i].size);
        if (handled != (forms[i].width != 0))
            fail_msg("form %zu: handled %d", i, handled);
        if (!handled) {
            assert_memory_equal(&regs, &before, sizeof regs);
            assert_int_equal(model_access_count, accesses);
            continue;
        }
        assert_int_equal(regs.rip, CODE_PAGE + forms[i].size);
        if ((forms[i].bytes[forms[i].size - 1] & 0xfc) == 0xec) /* the DX forms reach hardware in any width */
            assert_last_access(OWN_FIRST, forms[i].width, forms[i].is_out,
                               forms[i].width == 4   ? 0x55667788
                               : forms[i].width == 2 ? 0x7788
                                                     : 0x88);
    }
}

static void test_every_first_byte(void **state)
{
    (void)state;
    for (uint32_t byte = 0; byte < 256; byte++) {
        reset(NULL);
        regs.rdx = OWN_FIRST;
        bool port_form = (byte >= 0xe4 && byte <= 0xe7) || (byte >= 0xec && byte <= 0xef);
        bool prefix = (byte & 0xf0) == 0x40 || (byte & 0xe7) == 0x26 || (byte >= 0x64 && byte <= 0x67) ||
                      byte == 0xf2 || byte == 0xf3;
        if (byte >= 0x6c && byte <= 0x6f)
            continue;
        assert_int_equal(RUN((uint8_t)byte), port_form);
        assert_int_equal(RUN((uint8_t)byte, 0xec), port_form || prefix);
    }
}

static void test_results(void **state)
{
    (void)state;
    model_port_value = 0xdeadbeef;
    regs.rdx = OWN_FIRST;
    assert_true(RUN(0xec));
    assert_int_equal(regs.rax, 0x11223344556677ef);
    regs.rax = 0x1122334455667788;
    assert_true(RUN(0x66, 0xed));
    assert_int_equal(regs.rax, 0x112233445566beef);
    regs.rax = 0x1122334455667788;
    assert_true(RUN(0xed));
    assert_int_equal(regs.rax, 0xdeadbeef);
    assert_true(RUN(0x48, 0xed)); /* REX.W widens nothing */
    assert_int_equal(regs.rax, 0xdeadbeef);
}

static void test_page_edges(void **state)
{
    (void)state;
    static const uint8_t long_form[] = {0x66, 0x48, 0xe5, 0x61};

    second_page = false;
    regs.rdx = OWN_FIRST;
    assert_true(run_at(4095, (const uint8_t[]){0xec}, 1));  /* the last byte before nothing */
    assert_false(run_at(4095, (const uint8_t[]){0xe4}, 1)); /* its port would be beyond */
    assert_false(run_at(4095, (const uint8_t[]){0x66}, 1));
    assert_true(run_at(4092, long_form, 4));
    regs.rip = CODE_PAGE + 4096;
    assert_false(guest_io_emulate(&regs));
    regs.rip = UINT64_MAX;
    assert_false(guest_io_emulate(&regs));

    second_page = true;
    for (size_t at = 4090; at < 4098; at++) {
        memset(byte_fetched, 0, sizeof byte_fetched);
        assert_true(run_at(at, long_form, 4));
        assert_int_equal(regs.rip, CODE_PAGE + at + 4);
        for (size_t i = 0; i < sizeof byte_fetched / sizeof byte_fetched[0]; i++)
            assert_true(byte_fetched[i] <= 1); /* nothing is read twice */
    }
}

static void test_endless_prefixes(void **state)
{
    (void)state;
    memset(code, 0x66, sizeof code);
    regs.rdx = OWN_FIRST;
    regs.rip = CODE_PAGE;
    assert_false(guest_io_emulate(&regs));
    code[14] = 0xed; /* the 15th and last byte an instruction may have */
    assert_true(guest_io_emulate(&regs));
    assert_int_equal(regs.rip, CODE_PAGE + 15);
    code[14] = 0xe5;
    regs.rip = CODE_PAGE;
    assert_false(guest_io_emulate(&regs)); /* would need a 16th */
}

/* ---- strings ---- */

#define BUFFER (CODE_PAGE + 0x200)

static void test_string_out(void **state)
{
    (void)state;
    memcpy(code + 0x200, "abcdefgh", 8);
    regs.rdx = OWN_FIRST;
    regs.rsi = BUFFER;
    regs.rcx = 7;
    assert_true(RUN(0x6e));
    assert_last_access(OWN_FIRST, 1, true, 'a');
    assert_int_equal(regs.rsi, BUFFER + 1);
    assert_int_equal(regs.rcx, 7);
    assert_int_equal(regs.rip, CODE_PAGE + 1);

    regs.rcx = 3;
    assert_true(RUN(0xf3, 0x66, 0x6f));
    assert_last_access(OWN_FIRST, 2, true, 'f' | 'g' << 8);
    assert_int_equal(regs.rsi, BUFFER + 7);
    assert_int_equal(regs.rcx, 0);
    assert_int_equal(regs.rip, CODE_PAGE + 3);

    model_access_count = 0;
    assert_true(RUN(0xf3, 0x6e)); /* nothing to do */
    assert_int_equal(model_access_count, 0);
    assert_int_equal(regs.rip, CODE_PAGE + 2);

    regs.rflags = 0x400;
    assert_true(RUN(0x6e));
    assert_int_equal(regs.rsi, BUFFER + 6);
}

static void test_string_in(void **state)
{
    (void)state;
    model_port_value = 0x64636261;
    regs.rdx = OWN_FIRST;
    regs.rdi = 0xffffffff00000000 | BUFFER;
    regs.rcx = 0xffffffff00000002;
    assert_true(RUN(0x67, 0xf2, 0x6d)); /* 32-bit addresses and count */
    assert_memory_equal(code + 0x200, "abcdabcd", 8);
    assert_int_equal(regs.rdi, BUFFER + 8);
    assert_int_equal(regs.rcx, 0);
}

static void test_string_is_bounded(void **state)
{
    (void)state;
    uint32_t traps = 1;

    regs.rdx = 0x80;
    regs.rsi = CODE_PAGE;
    regs.rcx = 1000;
    assert_true(RUN(0xf3, 0x6e));
    assert_true(model_access_count > 0 && model_access_count <= 64);
    assert_int_equal(regs.rip, CODE_PAGE);
    assert_int_equal(regs.rcx, 1000 - model_access_count);
    while (regs.rip == CODE_PAGE && traps++ < 1000)
        assert_true(guest_io_emulate(&regs));
    assert_int_equal(model_access_count, 1000);
    assert_int_equal(regs.rsi, CODE_PAGE + 1000);
    assert_int_equal(regs.rip, CODE_PAGE + 2);
}

static void test_string_faults(void **state)
{
    (void)state;
    second_page = false;
    regs.rdx = OWN_FIRST;
    regs.rdi = regs.rsi = CODE_PAGE + 4092;
    regs.rcx = 4;
    assert_true(RUN(0xf3, 0x6f));
    assert_int_equal(page_faults, 1);
    assert_int_equal(page_fault_error, 4);
    assert_int_equal(regs.rcx, 3); /* the first element is done, RIP is still at the instruction */
    assert_int_equal(regs.rsi, CODE_PAGE + 4096);
    assert_int_equal(regs.rip, CODE_PAGE);

    model_access_count = 0;
    read_only = 4096;
    assert_true(RUN(0xf3, 0x6d));
    assert_int_equal(page_faults, 2);
    assert_int_equal(page_fault_error, 6);
    assert_int_equal(model_access_count, 0); /* the port is not read in vain */
    regs.rdi = 0xffff800000000000;
    assert_false(RUN(0x6c));
}

static void test_code_of_32_bits(void **state)
{
    static const uint16_t flat[] = {0xe023, 0x23};

    (void)state;
    cpu_model.rights[4] = cpu_model.rights[SEGMENT_ELSEWHERE >> 3] = 0xcffb00;
    for (uint32_t i = 0; i < 2; i++) {
        regs.cs = flat[i];
        regs.rdx = 0x80;
        regs.rdi = CODE_PAGE;
        assert_true(RUN(0xee));
        assert_false(RUN(0x6c)); /* where its data segments begin is not known */
    }
    regs.cs = SEGMENT_ELSEWHERE; /* begins elsewhere: RIP is not the address of the instruction */
    assert_false(RUN(0xee));
    regs.cs = 0x53; /* no code */
    assert_false(RUN(0xee));
    cpu_model.rights[4] = 0x4ffb00; /* ends below 4 GiB: the processor may have refused to fetch there */
    regs.cs = 0x23;
    assert_false(RUN(0xee));
}

/* The hypervisor executes it only where there is such an instruction: what is decoded need not be what
 * faulted. */
static void test_rdtscp_that_is_not_there(void **state)
{
    (void)state;
    (void)RUN(0x0f, 0x31); /* no access to a port: only put there */
    assert_true(guest_emulate_privileged(&regs));
    (void)RUN(0x0f, 0x01, 0xf9);
    assert_false(guest_emulate_privileged(&regs)); /* CPUID of these tests has no feature at all */
}

/* ---- who ---- */

static bool touches(uint16_t port)
{
    regs.rdx = port;
    return RUN(0xec);
}

static void test_levels(void **state)
{
    (void)state;
    for (uint32_t level = 0; level <= 3; level++) {
        set_level(level);
        guest.in_user = false;
        assert_int_equal(touches(0x60), level >= 1);
        guest.in_user = true;
        assert_int_equal(touches(0x60), level == 3);
    }
    uint32_t wrong = 4;
    memcpy(code + 5000, &wrong, sizeof wrong);
    assert_int_equal(iopl_set(CODE_PAGE + 5000), -22);
    assert_int_equal(iopl_set(8), -14);
    assert_true(touches(0x60)); /* as it was */
}

static void test_bitmap(void **state)
{
    (void)state;
    struct physdev_set_iobitmap request = {CODE_PAGE + 4096 - 13, 0x68};

    set_level(0);
    memset(code + 4096 - 13, 0xff, 13);
    code[4096 - 13 + 12] = 0xee; /* 0x60, 0x64 */
    memcpy(code + 5000, &request, sizeof request);
    assert_int_equal(iopl_set_bitmap(CODE_PAGE + 5000), 0);
    guest.in_user = true;
    for (uint16_t port = 0; port < 0x100; port++)
        assert_int_equal(touches(port), port == 0x60 || port == 0x64);
    assert_true(guest.in_user);
    assert_true(mode_changes > 0 && mode_changes % 2 == 0); /* the kernel's bitmap was looked at */

    /* A wide access needs all its bits, across bytes and up to the end. */
    code[4096 - 13 + 11] = 0x3f;
    code[4096 - 13 + 12] = 0x0c;
    regs.rdx = 0x5e;
    assert_true(RUN(0xed));
    regs.rdx = 0x5f;
    assert_false(RUN(0xed));
    regs.rdx = 0x66;
    assert_true(RUN(0x66, 0xed));
    assert_false(RUN(0xed));

    second_page = false; /* a fault refuses */
    request.bitmap = CODE_PAGE + 4096 - 12;
    second_page = true;
    memcpy(code + 5000, &request, sizeof request);
    assert_int_equal(iopl_set_bitmap(CODE_PAGE + 5000), 0);
    second_page = false;
    assert_false(touches(0x64));

    second_page = true;
    request.nr_ports = 65537;
    memcpy(code + 5000, &request, sizeof request);
    assert_int_equal(iopl_set_bitmap(CODE_PAGE + 5000), -22);
    assert_int_equal(iopl_set_bitmap(CODE_PAGE + 8190), -14);
    request = (struct physdev_set_iobitmap){UINT64_MAX - 4, 65536};
    memcpy(code + 5000, &request, sizeof request);
    assert_int_equal(iopl_set_bitmap(CODE_PAGE + 5000), 0);
    assert_false(touches(0xffff));
    request.nr_ports = 0;
    memcpy(code + 5000, &request, sizeof request);
    assert_int_equal(iopl_set_bitmap(CODE_PAGE + 5000), 0);
    assert_false(touches(0x64));
}

static void test_single_step(void **state)
{
    (void)state;
    regs.rdx = OWN_FIRST;
    assert_true(RUN(0xec));
    assert_int_equal(steps, 0);
    regs.rflags = 0x10100;
    assert_true(RUN(0xec));
    assert_int_equal(steps, 1);
    assert_int_equal(regs.rflags, 0x100); /* RF lasts one instruction */
}

static void test_random_code(void **state)
{
    (void)state;
    srand(11);
    for (uint32_t i = 0; i < 200000; i++) {
        size_t at = (size_t)(rand() % 4100);

        for (size_t j = 0; j < 16; j++)
            code[at + j] = (uint8_t)(rand() & 3 ? (uint32_t[]){0x66, 0x48, 0xe4, 0xe7, 0xec, 0xef, 0x6c,
                                                               0xf3}[rand() & 7]
                                                : (uint32_t)rand());
        second_page = rand() & 1;
        regs.rdx = (uint64_t)(rand() & 1 ? rand() : 0xcf8 + rand() % 8);
        regs.rip = CODE_PAGE + at;
        uint64_t before = regs.rip;
        bool handled = guest_io_emulate(&regs);
        assert_true(regs.rip == before || (handled && regs.rip > before && regs.rip <= before + 15));
    }
}

int run_instruction_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_forms, reset),
        cmocka_unit_test_setup(test_every_first_byte, reset),
        cmocka_unit_test_setup(test_results, reset),
        cmocka_unit_test_setup(test_page_edges, reset),
        cmocka_unit_test_setup(test_endless_prefixes, reset),
        cmocka_unit_test_setup(test_string_out, reset),
        cmocka_unit_test_setup(test_string_in, reset),
        cmocka_unit_test_setup(test_string_is_bounded, reset),
        cmocka_unit_test_setup(test_string_faults, reset),
        cmocka_unit_test_setup(test_code_of_32_bits, reset),
        cmocka_unit_test_setup(test_rdtscp_that_is_not_there, reset),
        cmocka_unit_test_setup(test_levels, reset),
        cmocka_unit_test_setup(test_bitmap, reset),
        cmocka_unit_test_setup(test_single_step, reset),
        cmocka_unit_test_setup(test_random_code, reset),
    };
    return cmocka_run_group_tests_name("io instructions", tests, NULL, NULL);
}
