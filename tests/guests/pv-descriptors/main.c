/* SPDX-License-Identifier: MIT */
/*
 * Rule: the guest has pages of the GDT, and an LDT, of its own; whatever it writes there, no descriptor leads
 * out of ring 3. A page that is a descriptor page cannot be written, by the CPU or otherwise, except through
 * update_descriptor; a refused call changes nothing, and a page that is let go can be written again.
 *
 * From: guest-abi/modes.md. Advisories whose mistakes this looks for: 298 (a descriptor that is used beyond
 * what was judged) and those on descriptor pages whose type changes under use.
 *
 * Method: descriptors of every type; those that were taken are loaded, those that could hurt must be refused.
 *
 * Errors: -EINVAL a descriptor or a frame that cannot be, too many entries, an address that is not aligned;
 * -EFAULT the list of frames cannot be read; -EBUSY a descriptor page mapped writable, cleared,
 * copied to or pinned as a table.
 *
 * run: default
 * run: no-smap cpu="max,-smap"
 * run: qemu64 cpu="qemu64"
 */
#include "common/tables.h"

#define CODE32   0x00cf9a000000ffffull /* DPL 0 and not accessed: made ring 3's */
#define CODE64   0x00af9a000000ffffull
#define DATA     0x00cf92000000ffffull
#define L_AND_D  0x00ef9a000000ffffull
#define PRESENT  (1ull << 47)
#define RING_3   (3ull << 45)
#define ACCESSED (1ull << 40)

#define SELECTOR(index)     ((index)*8u | 3)
#define LDT_SELECTOR(index) ((index)*8u | 7)

/* A page of descriptors, written through a view that is read-only while it is in use. */
static struct table page, other;

static void seal(struct table *of, uint32_t index, uint64_t descriptor)
{
    table_unseal(of);
    of->view[index] = descriptor;
    table_seal(of);
}

/* ---- what loads ---- */

static void load_fs(void *selector)
{
    __asm__ volatile("mov %w0, %%fs; mov %w1, %%fs" : : "r"(selector), "r"(0) : "memory");
}

static void far_return(void *selector)
{
    __asm__ volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
                     "push %1; lea 2f(%%rip), %%rax; push %%rax; lretq; 2:"
                     :
                     : "r"(selector), "r"((uint64_t)FLAT_RING3_CS64)
                     : "rax", "memory");
}

static void far_call(void *selector)
{
    static struct {
        uint32_t offset;
        uint16_t selector;
    } __attribute__((packed)) pointer;
    pointer.selector = (uint16_t)(uint64_t)selector;
    __asm__ volatile("lcall *%0" : : "m"(pointer) : "memory");
}

static bool loads(void (*how)(void *), uint32_t selector)
{
    struct trap_result seen = trap_try(how, (void *)(uint64_t)selector);
    EXPECT(!seen.trapped ||
               ((seen.vector == TRAP_PROTECTION || seen.vector == 11) && seen.error_code == (selector & ~3u)),
           "selector 0x%x: vector %u, error code 0x%x", selector, seen.vector, seen.error_code);
    return !seen.trapped;
}

/* ---- set_gdt ---- */

