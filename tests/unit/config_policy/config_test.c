/* SPDX-License-Identifier: MIT */
/* Configuration space as the guest sees it: guest-abi/devices.md, section 1, line by line. */
#include "pci/pci.h"
#include "platform.h"
#include "pv/device.h"
#include "pv/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int start(void **state)
{
    (void)state;
    platform_reset();
    platform_start();
    return 0;
}

static uint32_t get(uint16_t id, uint32_t offset, uint8_t bytes)
{
    return config_guest_read(id, (uint16_t)offset, bytes);
}

static void set(uint16_t id, uint32_t offset, uint8_t bytes, uint32_t value)
{
    config_guest_write(id, (uint16_t)offset, bytes, value);
}

/* What the device itself holds. */
static uint32_t real(uint16_t id, uint32_t offset, uint32_t bytes)
{
    return model_get(model_find(id), offset, bytes);
}

/* ---- base address registers ---- */

static void test_sizing_moves_nothing(void **state)
{
    (void)state;
    model_set(model_find(EDU), 4, 7, 2); /* decoding all the while */
    set(EDU, 0x10, 4, 0xffffffff);
    assert_int_equal(get(EDU, 0x10, 4), 0xfff00000);
    assert_int_equal(real(EDU, 0x10, 4), 0x80100000);
    set(EDU, 0x10, 4, 0x80100000);
    assert_int_equal(get(EDU, 0x10, 4), 0x80100000);

    set(NVME, 0x10, 4, 0xffffffff);
    set(NVME, 0x14, 4, 0xffffffff);
    assert_int_equal(get(NVME, 0x10, 4), 0xffffc004);
    assert_int_equal(get(NVME, 0x14, 4), 0xffffffff);
    assert_int_equal(real(NVME, 0x10, 4), 0x80000004);
    assert_int_equal(real(NVME, 0x14, 4), 0);
    set(NVME, 0x10, 4, 0x80000004);
    set(NVME, 0x14, 4, 0);
    assert_int_equal(get(NVME, 0x10, 4), 0x80000004);
    assert_int_equal(get(NVME, 0x14, 4), 0);

    set(NETWORK, 0x14, 4, 0xffffffff);
    assert_int_equal(get(NETWORK, 0x14, 4), 0xffffffc1);
    assert_int_equal(get(NETWORK, 0x18, 4), 0); /* not there */
    set(NETWORK, 0x18, 4, 0x12345678);
    assert_int_equal(get(NETWORK, 0x18, 4), 0);
    assert_int_equal(model_find(EDU)->writes, 0);
    assert_int_equal(model_live_bar_writes, 0);
}

static void test_bytes_of_a_bar(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        set(EDU, 0x10 + i, 1, 0xff);
    assert_int_equal(get(EDU, 0x10, 4), 0xfff00000);
    assert_int_equal(get(EDU, 0x12, 2), 0xfff0);
    assert_int_equal(get(EDU, 0x13, 1), 0xff);
    set(EDU, 0x12, 2, 0x8010);
    set(EDU, 0x10, 2, 0);
    assert_int_equal(get(EDU, 0x10, 4), 0x80100000);
}

static void refuses(uint16_t id, uint32_t place)
{
    uint32_t before = get(id, 0x10, 4);

    set(id, 0x10, 4, place);
    if (get(id, 0x10, 4) != before || real(id, 0x10, 4) != before)
        fail_msg("%04x: 0x%08x was taken", id, place);
}

static void test_places_that_are_refused(void **state)
{
    (void)state;
    static const uint32_t places[] = {
        0,          0x00100000, 0x7ef00000, 0x7ff00000, /* nothing, RAM, firmware, below the hole */
        0x80000000, 0x80200000, 0x80300000, 0x80400000, /* other windows, firmware's map, a bridge's window */
        0x80500000, 0x80600000, 0xb0000000, 0xfec00000, 0xfed00000, 0xfed90000, 0xfee00000, 0xffe00000,
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        refuses(EDU, places[i]);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (places[i] != 0x80200000)
            refuses(NETWORK, places[i]);
    }
}

