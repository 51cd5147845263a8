/* SPDX-License-Identifier: MIT */
/*
 * A DMA of QEMU's edu device that begins while firmware's tables are in use and ends under ours; and events
 * in AMD-Vi's log, which QEMU's unit never writes itself. Neither where the loader's hook changed a table:
 * there the machine is to be like any other.
 */
#include "hook.h"

#include "usb.h"

#include "cpu/ops.h"
#include "cpu/time.h"
#include "drivers/iommu/amdvi/amdvi.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "pci/pci.h"

#define EDU_IDS         0x11e81234u
#define EDU_SOURCE      0x80u
#define EDU_DESTINATION 0x88u
#define EDU_COUNT       0x90u
#define EDU_COMMAND     0x98u
#define EDU_BUSY        1u
#define EDU_TO_MEMORY   2u
#define EDU_BUFFER      0x40000u
#define EDU_WAIT_NS     1000000000ull

#define OTHERS_WAIT_NS 50000000ull

#define UNTOUCHED 0x5a

static volatile uint8_t *edu;
static uint16_t edu_id;
static uint8_t *target;

static volatile uint64_t *edu_register(uint32_t offset)
{
    return (volatile uint64_t *)(volatile void *)(edu + offset);
}

static bool edu_find(void)
{
    for (uint32_t id = 0; id <= UINT16_MAX; id++) {
        if (pci_find((uint16_t)id) == NULL || pci_read((uint16_t)id, PCI_VENDOR, 4) != EDU_IDS)
            continue;
        edu_id = (uint16_t)id;
        pci_write(edu_id, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
        edu = mmio_map(pci_read(edu_id, PCI_BAR0, 4) & PCI_BAR_MEM_MASK, 0x1000);
        return edu != NULL;
    }
    return false;
}

static void start_dma(uint64_t mfn)
{
    memset(target, UNTOUCHED, FRAME_SIZE);
    *edu_register(EDU_SOURCE) = EDU_BUFFER;
    *edu_register(EDU_DESTINATION) = mfn << FRAME_SHIFT;
    *edu_register(EDU_COUNT) = 64;
    *edu_register(EDU_COMMAND) = EDU_BUSY | EDU_TO_MEMORY;
}

static void wait_for_dma(void)
{
    uint64_t deadline = time_now_ns() + EDU_WAIT_NS;

    while ((*edu_register(EDU_COMMAND) & EDU_BUSY) != 0 && time_now_ns() < deadline)
        cpu_pause();
}

/* The page where processor.c of this folder lets the others count. */
#define COUNTER 0x50010ull

/* Whether what the loader's hook set going still runs. */
static void watch_others(void)
{
    const volatile uint32_t *counter = phys_map_readonly(COUNTER, sizeof *counter);
    uint32_t before = *counter;
    uint64_t deadline = time_now_ns() + OTHERS_WAIT_NS;

    while (time_now_ns() < deadline)
        cpu_pause();
    log_line("hook: the other processors counted to %u and %s", before,
             *counter == before ? "stand still" : "RUN");
}

void hook_before_enable(void)
{
    const char *word = option_value("hook");
    uint64_t mfn;

    usb_goes_on();
    if (word != NULL && strcmp(word, "processors") == 0)
        watch_others();
    if (word != NULL || option_value("acpi-override") != NULL)
        return;
    mfn = frames_alloc(1);
    if (mfn == 0 || !edu_find()) {
        log_line("hook: there is no edu, or no memory");
        return;
    }
    target = phys_to_virt(mfn << FRAME_SHIFT);
    start_dma(mfn);
    wait_for_dma();
    log_line("hook: a DMA under firmware's tables %s", target[0] == UNTOUCHED ? "DID NOT ARRIVE" : "arrived");
    start_dma(mfn);
}

/* As the unit would: a page fault, a bad device entry, an interrupt that nothing allows, and one it lost. */
static void write_events(struct amdvi_unit *unit)
{
    const struct ring_record events[] = {
        {AMDVI_OPCODE(0x2) | AMDVI_EVENT_WRITE | edu_id, 0x123000},
        {AMDVI_OPCODE(0x2) | AMDVI_EVENT_PRESENT | AMDVI_EVENT_PERMISSION | edu_id, 0x124000},
        {AMDVI_OPCODE(0x1) | edu_id, 0x125000},
        {AMDVI_OPCODE(0x2) | AMDVI_EVENT_INTERRUPT | edu_id, 0xfee00000},
        {AMDVI_OPCODE(0x5), 0x1000},
    };

    for (uint32_t i = 0; i < sizeof events / sizeof *events; i++)
        unit->events.records[(unit->events.head + i) % AMDVI_RING_RECORDS] = events[i];
    amdvi_write(
        unit, AMDVI_EVENT_TAIL,
        ring_offset((uint32_t)(unit->events.head + sizeof events / sizeof *events) % AMDVI_RING_RECORDS));
}

void hook_after_enable(void)
{
    bool busy = edu != NULL && (*edu_register(EDU_COMMAND) & EDU_BUSY) != 0;

    usb_has_news();
    if (target == NULL)
        return;
    log_line("hook: the DMA that began before is %s", busy ? "under way" : "over too early");
    wait_for_dma();
    log_line("hook: the DMA %s", target[0] == UNTOUCHED ? "did not arrive" : "ARRIVED");
    if (amdvi_unit_count() != 0)
        write_events(amdvi_unit_at(0));
}
