/* SPDX-License-Identifier: MIT */
/*
 * What a new guest finds: the layout of its initial memory, the orders of its P2M list, its page tables with
 * every reference they must hold, and the pages filled for it. The tables are judged by walking them as the
 * hardware would and by counting all references again from nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../fakes/machine.h"
#include "pv/build.h"
#include "pv/layout.h"
#include "pv/p2m.h"
#include "pv/pte.h"
#include "pv/start_info.h"

#define MIB       (1ull << 20)
#define BASE      0xffffffff80000000ull
#define NR_PAGES  7000u /* no multiple of anything */
#define FIRST_MFN 1000u

static struct guest_image image;
static struct guest_layout layout;
static uint64_t p2m[NR_PAGES];

static int setup(void **state)
{
    (void)state;
    machine_reset();
    image = (struct guest_image){
        .virt_base = BASE,
        .kernel_start = BASE + MIB,
        .kernel_end = BASE + 2 * MIB + 123,
        .entry = BASE + MIB,
    };
    for (uint64_t i = 0; i < NR_PAGES; i++)
        p2m[i] = FIRST_MFN + i;
    return 0;
}

static void plan(uint64_t module_size)
{
    const char *reason = guest_layout_plan(&image, module_size, NR_PAGES, &layout);
    if (reason != NULL)
        fail_msg("%s", reason);
}

static void refuses(uint64_t module_size, uint64_t nr_pages, const char *part)
{
    const char *reason = guest_layout_plan(&image, module_size, nr_pages, &layout);
    assert_non_null(reason);
    if (strstr(reason, part) == NULL)
        fail_msg("refused with \"%s\", not with \"...%s...\"", reason, part);
}

/* ---- layout ---- */

static void check_end(void)
{
    assert_int_equal(layout.v_end % (4 * MIB), 0);
    assert_true(layout.v_end - layout.stack_top >= 512 << 10);
    assert_true(layout.v_end - layout.stack_top < (512 << 10) + 4 * MIB);
    assert_int_equal(layout.tables, layout.start_info + 4096);
    assert_int_equal(layout.stack_top, layout.tables + layout.table_pages * 4096 + 4096);
}

static void plain_kernel(void **state)
{
    (void)state;
    plan(0);
    assert_int_equal(layout.v_start, BASE);
    assert_int_equal(layout.p2m_va, BASE + 2 * MIB + 4096);
    assert_int_equal(layout.p2m_pages, 14); /* 7000 * 8 bytes */
    assert_int_equal(layout.start_info, layout.p2m_va + 14 * 4096);
    assert_int_equal(layout.v_end, BASE + 4 * MIB);
    assert_int_equal(layout.table_pages, 1 + 1 + 1 + 2);
    assert_int_equal(layout.pages_needed, 1024);
    check_end();
}

static void module_is_mapped_behind_the_kernel(void **state)
{
    (void)state;
    plan(5000);
    assert_int_equal(layout.module_va, BASE + 2 * MIB + 4096);
    assert_int_equal(layout.module_pfn, 513);
    assert_int_equal(layout.p2m_va, layout.module_va + 2 * 4096);
    check_end();
}

static void module_by_pfn_lies_behind_v_end(void **state)
{
    (void)state;
    image.module_by_pfn = true;
    plan(5000);
    assert_int_equal(layout.module_va, 0);
    assert_int_equal(layout.module_pfn, 1024);
    assert_int_equal(layout.pages_needed, 1026);
}

static void p2m_at_its_note(void **state)
{
    (void)state;
    image.has_init_p2m = true;
    image.init_p2m = 0x8000000000ull;
    image.module_by_pfn = true;
    plan(5000);
    assert_int_equal(layout.p2m_va, 0x8000000000ull);
    assert_int_equal(layout.start_info, BASE + 2 * MIB + 4096);
    assert_int_equal(layout.p2m_table_pfn, 1026);
    assert_int_equal(layout.p2m_table_pages, 3);
    assert_int_equal(layout.p2m_pfn, 1029);
    assert_int_equal(layout.pages_needed, 1029 + 14);
    check_end();
}

