/* SPDX-License-Identifier: MIT */
/*
 * Finding the units and bringing them up, spec revision 4.1 chapters 8, 10 and 11: never a moment in which a
 * device's DMA passes unchecked that did not pass unchecked before.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

struct vtd_unit vtd_units[DMAR_UNITS_MAX];
static uint32_t unit_count;
static struct dmar dmar;
static struct vtd_unit *unit_of[DMAR_UNITS_MAX]; /* of each DRHD; NULL when it is not usable */
static struct claims claims;

_Static_assert(DMAR_UNITS_MAX <= IOMMU_UNITS_MAX, "a set of units is 64 bits");

struct vtd_unit *vtd_unit_at(uint32_t index)
{
    return &vtd_units[index];
}

uint32_t vtd_unit_count(void)
{
    return unit_count;
}

struct vtd_unit *vtd_unit_of(uint16_t segment, uint16_t requester_id)
{
    const struct claim *claim = claims_find(&claims, segment, requester_id);

    return claim != NULL ? unit_of[claim->unit] : NULL;
}

/* ---- commands ---- */

bool vtd_poll32(const struct vtd_unit *unit, uint32_t offset, uint32_t mask, uint32_t value)
{
    uint64_t deadline = host_time_ns() + VTD_WAIT_NS;

    while ((vtd_read32(unit, offset) & mask) != value) {
        if (host_time_ns() >= deadline)
            return false;
        host_pause();
    }
    return true;
}

bool vtd_global_command(struct vtd_unit *unit, uint32_t bit, bool on)
{
    uint32_t kept = vtd_read32(unit, VTD_GSTS) & VTD_GLOBAL_KEPT;

    vtd_write32(unit, VTD_GCMD, on ? kept | bit : kept & ~bit);
    if (bit == VTD_GLOBAL_WBF)
        return vtd_poll32(unit, VTD_GSTS, bit, 0);
    return vtd_poll32(unit, VTD_GSTS, bit, on ? bit : 0);
}

void vtd_unit_dies(struct vtd_unit *unit, const char *what)
{
    if (unit->dead)
        return;
    unit->dead = true;
    log_line(
        "iommu: unit %u at 0x%llx did not finish %s: it counts as dead, the DMA of its devices is cut off",
        unit->index, (unsigned long long)unit->base, what);
    iommu_unit_died(unit->index);
    vtd_cut_off_all(unit);
}

/* ---- finding ---- */

static uint32_t width_bits(uint8_t levels)
{
    return 12u + PAGE_TABLE_BITS * levels;
}

/* Bits of the SAGAW field: 1 is 39 bits and 3 levels, 2 is 48 and 4, 3 is 57 and 5. */
static uint8_t best_levels(uint32_t sagaw)
{
    for (uint8_t levels = 5; levels >= 3; levels--)
        if ((sagaw >> (levels - 2) & 1) != 0)
            return levels;
    return 0;
}

/* Bytes that the register window must have for what the capabilities name. */
static uint64_t window_size(const struct vtd_unit *unit)
{
    uint64_t faults = VTD_CAP_FAULT_OFFSET(unit->cap) + VTD_CAP_FAULT_RECORDS(unit->cap) * 16ull;
    uint64_t iotlb = VTD_ECAP_IOTLB_OFFSET(unit->ecap) + 16ull;
    uint64_t end = faults > iotlb ? faults : iotlb;

    return (end + VTD_PAGE_SIZE - 1) & ~(uint64_t)(VTD_PAGE_SIZE - 1);
}

