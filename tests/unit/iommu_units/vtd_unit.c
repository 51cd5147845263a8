/* SPDX-License-Identifier: MIT */
/* A VT-d unit: spec revision 4.1 as far as Sluice relies on it, in legacy mode. */
#include "drivers/iommu/vtd/regs.h"
#include "tests/unit/iommu_units/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FAULT_OFFSET 0x200u
#define ADDRESS      0x100u /* Invalidate Address; IOTLB Invalidate follows */
#define IOTLB        (ADDRESS + VTD_IOTLB_OFFSET)
#define QUEUE_BYTES  4096u
#define KEPT         (VTD_GLOBAL_TE | VTD_GLOBAL_QIE | VTD_GLOBAL_IRE | VTD_GLOBAL_CFI)

/* 65536 domains; 39 and 48 bits; leaves of 2 MiB and 1 GiB; 2^18 pages by one descriptor; a queue, and
 * interrupt remapping. */
#define CAP                                                                                                  \
    (6ull | VTD_CAP_PLMR | 6ull << 8 | 47ull << 16 | (uint64_t)(FAULT_OFFSET / 16) << 24 |                   \
     VTD_CAP_SLLPS_2M | VTD_CAP_SLLPS_1G | VTD_CAP_PSI | 18ull << 48 | VTD_CAP_DWD | VTD_CAP_DRD)
#define ECAP (VTD_ECAP_C | VTD_ECAP_QI | VTD_ECAP_IR | (uint64_t)(ADDRESS / 16) << 8)

static void reset(struct unit *unit)
{
    if (unit->cap == 0) {
        unit->cap = CAP;
        unit->ecap = ECAP;
    }
    unit->vtd.protected_memory = VTD_PMEN_ENABLE | VTD_PMEN_STATUS;
}

static bool is_on(const struct unit *unit)
{
    return (unit->vtd.status & VTD_GLOBAL_TE) != 0 && unit->vtd.root_in_use >> 12 >= MACHINE_FIRST_MFN &&
           unit->vtd.root_in_use >> 12 < MACHINE_FIRST_MFN + MACHINE_FRAMES;
}

/* ---- forgetting ---- */

static void forget_contexts(struct unit *unit, uint32_t granularity, uint16_t domain, uint16_t id)
{
    if (granularity == 1) {
        unit->done.global++;
        unit->vtd.forgot_devices = true;
        unit->vtd.forgot_pages = false; /* 6.6: the context cache first */
        unit_forget_devices(unit);
        return;
    }
    assert_int_equal(granularity, 3);
    unit->done.device++;
    /* The domain must be that of the entry; absence is remembered under domain 0 (6.1). */
    if (unit_known_device(unit, id) != NULL &&
        ((unit_known_device(unit, id)->low & VTD_ENTRY_PRESENT) == 0
             ? domain == 0
             : domain == VTD_CONTEXT_DID(unit_known_device(unit, id)->high)))
        unit_known_device(unit, id)->valid = false;
}

static void forget_translations(struct unit *unit, uint32_t granularity, uint16_t domain, uint64_t address)
{
    uint32_t order = (uint32_t)address & 0x3f;
    uint64_t bfn = address >> 12;

    if (granularity == 1) {
        unit->done.global++;
        unit->vtd.forgot_pages = true;
        unit_forget_pages(unit);
        return;
    }
    assert_true(domain < VTD_CAP_DOMAINS(unit->cap));
    if (granularity == 2) {
        unit->done.domain++;
        unit_forget_domain(unit, domain);
        return;
    }
    assert_int_equal(granularity, 3);
    assert_true((unit->cap & VTD_CAP_PSI) != 0 && order <= VTD_CAP_MAMV(unit->cap));
    assert_int_equal(bfn & ((1ull << order) - 1), 0);
    unit->done.pages++;
    if (order > unit->done.widest)
        unit->done.widest = order;
    unit_forget_range(unit, domain, bfn, 1ull << order);
}

/* ---- the queue ---- */

static void finish_wait(struct unit *unit, struct ring_record record)
{
    uint32_t value = (uint32_t)(record.low >> 32);

    unit->done.waits++;
    if (!unit->drop_waits && (record.low & VTD_WAIT_STATUS_WRITE) != 0)
        machine_store(record.high, &value, sizeof value);
}

static void perform(struct unit *unit, struct ring_record record)
{
    uint32_t granularity = (uint32_t)record.low >> 4 & 3;
    uint16_t domain = (uint16_t)(record.low >> 16);

    switch (record.low & 0xf) {
    case VTD_DESCRIPTOR_CONTEXT:
        forget_contexts(unit, granularity, domain, (uint16_t)(record.low >> 32));
        break;
    case VTD_DESCRIPTOR_IOTLB:
        forget_translations(unit, granularity, domain, record.high);
        break;
    case VTD_DESCRIPTOR_INTERRUPT:
        unit->done.interrupts++;
        break;
    case VTD_DESCRIPTOR_WAIT:
        finish_wait(unit, record);
        break;
    default:
        fail_msg("no such descriptor");
    }
}

