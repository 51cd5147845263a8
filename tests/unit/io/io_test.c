/* SPDX-License-Identifier: MIT */
/* Ports of the guest's: results in registers and memory, who may use them, and the list.
 * guest-abi/devices.md, section 3, and instructions.md. */
#include "acpi/acpi.h"
#include "cpu/ops.h"
#include "cpu/trap.h"
#include "mem/guest_copy.h"
#include "pv/device.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "pv/io.h"
#include "pv/trap.h"
#include "tests/unit/fakes/pci_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OWN_FIRST 0xc000u
#define OWN_END   0xc040u
#define PM_TIMER  0x608u

/* ---- what is below: code memory that ends at a page's end, configuration space, windows ---- */

#define CODE_PAGE 0x400000ull

static uint8_t code[8192];
static bool second_page;
static uint64_t read_only; /* bytes from the beginning */
static uint32_t byte_fetched[sizeof code];

int copy_from_guest(void *destination, uint64_t address, size_t count)
{
    size_t offset = (size_t)(address - CODE_PAGE), limit = second_page ? sizeof code : 4096;

    if (address < CODE_PAGE || offset > limit || count > limit - offset)
        return -14;
    memcpy(destination, code + offset, count);
    for (size_t i = 0; i < count; i++)
        byte_fetched[offset + i]++;
    return 0;
}

static struct {
    uint16_t id, offset;
    uint8_t bytes;
    uint32_t value;
    uint32_t reads, writes;
} config;

uint32_t config_guest_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    config.id = id;
    config.offset = offset;
    config.bytes = bytes;
    config.reads++;
    return config.value;
}

void config_guest_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    config.id = id;
    config.offset = offset;
    config.bytes = bytes;
    config.value = value;
    config.writes++;
}

bool device_port_is_own(uint32_t port, uint32_t bytes)
{
    return port >= OWN_FIRST && port + bytes <= OWN_END;
}

static struct acpi_power power;

struct acpi_power acpi_power(void)
{
    return power;
}

int get_guest_words3(uint64_t words[3], uint64_t address)
{
    return copy_from_guest(words, address, 24);
}

int copy_to_guest(uint64_t address, const void *source, size_t count)
{
    size_t offset = (size_t)(address - CODE_PAGE), limit = second_page ? sizeof code : 4096;

    if (address < CODE_PAGE + read_only || offset > limit || count > limit - offset)
        return -14;
    memcpy(code + offset, source, count);
    return 0;
}

bool guest_range_is_tried(uint64_t address, size_t count)
{
    return address + count <= 0x0000800000000000 || address >= 0xffff880000000000;
}

static jmp_buf machine;

_Noreturn void machine_stop(enum stop_reason reason)
{
    longjmp(machine, (int)reason);
}

/* ---- the rest of the emulator: not here ---- */

struct guest guest;
static uint32_t mode_changes, page_faults, steps;
static uint64_t page_fault_error;

void guest_to_kernel(void)
{
    mode_changes += guest.in_user;
    guest.in_user = false;
}

void guest_to_user(void)
{
    mode_changes++;
    guest.in_user = true;
}

uint64_t trap_fixed_error(void)
{
    return 0;
}

void pv_guest_exception(struct cpu_regs *at)
{
    page_faults += at->vector == TRAP_PF;
    page_fault_error = at->error_code;
}

void guest_bounce(struct cpu_regs *at, uint32_t vector, bool error_code_present, uint32_t error_code)
{
    (void)at;
    (void)error_code_present;
    (void)error_code;
    steps += vector == TRAP_DB;
}

void guest_debug_stepped(void)
{
}

struct cpuid guest_cpuid(uint32_t leaf, uint32_t subleaf)
{
    return (struct cpuid){leaf, subleaf, 0, 0};
}

