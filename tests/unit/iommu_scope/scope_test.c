/* SPDX-License-Identifier: MIT */
/*
 * Which unit a requester id belongs to, and who gets which reserved range: the policy over the DMAR, on a
 * small machine of bridges. Multi-unit machines are only here; QEMU has one unit.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/host/dmar_builder.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ID(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))

/* ---- the machine: 00:1c.0 leads to bus 3, 03:00.0 to buses 5 to 6, 05:01.0 to bus 6 ---- */

static const struct {
    uint16_t id;
    uint8_t secondary, subordinate;
} bridges[] = {{ID(0, 0x1c, 0), 3, 6}, {ID(3, 0, 0), 5, 6}, {ID(5, 1, 0), 6, 6}, {ID(0, 0x1d, 0), 0, 0xff}};

uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    (void)bytes;
    for (size_t i = 0; segment == 0 && i < sizeof bridges / sizeof *bridges; i++) {
        if (bridges[i].id != id)
            continue;
        return offset == 0x0e   ? 0x81
               : offset == 0x19 ? bridges[i].secondary
               : offset == 0x1a ? bridges[i].subordinate
                                : 0x8086;
    }
    return id == ID(0, 4, 0) && offset == 0x0e ? 0 : UINT32_MAX;
}

uint16_t host_pci_requester(uint16_t segment, uint16_t id)
{
    return segment == 0 && id == ID(6, 3, 0) ? ID(6, 0, 0) : id; /* behind a bridge to conventional PCI */
}

/* ---- the units that are in use, of which only place and size count ---- */

static struct vtd_unit units[2];
static uint32_t unit_count;

uint32_t vtd_unit_count(void)
{
    return unit_count;
}

struct vtd_unit *vtd_unit_at(uint32_t index)
{
    return &units[index];
}

static uint64_t hypervisor_first, hypervisor_frames;

bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames)
{
    return mfn < hypervisor_first + hypervisor_frames && mfn + frames > hypervisor_first;
}

static uint64_t withheld_frames, free_frames;

uint64_t host_range_withhold(uint64_t mfn, uint64_t frames)
{
    (void)mfn;
    withheld_frames += frames;
    return free_frames;
}

/* ---- what the policy asks for ---- */

static struct iommu_range reserved[64];
static uint32_t reserved_max = 63;
static uint32_t reserved_count;
static struct {
    uint64_t ranges;
    uint16_t segment, id;
} attached[1024];
static uint32_t attached_count;
static uint64_t context_ranges;

int iommu_reserved_add(uint64_t bfn, uint64_t frames, enum iommu_reserved_kind kind, uint32_t flags)
{
    assert_int_equal(flags, IOMMU_READ | IOMMU_WRITE);
    assert_int_equal(kind, IOMMU_KIND_IDENTITY);
    if (reserved_count == reserved_max)
        return -ENOSPC;
    reserved[reserved_count] = (struct iommu_range){bfn, frames};
    return (int)reserved_count++;
}

uint32_t iommu_reserved_count(void)
{
    return reserved_count;
}

struct iommu_reserved iommu_reserved_at(uint32_t index)
{
    return (struct iommu_reserved){.bfn = reserved[index].bfn, .frames = reserved[index].frames};
}

int iommu_boot_context(uint64_t ranges, struct iommu_context **context)
{
    assert_int_not_equal(withheld_frames, 0); /* or the context's tables might lie in the range */
    context_ranges = ranges;
    *context = NULL;
    return 0;
}

int iommu_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    (void)context;
    attached[attached_count].ranges = context_ranges;
    attached[attached_count].segment = segment;
    attached[attached_count++].id = requester_id;
    return 0;
}

/* ---- */

static struct dmar dmar;
static struct dmar_builder builder;
static bool usable[DMAR_UNITS_MAX];
static struct claims claims;

static int set_up(void **state)
{
    (void)state;
    captured_clear();
    dmar_begin(&builder);
    for (uint32_t i = 0; i < DMAR_UNITS_MAX; i++)
        usable[i] = true;
    reserved_count = attached_count = unit_count = 0;
    hypervisor_frames = withheld_frames = free_frames = 0;
    return 0;
}

