/* SPDX-License-Identifier: MIT */
/*
 * Finding the units and bringing them up, spec 48882 revision 3.08 chapters 3 and 5: never a moment in which
 * a device's DMA passes unchecked that did not pass unchecked before.
 */
#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

#define FIRST_LEVELS 3u /* 512 GiB of bus; a tree grows when it must reach further */

static struct amdvi_unit units[IOMMU_UNITS_MAX];
static uint32_t unit_count;
static struct ivrs ivrs;
static struct amdvi_unit *unit_of[IVRS_BLOCKS_MAX]; /* of each block; NULL when it is not usable */
static bool all_used;                               /* every unit that firmware names is usable */
static struct claims claims;

struct amdvi_unit *amdvi_unit_at(uint32_t index)
{
    return &units[index];
}

uint32_t amdvi_unit_count(void)
{
    return unit_count;
}

struct amdvi_unit *amdvi_unit_of(uint16_t segment, uint16_t requester_id)
{
    const struct claim *claim = claims_find(&claims, segment, requester_id);

    return claim != NULL ? unit_of[claim->unit] : NULL;
}

uint16_t amdvi_alias_of(uint16_t segment, uint16_t requester_id)
{
    const struct claim *claim = claims_find(&claims, segment, requester_id);

    return claim != NULL && claim->aliased ? claim->alias : requester_id;
}

/* ---- registers ---- */

bool amdvi_poll_status(const struct amdvi_unit *unit, uint64_t mask, uint64_t value)
{
    uint64_t deadline = host_time_ns() + AMDVI_WAIT_NS;

    while ((amdvi_read(unit, AMDVI_STATUS) & mask) != value) {
        if (host_time_ns() >= deadline)
            return false;
        host_pause();
    }
    return true;
}

void amdvi_control(struct amdvi_unit *unit, uint64_t bits, bool on)
{
    unit->control = on ? unit->control | bits : unit->control & ~bits;
    amdvi_write(unit, AMDVI_CONTROL, unit->control);
}

void amdvi_unit_dies(struct amdvi_unit *unit, const char *what)
{
    if (unit->dead)
        return;
    unit->dead = true;
    log_line(
        "iommu: unit %u at 0x%llx did not finish %s: it counts as dead, the DMA of its devices is cut off",
        unit->index, (unsigned long long)unit->base, what);
    iommu_unit_died(unit->index);
    amdvi_cut_off_all(unit);
}

/* ---- finding ---- */

static uint8_t levels_of(const struct amdvi_unit *unit)
{
    return (uint8_t)(4u + AMDVI_FEATURE_HATS(unit->features));
}

/* What the unit's PCI function says of it: 3.2. */
static void read_capability(struct amdvi_unit *unit, const struct ivrs_block *block)
{
    uint32_t header = host_pci_read(unit->segment, unit->id, block->capability, 4);

    unit->capability = (header & 0xff) == AMDVI_CAP_ID ? block->capability : 0;
    /* A unit that does not say may cache that nothing is mapped. */
    unit->caches_absence = unit->capability == 0 || (header & AMDVI_CAP_NPCACHE) != 0;
    if (unit->capability != 0 && (header & AMDVI_CAP_FEATURES) == 0)
        unit->features = 0;
}

/* Why the unit cannot be used, or NULL. Reads registers only. */
static const char *open_unit(struct amdvi_unit *unit, const struct ivrs_block *block, uint8_t physical_bits)
{
    if (block->base == 0 || block->base % AMDVI_REGISTERS_ALIGN != 0 || block->base >> physical_bits != 0)
        return "its register address is impossible";
    for (uint32_t i = 0; i < unit_count; i++)
        if (units[i].base == block->base)
            return "another entry has the same registers";
    if (host_range_is_hypervisor(block->base >> 12, AMDVI_REGISTER_BYTES >> 12))
        return "its register address is the hypervisor's";
    unit->registers = host_mmio_map(block->base, AMDVI_REGISTER_BYTES);
    if (unit->registers == NULL)
        return "its registers cannot be mapped";
    if (amdvi_read(unit, AMDVI_CONTROL) == UINT64_MAX || amdvi_read(unit, AMDVI_STATUS) == UINT64_MAX)
        return "nothing answers at its register address";
    unit->features = amdvi_read(unit, AMDVI_FEATURES);
    /* A unit without features has at least a command buffer of 256: reset value, 3.4.2. */
    if (unit->features == 0 && amdvi_read(unit, AMDVI_COMMAND_BASE) == 0)
        return "nothing answers at its register address";
    read_capability(unit, block);
    if (AMDVI_FEATURE_HATS(unit->features) == AMDVI_HATS_NONE)
        return "no supported address width (HATS is 3)";
    if (block->type != IVRS_IVHD_BASIC && (block->feature_info & AMDVI_ATTRIBUTE_NO_TRANSLATION) != 0)
        return "it does not translate (firmware sets HATDis)";
    return NULL;
}