/* The stack ends exactly where 512 KiB of slack just fit, and one page further. */
static void slack_at_its_edge(void **state)
{
    (void)state;
    uint64_t others = 14 + 1 + 5 + 1; /* P2M, start_info, tables, stack */
    image.kernel_end = BASE + 4 * MIB - (512 << 10) - others * 4096;
    plan(0);
    assert_int_equal(layout.v_end, BASE + 4 * MIB);
    check_end();
    image.kernel_end += 1;
    plan(0);
    assert_int_equal(layout.v_end, BASE + 8 * MIB);
    assert_int_equal(layout.table_pages, 7);
    check_end();
}

static void base_zero_and_odd_bases(void **state)
{
    (void)state;
    image = (struct guest_image){.kernel_start = MIB, .kernel_end = 2 * MIB, .entry = MIB};
    plan(0);
    assert_int_equal(layout.v_start, 0);
    check_end();
    /* Crosses a 1 GiB and a 512 GiB edge: two tables of every level. */
    image.virt_base = (1ull << 39) - MIB;
    image.kernel_start = image.virt_base;
    image.kernel_end = image.virt_base + 2 * MIB;
    plan(0);
    assert_int_equal(layout.counts.l3, 2);
    assert_int_equal(layout.counts.l2, 2);
    check_end();
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    refuses(0, 1023, "more memory");
    refuses(0, 0, "more memory");
    refuses(UINT64_MAX, NR_PAGES, "more memory");
    image.kernel_end = UINT64_MAX - 5;
    refuses(0, NR_PAGES, "more memory");
    setup(state);
    image.virt_base = image.kernel_start = UINT64_MAX - 4 * MIB + 1;
    image.kernel_end = image.virt_base + MIB;
    refuses(0, NR_PAGES, "does not fit");
    image.virt_base = image.kernel_start = HYPERVISOR_VIRT_START - 4 * MIB;
    image.kernel_end = image.virt_base + MIB;
    refuses(0, NR_PAGES, "does not fit");
    image.virt_base = image.kernel_start = (1ull << 47) - 4 * MIB;
    image.kernel_end = image.virt_base + 4 * MIB - 4096;
    refuses(0, NR_PAGES, "does not fit");
    /* The kernel itself lies above the hypervisor's slots, its first PFNs inside them. */
    image.virt_base = HYPERVISOR_VIRT_END - 4 * MIB;
    image.kernel_start = HYPERVISOR_VIRT_END;
    image.kernel_end = HYPERVISOR_VIRT_END + MIB;
    refuses(0, NR_PAGES, "does not fit");
    setup(state);
    image.has_init_p2m = true;
    image.init_p2m = BASE + 64 * MIB;
    refuses(0, NR_PAGES, "512 GiB slot");
    image.init_p2m = HYPERVISOR_VIRT_START - 13 * 4096;
    refuses(0, NR_PAGES, "cannot have");
    image.init_p2m = UINT64_MAX - 4095;
    refuses(0, NR_PAGES, "cannot have");
    image.init_p2m = 0x8000000000ull;
    refuses(0, 1024 + 3 + 2 - 1, "more memory");
}

/* ---- P2M orders ---- */

static void words_of_the_option(void **state)
{
    (void)state;
    enum p2m_order order;
    uint64_t seed;
    assert_true(p2m_parse(NULL, &order, &seed) && order == P2M_LINEAR);
    assert_true(p2m_parse("linear", &order, &seed) && order == P2M_LINEAR);
    assert_true(p2m_parse("identity", &order, &seed) && order == P2M_IDENTITY);
    assert_true(p2m_parse("scramble", &order, &seed) && order == P2M_SCRAMBLE && seed == P2M_DEFAULT_SEED);
    assert_true(p2m_parse("scramble:18446744073709551615", &order, &seed) && seed == UINT64_MAX);
    assert_false(p2m_parse("scramble:18446744073709551616", &order, &seed));
    assert_false(p2m_parse("scramble:", &order, &seed));
    assert_false(p2m_parse("scramble:-1", &order, &seed));
    assert_false(p2m_parse("scrambled", &order, &seed));
    assert_false(p2m_parse("", &order, &seed));
    assert_int_equal(order, P2M_LINEAR);
}