static void gdt_is_used(void)
{
    seal(&page, 1, DATA);
    EXPECT(!loads(load_fs, SELECTOR(1)), "a GDT before there is one");
    EXPECT_RETURN(set_gdt(&page.mfn, 512), 0);
    EXPECT(page.view[1] == (DATA | RING_3 | ACCESSED), "the descriptor is 0x%lx", page.view[1]);
    EXPECT(loads(load_fs, SELECTOR(1)) && !loads(load_fs, SELECTOR(2)) && !loads(load_fs, SELECTOR(512 + 1)),
           "the GDT is not the one that was set");
    EXPECT_RETURN(table_view(&page, MAP_RAM), -EBUSY);
    EXPECT(!trap_write_works(&page.view[1], NULL), "a descriptor page can be written");
    EXPECT_RETURN(mmuext(MMUEXT_CLEAR_PAGE, page.mfn, 0), -EBUSY);
    EXPECT_RETURN(mmuext(MMUEXT_COPY_PAGE, page.mfn, other.mfn), -EBUSY);
    EXPECT_RETURN(pin(1, page.mfn), -EBUSY);

    /* The same frame twice, and another in the last page. */
    const uint64_t frames[14] = {[0] = page.mfn, [13] = page.mfn};
    uint64_t all[14];
    for (uint32_t i = 0; i < 14; i++)
        all[i] = frames[i] ? frames[i] : other.mfn;
    EXPECT_RETURN(set_gdt(all, 14 * 512), 0);
    EXPECT(loads(load_fs, SELECTOR(13 * 512 + 1)) && !loads(load_fs, SELECTOR(512 + 1)),
           "14 pages are not in place");
    EXPECT_RETURN(set_gdt(&page.mfn, 1), 0); /* rounded up to the page */
    EXPECT(!loads(load_fs, SELECTOR(13 * 512 + 1)), "an old page of the GDT is still there");
    table_unseal(&other);
    table_seal(&other);
    EXPECT_RETURN(set_gdt(NULL, 0), 0);
    EXPECT(!loads(load_fs, SELECTOR(1)), "no GDT, and yet its selector loads");
    table_unseal(&page);
    table_seal(&page);
}

static void gdt_is_all_or_nothing(void)
{
    struct table writable;
    table_begin(&writable);
    const uint64_t bad[] = {writable.mfn, start_info->shared_info >> PAGE_SHIFT,
                            0xfee00,      highest_mfn() + 1,
                            UINT64_MAX,   loaded_l4()};

    EXPECT_RETURN(set_gdt(&page.mfn, 512), 0);
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const uint64_t frames[] = {other.mfn, bad[i]};
        EXPECT_RETURN(set_gdt(frames, 1024), -EINVAL);
        EXPECT(loads(load_fs, SELECTOR(1)), "the GDT is gone after a refusal");
        table_unseal(&other); /* and holds nothing */
        table_seal(&other);
    }
    EXPECT_RETURN(set_gdt(&page.mfn, 14 * 512 + 1), -EINVAL);
    EXPECT_RETURN(set_gdt(&page.mfn, UINT32_MAX), -EINVAL);
    EXPECT_RETURN(set_gdt(NULL, 1), -EFAULT);
    EXPECT_RETURN(set_gdt((const uint64_t *)HYPERVISOR_VIRT_START, 1), -EFAULT);
    EXPECT(loads(load_fs, SELECTOR(1)), "the GDT is gone after a refusal");
    EXPECT_RETURN(set_gdt(NULL, 0), 0);
    table_unseal(&writable);
}

/* ---- every type ---- */

static bool may_be(uint64_t descriptor)
{
    bool system = !(descriptor >> 44 & 1), code = descriptor >> 43 & 1;
    return !(descriptor & PRESENT) || (!system && !(code && (descriptor >> 53 & 3) == 3));
}

/* Both ways to have it: in a page that becomes one, and by update_descriptor. */
static void every_type(void)
{
    seal(&page, 1, 0);
    for (uint32_t bits = 0; bits < 1024; bits++) {
        /* Type and S; present; DPL; L and D. */
        uint64_t descriptor = 0x008f00000000ffffull | (uint64_t)(bits & 31) << 40 |
                              (uint64_t)(bits >> 5 & 1) << 47 | (uint64_t)(bits >> 6 & 3) << 45 |
                              (uint64_t)(bits >> 8 & 3) << 53;
        long wanted = may_be(descriptor) ? 0 : -EINVAL;
        seal(&page, 511, descriptor);
        long got = set_gdt(&page.mfn, 512);
        EXPECT(got == wanted, "a page with 0x%lx: %ld, not %ld", descriptor, got, wanted);
        uint64_t kept = descriptor & PRESENT ? descriptor | RING_3 | ACCESSED : descriptor;
        EXPECT(page.view[511] == (got ? descriptor : kept), "0x%lx became 0x%lx", descriptor, page.view[511]);
        EXPECT_RETURN(set_gdt(&other.mfn, 512), 0);
        got = update_descriptor((other.mfn << PAGE_SHIFT) + 8, descriptor);
        EXPECT(got == wanted, "update_descriptor to 0x%lx: %ld, not %ld", descriptor, got, wanted);
        if (!got)
            EXPECT(other.view[1] == kept, "0x%lx became 0x%lx", descriptor, other.view[1]);
        bool is_code = (descriptor >> 43 & 3) == 3;
        EXPECT(is_code || !loads(far_call, SELECTOR(1)), "a far call through 0x%lx worked", descriptor);
    }
    EXPECT_RETURN(set_gdt(NULL, 0), 0);
    seal(&page, 511, 0);
}