static bool prepare_unit(struct amdvi_unit *unit, const struct iommu_setup *setup)
{
    unit->fault_address = setup->fault_address;
    unit->fault_data = setup->fault_data;
    amdvi_interrupts_init(unit, setup->x2apic);
    return amdvi_devices_init(unit) && amdvi_queue_init(unit) && amdvi_fault_init(unit);
}

/* -ENODEV after saying why the block's unit cannot be used. */
static int take_unit(const struct iommu_setup *setup, const struct ivrs_block *block)
{
    struct amdvi_unit *unit = &units[unit_count];
    const char *refusal = "there are more units than Sluice drives";

    if (unit_count < IOMMU_UNITS_MAX) {
        *unit = (struct amdvi_unit){.base = block->base,
                                    .index = unit_count,
                                    .segment = block->segment,
                                    .id = block->id,
                                    .flags = block->flags};
        refusal = open_unit(unit, block, setup->physical_bits);
    }
    if (refusal != NULL) {
        log_line("iommu: AMD-Vi unit at 0x%llx (IVRS offset %u) is not usable: %s",
                 (unsigned long long)block->base, block->offset, refusal);
        return -ENODEV;
    }
    if (block->features != 0 && block->features != unit->features)
        log_line("iommu: unit %u has features 0x%llx, firmware says 0x%llx: the unit is believed",
                 unit->index, (unsigned long long)unit->features, (unsigned long long)block->features);
    return prepare_unit(unit, setup) ? 0 : -ENOMEM;
}

static void claim_devices(void)
{
    bool usable[IVRS_BLOCKS_MAX];

    for (uint32_t i = 0; i < ivrs.block_count; i++)
        usable[i] = unit_of[i] != NULL;
    if (!ivrs_claim(&ivrs, usable, &claims))
        log_line("iommu: the IVRS may name units that cannot be read or used: only devices named one by one "
                 "are served");
    amdvi_sources_init(&ivrs, unit_of);
}

static int find_units(const struct iommu_setup *setup)
{
    unit_count = 0;
    all_used = !ivrs.truncated;
    for (uint32_t i = 0; i < ivrs.block_count; i++) {
        int error;

        unit_of[i] = NULL;
        if (ivrs.blocks[i].superseded)
            continue;
        error = take_unit(setup, &ivrs.blocks[i]);
        if (error == -ENOMEM)
            return error;
        if (error == 0)
            unit_of[i] = &units[unit_count++];
        else
            all_used = false;
    }
    claim_devices();
    return unit_count != 0 ? 0 : -ENODEV;
}

/* What all units can do together. */
static void join_limits(struct iommu_limits *limits)
{
    uint32_t width;

    *limits = (struct iommu_limits){.levels = FIRST_LEVELS,
                                    .levels_max = PAGE_TABLE_LEVELS,
                                    .leaf_level = PAGE_LEAF_LEVELS,
                                    .coherent = true,
                                    .domains = AMDVI_DEVICES};
    for (uint32_t i = 0; i < unit_count; i++) {
        if (levels_of(&units[i]) < limits->levels_max)
            limits->levels_max = levels_of(&units[i]);
        limits->flush_on_map |= units[i].caches_absence;
    }
    width = 12u + PAGE_TABLE_BITS * limits->levels_max;
    limits->address_bits = width < 64 ? (uint8_t)width : 64;
}