#define REFUSES(name, first)                                                                                 \
    bool name(uint32_t number, first value)                                                                  \
    {                                                                                                        \
        (void)number;                                                                                        \
        (void)value;                                                                                         \
        return false;                                                                                        \
    }
REFUSES(guest_msr_read, uint64_t *)
REFUSES(guest_msr_write, uint64_t)
REFUSES(guest_control_read, uint64_t *)
REFUSES(guest_control_write, uint64_t)
REFUSES(guest_xcr_write, uint64_t)
REFUSES(guest_debug_read, uint64_t *)
REFUSES(guest_debug_write, uint64_t)

/* ---- running one instruction ---- */

static struct cpu_regs regs;

/* Privileged instructions that are no port's would reach the host's processor. */
static bool guest_io_emulate(struct cpu_regs *at)
{
    uint64_t offset = at->rip - CODE_PAGE, limit = second_page ? sizeof code : 4096;
    struct insn insn;

    return offset < limit && insn_decode(code + offset, limit - offset, true, &insn) && insn.op >= INSN_IN &&
           insn.op <= INSN_OUTS && guest_emulate_privileged(at);
}

static void set_level(uint32_t level)
{
    memcpy(code + 5000, &level, sizeof level);
    assert_int_equal(iopl_set(CODE_PAGE + 5000), 0);
}

static int reset(void **state)
{
    (void)state;
    model_reset();
    memset(code, 0x90, sizeof code);
    memset(byte_fetched, 0, sizeof byte_fetched);
    memset(&config, 0, sizeof config);
    memset(&guest, 0, sizeof guest);
    mode_changes = page_faults = steps = 0;
    read_only = 0;
    power = (struct acpi_power){.valid = true, .pm_timer = PM_TIMER, .pm1a_control = 0x604, .s5_type_a = 6};
    second_page = true;
    set_level(1);
    regs = (struct cpu_regs){
        .rip = CODE_PAGE, .rax = 0x1122334455667788, .rdx = 0xffffffff00000000, .cs = 0xe033};
    return 0;
}

static bool run_at(size_t offset, const uint8_t *bytes, size_t size)
{
    memcpy(code + offset, bytes, size);
    regs.rip = CODE_PAGE + offset;
    return guest_io_emulate(&regs);
}
#define RUN(...) run_at(0, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static uint32_t in(uint16_t port, uint32_t bytes)
{
    regs.rdx = 0xabcd0000u | port;
    regs.rax = 0;
    assert_true(bytes == 1 ? RUN(0xec) : bytes == 2 ? RUN(0x66, 0xed) : RUN(0xed));
    return (uint32_t)regs.rax;
}

static void out(uint16_t port, uint32_t bytes, uint32_t value)
{
    regs.rdx = port;
    regs.rax = 0xffffffff00000000u | value;
    assert_true(bytes == 1 ? RUN(0xee) : bytes == 2 ? RUN(0x66, 0xef) : RUN(0xef));
}

static void assert_last_access(uint16_t port, uint32_t bytes, bool write, uint32_t value)
{
    assert_true(model_access_count > 0);
    const struct model_access *last = &model_accesses[(model_access_count - 1) % 64];
    assert_int_equal(last->port, port);
    assert_int_equal(last->bytes, bytes);
    assert_int_equal(last->write, write);
    if (write)
        assert_int_equal(last->value, value);
}

/* ---- decoding ---- */

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

/* ---- configuration mechanism #1 ---- */

static void test_config_mechanism(void **state)
{
    (void)state;
    out(0xcf8, 4, 0xffffffff);
    assert_int_equal(in(0xcf8, 4), 0x80fffffc);
    out(0xcf8, 4, 0x80000000 | 0x1234 << 8 | 0x43);
    assert_int_equal(in(0xcf8, 4), 0x80123440);
    config.value = 0x55;
    assert_int_equal(in(0xcfe, 1), 0x55);
    assert_int_equal(config.id, 0x1234);
    assert_int_equal(config.offset, 0x42);
    assert_int_equal(config.bytes, 1);
    out(0xcfc, 4, 0xcafe);
    assert_int_equal(config.offset, 0x40);
    assert_int_equal(config.bytes, 4);
    assert_int_equal(config.value, 0xcafe);
    out(0xcfd, 2, 0xbeef);
    assert_int_equal(config.offset, 0x41);
    assert_int_equal(config.writes, 2);
    assert_int_equal(model_access_count, 0); /* hardware's latch is the hypervisor's */
}

