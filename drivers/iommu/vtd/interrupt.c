/* SPDX-License-Identifier: MIT */
/*
 * The interrupt-remapping table, spec revision 4.1, chapter 5. A unit has one, for all its devices; an entry
 * that is all zero blocks, and one that is not names the only requester that may use it.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

#define TABLE_ORDER   10u /* 2^10 entries */
#define TABLE_ENTRIES (1u << TABLE_ORDER)
#define TABLE_FRAMES  (TABLE_ENTRIES * sizeof(struct vtd_entry) / VTD_PAGE_SIZE)
#define SOURCES_MAX   DMAR_SCOPES_MAX

/* Id 0xff, or with 32 bits all ones, is every APIC. */
#define XAPIC_ID_MAX  0xfeu
#define X2APIC_ID_MAX 0xfffffffeu

_Static_assert(TABLE_ENTRIES <= IOMMU_INTERRUPTS_MAX, "a bit and an owner for each");

/* IO-APICs and HPETs that the DMAR names. unit is NULL when that unit is not usable. */
static struct source {
    struct vtd_unit *unit;
    uint16_t segment, requester_id;
    uint8_t kind, id; /* DMAR_SCOPE_*, enumeration id */
} sources[SOURCES_MAX];
static uint32_t source_count;

/* ---- bringing it up ---- */

/* Why the unit does not remap interrupts, or NULL. */
static const char *refusal_of(const struct vtd_unit *unit, bool firmware_allows)
{
    if (!firmware_allows)
        return "firmware's table says that the machine cannot (INTR_REMAP is 0)";
    if ((unit->ecap & VTD_ECAP_IR) == 0)
        return "it has no interrupt remapping (ECAP.IR is 0)";
    if ((unit->ecap & VTD_ECAP_QI) == 0)
        return "it has no invalidation queue (ECAP.QI is 0)";
    return NULL;
}

bool vtd_interrupts_init(struct vtd_unit *unit, bool firmware_allows, bool x2apic)
{
    const char *refusal = refusal_of(unit, firmware_allows);
    uint64_t mfn;

    unit->interrupts = NULL;
    unit->remaps = false;
    unit->x2apic = x2apic && (unit->ecap & VTD_ECAP_EIM) != 0;
    if (refusal != NULL) {
        log_line("iommu: VT-d unit %u does not remap interrupts: %s", unit->index, refusal);
        return true;
    }
    mfn = host_frames_alloc(TABLE_FRAMES + 1);
    if (mfn == 0)
        return false;
    unit->interrupts = host_frame_address(mfn + TABLE_FRAMES);
    *unit->interrupts =
        (struct iommu_interrupt_table){.unit = unit->index,
                                       .count = TABLE_ENTRIES,
                                       .destination_max = unit->x2apic ? X2APIC_ID_MAX : XAPIC_ID_MAX,
                                       .entries = host_frame_address(mfn),
                                       .entries_mfn = mfn};
    if (!vtd_is_coherent(unit))
        host_cache_flush(unit->interrupts->entries, TABLE_FRAMES * VTD_PAGE_SIZE);
    return true;
}

/* What firmware left on: it stays on, unless its APIC ids have another width (11.4.29). */
static bool keep_or_stop(struct vtd_unit *unit)
{
    bool extended = (vtd_read64(unit, VTD_IRTA) & VTD_IRTA_EIME) != 0;

    if (extended == unit->x2apic)
        return true;
    log_line("iommu: unit %u remapped interrupts in another mode: a pause in remapping is needed",
             unit->index);
    return vtd_global_command(unit, VTD_GLOBAL_IRE, false);
}

const char *vtd_interrupts_take_over(struct vtd_unit *unit)
{
    uint32_t status = vtd_read32(unit, VTD_GSTS);
    bool on = (status & VTD_GLOBAL_IRE) != 0;

    if (unit->interrupts == NULL)
        return !on || vtd_global_command(unit, VTD_GLOBAL_IRE, false) ? NULL
                                                                      : "switching interrupt remapping off";
    /* Interrupts in compatibility format name their own vector: without CFI they are blocked (5.1.4). */
    if ((status & VTD_GLOBAL_CFI) != 0 && !vtd_global_command(unit, VTD_GLOBAL_CFI, false))
        return "blocking compatibility-format interrupts";
    if (on && !keep_or_stop(unit))
        return "switching interrupt remapping off";
    vtd_write64(unit, VTD_IRTA,
                VTD_IRTA_TABLE(unit->interrupts->entries_mfn, TABLE_ORDER) |
                    (unit->x2apic ? VTD_IRTA_EIME : 0));
    return vtd_global_command(unit, VTD_GLOBAL_SIRTP, true) ? NULL : "setting its interrupt-remapping table";
}