/* True when nothing in the table makes "all the rest" doubtful. */
static bool parse(void)
{
    assert_true(dmar_parse(builder.bytes, builder.size, &dmar));
    return dmar_claim(&dmar, usable, &claims);
}

#define NOBODY 0xff

/* The unit that serves the requester id, by its place in the table. */
static uint8_t unit_of(uint16_t segment, uint16_t id)
{
    const struct claim *claim = claims_find(&claims, segment, id);

    return claim != NULL && usable[claim->unit] ? claim->unit : NOBODY;
}

static uint32_t count_findings(enum finding_reason reason)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < dmar.findings.count; i++)
        count += dmar.findings.list[i].reason == reason;
    return count;
}

/* A scope of several hops from bus 0; pairs of device and function. */
static void put_path(uint8_t kind, const uint8_t *path, uint8_t hops)
{
    dmar_put(&builder, kind, 1);
    dmar_put(&builder, 6u + 2u * hops, 1);
    dmar_put(&builder, 0, 4);
    for (uint32_t i = 0; i < 2u * hops; i++)
        dmar_put(&builder, path[i], 1);
}

static void paths_are_followed_through_bridges(void **state)
{
    static const uint8_t endpoint[] = {0x1c, 0, 0, 0, 7, 2}, over_nothing[] = {0x1e, 0, 1, 0},
                         over_a_device[] = {4, 0, 1, 0};

    (void)state;
    dmar_drhd(&builder, 0, 0, 0x1000);
    put_path(DMAR_SCOPE_ENDPOINT, endpoint, 3);
    put_path(DMAR_SCOPE_ENDPOINT, over_nothing, 2);
    put_path(DMAR_SCOPE_ENDPOINT, over_a_device, 2);
    (void)parse();
    assert_int_equal(unit_of(0, ID(5, 7, 2)), 0);
    assert_int_equal(unit_of(0, ID(3, 0, 0)), NOBODY);
    assert_int_equal(unit_of(0, ID(5, 7, 3)), NOBODY);
    assert_int_equal(unit_of(0, ID(0, 1, 0)), NOBODY);
    assert_int_equal(count_findings(FINDING_NO_BRIDGE), 2);
}

static void a_bridge_covers_what_is_behind_it(void **state)
{
    (void)state;
    dmar_drhd(&builder, 0, 0, 0x1000);
    dmar_scope(&builder, DMAR_SCOPE_BRIDGE, 0, 0x1c, 0);
    dmar_scope(&builder, DMAR_SCOPE_BRIDGE, 0, 0x1d, 0); /* its bus numbers would cover bus 0 itself */
    (void)parse();
    assert_int_equal(unit_of(0, ID(0, 0x1c, 0)), 0);
    assert_int_equal(unit_of(0, ID(3, 0, 0)), 0);
    assert_int_equal(unit_of(0, ID(6, 31, 7)), 0);
    assert_int_equal(unit_of(0, ID(7, 0, 0)), NOBODY);
    assert_int_equal(unit_of(0, ID(0, 4, 0)), NOBODY);
    assert_int_equal(unit_of(0, ID(0, 0x1d, 0)), 0);
}

/* A device over its bridge, a bridge over "everything", in whatever order firmware lists them. */
static void the_narrowest_claim_wins(void **state)
{
    static const uint8_t inner[] = {0x1c, 0, 0, 0}, device[] = {0x1c, 0, 0, 0, 2, 0};

    (void)state;
    dmar_drhd(&builder, 1, 0, 0x1000);
    dmar_drhd(&builder, 0, 0, 0x2000);
    dmar_scope(&builder, DMAR_SCOPE_BRIDGE, 0, 0x1c, 0);
    dmar_drhd(&builder, 0, 0, 0x3000);
    put_path(DMAR_SCOPE_BRIDGE, inner, 2);
    dmar_drhd(&builder, 0, 0, 0x4000);
    put_path(DMAR_SCOPE_ENDPOINT, device, 3);
    (void)parse();
    assert_int_equal(unit_of(0, ID(0, 4, 0)), 0);
    assert_int_equal(unit_of(0, ID(4, 0, 0)), 1);
    assert_int_equal(unit_of(0, ID(6, 0, 0)), 2);
    assert_int_equal(unit_of(0, ID(5, 2, 0)), 3);
    assert_int_equal(unit_of(1, ID(0, 4, 0)), NOBODY);
}