static void test_config_edges(void **state)
{
    (void)state;
    out(0xcf8, 4, 0x80000000);
    static const struct {
        uint16_t port;
        uint8_t bytes;
    } odd[] = {{0xcf8, 1}, {0xcf8, 2}, {0xcf9, 1}, {0xcfa, 2}, {0xcfb, 1}, {0xcfb, 4},
               {0xcf6, 4}, {0xcfd, 4}, {0xcff, 2}, {0xcfe, 4}, {0xcf9, 4}, {0xd00, 1}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        uint32_t ones = odd[i].bytes == 4 ? 0xffffffff : (1u << 8 * odd[i].bytes) - 1;
        assert_int_equal(in(odd[i].port, odd[i].bytes), ones);
        out(odd[i].port, odd[i].bytes, 0x06060606);
    }
    assert_int_equal(config.reads + config.writes, 0);
    assert_int_equal(model_access_count, 0);
    assert_int_equal(in(0xcf8, 4), 0x80000000);

    out(0xcf8, 4, 0x00001000); /* not enabled */
    assert_int_equal(in(0xcfc, 4), 0xffffffff);
    assert_int_equal(in(0xcfc, 2), 0xffff);
    out(0xcfc, 4, 1);
    assert_int_equal(config.reads + config.writes, 0);
    assert_int_equal(model_access_count, 0);
}

/* ---- the list ---- */

/* Every port in every width: what reaches hardware is on the list, and nothing else. */
static bool may_read(uint32_t port, uint32_t bytes)
{
    if (port >= OWN_FIRST && port + bytes <= OWN_END)
        return true;
    if (port >= PM_TIMER && port + bytes <= PM_TIMER + 4)
        return true;
    return bytes == 1 &&
           (port == 0x40 || port == 0x42 || port == 0x60 || port == 0x61 || port == 0x64 || port == 0x71);
}

static void test_every_port_read(void **state)
{
    (void)state;
    for (uint32_t bytes = 1; bytes <= 4; bytes *= 2) {
        for (uint32_t port = 0; port < 0x10000; port++) {
            model_access_count = 0;
            model_port_value = 0x12345678;
            uint32_t ones = bytes == 4 ? 0xffffffff : (1u << 8 * bytes) - 1,
                     value = in((uint16_t)port, bytes);
            if ((model_access_count != 0) != may_read(port, bytes))
                fail_msg("port 0x%x, %u bytes: %u accesses", port, bytes, model_access_count);
            if (may_read(port, bytes))
                assert_int_equal(value, 0x12345678 & ones);
            else if (port != 0x70 && port != 0xcf8 && !(port == 0x604 && bytes == 2))
                assert_int_equal(value, ones);
        }
    }
}

static bool may_write(uint32_t port, uint32_t bytes, uint8_t value)
{
    if (port >= OWN_FIRST && port + bytes <= OWN_END)
        return true;
    if (bytes != 1)
        return false;
    switch (port) {
    case 0x42:
    case 0x60:
    case 0x61:
    case 0x80:
        return true;
    case 0x43:
        return (value & 0xc0) == 0x80;
    case 0x64:
        return value < 0xf0 && value != 0xd1 && value != 0xdd && value != 0xdf;
    default:
        return false;
    }
}

