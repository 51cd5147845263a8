/* SPDX-License-Identifier: MIT */
/*
 * From the files that the loader read to a guest that can be entered: its frames in the order the p2m= option
 * asks for, its image, the pages it finds filled, its tables, its bus.
 * Options: guest-memory=MIB, reserve=MIB, p2m=identity|linear|scramble[:SEED].
 */
#include "pv/build.h"

#include "boot_info.h"
#include "drivers/iommu/iommu.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "pv/bus.h"
#include "pv/clock.h"
#include "pv/elf.h"
#include "pv/guest.h"
#include "pv/l1.h"
#include "pv/p2m.h"
#include "pv/platform.h"
#include "pv/start_info.h"
#include "pv/summary.h"
#include "pv/tlb.h"

struct guest guest;

#define FRAMES_PER_MIB 256u
#define MIB_MAX        (UINT64_MAX / FRAMES_PER_MIB / 8)
/* Kept free for exchanges when the guest may have all: a part of memory, and the most. */
#define KEPT_PART      16u
#define KEPT_MOST      (128u * FRAMES_PER_MIB)
/* Kept from the guest: attaching its devices may still take a table for each of 256 buses. */
#define RESERVE_FRAMES 320u

/* The builder's notebook; p2m lives in frames that are given back at the end. */
struct build {
    const struct boot_info *info;
    struct guest_image image;
    struct guest_layout layout;
    uint64_t *p2m;
    uint64_t p2m_first_frame, p2m_frames;
    bool takes_all; /* of memory but what is kept */
    uint64_t kept;  /* frames that stay free, for XENMEM_exchange and such */
};
static struct build build;

static void *guest_page(uint64_t pfn)
{
    return phys_to_virt(build.p2m[pfn] << FRAME_SHIFT);
}

static uint64_t pfn_of(uint64_t address)
{
    return (address - build.layout.v_start) >> FRAME_SHIFT;
}

/* ---- the image ---- */

static bool parse_image(void)
{
    const struct boot_info *info = build.info;
    if (info->guest.base == 0 || info->guest.size == 0) {
        log_say(LOG_ALERT, "no guest: \\sluice\\sluice.conf names none, or its file could not be read");
        return false;
    }
    const char *reason = guest_image_parse(phys_to_virt(info->guest.base), info->guest.size, &build.image);
    if (reason != NULL) {
        log_say(LOG_ALERT, "the guest cannot be started: %s", reason);
        return false;
    }
    return true;
}

/* ---- its frames ---- */

static bool in_identity_range(uint64_t mfn)
{
    for (uint32_t i = 0; i < iommu_reserved_count(); i++) {
        struct iommu_reserved range = iommu_reserved_at(i);
        if (range.kind == IOMMU_KIND_IDENTITY && mfn - range.bfn < range.frames)
            return true;
    }
    return false;
}

static bool has_identity_ranges(void)
{
    bool any = false;
    for (uint32_t i = 0; guest.iommu_on && i < iommu_reserved_count(); i++)
        any |= iommu_reserved_at(i).kind == IOMMU_KIND_IDENTITY;
    return any;
}

/*
 * A frame that firmware's devices may write for ever (a reserved range over usable RAM) can never be trusted
 * with a page table, so the guest does not get it. Returns how many of the frames are left.
 */
static uint64_t drop_identity_frames(uint64_t *list, uint64_t count)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (in_identity_range(list[i]))
            frame_of(list[i])->owner = FRAME_FIRMWARE;
        else
            list[kept++] = list[i];
    }
    return kept;
}

static uint64_t wanted_frames(void)
{
    uint64_t most = memory_usable_frames();
    uint64_t mib = option_number("guest-memory", 0, MIB_MAX, 0); /* 0: all but what is kept */
    uint64_t wanted = mib * FRAMES_PER_MIB;
    uint64_t kept = most / KEPT_PART < KEPT_MOST ? most / KEPT_PART : KEPT_MOST;

    build.kept = option_number("reserve", 0, MIB_MAX, kept / FRAMES_PER_MIB) * FRAMES_PER_MIB;
    build.takes_all = wanted == 0;
    return wanted == 0 || wanted > most ? most : wanted;
}