static void test_moves(void **state)
{
    (void)state;
    assert_int_equal(device_frame_kind(0x80210), DEVICE_FRAME_DENIED);
    set(NETWORK, 0x10, 4, 0x80210000);
    assert_int_equal(get(NETWORK, 0x10, 4), 0x80210000);
    assert_int_equal(real(NETWORK, 0x10, 4), 0x80210000);
    assert_int_equal(device_frame_kind(0x80210), DEVICE_FRAME_MMIO);
    refuses(NETWORK, 0x80000000);

    /* Where it was at boot stays its own. */
    set(DISK, 0x10, 4, 0x80401000);
    assert_int_equal(real(DISK, 0x10, 4), 0x80401000); /* within its bridge's window */
    refuses(DISK, 0x80210000);
    refuses(DISK, 0x80220000); /* free, but not behind its bridge */
    refuses(DISK, 0x80200000);
    refuses(DISK, 0x80600000);

    set(NETWORK, 0x10, 4, 0x80200000);
    assert_int_equal(real(NETWORK, 0x10, 4), 0x80200000);
    assert_int_equal(device_frame_kind(0x80210), DEVICE_FRAME_DENIED);
    assert_int_equal(device_frame_kind(0x80200), DEVICE_FRAME_MMIO);
    assert_int_equal(model_live_bar_writes, 0);
}

static void test_moving_while_decoding(void **state)
{
    (void)state;
    model_set(model_find(NETWORK), 4, 7, 2);
    set(NETWORK, 0x10, 4, 0x80210000);
    assert_int_equal(real(NETWORK, 0x10, 4), 0x80210000);
    assert_int_equal(real(NETWORK, 4, 2), 7);
    assert_int_equal(model_live_bar_writes, 0);
}

static void test_msix_window_stays(void **state)
{
    (void)state;
    for (uint32_t place = 0x80000000; place < 0x80100000; place += 0x4000) {
        set(NVME, 0x10, 4, place);
        assert_int_equal(real(NVME, 0x10, 4), 0x80000004);
    }
    set(NVME, 0x10, 4, 0x80000000);
    set(NVME, 0x14, 4, 1);
    assert_int_equal(real(NVME, 0x14, 4), 0);
    set(NVME, 0x14, 4, 0);
    assert_int_equal(get(NVME, 0x10, 4), 0x80000004);
}

static void test_io_window_stays(void **state)
{
    (void)state;
    static const uint32_t places[] = {0, 0x20, 0x3f8, 0xcf8, 0xc040, 0xd000, 0x604};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        set(NETWORK, 0x14, 4, places[i] | 1);
        assert_int_equal(real(NETWORK, 0x14, 4), 0xc001);
        assert_int_equal(get(NETWORK, 0x14, 4), 0xc001);
    }
}

static void test_too_many_moves(void **state)
{
    (void)state;
    uint32_t moved = 0;

    platform_reset();
    for (uint32_t i = 0; i < 20; i++) {
        struct model_function *function = model_add(ID(0, 6 + i, 0), 0x8086, 0x9999, 0x020000, 0);
        model_bar(function, 0, MODEL_MEM32, 0x80220000 + 0x1000 * i, 0x1000);
    }
    platform_start();
    for (uint32_t i = 0; i < 20; i++) {
        set(ID(0, 6 + i, 0), 0x10, 4, 0x80240000 + 0x1000 * i);
        moved += real(ID(0, 6 + i, 0), 0x10, 4) == 0x80240000 + 0x1000 * i;
    }
    assert_int_equal(moved, DEVICE_MOVED_MAX);
    set(ID(0, 6, 0), 0x10, 4, 0x80220000); /* one goes home, and there is room again */
    set(ID(0, 25, 0), 0x10, 4, 0x80250000);
    assert_int_equal(real(ID(0, 25, 0), 0x10, 4), 0x80250000);
    assert_int_equal(device_frame_kind(0x80250), DEVICE_FRAME_MMIO);
}