/* Why the unit cannot be used, or NULL. Reads registers only. */
static const char *open_unit(struct vtd_unit *unit, const struct dmar_unit *drhd, uint8_t physical_bits)
{
    uint32_t version;

    if (drhd->base == 0 || drhd->base % VTD_PAGE_SIZE != 0 || drhd->base >> physical_bits != 0)
        return "its register address is impossible";
    for (uint32_t i = 0; i < unit_count; i++)
        if (vtd_units[i].base == drhd->base)
            return "another entry has the same registers";
    if (host_range_is_hypervisor(drhd->base >> 12, 1))
        return "its register address is the hypervisor's";
    unit->registers = host_mmio_map(drhd->base, VTD_PAGE_SIZE);
    if (unit->registers == NULL)
        return "its registers cannot be mapped";
    version = vtd_read32(unit, VTD_VER);
    if (version == 0 || version == UINT32_MAX)
        return "nothing answers at its register address";
    if ((version & ~VTD_VER_BITS) != 0 || version < VTD_VER_MIN)
        return "what answers at its register address is no VT-d unit (VER)";
    unit->cap = vtd_read64(unit, VTD_CAP);
    unit->ecap = vtd_read64(unit, VTD_ECAP);
    if (best_levels(VTD_CAP_SAGAW(unit->cap)) == 0)
        return VTD_CAP_SAGAW(unit->cap) == 0 ? "no supported address width (SAGAW is 0)"
                                             : "no supported address width of 39, 48 or 57 bits";
    if (VTD_CAP_MGAW(unit->cap) < VTD_MGAW_MIN || VTD_CAP_DOMAINS(unit->cap) > VTD_DOMAINS_MAX)
        return "its capabilities cannot be (MGAW, ND)";
    unit->size = window_size(unit);
    if (host_range_is_hypervisor(drhd->base >> 12, unit->size / VTD_PAGE_SIZE))
        return "its registers reach into what is the hypervisor's";
    if (unit->size > VTD_PAGE_SIZE)
        unit->registers = host_mmio_map(drhd->base, unit->size);
    return unit->registers == NULL ? "its registers cannot be mapped" : NULL;
}

static bool prepare_unit(struct vtd_unit *unit, const struct iommu_setup *setup)
{
    unit->fault_address = setup->fault_address;
    unit->fault_data = setup->fault_data;
    return vtd_context_init(unit) && vtd_queue_init(unit) &&
           vtd_interrupts_init(unit, dmar.interrupt_remapping, setup->x2apic);
}

static void claim_devices(void)
{
    bool usable[DMAR_UNITS_MAX];

    for (uint32_t i = 0; i < dmar.unit_count; i++)
        usable[i] = unit_of[i] != NULL;
    if (!dmar_claim(&dmar, usable, &claims))
        log_line("iommu: the DMAR may name units that cannot be read or used: only devices named one by one "
                 "are served");
    vtd_sources_init(&dmar, unit_of);
}

static int find_units(const struct iommu_setup *setup)
{
    unit_count = 0;
    for (uint32_t i = 0; i < dmar.unit_count; i++) {
        const struct dmar_unit *drhd = &dmar.units[i];
        struct vtd_unit *unit = &vtd_units[unit_count];
        const char *refusal;

        unit_of[i] = NULL;
        *unit = (struct vtd_unit){.base = drhd->base, .index = unit_count, .segment = drhd->segment};
        refusal = open_unit(unit, drhd, setup->physical_bits);
        if (refusal != NULL) {
            log_line("iommu: VT-d unit at 0x%llx (DMAR offset %u) is not usable: %s",
                     (unsigned long long)drhd->base, drhd->offset, refusal);
            continue;
        }
        if (!prepare_unit(unit, setup))
            return -ENOMEM;
        unit_of[i] = unit;
        unit_count++;
    }
    claim_devices();
    return unit_count != 0 ? 0 : -ENODEV;
}

/* Highest level that a leaf may have; hardware with 1 GiB leaves and none of 2 MiB is not known. */
static uint8_t leaf_level(uint64_t cap)
{
    if ((cap & VTD_CAP_SLLPS_2M) == 0)
        return 1;
    return (cap & VTD_CAP_SLLPS_1G) == 0 ? 2 : 3;
}