/* How many of the frames that are free now the guest gets; of the others `kept` stay free below 4 GiB. */
static uint64_t guest_share(uint64_t wanted)
{
    uint64_t most = memory_usable_frames();

    if (build.takes_all)
        most -= build.kept < most ? build.kept : 0;
    wanted = wanted < most ? wanted : most;
    most = memory_usable_frames() - wanted;
    build.kept = build.kept < most ? build.kept : most;
    return wanted;
}

static bool take_frames(uint64_t wanted)
{
    uint64_t reserve = frames_alloc(RESERVE_FRAMES);

    build.p2m_frames = (wanted * sizeof(uint64_t) + FRAME_SIZE - 1) / FRAME_SIZE;
    build.p2m_first_frame = frames_alloc(build.p2m_frames);
    if (reserve == 0 || build.p2m_first_frame == 0) {
        log_say(LOG_ALERT, "not enough memory to build a guest");
        return false;
    }
    build.p2m = phys_to_virt(build.p2m_first_frame << FRAME_SHIFT);
    guest.nr_pages = frames_alloc_guest(build.p2m, guest_share(wanted), build.kept);
    if (has_identity_ranges())
        guest.nr_pages = drop_identity_frames(build.p2m, guest.nr_pages);
    guest.pages_now = guest.nr_pages;
    frames_free(reserve, RESERVE_FRAMES);
    return true;
}

static bool arrange_frames(void)
{
    const char *text = option_value("p2m");
    enum p2m_order order = P2M_LINEAR;
    uint64_t seed = 0;
    if (!p2m_parse(text, &order, &seed)) {
        log_say(LOG_ALERT, "p2m=%s is not an order; use identity, linear or scramble[:SEED]", text);
        return false;
    }
    p2m_arrange(build.p2m, guest.nr_pages, order, seed);
    return true;
}

/* Before the guest takes the rest of memory. The list says ~0 for every frame that is not the guest's. */
static bool make_m2p(void)
{
    if (map_m2p(memory_max_mfn()))
        return true;
    log_say(LOG_ALERT, "not enough memory for the machine-to-physical list");
    return false;
}

/* Locals, because the list's words could alias everything else. */
static void fill_m2p(void)
{
    const uint64_t *p2m = build.p2m;
    const uint64_t count = guest.nr_pages;
    uint64_t *m2p = m2p_list;
    for (uint64_t pfn = 0; pfn < count; pfn++)
        m2p[p2m[pfn]] = pfn;
}

/* ---- what it finds in them ---- */

/* Copies size bytes to a guest address, or zeroes when source is NULL; the frames behind are scattered. */
static void put_bytes(uint64_t address, const uint8_t *source, uint64_t size)
{
    while (size != 0) {
        uint64_t offset = address & (FRAME_SIZE - 1);
        uint64_t part = FRAME_SIZE - offset < size ? FRAME_SIZE - offset : size;
        uint8_t *target = (uint8_t *)guest_page(pfn_of(address)) + offset;
        if (source != NULL) {
            memcpy(target, source, part);
            source += part;
        } else {
            memset(target, 0, part);
        }
        address += part;
        size -= part;
    }
}

static void load_image(void)
{
    const uint8_t *file = phys_to_virt(build.info->guest.base);
    for (uint32_t i = 0; i < build.image.segment_count; i++) {
        const struct guest_segment *segment = &build.image.segments[i];
        put_bytes(segment->address, file + segment->file_offset, segment->file_size);
        put_bytes(segment->address + segment->file_size, NULL, segment->memory_size - segment->file_size);
    }
    if (build.image.has_hypercall_page)
        hypercall_page_fill(guest_page(pfn_of(build.image.hypercall_page)));
}

static void load_module(void)
{
    const struct boot_blob *module = &build.info->module;
    if (module->base == 0 || module->size == 0)
        return;
    put_bytes(build.layout.v_start + (build.layout.module_pfn << FRAME_SHIFT), phys_to_virt(module->base),
              module->size);
}