/* What a unit that cannot be used names is blocked; it does not fall to the unit for all the rest. */
static void devices_of_a_refused_unit_are_blocked(void **state)
{
    (void)state;
    usable[0] = false;
    dmar_drhd(&builder, 0, 0, 0);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_drhd(&builder, 1, 0, 0x2000);
    (void)parse();
    assert_int_equal(unit_of(0, ID(0, 2, 0)), NOBODY);
    assert_int_equal(unit_of(0, ID(0, 4, 0)), 1);
}

/* ... not even when the table does not say clearly which device that is. */
static void an_unclear_name_of_a_refused_unit_blocks_all_the_rest(void **state)
{
    static const uint8_t over_nothing[] = {0x1e, 0, 1, 0};

    (void)state;
    usable[0] = false;
    dmar_drhd(&builder, 0, 0, 0);
    put_path(DMAR_SCOPE_ENDPOINT, over_nothing, 2);
    dmar_drhd(&builder, 1, 0, 0x2000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    (void)parse();
    assert_int_equal(unit_of(0, ID(0, 2, 0)), 1);
    assert_int_equal(unit_of(0, ID(0, 4, 0)), NOBODY);
}

/* There may be a unit nobody can read: "all the rest" is then not known. */
static void a_cut_table_serves_only_named_devices(void **state)
{
    (void)state;
    dmar_drhd(&builder, 1, 0, 0x1000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_scope(&builder, DMAR_SCOPE_BRIDGE, 0, 0x1c, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, ID(3, 0, 0)), 0);
    dmar_open(&builder, 0);
    dmar_put(&builder, 0, 4);
    assert_false(parse());
    assert_int_equal(unit_of(0, ID(0, 0x1c, 0)), 0);
    assert_int_equal(unit_of(0, ID(3, 0, 0)), NOBODY); /* behind the bridge may be another unit's */
    assert_int_equal(unit_of(0, ID(0, 2, 0)), 0);
    assert_int_equal(unit_of(0, ID(0, 4, 0)), NOBODY);
}

static void what_is_lost_of_a_refused_unit_blocks_all_the_rest(void **state)
{
    (void)state;
    usable[0] = false;
    dmar_drhd(&builder, 0, 0, 0);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 4, 9); /* no such function */
    dmar_drhd(&builder, 1, 0, 0x2000);
    assert_false(parse());
    assert_int_equal(unit_of(0, ID(0, 4, 0)), NOBODY);
    usable[0] = true; /* a unit that is on blocks what nobody attaches */
    assert_true(parse());
    assert_int_equal(unit_of(0, ID(0, 4, 0)), 1);
}

/* So does a bridge of such a unit, when nobody can tell what is behind it. */
static void a_bridge_with_impossible_buses(void **state)
{
    (void)state;
    dmar_drhd(&builder, 0, 0, 0x1000);
    dmar_scope(&builder, DMAR_SCOPE_BRIDGE, 0, 0x1d, 0);
    dmar_drhd(&builder, 1, 0, 0x2000);
    assert_true(parse());
    assert_int_equal(count_findings(FINDING_BRIDGE_BUSES), 1);
    usable[0] = false;
    assert_false(parse());
    assert_int_equal(unit_of(0, ID(0, 4, 0)), NOBODY);
}

static void two_units_that_claim_one_device(void **state)
{
    (void)state;
    dmar_drhd(&builder, 0, 0, 0x1000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 3, 0);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 3, 0); /* twice, but the same */
    dmar_drhd(&builder, 0, 0, 0x2000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_drhd(&builder, 1, 0, 0x3000);
    assert_true(parse());
    assert_int_equal(unit_of(0, ID(0, 2, 0)), NOBODY);
    assert_int_equal(unit_of(0, ID(0, 3, 0)), 0);
    assert_int_equal(unit_of(0, ID(0, 4, 0)), 2);
    assert_int_equal(count_findings(FINDING_TWO_UNITS), 1);
    assert_int_equal(dmar.findings.list[0].offset, dmar.scopes[3].offset);
}