static void run_queue(struct unit *unit)
{
    while ((unit->vtd.status & VTD_GLOBAL_QIE) != 0 && unit->vtd.queue_head != unit->vtd.queue_tail) {
        const struct ring_record *record =
            machine_memory_of(unit, unit->vtd.queue_base + unit->vtd.queue_head, sizeof *record);

        perform(unit, *record);
        unit->vtd.queue_head = (unit->vtd.queue_head + sizeof *record) % QUEUE_BYTES;
    }
}

/* ---- registers ---- */

static void global_command(struct unit *unit, uint32_t value)
{
    uint32_t old = unit->vtd.status, on = value & ~old;

    assert_true((old & ~value & VTD_GLOBAL_TE) == 0); /* never off again: a gap */
    if ((value & VTD_GLOBAL_SRTP) != 0) {
        assert_int_equal(unit->vtd.root & VTD_RTADDR_MODE, 0);
        unit->vtd.root_in_use = unit->vtd.root;
        unit->vtd.forgot_devices = unit->vtd.forgot_pages = false;
    }
    if ((on & VTD_GLOBAL_TE) != 0)
        assert_true(unit->vtd.forgot_devices && unit->vtd.forgot_pages);
    if ((on & VTD_GLOBAL_QIE) != 0) {
        assert_true((unit->ecap & VTD_ECAP_QI) != 0);
        unit->vtd.queue_head = 0;
    }
    unit->vtd.status = (value & KEPT) | ((old | value) & (VTD_GLOBAL_SRTP | VTD_GLOBAL_SIRTP));
}

/* The commands by register: done at once, or never. */
static void context_command(struct unit *unit, uint64_t value)
{
    assert_int_equal(unit->vtd.status & VTD_GLOBAL_QIE, 0); /* 6.5: not while the queue is on */
    unit->vtd.command = unit->drop_waits ? value : value & ~VTD_CCMD_ICC;
    forget_contexts(unit, (uint32_t)(value >> 61) & 3, (uint16_t)value, (uint16_t)(value >> 16));
}

static void iotlb_command(struct unit *unit, uint64_t value)
{
    assert_int_equal(unit->vtd.status & VTD_GLOBAL_QIE, 0);
    unit->vtd.iotlb = unit->drop_waits ? value : value & ~VTD_IOTLB_IVT;
    forget_translations(unit, (uint32_t)(value >> 60) & 3, (uint16_t)(value >> 32), unit->vtd.address);
}

static uint64_t read_register(struct unit *unit, uint32_t offset, uint32_t bytes)
{
    switch (offset << 4 | bytes) {
    case VTD_VER << 4 | 4:
        return 0x10;
    case VTD_CAP << 4 | 8:
        return unit->cap;
    case VTD_ECAP << 4 | 8:
        return unit->ecap;
    case VTD_GSTS << 4 | 4:
        return unit->vtd.status;
    case VTD_RTADDR << 4 | 8:
        return unit->vtd.root;
    case VTD_CCMD << 4 | 8:
        return unit->vtd.command;
    case VTD_FSTS << 4 | 4:
        return 0;
    case VTD_PMEN << 4 | 4:
        return unit->vtd.protected_memory;
    case VTD_IQH << 4 | 8:
        return unit->vtd.queue_head;
    case VTD_IQT << 4 | 8:
        return unit->vtd.queue_tail;
    case VTD_IRTA << 4 | 8:
        return unit->vtd.interrupts;
    case IOTLB << 4 | 8:
        return unit->vtd.iotlb;
    case (FAULT_OFFSET + VTD_FAULT_HIGH) << 4 | 8:
        return 0;
    default:
        fail_msg("no register of %u bytes at 0x%x", bytes, offset);
    }
    return 0;
}