static void assert_permutation(void)
{
    static uint8_t seen[FIRST_MFN + NR_PAGES];
    memset(seen, 0, sizeof(seen));
    for (uint64_t i = 0; i < NR_PAGES; i++) {
        assert_true(p2m[i] >= FIRST_MFN && p2m[i] < FIRST_MFN + NR_PAGES);
        assert_int_equal(seen[p2m[i]]++, 0);
    }
}

static void identity_wherever_possible(void **state)
{
    (void)state;
    p2m_arrange(p2m, NR_PAGES, P2M_IDENTITY, 0);
    assert_permutation();
    for (uint64_t i = FIRST_MFN; i < NR_PAGES; i++)
        assert_int_equal(p2m[i], i);
}

static void scramble_leaves_no_neighbours(void **state)
{
    uint64_t other[NR_PAGES];
    uint64_t neighbours = 0;
    p2m_arrange(p2m, NR_PAGES, P2M_SCRAMBLE, 1);
    assert_permutation();
    for (uint64_t i = 1; i < NR_PAGES; i++)
        neighbours += p2m[i] == p2m[i - 1] + 1;
    assert_true(neighbours < 10);
    memcpy(other, p2m, sizeof(other));
    setup(state);
    p2m_arrange(p2m, NR_PAGES, P2M_SCRAMBLE, 1);
    assert_memory_equal(other, p2m, sizeof(other)); /* the same seed, the same order */
    setup(state);
    p2m_arrange(p2m, NR_PAGES, P2M_SCRAMBLE, 2);
    assert_true(memcmp(other, p2m, sizeof(other)) != 0);
    p2m_arrange(p2m, 0, P2M_SCRAMBLE, 2);
    p2m_arrange(p2m, 1, P2M_SCRAMBLE, 0);
}

/* ---- tables ---- */

static uint64_t walk(uint64_t address)
{
    uint64_t entry = guest.l4_mfn << 12;
    for (unsigned shift = 39; shift >= 12; shift -= 9) {
        entry = machine_page(pte_mfn(entry))[address >> shift & 511];
        if ((entry & PTE_PRESENT) == 0)
            return 0;
    }
    return entry;
}

/* All references that the tables below the loaded L4 account for. */
static uint32_t references[MACHINE_FRAMES], type_references[MACHINE_FRAMES];
static uint8_t types[MACHINE_FRAMES];

static void count(uint64_t mfn, uint8_t type)
{
    references[mfn]++;
    if (type == FRAME_TYPE_NONE)
        return;
    assert_true(types[mfn] == FRAME_TYPE_NONE || types[mfn] == type);
    types[mfn] = type;
    type_references[mfn]++;
}

static void count_table(uint64_t mfn, uint8_t level)
{
    for (unsigned i = 0; i < 512; i++) {
        uint64_t entry = machine_page(mfn)[i];
        if (level == 4 && i >= 256 && i <= 271) {
            assert_int_equal(entry, 0xabc000 | i);
            continue;
        }
        if ((entry & PTE_PRESENT) == 0) {
            assert_int_equal(entry, 0);
            continue;
        }
        assert_int_equal(entry & PTE_USER, PTE_USER);
        assert_int_equal(entry & (PTE_NO_EXECUTE | PTE_CACHE | PTE_GLOBAL), 0);
        if (level > 1) {
            count(pte_mfn(entry), (uint8_t)(FRAME_TYPE_L1 + level - 2));
            if (type_references[pte_mfn(entry)] == 1)
                count_table(pte_mfn(entry), level - 1);
        } else {
            count(pte_mfn(entry), (entry & PTE_WRITABLE) != 0 ? FRAME_TYPE_WRITABLE : FRAME_TYPE_NONE);
        }
    }
}