static void two_units_for_all_the_rest(void **state)
{
    (void)state;
    dmar_drhd(&builder, 1, 0, 0x1000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_drhd(&builder, 1, 0, 0x2000);
    dmar_drhd(&builder, 1, 1, 0x3000);
    assert_true(parse());
    assert_int_equal(unit_of(0, ID(0, 2, 0)), 0);
    assert_int_equal(unit_of(0, ID(0, 4, 0)), NOBODY);
    assert_int_equal(unit_of(1, ID(0, 4, 0)), 2);
    assert_int_equal(count_findings(FINDING_TWO_UNITS), 1);
}

static void without_a_unit_for_all_the_rest(void **state)
{
    (void)state;
    dmar_drhd(&builder, 0, 0, 0x1000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, ID(0, 2, 0)), 0);
    assert_int_equal(unit_of(0, ID(0, 4, 0)), NOBODY);
}

/* An ACPI device does DMA under the id that its scope names; IO-APICs and HPETs do none. */
static void which_scopes_do_dma(void **state)
{
    (void)state;
    dmar_drhd(&builder, 0, 0, 0x1000);
    dmar_scope(&builder, DMAR_SCOPE_ACPI, 0, 0x15, 1);
    dmar_scope(&builder, DMAR_SCOPE_IOAPIC, 0xf0, 0x1f, 0);
    dmar_scope(&builder, DMAR_SCOPE_HPET, 0, 0x1f, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, ID(0, 0x15, 1)), 0);
    assert_int_equal(unit_of(0, ID(0xf0, 0x1f, 0)), NOBODY);
    assert_int_equal(claims.count, 1);
}

static void each_device_reaches_its_own_ranges_only(void **state)
{
    (void)state;
    dmar_drhd(&builder, 1, 0, 0x1000);
    dmar_rmrr(&builder, 0, 0x100000, 0x101fff);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 0x14, 0);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_rmrr(&builder, 0, 0x200000, 0x2fffff);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(reserved_count, 2);
    assert_int_equal(reserved[0].bfn, 0x100);
    assert_int_equal(reserved[0].frames, 2);
    assert_int_equal(attached_count, 2);
    assert_int_equal(attached[0].id, ID(0, 0x14, 0));
    assert_int_equal(attached[0].ranges, 1);
    assert_int_equal(attached[1].id, ID(0, 2, 0));
    assert_int_equal(attached[1].ranges, 3);
}

static void ranges_that_cannot_be_are_refused(void **state)
{
    (void)state;
    hypervisor_first = 0x500;
    hypervisor_frames = 1;
    dmar_rmrr(&builder, 0, 0x4ff000, 0x500fff);
    dmar_rmrr(&builder, 0, 1ull << 39, (1ull << 39) + 0xfff);
    dmar_rmrr(&builder, 0, 0x100000, 0x1001fffff);
    dmar_rmrr(&builder, 0, 0, UINT64_MAX);
    dmar_rmrr(&builder, 0, 0x600000, 0x600fff);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    dmar_rmrr(&builder, 0, 0xfed00000, 0xfed90fff);
    dmar_rmrr(&builder, 0, 0xfeeff000, 0xfeefffff);
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(captured_count("it holds memory or registers of the hypervisor"), 1);
    assert_int_equal(captured_count("it lies beyond the bus width"), 2);
    assert_int_equal(captured_count("larger than 4 GiB"), 1);
    assert_int_equal(captured_count("it holds registers of an IOMMU, or takes interrupts"), 2);
    assert_int_equal(withheld_frames, 1);
    assert_int_equal(reserved_count, 1);
    assert_int_equal(reserved[0].bfn, 0x600);
}

