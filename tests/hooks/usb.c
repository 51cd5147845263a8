/* SPDX-License-Identifier: MIT */
/*
 * A USB controller that firmware's driver did not stop. OVMF's does, and leaves all else in place, so that
 * the controller only needs to be told to run: it then writes an event whenever a port was reset, to the ring
 * in firmware's memory. Registers: xHCI 1.2, chapter 5; the table of event ring segments: 6.5.
 */
#include "usb.h"

#include "lib/log.h"
#include "lib/options.h"
#include "lib/string.h"
#include "mem/map.h"
#include "pci/pci.h"

#define CLASS_XHCI   0x0c0330u
#define REGISTERS    0x10000u
#define CAPLENGTH    0x00u
#define HCSPARAMS1   0x04u /* number of ports from bit 24 on */
#define RTSOFF       0x18u
#define USBCMD       0x00u /* from CAPLENGTH on */
#define USBCMD_RUN   1u
#define PORTSC       0x400u
#define PORT_BYTES   0x10u
#define PORT_PRESENT 0x00000001u
#define PORT_RESET   0x00000010u
#define PORT_POWER   0x00000200u
#define PORT_CHANGED 0x00200000u /* by a reset; cleared by writing 1 */
#define ERSTBA       0x30u       /* of interrupter 0, from RTSOFF on */
#define EVENT_BYTES  16u
#define RING_MAX     0x4000u

static volatile uint8_t *registers;
static volatile uint8_t *operational;
static const uint8_t *ring; /* its first segment */
static uint64_t ring_bytes;

static volatile uint32_t *reg32(volatile uint8_t *base, uint32_t offset)
{
    return (volatile uint32_t *)(volatile void *)(base + offset);
}

static bool find_controller(void)
{
    for (uint32_t i = 0; i < pci_count() && registers == NULL; i++) {
        const struct pci_function *function = pci_at(i);

        if (function->class_code != CLASS_XHCI)
            continue;
        pci_write(function->id, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
        registers = mmio_map(function->bars[0].base, REGISTERS);
    }
    return registers != NULL;
}

static uint64_t read64(volatile uint8_t *base, uint32_t offset)
{
    return *reg32(base, offset) | (uint64_t)*reg32(base, offset + 4) << 32;
}

static bool find_ring(void)
{
    uint64_t table = read64(registers, (*reg32(registers, RTSOFF) & ~31u) + ERSTBA) & ~63ull;
    const uint64_t *first = table != 0 ? phys_map_readonly(table, 16) : NULL;

    if (first == NULL || (first[1] & 0xffff) > RING_MAX / EVENT_BYTES)
        return false;
    ring_bytes = (first[1] & 0xffff) * EVENT_BYTES;
    ring = phys_map_readonly(first[0], ring_bytes);
    return ring != NULL;
}

/* Resets every port that has a device; whether the ring of events is another than before. */
static bool event_arrives(void)
{
    static uint8_t before[RING_MAX];
    uint32_t ports = *reg32(registers, HCSPARAMS1) >> 24;

    memcpy(before, ring, ring_bytes);
    for (uint32_t i = 0; i < ports; i++) {
        volatile uint32_t *port = reg32(operational, PORTSC + i * PORT_BYTES);

        if ((*port & PORT_PRESENT) == 0)
            continue;
        *port = PORT_POWER | PORT_CHANGED;
        *port = PORT_POWER | PORT_RESET;
    }
    return memcmp(before, ring, ring_bytes) != 0;
}

void usb_goes_on(void)
{
    const char *word = option_value("hook");

    if (word == NULL || strcmp(word, "usb") != 0)
        return;
    if (!find_controller() || !find_ring()) {
        log_line("hook: there is no xHCI controller that firmware has used");
        registers = NULL;
        return;
    }
    operational = registers + (*reg32(registers, CAPLENGTH) & 0xff);
    *reg32(operational, USBCMD) |= USBCMD_RUN;
    log_line("hook: the USB controller's event %s", event_arrives() ? "arrived" : "DID NOT ARRIVE");
}

void usb_has_news(void)
{
    if (registers != NULL)
        log_line("hook: the USB controller's next event %s", event_arrives() ? "ARRIVED" : "did not arrive");
}