static void check_tables(void)
{
    memset(references, 0, sizeof(references));
    memset(type_references, 0, sizeof(type_references));
    memset(types, 0, sizeof(types));
    assert_true(guest_tables_build(&layout, p2m));
    count(guest.l4_mfn, FRAME_TYPE_L4); /* loaded */
    count(guest.l4_mfn, FRAME_TYPE_L4); /* pinned */
    assert_int_equal(machine_frames[guest.l4_mfn].flags, FRAME_PINNED);
    count_table(guest.l4_mfn, 4);
    for (uint64_t mfn = 0; mfn < MACHINE_FRAMES; mfn++) {
        assert_int_equal(machine_frames[mfn].references, references[mfn]);
        assert_int_equal(machine_frames[mfn].type_references, type_references[mfn]);
        assert_int_equal(machine_frames[mfn].type, types[mfn]);
    }

    uint64_t tables_end = layout.tables + layout.table_pages * 4096;
    for (uint64_t va = layout.v_start; va != layout.v_end; va += 4096) {
        uint64_t entry = walk(va);
        bool is_table = va >= layout.tables && va < tables_end;
        assert_int_equal(pte_mfn(entry), p2m[(va - layout.v_start) / 4096]);
        assert_int_equal(entry & PTE_WRITABLE, is_table ? 0 : PTE_WRITABLE);
        assert_int_equal(is_table, types[pte_mfn(entry)] >= FRAME_TYPE_L1);
    }
    assert_int_equal(walk(layout.v_end), 0);
    assert_int_equal(walk(layout.v_start - 4096), 0);
    assert_int_equal(pte_mfn(walk(layout.tables)), guest.l4_mfn);
    for (uint64_t i = 0; layout.p2m_apart && i < layout.p2m_pages; i++)
        assert_int_equal(walk(layout.p2m_va + i * 4096), p2m[layout.p2m_pfn + i] << 12 | 0x67);
}

static void tables_of_a_plain_kernel(void **state)
{
    (void)state;
    plan(0);
    p2m_arrange(p2m, NR_PAGES, P2M_SCRAMBLE, 7);
    check_tables();
}

static void tables_with_p2m_apart(void **state)
{
    (void)state;
    image.has_init_p2m = true;
    image.init_p2m = 0x8000000000ull + 0x3ffff000; /* its list crosses a 1 GiB edge */
    plan(0);
    p2m_arrange(p2m, NR_PAGES, P2M_SCRAMBLE, 8);
    check_tables();
    assert_int_equal(layout.p2m_table_pages, 1 + 2 + 2);
}

static void tables_across_every_edge(void **state)
{
    (void)state;
    image.virt_base = image.kernel_start = (1ull << 39) - 3 * MIB;
    image.kernel_end = image.virt_base + 5 * MIB;
    plan(0);
    p2m_arrange(p2m, NR_PAGES, P2M_SCRAMBLE, 9);
    check_tables();
}

static void tables_refuse_a_used_frame(void **state)
{
    (void)state;
    plan(0);
    frame_get_type(frame_of(p2m[(layout.tables - BASE) / 4096 + 2]), FRAME_TYPE_WRITABLE);
    assert_false(guest_tables_build(&layout, p2m));
}

/* ---- the filled pages ---- */