/* What all units can do together. False when they have no address width in common. */
static bool join_limits(struct iommu_limits *limits)
{
    uint32_t sagaw = UINT32_MAX, width = 64;

    *limits = (struct iommu_limits){.leaf_level = PAGE_LEAF_LEVELS, .coherent = true, .domains = UINT32_MAX};
    for (uint32_t i = 0; i < unit_count; i++) {
        const struct vtd_unit *unit = &vtd_units[i];
        uint32_t domains = VTD_CAP_DOMAINS(unit->cap);

        sagaw &= VTD_CAP_SAGAW(unit->cap);
        if (VTD_CAP_MGAW(unit->cap) < width)
            width = VTD_CAP_MGAW(unit->cap);
        if (domains < limits->domains)
            limits->domains = domains;
        if (leaf_level(unit->cap) < limits->leaf_level)
            limits->leaf_level = leaf_level(unit->cap);
        limits->coherent &= vtd_is_coherent(unit);
        limits->flush_on_map |= (unit->cap & (VTD_CAP_CM | VTD_CAP_RWBF)) != 0;
    }
    limits->levels = limits->levels_max = best_levels(sagaw);
    if (limits->levels == 0)
        return false;
    if (width > width_bits(limits->levels))
        width = width_bits(limits->levels);
    limits->address_bits = (uint8_t)width;
    return true;
}

static void report_units(const struct iommu_limits *limits)
{
    for (uint32_t i = 0; i < unit_count; i++) {
        log_line("iommu: VT-d unit %u at 0x%llx: %u levels, %u-bit bus addresses, %u domains%s%s%s", i,
                 (unsigned long long)vtd_units[i].base, limits->levels, limits->address_bits,
                 VTD_CAP_DOMAINS(vtd_units[i].cap),
                 (vtd_units[i].ecap & VTD_ECAP_QI) != 0 ? ", queued invalidation" : ", no queue",
                 (vtd_units[i].cap & VTD_CAP_CM) != 0 ? ", caching mode" : "",
                 vtd_is_coherent(&vtd_units[i]) ? "" : ", not coherent");
        log_line("iommu: unit %u is of segment %u, version 0x%x, CAP 0x%016llx, ECAP 0x%016llx", i,
                 vtd_units[i].segment, vtd_read32(&vtd_units[i], VTD_VER),
                 (unsigned long long)vtd_units[i].cap, (unsigned long long)vtd_units[i].ecap);
    }
}

static int vtd_init(const struct iommu_setup *setup, struct iommu_limits *limits)
{
    bool parsed = dmar_parse(setup->table, setup->table_size, &dmar);
    int error = parsed ? find_units(setup) : -ENODEV;

    iommu_report_findings("DMAR", &dmar.findings);
    if (error != 0)
        return error;
    if (!join_limits(limits)) {
        log_line("iommu: the VT-d units have no address width in common");
        return -ENODEV;
    }
    report_units(limits);
    return 0;
}

static void vtd_reserve(uint8_t address_bits)
{
    vtd_reserved_init(&dmar, address_bits);
}

/* ---- switching on ---- */

/* Puts the unit under our tables; a unit that firmware left on stays on all the time. */
static const char *take_over(struct vtd_unit *unit)
{
    uint32_t status = vtd_read32(unit, VTD_GSTS);

    if ((status & VTD_GLOBAL_TE) != 0) {
        log_line("iommu: firmware left unit %u on: it is taken over as it runs", unit->index);
        /* 11.4.6: the table mode must not change under running translation. */
        if ((vtd_read64(unit, VTD_RTADDR) & VTD_RTADDR_MODE) != 0) {
            log_line("iommu: unit %u ran in another table mode: a pause in translation is needed",
                     unit->index);
            if (!vtd_global_command(unit, VTD_GLOBAL_TE, false))
                return "switching translation off";
        }
    }
    if (!vtd_queue_enable(unit))
        return "enabling its invalidation queue";
    if ((unit->cap & VTD_CAP_RWBF) != 0 && !vtd_global_command(unit, VTD_GLOBAL_WBF, true))
        return "flushing its write buffer";
    vtd_write64(unit, VTD_RTADDR, unit->root_mfn << 12);
    if (!vtd_global_command(unit, VTD_GLOBAL_SRTP, true))
        return "setting its root table";
    return vtd_interrupts_take_over(unit);
}