/* A function-level reset forgets; what the guest writes back, or the decoder, puts it right. */
static void test_after_reset(void **state)
{
    (void)state;
    model_set(model_find(EDU), 0x10, 0, 4);
    set(EDU, 0x10, 4, 0x80100000);
    assert_int_equal(real(EDU, 0x10, 4), 0x80100000);
    model_set(model_find(EDU), 0x10, 0, 4);
    model_set(model_find(EDU), 4, 0, 2);
    set(EDU, 4, 2, 2);
    assert_int_equal(real(EDU, 0x10, 4), 0x80100000);
    assert_int_equal(real(EDU, 4, 2), 2);
    assert_int_equal(model_live_bar_writes, 0);
}

static void test_rom(void **state)
{
    (void)state;
    set(NETWORK, 0x30, 4, 0xfffff800);
    assert_int_equal(get(NETWORK, 0x30, 4), 0xffff0000);
    set(NETWORK, 0x30, 4, 0xfff00001); /* switched on: never */
    assert_int_equal(get(NETWORK, 0x30, 4), 0xfff00000);
    set(NETWORK, 0x30, 4, 0x00100001);
    assert_int_equal(get(NETWORK, 0x30, 4), 0xfff00000);
    assert_int_equal(model_find(NETWORK)->writes, 0);
    assert_int_equal(get(EDU, 0x30, 4), 0);
}

/* ---- command and status ---- */

static void test_command(void **state)
{
    (void)state;
    set(EDU, 4, 2, 0xffff);
    assert_int_equal(real(EDU, 4, 2), 0x0407);
    set(EDU, 4, 2, 0);
    assert_int_equal(real(EDU, 4, 2), 0);
    set(EDU, 4, 1, 6);
    set(EDU, 5, 1, 0xff);
    assert_int_equal(real(EDU, 4, 2), 0x0406);
    model_set(model_find(EDU), 4, 0x0140, 2); /* parity and SERR as firmware left them */
    set(EDU, 4, 2, 0x0006);
    assert_int_equal(real(EDU, 4, 2), 0x0146);
    set(PORT, 4, 2, 6);
    assert_int_equal(real(PORT, 4, 2), 6);
}

static void test_status(void **state)
{
    (void)state;
    struct model_function *edu = model_find(EDU);

    edu->space[7] = 0xf9;
    set(EDU, 4, 2, 6); /* the command alone clears nothing */
    assert_int_equal(edu->space[7], 0xf9);
    set(EDU, 4, 4, 0x80000006);
    assert_int_equal(edu->space[7], 0x79);
    assert_int_equal(real(EDU, 4, 2), 6);
    set(EDU, 6, 2, 0x7900);
    assert_int_equal(edu->space[7], 0);
}

static void test_dead_unit_keeps_devices_quiet(void **state)
{
    (void)state;
    platform_unit_dead = true;
    set(EDU, 4, 2, 7);
    assert_int_equal(real(EDU, 4, 2), 3);
}

/* It did nothing but fault, and lost its bus mastering: the guest cannot give it back. */
static void test_isolated_device_stays_quiet(void **state)
{
    (void)state;
    platform_isolated = EDU;
    set(EDU, 4, 2, 7);
    assert_int_equal(real(EDU, 4, 2), 3);
    platform_isolated = EDU + 1u;
    set(EDU, 4, 2, 7);
    assert_int_equal(real(EDU, 4, 2), 7);
}

static void test_frozen_decoding(void **state)
{
    (void)state;
    platform_reset();
    model_bar(model_find(EDU), 0, MODEL_MEM32, 0x00100000, 0x100000); /* over RAM */
    platform_start();
    set(EDU, 4, 2, 7);
    assert_int_equal(real(EDU, 4, 2), 5);
    set(EDU, 0x10, 4, 0x80100000); /* and it cannot be moved out of there by the guest */
    assert_int_equal(real(EDU, 0x10, 4), 0x00100000);
}