/* A range that cannot be costs its devices, also those that have another range that can. */
static void devices_of_a_refused_range_stay_blocked(void **state)
{
    (void)state;
    dmar_drhd(&builder, 1, 0, 0x1000);
    dmar_rmrr(&builder, 0, 0x100000, 0x101fff);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 3, 0);
    dmar_rmrr(&builder, 0, 1ull << 39, 1ull << 39);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 3, 0);
    dmar_rmrr(&builder, 0, 0x2000, 0x1000); /* malformed */
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 4, 0);
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(attached_count, 1);
    assert_int_equal(attached[0].id, ID(0, 2, 0));
    assert_false(iommu_reserve_is_refused(0, ID(0, 2, 0)));
    assert_true(iommu_reserve_is_refused(0, ID(0, 3, 0)));
    assert_true(iommu_reserve_is_refused(0, ID(0, 4, 0)));
    assert_false(iommu_reserve_is_refused(1, ID(0, 4, 0)));
    assert_int_equal(captured_count("00:04.0 cannot be given its reserved ranges"), 1);
}

/* However many they are, and in whatever way they are named. */
static void every_device_of_a_refused_range_stays_blocked(void **state)
{
    (void)state;
    dmar_drhd(&builder, 1, 0, 0x1000);
    dmar_rmrr(&builder, 0, 0x2000, 0x1000);
    for (uint32_t i = 0; i < 600; i++)
        dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, (uint8_t)(0x10 + i / 256), (uint8_t)(i / 8 % 32),
                   (uint8_t)(i % 8));
    dmar_scope(&builder, DMAR_SCOPE_ACPI, 0, 0x15, 0);
    dmar_scope(&builder, DMAR_SCOPE_BRIDGE, 0, 0x1c, 0);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 0x1e, 0);
    builder.bytes[builder.size - 7] = 10; /* ... with a hop over what is no bridge */
    dmar_put(&builder, 0, 2);
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(attached_count, 0);
    for (uint32_t i = 0; i < 600; i++)
        assert_true(iommu_reserve_is_refused(0, (uint16_t)(0x1000 + i)));
    assert_true(iommu_reserve_is_refused(0, ID(0, 0x15, 0)));
    assert_true(iommu_reserve_is_refused(0, ID(0, 0x1c, 0)));
    assert_true(iommu_reserve_is_refused(0, ID(3, 0, 0))); /* behind the bridge */
    assert_true(iommu_reserve_is_refused(0, ID(5, 1, 0)));
    assert_false(iommu_reserve_is_refused(0, ID(0, 4, 0)));
    assert_int_equal(captured_count("more than 512 devices"), 1);
    assert_int_equal(captured_count("for a device that is not there"), 1);
}

static void more_ranges_than_are_kept_cost_their_devices(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 66; i++) {
        dmar_rmrr(&builder, 0, 0x100000 + i * 0x1000, 0x100fff + i * 0x1000);
        dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, (uint8_t)(i / 8), (uint8_t)(i % 8));
    }
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(attached_count, 63);
    assert_int_equal(captured_count("there are more than Sluice keeps"), 3);
    for (uint32_t i = 0; i < 66; i++)
        assert_int_equal(iommu_reserve_is_refused(0, (uint16_t)i), i >= 63);
}

/* Behind a bridge that answers for it, a device needs its range under both ids. */
static void a_range_for_a_device_behind_a_bridge(void **state)
{
    static const uint8_t path[] = {0x1c, 0, 0, 0, 1, 0, 3, 0};

    (void)state;
    dmar_drhd(&builder, 1, 0, 0x1000);
    dmar_rmrr(&builder, 0, 0x100000, 0x101fff);
    put_path(DMAR_SCOPE_ENDPOINT, path, 4);
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(attached_count, 2);
    assert_int_equal(attached[0].id, ID(6, 3, 0));
    assert_int_equal(attached[1].id, ID(6, 0, 0));
}