static void write_register(struct unit *unit, uint32_t offset, uint64_t value, uint32_t bytes)
{
    switch (offset << 4 | bytes) {
    case VTD_GCMD << 4 | 4:
        global_command(unit, (uint32_t)value);
        break;
    case VTD_RTADDR << 4 | 8:
        unit->vtd.root = value;
        break;
    case VTD_CCMD << 4 | 8:
        context_command(unit, value);
        break;
    case VTD_FSTS << 4 | 4:
        break;
    case VTD_FECTL << 4 | 4:
    case VTD_FEDATA << 4 | 4:
    case VTD_FEADDR << 4 | 4:
    case VTD_FEUADDR << 4 | 4:
        unit->vtd.fault_event[(offset - VTD_FECTL) / 4] = (uint32_t)value;
        break;
    case VTD_PMEN << 4 | 4:
        assert_true(is_on(unit)); /* until then it is all that holds devices off */
        unit->vtd.protected_memory = (uint32_t)value;
        break;
    case VTD_IQT << 4 | 8:
        assert_true(value < QUEUE_BYTES && value % sizeof(struct ring_record) == 0);
        unit->vtd.queue_tail = value;
        run_queue(unit);
        break;
    case VTD_IQA << 4 | 8:
        assert_int_equal(unit->vtd.status & VTD_GLOBAL_QIE, 0);
        unit->vtd.queue_base = value;
        break;
    case VTD_IRTA << 4 | 8:
        unit->vtd.interrupts = value;
        break;
    case ADDRESS << 4 | 8:
        unit->vtd.address = value;
        break;
    case IOTLB << 4 | 8:
        iotlb_command(unit, value);
        break;
    default:
        fail_msg("no register of %u bytes to write at 0x%x", bytes, offset);
    }
}

/* ---- DMA ---- */

static struct vtd_entry read_entry(const struct unit *unit, uint64_t table, uint32_t index)
{
    const struct vtd_entry *entries = machine_memory_of(unit, table & VTD_ENTRY_ADDRESS, QUEUE_BYTES);

    return entries[index];
}

/* The context entry, from the cache or from memory. */
static struct vtd_entry context_of(struct unit *unit, uint16_t id)
{
    const struct unit_device *known = unit_known_device(unit, id);
    struct vtd_entry entry;

    if (known != NULL)
        return (struct vtd_entry){known->low, known->high};
    entry = read_entry(unit, unit->vtd.root_in_use, id >> 8);
    if ((entry.low & VTD_ENTRY_PRESENT) != 0)
        entry = read_entry(unit, entry.low, id & 0xff);
    if ((entry.low & VTD_ENTRY_PRESENT) != 0 || (unit->cap & VTD_CAP_CM) != 0)
        unit_remember_device(unit, id, entry.low, entry.high);
    return entry;
}

static uint64_t walk(const struct unit *unit, struct vtd_entry context, uint64_t bfn)
{
    uint64_t entry = context.low, allowed = VTD_PAGE_READ | VTD_PAGE_WRITE;
    uint32_t width = (uint32_t)context.high & 7;

    assert_true((VTD_CAP_SAGAW(unit->cap) >> width & 1) != 0);
    assert_int_equal(context.low & 0xe, 0);
    if (bfn >> (VTD_CAP_MGAW(unit->cap) - 12) != 0 || bfn >> (9 * (width + 2)) != 0)
        return 0;
    for (uint32_t level = width + 2; level >= 1 && allowed != 0; level--) {
        const uint64_t *table = machine_memory_of(unit, entry & VTD_ENTRY_ADDRESS, 4096);

        entry = table[bfn >> (9 * (level - 1)) & 511];
        allowed &= entry;
        if (level > 1 && (entry & 1u << 7) != 0) {
            assert_true(level <= 3 && (unit->cap >> (32 + level) & 1) != 0); /* SLLPS */
            return allowed != 0 ? machine_page_in(entry & VTD_ENTRY_ADDRESS, bfn, level) | allowed : 0;
        }
        assert_int_equal(entry & 1u << 7, 0);
    }
    return allowed != 0 ? (entry & VTD_ENTRY_ADDRESS) | allowed : 0;
}

static bool dma(struct unit *unit, uint16_t id, uint64_t bfn, bool write, uint64_t *mfn)
{
    struct vtd_entry context;
    const struct unit_page *known;
    uint16_t domain;
    uint64_t entry;

    *mfn = bfn;
    if ((unit->vtd.status & VTD_GLOBAL_TE) == 0)
        return true;
    context = context_of(unit, id);
    if ((context.low & VTD_ENTRY_PRESENT) == 0)
        return false;
    domain = VTD_CONTEXT_DID(context.high);
    assert_true(domain != 0 && domain < VTD_CAP_DOMAINS(unit->cap));
    known = unit_known_page(unit, domain, bfn);
    entry = known != NULL ? known->entry : walk(unit, context, bfn);
    if (known == NULL && (entry != 0 || (unit->cap & VTD_CAP_CM) != 0))
        unit_remember_page(unit, domain, bfn, entry);
    *mfn = (entry & VTD_ENTRY_ADDRESS) >> 12;
    return (entry & (write ? VTD_PAGE_WRITE : VTD_PAGE_READ)) != 0;
}

const struct unit_model vtd_unit_model = {
    .reset = reset, .read = read_register, .write = write_register, .is_on = is_on, .dma = dma};