/* ---- read-only ---- */

static void nothing_sticks(uint16_t id, uint32_t from, uint32_t to)
{
    uint8_t before[256];

    memcpy(before, model_find(id)->space, 256);
    for (uint32_t offset = from; offset < to; offset++) {
        for (uint8_t bytes = 1; bytes <= 4; bytes = (uint8_t)(bytes * 2)) {
            if (offset + bytes > to)
                continue;
            set(id, offset, bytes, 0xffffffff);
            set(id, offset, bytes, 0);
            set(id, offset, bytes, 0xa5a5a5a5);
        }
    }
    for (uint32_t i = 0; i < 256; i++) {
        if (before[i] != model_find(id)->space[i])
            fail_msg("%04x: byte 0x%x changed", id, i);
    }
}

static void test_read_only(void **state)
{
    (void)state;
    nothing_sticks(HOST, 0, 256);
    nothing_sticks(ISA, 0, 256);
    nothing_sticks(PORT, 0, 4);
    nothing_sticks(PORT, 0x18, 0x1e); /* bus numbers; then windows, ROM */
    nothing_sticks(PORT, 0x20, 0x3c);
    nothing_sticks(PORT, 0x3d, 0x100); /* bridge control and every capability */
    nothing_sticks(NVME, NVME_MSIX, NVME_MSIX + 12);
    nothing_sticks(NETWORK, NET_MSI, NET_MSI + 14);
    nothing_sticks(NETWORK, 0, 4);
    nothing_sticks(NETWORK, 8, 12);
    nothing_sticks(NETWORK, 0x0e, 0x10);
    nothing_sticks(NETWORK, 0x28, 0x30);
    nothing_sticks(NETWORK, NET_PCIE, NET_PCIE + 8);
    nothing_sticks(NETWORK, NET_PCIE + 12, NET_PCIE + 0x3c);
}

/* An access that begins before a read-only capability must not leak into it. */
/*
 * MSI's enable bit, MSI-X's enable and function mask: exactly when what the function could send then is
 * harmless, by accesses of every width; nothing else in the capabilities, ever.
 */
static void test_interrupts_are_switched_on_when_harmless(void **state)
{
    static const struct {
        uint16_t id, control, end, bits;
        bool msix;
    } cases[] = {{NETWORK, NET_MSI + 2, NET_MSI + 14, 0x0001, false},
                 {NVME, NVME_MSIX + 2, NVME_MSIX + 12, 0xc000, true}};

    (void)state;
    for (uint32_t i = 0; i < 2 * 4; i++) {
        uint16_t id = cases[i / 4].id, at = cases[i / 4].control, bits = cases[i / 4].bits;
        bool harmless = i % 4 == 3; /* before: none, another function, the other kind */
        uint32_t before = real(id, at, 2);

        platform_harmless = i % 4 == 0 ? UINT32_MAX : i % 4 == 1 ? DISK : id;
        platform_harmless_msix = (i % 4 == 2) != cases[i / 4].msix;
        set(id, at, 2, 0xffff);
        assert_int_equal(real(id, at, 2), before | (harmless ? bits : 0));
        set(id, at, 2, 0);
        assert_int_equal(real(id, at, 2), before & (harmless ? ~bits : UINT32_MAX));
        set(id, at - 2u, 4, 0xffffffff);
        assert_int_equal(real(id, at, 2), before | (harmless ? bits : 0));
        set(id, at, 1, 0);
        set(id, at + 1u, 1, 0);
        assert_int_equal(real(id, at, 2), before & (harmless ? ~bits : UINT32_MAX));
        nothing_sticks(id, at - 2u, at);
        nothing_sticks(id, at + 2u, cases[i / 4].end);
    }
    platform_harmless = UINT32_MAX;
}