bool vtd_interrupts_enable(struct vtd_unit *unit)
{
    unit->remaps = unit->interrupts != NULL && vtd_global_command(unit, VTD_GLOBAL_IRE, true);
    return unit->remaps || unit->interrupts == NULL;
}

/* ---- sources that are no PCI functions: 8.3.1 ---- */

void vtd_sources_init(const struct dmar *dmar, struct vtd_unit *const *unit_of)
{
    source_count = 0;
    for (uint32_t i = 0; i < dmar->unit_count; i++) {
        const struct dmar_unit *block = &dmar->units[i];

        for (uint32_t s = 0; s < block->scopes.count && source_count < SOURCES_MAX; s++) {
            const struct dmar_scope *scope = &dmar->scopes[block->scopes.first + s];
            uint16_t requester_id = 0;

            if ((scope->kind == DMAR_SCOPE_IOAPIC || scope->kind == DMAR_SCOPE_HPET) &&
                dmar_scope_resolve(dmar, block->segment, scope, &requester_id))
                sources[source_count++] = (struct source){.unit = unit_of[i],
                                                          .segment = block->segment,
                                                          .requester_id = requester_id,
                                                          .kind = scope->kind,
                                                          .id = scope->enumeration_id};
        }
    }
}

int vtd_interrupt_source(enum iommu_interrupt_source kind, uint8_t id, uint16_t *segment,
                         uint16_t *requester_id)
{
    uint8_t wanted = kind == IOMMU_SOURCE_IOAPIC ? DMAR_SCOPE_IOAPIC : DMAR_SCOPE_HPET;

    for (uint32_t i = 0; i < source_count; i++)
        if (sources[i].kind == wanted && sources[i].id == id) {
            *segment = sources[i].segment;
            *requester_id = sources[i].requester_id;
            return 0;
        }
    return -ENOENT;
}

/* Sources are in no claim: the DMAR names them for their interrupts alone. */
static struct vtd_unit *unit_of_interrupts(uint16_t segment, uint16_t requester_id)
{
    for (uint32_t i = 0; i < source_count; i++)
        if (sources[i].segment == segment && sources[i].requester_id == requester_id)
            return sources[i].unit;
    return vtd_unit_of(segment, requester_id);
}

/* ---- entries ---- */

int vtd_interrupt_table(uint16_t segment, uint16_t requester_id, bool make,
                        struct iommu_interrupt_table **table)
{
    const struct vtd_unit *unit = unit_of_interrupts(segment, requester_id);

    (void)make; /* it is there, or there is none */
    if (unit == NULL || unit->interrupts == NULL)
        return -ENODEV;
    *table = unit->interrupts;
    return unit->dead ? -EIO : 0;
}

int vtd_interrupt_write(const struct iommu_interrupt_table *table, uint16_t requester_id, uint32_t index,
                        const struct iommu_interrupt *interrupt)
{
    struct vtd_unit *unit = vtd_unit_at(table->unit);
    struct vtd_entry *entry = &((struct vtd_entry *)table->entries)[index];
    struct vtd_entry value = {0};

    if (interrupt != NULL)
        value = vtd_interrupt_entry(requester_id, interrupt->vector, interrupt->level, interrupt->destination,
                                    unit->x2apic);
    host_store128(&entry->low, value.low, value.high);
    if (!vtd_is_coherent(unit))
        host_cache_flush(entry, sizeof *entry);
    if (!unit->remaps)
        return 0;
    vtd_post_interrupt_entry(unit, index);
    vtd_submit(unit);
    return vtd_wait(unit);
}

struct iommu_message vtd_interrupt_message(uint32_t index, const struct iommu_interrupt *interrupt)
{
    (void)interrupt; /* all of it is in the entry */
    return (struct iommu_message){.address = VTD_MESSAGE_ADDRESS | VTD_MESSAGE_REMAPPABLE | VTD_MESSAGE_SHV |
                                             VTD_MESSAGE_INDEX(index)};
}