static void load_p2m(void)
{
    const uint64_t per_page = FRAME_SIZE / sizeof(uint64_t);
    for (uint64_t i = 0; i < build.layout.p2m_pages; i++) {
        uint64_t *page = guest_page(build.layout.p2m_pfn + i);
        uint64_t left = guest.nr_pages - i * per_page;
        uint64_t count = left < per_page ? left : per_page;
        memcpy(page, &build.p2m[i * per_page], count * sizeof(uint64_t));
        memset(page + count, 0xff, (per_page - count) * sizeof(uint64_t));
    }
}

static bool make_shared_info(void)
{
    guest.shared_mfn = frames_alloc(1);
    if (guest.shared_mfn == 0) {
        log_say(LOG_ALERT, "no memory for the shared information page");
        return false;
    }
    frame_of(guest.shared_mfn)->flags |= FRAME_SHARED_RW;
    guest.shared = phys_to_virt(guest.shared_mfn << FRAME_SHIFT);
    shared_info_fill(guest.shared);
    guest.vcpu = &guest.shared->vcpu_info[0];
    clock_init();
    return true;
}

static void load_start_info(void)
{
    const struct boot_info *info = build.info;
    bool has_cmdline = info->guest_cmdline.base != 0;
    struct start_info_facts facts = {
        .image = &build.image,
        .layout = &build.layout,
        .framebuffer = &info->framebuffer,
        .cmdline = has_cmdline ? phys_to_virt(info->guest_cmdline.base) : NULL,
        .cmdline_size = info->guest_cmdline.size,
        .nr_pages = guest.nr_pages,
        .module_size = info->module.base != 0 ? info->module.size : 0,
        .shared_mfn = guest.shared_mfn,
    };
    start_info_fill(guest_page(pfn_of(build.layout.start_info)), &facts);
    memset(guest_page(pfn_of(build.layout.stack_top) - 1), 0, FRAME_SIZE);
}

/* ---- all of it, in order ---- */

static bool plan(void)
{
    const struct boot_blob *module = &build.info->module;
    const char *reason =
        guest_layout_plan(&build.image, module->base != 0 ? module->size : 0, guest.nr_pages, &build.layout);
    if (reason != NULL)
        log_say(LOG_ALERT, "the guest cannot be started with %llu MiB: %s",
                (unsigned long long)(guest.nr_pages / FRAMES_PER_MIB), reason);
    return reason == NULL;
}

static bool build_tables(void)
{
    if (guest_tables_build(&build.layout, build.p2m))
        return true;
    log_say(LOG_ALERT, "the guest's page tables cannot be built: a frame would not take its type");
    return false;
}

static void set_registers(struct cpu_regs *entry)
{
    memset(entry, 0, sizeof(*entry));
    entry->rip = build.image.entry;
    entry->rsp = build.layout.stack_top;
    entry->rsi = build.layout.start_info;
    entry->cs = FLAT_RING3_CS64;
    entry->ss = FLAT_RING3_SS64;
    entry->rflags = 0x202; /* IF and the bit that is always one; IOPL 0 */
}

bool guest_build(const struct boot_info *info, struct cpu_regs *entry)
{
    build.info = info;
    platform_init(info);
    uint64_t wanted = wanted_frames();
    if (!parse_image() || !guest_bus_options() || !guest_bus_create(wanted + build.kept) ||
        !make_shared_info() || !make_m2p() || !take_frames(wanted) || !plan() || !arrange_frames())
        return false;

    l1_rules_init();
    fill_m2p();
    load_image();
    load_module();
    load_p2m();
    load_start_info();
    if (!build_tables())
        return false;
    frames_free(build.p2m_first_frame, build.p2m_frames);
    memory_release_loader();
    if (!guest_bus_open())
        return false;
    set_registers(entry);
    guest.slots = HYPERCALL_SLOTS;
    tlb_load(guest.l4_mfn);
    log_line("guest: %llu MiB, kernel at 0x%llx, entry 0x%llx, %llu page-table frames",
             (unsigned long long)(guest.nr_pages / FRAMES_PER_MIB),
             (unsigned long long)build.image.kernel_start, (unsigned long long)build.image.entry,
             (unsigned long long)build.layout.table_pages);
    summary_boot_done(info);
    return true;
}