static void test_straddling(void **state)
{
    (void)state;
    struct model_function *network = model_find(NETWORK);

    model_capability(network, 0xb2, 0x05, 0);
    network->writable[0xb2] = network->writable[0xb3] = 0;
    platform_start();
    network->space[0x34] = 0xb2;
    platform_start();
    set(NETWORK, 0xb0, 4, 0xffffffff);
    assert_int_equal(real(NETWORK, 0xb0, 2), 0xffff);
    assert_int_equal(real(NETWORK, 0xb2, 2), 0x0005);
}

static void test_pcie_capability(void **state)
{
    (void)state;
    struct model_function *network = model_find(NETWORK);

    model_set(network, NET_PCIE + 8, 0x0020, 2); /* firmware's payload size */
    network->space[NET_PCIE + 10] = 0x0f;
    set(NETWORK, NET_PCIE + 8, 2, 0xffff);
    assert_int_equal(real(NETWORK, NET_PCIE + 8, 2), 0xf930);
    assert_int_equal(network->space[NET_PCIE + 10], 0x0f); /* errors noted are not cleared on the way */
    set(NETWORK, NET_PCIE + 8, 4, 0x00050000);
    assert_int_equal(real(NETWORK, NET_PCIE + 8, 2), 0x0020);
    assert_int_equal(network->space[NET_PCIE + 10], 0x0a);
}

static void test_free_registers(void **state)
{
    (void)state;
    set(EDU, 0x40, 4, 0x12345678);
    assert_int_equal(get(EDU, 0x40, 4), 0x12345678);
    assert_int_equal(model_find(EDU)->writes, 1); /* one access is one access */
    set(EDU, 0x42, 2, 0xabcd);
    assert_int_equal(get(EDU, 0x40, 4), 0xabcd5678);
    set(EDU, 0x3c, 4, 0xffffff0b);
    assert_int_equal(real(EDU, 0x3c, 4), 0x0b);
    set(EDU, 0x0c, 4, 0xffffffff);
    assert_int_equal(real(EDU, 0x0c, 4), 0xffff);
}

static void test_virtio_window_is_locked(void **state)
{
    (void)state;
    platform_reset();
    struct model_function *virtio = model_add(ID(0, 7, 0), 0x1af4, 0x1042, 0x010000, 0);
    model_bar(virtio, 4, MODEL_MEM32, 0x80310000, 0x4000);
    model_capability(virtio, 0x40, 0x09, 0x60);
    virtio->space[0x43] = 1;
    model_capability(virtio, 0x60, 0x09, 0);
    virtio->space[0x63] = 5;
    platform_start();
    nothing_sticks(ID(0, 7, 0), 0x60, 0x74);
    set(ID(0, 7, 0), 0x80, 4, 1);
    assert_int_equal(real(ID(0, 7, 0), 0x80, 4), 1);
}

/* ---- who is there ---- */

static void test_absent_and_hidden(void **state)
{
    (void)state;
    uint32_t writes;

    assert_int_equal(get(ID(0, 9, 0), 0, 4), 0xffffffff);
    assert_int_equal(get(ID(255, 31, 7), 0, 1), 0xff);
    set(ID(0, 9, 0), 4, 2, 7);
    pci_find(EDU)->hidden = true;
    writes = model_find(EDU)->writes;
    assert_int_equal(get(EDU, 0, 4), 0xffffffff);
    assert_int_equal(get(EDU, 0x10, 2), 0xffff);
    set(EDU, 4, 2, 7);
    set(EDU, 0x10, 4, 0x80100000);
    set(EDU, 0x80, 4, 1);
    assert_int_equal(model_find(EDU)->writes, writes);
}