/* Firmware's word can only make bus addresses narrower. */
static void heed_firmware(struct iommu_limits *limits)
{
    uint32_t said = IVRS_INFO_VIRTUAL(ivrs.info);
    bool narrower = said >= IVRS_INFO_BITS_LEAST && said < limits->address_bits;

    if (said == 0 || said == limits->address_bits)
        return;
    log_line("iommu: firmware says %u bits of bus address, the units translate %u: %s", said,
             limits->address_bits, narrower ? "the fewer count" : "the units are believed");
    if (narrower)
        limits->address_bits = (uint8_t)said;
}

static void report_units(const struct iommu_limits *limits)
{
    for (uint32_t i = 0; i < unit_count; i++) {
        log_line("iommu: AMD-Vi unit %u at 0x%llx: %u to %u levels, %u-bit bus addresses, %u domains%s", i,
                 (unsigned long long)units[i].base, limits->levels, limits->levels_max, limits->address_bits,
                 limits->domains, units[i].caches_absence ? ", caches absence" : "");
        log_line("iommu: unit %u is of segment %u, function %02x:%02x.%x, EFR 0x%016llx", i, units[i].segment,
                 units[i].id >> 8, units[i].id >> 3 & 31, units[i].id & 7,
                 (unsigned long long)units[i].features);
    }
}

static int amdvi_init(const struct iommu_setup *setup, struct iommu_limits *limits)
{
    bool parsed = ivrs_parse(setup->table, setup->table_size, &ivrs);
    int error = parsed ? find_units(setup) : -ENODEV;

    iommu_report_findings("IVRS", &ivrs.findings);
    if (error != 0)
        return error;
    join_limits(limits);
    heed_firmware(limits);
    report_units(limits);
    return 0;
}

static void amdvi_reserve(uint8_t address_bits)
{
    amdvi_reserved_init(&ivrs, address_bits);
}

/* ---- switching on ---- */

/* How the unit's own requests travel is the board's business: as firmware says. 5.2.2.1, 3.4.4. */
static uint64_t board_control(const struct amdvi_unit *unit)
{
    return AMDVI_CONTROL_COHERENT |
           ((unit->flags & AMDVI_FLAG_HT_TUNNEL) != 0 ? AMDVI_CONTROL_HT_TUNNEL : 0) |
           ((unit->flags & AMDVI_FLAG_PASS_PW) != 0 ? AMDVI_CONTROL_PASS_PW : 0) |
           ((unit->flags & AMDVI_FLAG_RES_PASS_PW) != 0 ? AMDVI_CONTROL_RES_PASS_PW : 0) |
           ((unit->flags & AMDVI_FLAG_ISOC) != 0 ? AMDVI_CONTROL_ISOC : 0);
}

/*
 * No range is excluded from translation. On a unit with SNPSup the same registers hold where COMPLETION_WAIT
 * may store: a base that is the limit is one page.
 */
static void set_exclusion(const struct amdvi_unit *unit)
{
    uint64_t page = (unit->features & AMDVI_FEATURE_SNP) != 0 ? unit->status_address : 0;

    amdvi_write(unit, AMDVI_EXCLUSION_BASE, page);
    amdvi_write(unit, AMDVI_EXCLUSION_LIMIT, page);
}

/*
 * Puts the unit under our tables; a unit that firmware left on stays on all the time. Logs and queues of
 * firmware's, page requests, guest translation and virtual interrupts among them, end here. The format of
 * interrupt entries stays what it was for what the unit may still know.
 */
static const char *take_over(struct amdvi_unit *unit)
{
    uint64_t kept = AMDVI_CONTROL_ENABLE | AMDVI_CONTROL_INT_128 | AMDVI_CONTROL_X2APIC;

    unit->control = amdvi_read(unit, AMDVI_CONTROL) & kept;
    if ((unit->control & AMDVI_CONTROL_ENABLE) != 0)
        log_line("iommu: firmware left unit %u on: it is taken over as it runs", unit->index);
    amdvi_control(unit, board_control(unit), true);
    if (!amdvi_queue_enable(unit))
        return "stopping its command buffer";
    if (!amdvi_fault_enable(unit))
        return "stopping its event log";
    if (!amdvi_poll_status(unit, AMDVI_STATUS_PAGE_REQUESTS, 0))
        return "stopping its log of page requests";
    amdvi_write(unit, AMDVI_DEVICE_TABLE_BASE, AMDVI_DEVICE_TABLE(unit->devices_mfn));
    set_exclusion(unit);
    return NULL;
}