static const char *enable_remapping(struct vtd_unit *unit)
{
    /* 6.6: after a new root table the context cache first, then the IOTLB that depends on it. */
    vtd_post_context_global(unit);
    vtd_post_iotlb_global(unit);
    if (unit->interrupts != NULL)
        vtd_post_interrupts_global(unit);
    vtd_submit(unit);
    if (vtd_wait(unit) != 0 || unit->dead)
        return "its first invalidation";
    vtd_fault_enable(unit);
    if (!vtd_interrupts_enable(unit))
        return "enabling interrupt remapping";
    return vtd_global_command(unit, VTD_GLOBAL_TE, true) ? NULL : "enabling translation";
}

/* Firmware's protected ranges held devices off until now; translation does from here on. */
static const char *drop_protected_ranges(struct vtd_unit *unit)
{
    if ((unit->cap & (VTD_CAP_PLMR | VTD_CAP_PHMR)) == 0)
        return NULL;
    vtd_write32(unit, VTD_PMEN, 0);
    return vtd_poll32(unit, VTD_PMEN, VTD_PMEN_STATUS, 0) ? NULL : "dropping its protected ranges";
}

/* A unit that does not come on costs its devices: they stay blocked. */
static int vtd_enable(void)
{
    uint32_t on = 0;

    for (uint32_t i = 0; i < unit_count; i++) {
        struct vtd_unit *unit = &vtd_units[i];
        const char *failed = take_over(unit);

        if (failed == NULL)
            failed = enable_remapping(unit);
        if (failed == NULL)
            failed = drop_protected_ranges(unit);
        unit->enabled = failed == NULL;
        if (unit->enabled)
            on++;
        else
            vtd_unit_dies(unit, failed);
    }
    return on != 0 ? 0 : -EIO;
}

static bool interrupts_remapped(void)
{
    bool all = !dmar.truncated;

    for (uint32_t i = 0; i < dmar.unit_count; i++)
        all &= unit_of[i] != NULL && unit_of[i]->remaps && !unit_of[i]->dead;
    return all;
}

/* ---- the driver ---- */

static bool unit_dead(uint32_t unit)
{
    return unit < unit_count && vtd_units[unit].dead;
}

static struct iommu_range unit_registers(uint32_t unit)
{
    if (unit >= unit_count)
        return (struct iommu_range){0};
    return (struct iommu_range){vtd_units[unit].base >> 12, vtd_units[unit].size >> 12};
}

static struct iommu_context *context_of(uint32_t unit, uint16_t requester_id)
{
    return vtd_context_of(&vtd_units[unit], requester_id);
}

static void isolate(uint32_t unit, uint16_t requester_id)
{
    vtd_isolate(&vtd_units[unit], requester_id);
}

const struct iommu_driver vtd_driver = {
    .name = "VT-d",
    .format = &vtd_page_format,
    .init = vtd_init,
    .reserve = vtd_reserve,
    .enable = vtd_enable,
    .attach = vtd_attach,
    .detach = vtd_detach,
    .covers = vtd_covers,
    .context_of = context_of,
    .isolate = isolate,
    .unit_count = vtd_unit_count,
    .unit_dead = unit_dead,
    .unit_registers = unit_registers,
    .invalidate = vtd_invalidate,
    .wait = vtd_wait_for,
    .forget_page = vtd_forget_page,
    .read_faults = vtd_read_faults,
    .interrupt_table = vtd_interrupt_table,
    .interrupt_write = vtd_interrupt_write,
    .interrupt_message = vtd_interrupt_message,
    .interrupt_source = vtd_interrupt_source,
    .interrupts_remapped = interrupts_remapped,
};
