/* SPDX-License-Identifier: MIT */
/*
 * Interrupt tables, spec 48882 revision 3.08, section 2.2.5. A device that asks for an entry gets a table of
 * its own, which stays; the interrupts of all others are aborted, whatever their format.
 */
#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"

/* Id 0xff, or with 32 bits all ones, is every APIC. */
#define XAPIC_ID_MAX  0xfeu
#define X2APIC_ID_MAX 0xfffffffeu

_Static_assert(AMDVI_INTERRUPT_ENTRIES <= IOMMU_INTERRUPTS_MAX, "a bit and an owner for each");
_Static_assert(AMDVI_INTERRUPT_ENTRIES * sizeof(struct ring_record) <= AMDVI_PAGE_SIZE, "a page");

/* IO-APICs and HPETs that the IVRS names. unit is NULL when that unit is not usable. */
static struct source {
    struct amdvi_unit *unit;
    uint16_t segment, requester_id;
    uint8_t kind, id; /* enum ivrs_special_kind, handle */
} sources[IVRS_SPECIALS_MAX];
static uint32_t source_count;

void amdvi_interrupts_init(struct amdvi_unit *unit, bool x2apic)
{
    unit->interrupt_format = 0;
    if ((unit->features & AMDVI_FEATURE_INT_128) == 0)
        return;
    unit->interrupt_format = AMDVI_CONTROL_INT_128;
    if (x2apic && (unit->features & AMDVI_FEATURE_X2APIC) != 0)
        unit->interrupt_format |= AMDVI_CONTROL_X2APIC;
}

/* ---- sources that are no PCI functions: 5.2.2.1 ---- */

void amdvi_sources_init(const struct ivrs *ivrs, struct amdvi_unit *const *unit_of)
{
    source_count = 0;
    for (uint32_t i = 0; i < ivrs->special_count; i++) {
        const struct ivrs_special *special = &ivrs->specials[i];

        if (ivrs->blocks[special->block].superseded)
            continue;
        sources[source_count++] = (struct source){.unit = unit_of[special->block],
                                                  .segment = ivrs->blocks[special->block].segment,
                                                  .requester_id = special->id,
                                                  .kind = special->kind,
                                                  .id = special->handle};
    }
}

int amdvi_interrupt_source(enum iommu_interrupt_source kind, uint8_t id, uint16_t *segment,
                           uint16_t *requester_id)
{
    uint8_t wanted = kind == IOMMU_SOURCE_IOAPIC ? IVRS_SPECIAL_IOAPIC : IVRS_SPECIAL_HPET;

    for (uint32_t i = 0; i < source_count; i++)
        if (sources[i].kind == wanted && sources[i].id == id) {
            *segment = sources[i].segment;
            *requester_id = sources[i].requester_id;
            return 0;
        }
    return -ENOENT;
}

/* No entry for devices needs to name a source. */
static struct amdvi_unit *unit_of_interrupts(uint16_t segment, uint16_t requester_id)
{
    for (uint32_t i = 0; i < source_count; i++)
        if (sources[i].segment == segment && sources[i].requester_id == requester_id)
            return sources[i].unit;
    return amdvi_unit_of(segment, requester_id);
}

/* ---- tables ---- */

/* What is known of a table is in the frame before it, so that the device table leads to both. */
static struct iommu_interrupt_table *table_of(const struct amdvi_unit *unit, uint16_t requester_id)
{
    uint64_t half = unit->devices[requester_id].interrupts[0];

    if ((half & AMDVI_INTERRUPTS_REMAP) == 0)
        return NULL;
    return host_frame_address(((half & AMDVI_INTERRUPTS_ADDRESS) >> 12) - 1);
}

static int make_table(struct amdvi_unit *unit, uint16_t requester_id)
{
    bool extended = (unit->interrupt_format & AMDVI_CONTROL_X2APIC) != 0;
    uint64_t mfn = host_frames_alloc(2);

    if (mfn == 0)
        return -ENOMEM;
    *(struct iommu_interrupt_table *)host_frame_address(mfn) =
        (struct iommu_interrupt_table){.unit = unit->index,
                                       .count = AMDVI_INTERRUPT_ENTRIES,
                                       .destination_max = extended ? X2APIC_ID_MAX : XAPIC_ID_MAX,
                                       .entries = host_frame_address(mfn + 1),
                                       .entries_mfn = mfn + 1};
    host_store64(&unit->devices[requester_id].interrupts[0], amdvi_device_interrupts(mfn + 1));
    if (!unit->enabled)
        return 0;
    amdvi_post_device(unit, requester_id);
    amdvi_post_interrupts(unit, requester_id);
    amdvi_submit(unit);
    return amdvi_wait(unit);
}

int amdvi_interrupt_table(uint16_t segment, uint16_t requester_id, bool make,
                          struct iommu_interrupt_table **table)
{
    struct amdvi_unit *unit = unit_of_interrupts(segment, requester_id);
    int error;

    if (unit == NULL || requester_id == unit->id)
        return -ENODEV;
    if (unit->dead || (unit->devices[requester_id].dma[1] & AMDVI_DEVICE_QUIET) != 0)
        return -EIO; /* no answer, or isolated */
    if (make && table_of(unit, requester_id) == NULL) {
        error = make_table(unit, requester_id);
        if (error != 0)
            return error;
    }
    *table = table_of(unit, requester_id);
    return 0;
}

/* ---- entries ---- */

/* Two entries of 32 bits share a qword; nobody but this CPU writes it. */
static void store_entry32(uint64_t *entries, uint32_t index, uint32_t value)
{
    uint32_t shift = index % 2 * 32;

    host_store64(&entries[index / 2],
                 (entries[index / 2] & ~(0xffffffffull << shift)) | (uint64_t)value << shift);
}

static void store_entry(const struct amdvi_unit *unit, const struct iommu_interrupt_table *table,
                        uint32_t index, const struct iommu_interrupt *interrupt)
{
    uint64_t *entries = table->entries;
    struct ring_record value = {0};
    uint32_t narrow = 0;

    if (interrupt != NULL) {
        value = amdvi_interrupt_entry128(interrupt->vector, interrupt->destination);
        narrow = amdvi_interrupt_entry32(interrupt->vector, (uint8_t)interrupt->destination);
    }
    if ((unit->interrupt_format & AMDVI_CONTROL_INT_128) != 0)
        host_store128(&entries[2 * index], value.low, value.high);
    else
        store_entry32(entries, index, narrow);
}

int amdvi_interrupt_write(const struct iommu_interrupt_table *table, uint16_t requester_id, uint32_t index,
                          const struct iommu_interrupt *interrupt)
{
    struct amdvi_unit *unit = amdvi_unit_at(table->unit);

    store_entry(unit, table, index, interrupt);
    if (!unit->enabled)
        return 0;
    amdvi_post_interrupts(unit, requester_id);
    amdvi_submit(unit);
    return amdvi_wait(unit);
}

struct iommu_message amdvi_interrupt_message(uint32_t index, const struct iommu_interrupt *interrupt)
{
    bool level = interrupt != NULL && interrupt->level;

    return (struct iommu_message){.address = AMDVI_MESSAGE_ADDRESS,
                                  .data = index | (level ? AMDVI_MESSAGE_LEVEL : 0)};
}