static void set_interrupt_format(struct amdvi_unit *unit)
{
    uint64_t formats = AMDVI_CONTROL_INT_128 | AMDVI_CONTROL_X2APIC;

    if ((unit->control & formats) == unit->interrupt_format)
        return;
    amdvi_control(unit, formats, false);
    amdvi_control(unit, unit->interrupt_format, true);
}

/* Whatever the unit may know from before goes. */
static bool forget_everything(struct amdvi_unit *unit)
{
    amdvi_post_everything(unit);
    amdvi_submit(unit);
    return amdvi_wait(unit) == 0;
}

/*
 * Commands run only on a unit that is on: its tables were there before. No interrupt passes by our table, so
 * that the format of its entries may change once nothing of another table is known any more.
 */
static const char *enable_translation(struct amdvi_unit *unit)
{
    if ((unit->control & AMDVI_CONTROL_ENABLE) == 0)
        set_interrupt_format(unit);
    amdvi_control(unit,
                  AMDVI_CONTROL_ENABLE | AMDVI_CONTROL_COMMANDS | AMDVI_CONTROL_EVENT_LOG |
                      AMDVI_CONTROL_EVENT_INT,
                  true);
    if (!amdvi_poll_status(unit, AMDVI_STATUS_COMMANDS, AMDVI_STATUS_COMMANDS))
        return "starting its command buffer";
    if (!forget_everything(unit))
        return "its first invalidation";
    set_interrupt_format(unit);
    return NULL;
}

/* A unit that does not come on costs its devices: they stay blocked. */
static int amdvi_enable(void)
{
    uint32_t on = 0;

    for (uint32_t i = 0; i < unit_count; i++) {
        struct amdvi_unit *unit = &units[i];
        const char *failed = take_over(unit);

        if (failed == NULL)
            failed = enable_translation(unit);
        unit->enabled = failed == NULL;
        if (unit->enabled)
            on++;
        else
            amdvi_unit_dies(unit, failed);
    }
    return on != 0 ? 0 : -EIO;
}

/* Every unit remaps: what a device's entry does not send through a table is aborted. */
static bool interrupts_remapped(void)
{
    bool all = all_used;

    for (uint32_t i = 0; i < unit_count; i++)
        all &= units[i].enabled && !units[i].dead;
    return all;
}

/* ---- the driver ---- */

static bool unit_dead(uint32_t unit)
{
    return unit < unit_count && units[unit].dead;
}

static struct iommu_range unit_registers(uint32_t unit)
{
    if (unit >= unit_count)
        return (struct iommu_range){0};
    return (struct iommu_range){units[unit].base >> 12, AMDVI_REGISTER_BYTES >> 12};
}

static struct iommu_context *context_of(uint32_t unit, uint16_t requester_id)
{
    return amdvi_context_of(&units[unit], requester_id);
}

static void isolate(uint32_t unit, uint16_t requester_id)
{
    amdvi_isolate(&units[unit], requester_id);
}

static void invalidate(uint32_t unit, const struct iommu_plan *plan)
{
    amdvi_invalidate(&units[unit], plan);
}

static int wait(uint32_t unit)
{
    return amdvi_wait(&units[unit]);
}

static int forget_page(uint32_t unit, uint16_t domain, uint64_t bfn)
{
    return amdvi_forget_page(&units[unit], domain, bfn);
}

const struct iommu_driver amdvi_driver = {
    .name = "AMD-Vi",
    .format = &amdvi_page_format,
    .init = amdvi_init,
    .reserve = amdvi_reserve,
    .enable = amdvi_enable,
    .attach = amdvi_attach,
    .detach = amdvi_detach,
    .covers = amdvi_covers,
    .alias_of = amdvi_alias_of,
    .root_changed = amdvi_root_changed,
    .context_of = context_of,
    .isolate = isolate,
    .unit_count = amdvi_unit_count,
    .unit_dead = unit_dead,
    .unit_registers = unit_registers,
    .invalidate = invalidate,
    .wait = wait,
    .forget_page = forget_page,
    .read_faults = amdvi_read_faults,
    .interrupt_table = amdvi_interrupt_table,
    .interrupt_write = amdvi_interrupt_write,
    .interrupt_message = amdvi_interrupt_message,
    .interrupt_source = amdvi_interrupt_source,
    .interrupts_remapped = interrupts_remapped,
};