static void start_info_says_it_all(void **state)
{
    (void)state;
    union {
        struct start_info info;
        uint8_t bytes[4096];
    } page;
    struct boot_framebuffer framebuffer = {.base = 0x480000000ull,
                                           .size = 1280 * 800 * 4,
                                           .width = 1280,
                                           .height = 800,
                                           .pitch = 1280,
                                           .format = BOOT_PIXEL_BGRX};
    memset(&page, 0xee, sizeof(page));
    image.module_by_pfn = image.has_init_p2m = true;
    image.init_p2m = 0x8000000000ull;
    plan(5000);
    struct start_info_facts facts = {.image = &image,
                                     .layout = &layout,
                                     .framebuffer = &framebuffer,
                                     .cmdline = "console=hvc0",
                                     .cmdline_size = 7,
                                     .nr_pages = NR_PAGES,
                                     .module_size = 5000,
                                     .shared_mfn = 0x1234};
    start_info_fill(&page, &facts);
    assert_string_equal(page.info.magic, "xen-3.0-x86_64");
    assert_int_equal(page.info.nr_pages, NR_PAGES);
    assert_int_equal(page.info.shared_info, 0x1234000);
    assert_int_equal(page.info.flags, SIF_PRIVILEGED | SIF_INITDOMAIN | SIF_MOD_START_PFN);
    assert_int_equal(page.info.pt_base, layout.tables);
    assert_int_equal(page.info.nr_pt_frames, layout.table_pages);
    assert_int_equal(page.info.mfn_list, 0x8000000000ull);
    assert_int_equal(page.info.mod_start, layout.module_pfn);
    assert_int_equal(page.info.mod_len, 5000);
    assert_int_equal(page.info.first_p2m_pfn, layout.p2m_table_pfn);
    assert_int_equal(page.info.nr_p2m_frames, 3 + 14);
    assert_string_equal(page.info.cmd_line, "console");
    struct dom0_vga_console_info *console =
        (struct dom0_vga_console_info *)(page.bytes + page.info.console.dom0.info_off);
    assert_int_equal(page.info.console.dom0.info_size, sizeof(*console));
    assert_int_equal(console->video_type, XEN_VGATYPE_EFI_LFB);
    assert_int_equal(console->u.vesa_lfb.lfb_base, 0x80000000);
    assert_int_equal(console->u.vesa_lfb.ext_lfb_base, 4);
    assert_int_equal(console->u.vesa_lfb.bytes_per_line, 5120);
    assert_int_equal(console->u.vesa_lfb.red_pos, 16);
    assert_int_equal(page.bytes[4095], 0);

    /* A command line that is too long is cut; without a framebuffer there is no console description. */
    static char longer[3000];
    memset(longer, 'x', sizeof(longer));
    facts.cmdline = longer;
    facts.cmdline_size = sizeof(longer);
    framebuffer.format = BOOT_PIXEL_NONE;
    start_info_fill(&page, &facts);
    assert_int_equal(strlen(page.info.cmd_line), MAX_GUEST_CMDLINE - 1);
    assert_int_equal(page.info.console.dom0.info_size, 0);
}

static void hypercall_stubs(void **state)
{
    (void)state;
    static const uint8_t five[] = {0x51, 0x41, 0x53, 0xb8, 5,    0,    0,   0,
                                   0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3, 0xcc};
    static const uint8_t iret[] = {0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05, 0xcc};
    uint8_t page[4096];
    hypercall_page_fill(page);
    assert_memory_equal(page + 5 * 32, five, sizeof(five));
    assert_memory_equal(page + 23 * 32, iret, sizeof(iret));
    assert_int_equal(page[127 * 32 + 4], 127);
}

static void events_start_masked(void **state)
{
    (void)state;
    static struct shared_info shared;
    shared_info_fill(&shared);
    for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        assert_int_equal(shared.vcpu_info[i].evtchn_upcall_mask, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(plain_kernel),
        T(module_is_mapped_behind_the_kernel),
        T(module_by_pfn_lies_behind_v_end),
        T(p2m_at_its_note),
        T(slack_at_its_edge),
        T(base_zero_and_odd_bases),
        T(refuses_what_does_not_fit),
        T(words_of_the_option),
        T(identity_wherever_possible),
        T(scramble_leaves_no_neighbours),
        T(tables_of_a_plain_kernel),
        T(tables_with_p2m_apart),
        T(tables_across_every_edge),
        T(tables_refuse_a_used_frame),
        T(start_info_says_it_all),
        T(hypercall_stubs),
        T(events_start_masked),
    };
    return cmocka_run_group_tests_name("guest_layout", tests, NULL, NULL);
}
