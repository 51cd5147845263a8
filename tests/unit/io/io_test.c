/* SPDX-License-Identifier: MIT */
/* Which ports there are, and what they do. guest-abi/devices.md, section 3. */
#include "ports.h"

#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_config_mechanism, reset),
        cmocka_unit_test_setup(test_config_edges, reset),
        cmocka_unit_test_setup(test_every_port_read, reset),
        cmocka_unit_test_setup(test_every_port_written, reset),
        cmocka_unit_test_setup(test_speaker_keeps_nmi, reset),
        cmocka_unit_test_setup(test_clock, reset),
        cmocka_unit_test_setup(test_sleep, reset),
    };
    return cmocka_run_group_tests_name("io", tests, NULL, NULL) + run_instruction_tests();
}
