/* SPDX-License-Identifier: MIT */
/* Interrupts of devices: few functions, lines and numbers, so that calls meet. */
#include "tests/adversary/calls.h"

#include "guest-abi/include/sluice/event_channel.h"
#include "guest-abi/include/sluice/xen.h"
#include "tests/adversary/choose.h"

#define COUNT(array)  (uint32_t)(sizeof(array) / sizeof((array)[0]))
#define LINES         26u
#define FIRST_MESSAGE 0x240u /* as messages are numbered; nothing but a good guess */

static int32_t any_gsi(void)
{
    return one_in(16) ? (int32_t)any_word() : (int32_t)below(LINES);
}

static uint32_t any_pirq(void)
{
    if (one_in(16))
        return (uint32_t)any_word();
    return one_in(2) ? (uint32_t)any_gsi() : FIRST_MESSAGE + below(12);
}

/* Most are there, on every machine that the adversary meets. */
static uint32_t any_function(void)
{
    return one_in(4) ? 31 << 3 | below(4) : below(6) << 3 | (one_in(8) ? below(8) : 0);
}

static uint16_t any_domain(void)
{
    return one_in(24) ? (uint16_t)any_word() : DOMID_SELF;
}

struct physdev_map_pirq any_map(void)
{
    struct physdev_map_pirq map = {.domid = any_domain(), .pirq = -1};

    map.type = one_in(16) ? (int32_t)any_word() : one_in(8) ? (int32_t)below(5) : one_in(2) ? 1 : 3;
    map.index = any_gsi();
    map.bus = one_in(16) ? (int32_t)any_word() : 0;
    map.devfn = one_in(16) ? (int32_t)any_word() : (int32_t)any_function();
    map.entry_nr = one_in(16) ? (int32_t)any_word() : (int32_t)below(5);
    map.table_base = one_in(2) ? any_word() : 0;
    if (map.type == MAP_PIRQ_TYPE_GSI && !one_in(8))
        map.pirq = map.index;
    return map;
}

/* Of commands of a few words, the first is a number and the others are small. */
static uint64_t words_of(uint32_t first)
{
    uint32_t words[4] = {first, one_in(8) ? (uint32_t)any_word() : below(2) | below(2) << 8,
                         (uint32_t)any_word(), (uint32_t)any_word()};

    return scratch_put(words, sizeof words);
}

static uint64_t argument_of(uint32_t command)
{
    const struct physdev_map_pirq map = any_map();
    const struct physdev_unmap_pirq unmap = {any_domain(), (int32_t)any_pirq()};

    switch (command) {
    case PHYSDEVOP_map_pirq:
        return scratch_put(&map, sizeof map);
    case PHYSDEVOP_unmap_pirq:
        return scratch_put(&unmap, sizeof unmap);
    case PHYSDEVOP_restore_msi:
        return words_of(any_function() << 8);
    case PHYSDEVOP_restore_msi_ext:
    case PHYSDEVOP_pci_device_add:
        return words_of(any_function() << 24 | (one_in(16) ? below(4) : 0));
    default:
        return words_of(any_pirq());
    }
}

struct call any_interrupt_call(void)
{
    static const uint8_t commands[] = {
        PHYSDEVOP_map_pirq,        PHYSDEVOP_map_pirq,         PHYSDEVOP_map_pirq,
        PHYSDEVOP_unmap_pirq,      PHYSDEVOP_unmap_pirq,       PHYSDEVOP_eoi,
        PHYSDEVOP_setup_gsi,       PHYSDEVOP_irq_status_query, PHYSDEVOP_restore_msi,
        PHYSDEVOP_restore_msi_ext, PHYSDEVOP_pci_device_add,   PHYSDEVOP_alloc_irq_vector};
    uint32_t command = commands[below(COUNT(commands))];

    if (one_in(3)) {
        struct evtchn_bind_pirq bind = {any_pirq(), one_in(16) ? (uint32_t)any_word() : below(2), 0};

        return (struct call){__HYPERVISOR_event_channel_op,
                             {EVTCHNOP_bind_pirq, any_pointer(scratch_put(&bind, sizeof bind))},
                             "bind_pirq"};
    }
    return (struct call){
        __HYPERVISOR_physdev_op, {command, any_pointer(argument_of(command))}, "an interrupt's physdev_op"};
}