/* 4 GiB in all: what comes after them is refused. */
static void ranges_have_a_limit_together(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 6; i++)
        dmar_rmrr(&builder, 0, i << 30, (i << 30) + 0x3fffffff);
    dmar_rmrr(&builder, 0, 0x200000000, 0x200000fff);
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(captured_count("larger than 4 GiB"), 2);
    assert_int_equal(captured_count("registers of an IOMMU, or takes interrupts"), 1);
    assert_int_equal(reserved_count, 4);
}

static void a_range_over_ram_is_honoured_and_told(void **state)
{
    (void)state;
    free_frames = 3;
    dmar_rmrr(&builder, 0, 0x100000, 0x104fff);
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(reserved_count, 1);
    assert_int_equal(captured_count("12 KiB of it were free memory"), 1);
}

/* Firmware says how many registers a unit has, and a unit in use what it needs; a range may hold none of
 * them. */
static void ranges_keep_off_all_registers(void **state)
{
    (void)state;
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    builder.bytes[builder.open + 5] = 4; /* 64 KiB */
    dmar_drhd(&builder, 0, 0, 0xfec90000);
    builder.bytes[builder.open + 5] = 15; /* 128 MiB are no unit's */
    dmar_drhd(&builder, 0, 0, 0xfeb90000);
    units[0] = (struct vtd_unit){.base = 0xfeb90000, .size = 0x3000};
    unit_count = 1;
    dmar_rmrr(&builder, 0, 0xfed9f000, 0xfed9ffff);
    dmar_rmrr(&builder, 0, 0xfeda0000, 0xfeda0fff);
    dmar_rmrr(&builder, 0, 0xfeca0000, 0xfeca0fff);
    dmar_rmrr(&builder, 0, 0xfeb92000, 0xfeb92fff);
    dmar_rmrr(&builder, 0, 0xfeb93000, 0xfeb93fff);
    (void)parse();
    vtd_reserved_init(&dmar, 39);
    assert_int_equal(captured_count("it holds registers"), 2);
    assert_int_equal(reserved_count, 3);
    assert_int_equal(reserved[0].bfn, 0xfeda0);
    assert_int_equal(reserved[1].bfn, 0xfeca0);
    assert_int_equal(reserved[2].bfn, 0xfeb93);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(paths_are_followed_through_bridges, set_up),
        cmocka_unit_test_setup(a_bridge_covers_what_is_behind_it, set_up),
        cmocka_unit_test_setup(the_narrowest_claim_wins, set_up),
        cmocka_unit_test_setup(devices_of_a_refused_unit_are_blocked, set_up),
        cmocka_unit_test_setup(an_unclear_name_of_a_refused_unit_blocks_all_the_rest, set_up),
        cmocka_unit_test_setup(a_cut_table_serves_only_named_devices, set_up),
        cmocka_unit_test_setup(what_is_lost_of_a_refused_unit_blocks_all_the_rest, set_up),
        cmocka_unit_test_setup(a_bridge_with_impossible_buses, set_up),
        cmocka_unit_test_setup(two_units_that_claim_one_device, set_up),
        cmocka_unit_test_setup(two_units_for_all_the_rest, set_up),
        cmocka_unit_test_setup(without_a_unit_for_all_the_rest, set_up),
        cmocka_unit_test_setup(which_scopes_do_dma, set_up),
        cmocka_unit_test_setup(each_device_reaches_its_own_ranges_only, set_up),
        cmocka_unit_test_setup(devices_of_a_refused_range_stay_blocked, set_up),
        cmocka_unit_test_setup(every_device_of_a_refused_range_stays_blocked, set_up),
        cmocka_unit_test_setup(more_ranges_than_are_kept_cost_their_devices, set_up),
        cmocka_unit_test_setup(a_range_for_a_device_behind_a_bridge, set_up),
        cmocka_unit_test_setup(ranges_have_a_limit_together, set_up),
        cmocka_unit_test_setup(a_range_over_ram_is_honoured_and_told, set_up),
        cmocka_unit_test_setup(ranges_keep_off_all_registers, set_up),
        cmocka_unit_test_setup(ranges_that_cannot_be_are_refused, set_up),
    };

    return cmocka_run_group_tests_name("iommu_scope", tests, NULL, NULL);
}