static void test_odd_accesses(void **state)
{
    (void)state;
    assert_int_equal(get(EDU, 0, 3), 0xffffff);
    assert_int_equal(get(EDU, 0, 0), 0);
    assert_int_equal(get(EDU, 0, 8), 0xffffffff);
    assert_int_equal(get(EDU, 3, 2), 0xffff);
    assert_int_equal(get(EDU, 1, 4), 0xffffffff);
    assert_int_equal(get(EDU, 1, 2), 0xe812);
    assert_int_equal(get(EDU, 0x1000, 4), 0xffffffff);
    set(EDU, 0x43, 2, 0xffff);
    set(EDU, 0x40, 3, 0xffff);
    set(EDU, 0x100, 4, 0xffff); /* the extended registers are firmware's */
    set(EDU, 0xffff, 1, 0xff);
    assert_int_equal(model_find(EDU)->writes, 0);
}

/* Anything at all: no window ever leaves its places, nothing that is locked changes. */
static void test_random_writes(void **state)
{
    (void)state;
    static const uint16_t ids[] = {HOST, ISA, NVME, EDU, NETWORK, PORT, DISK, ID(0, 9, 0)};
    static const uint32_t values[] = {0,          0xffffffff, 0x80210000, 0x80100000,
                                      0xfee00000, 0x100000,   0x80000000};

    srand(7);
    for (uint32_t i = 0; i < 200000; i++) {
        uint16_t id = ids[rand() % 8];
        uint32_t value = rand() & 1 ? values[rand() % 7] : (uint32_t)rand() * 3u;

        set(id, (uint32_t)(rand() % 0x110), (uint8_t)(1u << (rand() % 3)), value);
        get(id, (uint32_t)(rand() % 0x110), (uint8_t)(1u << (rand() % 3)));
    }
    uint32_t edu = real(EDU, 0x10, 4), network = real(NETWORK, 0x10, 4), disk = real(DISK, 0x10, 4);
    assert_int_equal(edu, 0x80100000); /* there is no other MiB */
    assert_in_range(network, 0x80200000, 0x803fffff);
    assert_in_range(disk, 0x80400000, 0x805ff000);
    assert_int_equal(real(NVME, 0x10, 4), 0x80000004);
    assert_int_equal(real(NETWORK, 0x14, 4), 0xc001);
    assert_int_equal(real(PORT, 0x18, 4), 0x00010100);
    assert_int_equal(real(PORT, 0x20, 4), 0x80508040);
    assert_int_equal(model_live_bar_writes, 0);
    assert_int_equal(model_find(HOST)->writes + model_find(ISA)->writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_sizing_moves_nothing, start),
        cmocka_unit_test_setup(test_bytes_of_a_bar, start),
        cmocka_unit_test_setup(test_places_that_are_refused, start),
        cmocka_unit_test_setup(test_moves, start),
        cmocka_unit_test_setup(test_moving_while_decoding, start),
        cmocka_unit_test_setup(test_msix_window_stays, start),
        cmocka_unit_test_setup(test_io_window_stays, start),
        cmocka_unit_test_setup(test_too_many_moves, start),
        cmocka_unit_test_setup(test_after_reset, start),
        cmocka_unit_test_setup(test_rom, start),
        cmocka_unit_test_setup(test_command, start),
        cmocka_unit_test_setup(test_status, start),
        cmocka_unit_test_setup(test_dead_unit_keeps_devices_quiet, start),
        cmocka_unit_test_setup(test_isolated_device_stays_quiet, start),
        cmocka_unit_test_setup(test_frozen_decoding, start),
        cmocka_unit_test_setup(test_read_only, start),
        cmocka_unit_test_setup(test_interrupts_are_switched_on_when_harmless, start),
        cmocka_unit_test_setup(test_straddling, start),
        cmocka_unit_test_setup(test_pcie_capability, start),
        cmocka_unit_test_setup(test_free_registers, start),
        cmocka_unit_test_setup(test_virtio_window_is_locked, start),
        cmocka_unit_test_setup(test_absent_and_hidden, start),
        cmocka_unit_test_setup(test_odd_accesses, start),
        cmocka_unit_test_setup(test_random_writes, start),
    };
    return cmocka_run_group_tests_name("config_policy", tests, NULL, NULL);
}