/* ---- update_descriptor ---- */

static void updates(void)
{
    seal(&page, 1, 0);
    EXPECT_RETURN(set_gdt(&page.mfn, 512), 0);
    uint64_t place = page.mfn << PAGE_SHIFT;
    EXPECT_RETURN(update_descriptor(place + 8, CODE64), 0);
    EXPECT(loads(far_return, SELECTOR(1)), "64-bit code that was put there does not run");
    EXPECT_RETURN(update_descriptor(place + 8, CODE64 & ~PRESENT), 0);
    EXPECT(!loads(far_return, SELECTOR(1)), "what is not present loads");
    EXPECT_RETURN(update_descriptor(place + 4, DATA), -EINVAL);
    EXPECT_RETURN(update_descriptor(start_info->shared_info, DATA), -EINVAL);
    EXPECT_RETURN(update_descriptor(loaded_l4() << PAGE_SHIFT, DATA), -EINVAL);
    EXPECT_RETURN(update_descriptor(0xfee00000, DATA), -EINVAL);
    EXPECT_RETURN(update_descriptor(UINT64_MAX & ~7ull, DATA), -EINVAL);
    EXPECT_RETURN(set_gdt(NULL, 0), 0);
    /* A page that is none is memory. */
    table_unseal(&page);
    EXPECT_RETURN(update_descriptor(place + 8, L_AND_D), 0);
    EXPECT(page.view[1] == L_AND_D, "memory has 0x%lx", page.view[1]);
    page.view[1] = 0;
    table_seal(&page);
}

/* ---- the LDT ---- */

static long set_ldt(const volatile void *address, uint64_t entries)
{
    return mmuext(MMUEXT_SET_LDT, (uint64_t)(uintptr_t)address, entries);
}

static void ldt(void)
{
    static uint64_t writable[512] __attribute__((aligned(4096)));

    seal(&page, 1, DATA);
    seal(&page, 2, CODE64);
    EXPECT_RETURN(set_ldt(page.view, 2), 0);
    EXPECT_RETURN(table_view(&page, MAP_RAM), -EBUSY);
    EXPECT(loads(load_fs, LDT_SELECTOR(1)) && !loads(far_return, LDT_SELECTOR(2)),
           "the LDT's limit is not 2 entries");
    EXPECT_RETURN(set_ldt(page.view, 512), 0);
    EXPECT(loads(far_return, LDT_SELECTOR(2)), "64-bit code in the LDT does not run");
    EXPECT_RETURN(update_descriptor((page.mfn << PAGE_SHIFT) + 16, 0x0000890000000000 /* a task state */),
                  -EINVAL);

    EXPECT_RETURN(set_ldt((const char *)(uintptr_t)page.view + 8, 2), -EINVAL);
    EXPECT_RETURN(set_ldt(page.view, 8193), -EINVAL);
    EXPECT_RETURN(set_ldt(NULL, 1), -EINVAL);
    EXPECT_RETURN(set_ldt((const void *)HYPERVISOR_VIRT_START, 1), -EINVAL);
    EXPECT_RETURN(set_ldt((const void *)0x800000000000, 1), -EINVAL);
    EXPECT_RETURN(set_ldt(writable, 1), -EINVAL);
    EXPECT(loads(load_fs, LDT_SELECTOR(1)), "the LDT is gone after a refusal");

    EXPECT_RETURN(set_ldt(NULL, 0), 0);
    EXPECT(!loads(load_fs, LDT_SELECTOR(1)), "no LDT, and yet its selector loads");
    table_unseal(&page);
    table_seal(&page);
}

void guest_main(void)
{
    table_begin(&page);
    table_begin(&other);
    table_seal(&page);
    table_seal(&other);
    gdt_is_used();
    gdt_is_all_or_nothing();
    every_type();
    updates();
    ldt();
    report_success("no descriptor leads out of ring 3");
}