static void test_every_port_written(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x06, 0x34, 0x80, 0xb6, 0xd1,
                                     0xdd, 0xdf, 0xf0, 0xfe, 0xff, 0xaa};

    for (uint32_t bytes = 1; bytes <= 4; bytes *= 2) {
        for (uint32_t port = 0; port < 0x10000; port++) {
            for (size_t i = 0; i < sizeof values; i++) {
                if (port >= 0x100 && i > 1 && port != 0x604 && port != 0xcf9)
                    break;
                model_access_count = 0;
                out((uint16_t)port, bytes, values[i] * 0x01010101u);
                if ((model_access_count != 0) != may_write(port, bytes, values[i]))
                    fail_msg("port 0x%x, %u bytes, 0x%x: %u accesses", port, bytes, values[i],
                             model_access_count);
            }
        }
    }
}

static void test_speaker_keeps_nmi(void **state)
{
    (void)state;
    model_port_value = 0x3c;
    out(0x61, 1, 0xff);
    assert_last_access(0x61, 1, true, 0x0f);
    out(0x61, 1, 0x00);
    assert_last_access(0x61, 1, true, 0x0c);
}

static void test_clock(void **state)
{
    (void)state;
    out(0x70, 1, 0x8a); /* with the bit that masks NMI */
    assert_int_equal(model_access_count, 0);
    assert_int_equal(in(0x70, 1), 0x0a);
    model_port_value = 0x26;
    assert_int_equal(in(0x71, 1), 0x26);
    assert_int_equal(model_accesses[0].port, 0x70);
    assert_int_equal(model_accesses[0].value, 0x0a);
    model_access_count = 0;
    out(0x71, 1, 0x12);
    assert_int_equal(model_access_count, 0);
}

static void test_sleep(void **state)
{
    (void)state;
    int reason;

    assert_int_equal(in(0x604, 2), 1);
    out(0x604, 2, 6 << 10);          /* no enable */
    out(0x604, 2, 0x2000 | 1 << 10); /* another state */
    out(0x604, 4, 0x2000 | 6 << 10);
    out(0x605, 1, 0x20 | 6 << 2);
    assert_int_equal(model_access_count, 0);
    if ((reason = setjmp(machine)) == 0) {
        out(0x604, 2, 0xc000 | 0x2000 | 6 << 10);
        fail_msg("the machine runs on");
    }
    assert_int_equal(reason, STOP_GUEST_POWEROFF);
    assert_int_equal(model_access_count, 0); /* the shutdown does it */
    power.valid = false;
    assert_int_equal(in(0x604, 2), 0xffff);
    out(0x604, 2, 0x2000 | 6 << 10);
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
    regs.cs = 0xe023;
    regs.rdi = CODE_PAGE;
    assert_false(RUN(0x6c));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_forms, reset),
        cmocka_unit_test_setup(test_every_first_byte, reset),
        cmocka_unit_test_setup(test_results, reset),
        cmocka_unit_test_setup(test_page_edges, reset),
        cmocka_unit_test_setup(test_endless_prefixes, reset),
        cmocka_unit_test_setup(test_config_mechanism, reset),
        cmocka_unit_test_setup(test_config_edges, reset),
        cmocka_unit_test_setup(test_every_port_read, reset),
        cmocka_unit_test_setup(test_every_port_written, reset),
        cmocka_unit_test_setup(test_speaker_keeps_nmi, reset),
        cmocka_unit_test_setup(test_clock, reset),
        cmocka_unit_test_setup(test_sleep, reset),
        cmocka_unit_test_setup(test_string_out, reset),
        cmocka_unit_test_setup(test_string_in, reset),
        cmocka_unit_test_setup(test_string_is_bounded, reset),
        cmocka_unit_test_setup(test_string_faults, reset),
        cmocka_unit_test_setup(test_levels, reset),
        cmocka_unit_test_setup(test_bitmap, reset),
        cmocka_unit_test_setup(test_single_step, reset),
        cmocka_unit_test_setup(test_random_code, reset),
    };
    return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
