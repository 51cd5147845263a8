/* SPDX-License-Identifier: MIT */
/*
 * The rules of L1 entries, as a guest meets them through mmu_update and update_va_mapping: which bits, which
 * frames, which references, and that nothing is given back before the TLB has forgotten it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../fakes/machine.h"
#include "../fakes/screen.h"
#include "cpu/features.h"
#include "guest-abi/include/sluice/errno.h"
#include "pv/l1.h"
#include "pv/pte.h"
#include "pv/types.h"
#include "pv/walk.h"

#define L4    10u
#define L3    11u
#define L2    12u
#define L1    13u
#define DATA  100u /* first of the frames the tests map */
#define VA    0xffffffff80000000ull
#define RW    (PTE_PRESENT | PTE_WRITABLE | PTE_USER)
#define RO    (PTE_PRESENT | PTE_USER)
#define CACHE (PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_PAT)

static struct cpu_regs regs;
static uint32_t done;

static uint64_t entry(uint64_t mfn, uint64_t flags)
{
    return mfn << FRAME_SHIFT | flags;
}

static uint64_t *slot(unsigned index)
{
    return &machine_page(L1)[index];
}

static int setup(void **state)
{
    (void)state;
    machine_reset();
    l1_rules_init();
    walk_forget();
    for (uint64_t mfn = L4; mfn <= L1; mfn++) {
        for (unsigned i = 0; i < 512; i++)
            machine_page(mfn)[i] = 0;
    }
    frame_get_type(frame_of(L4), FRAME_TYPE_L4);
    frame_get_type(frame_of(L3), FRAME_TYPE_L3);
    frame_get_type(frame_of(L2), FRAME_TYPE_L2);
    frame_get_type(frame_of(L1), FRAME_TYPE_L1);
    machine_page(L4)[511] = entry(L3, RW);
    machine_page(L3)[510] = entry(L2, RW);
    machine_page(L2)[0] = entry(L1, RW);
    guest.l4_mfn = L4;
    fake_screen_mapped = 0;
    done = 77;
    return 0;
}

static long update_many(struct mmu_update *updates, uint32_t count)
{
    struct hypercall_args args = {
        {(uint64_t)(uintptr_t)updates, count, (uint64_t)(uintptr_t)&done, DOMID_SELF, 0}};
    return do_mmu_update(&regs, &args);
}

static long update(uint64_t machine, uint64_t value)
{
    struct mmu_update one = {machine, value};
    return update_many(&one, 1);
}

/* Sets entry 0 of the L1. */
static long set(uint64_t value)
{
    return update((uint64_t)L1 << FRAME_SHIFT, value);
}

static long map_va(uint64_t address, uint64_t value, uint64_t flags)
{
    struct hypercall_args args = {{address, value, flags, 0, 0}};
    return do_update_va_mapping(&regs, &args);
}

static void counts(uint64_t mfn, uint32_t references, uint32_t type_references)
{
    assert_int_equal(machine_frames[mfn].references, references);
    assert_int_equal(machine_frames[mfn].type_references, type_references);
}

/* ---- bits ---- */

static void own_ram_is_mapped_user_local_and_write_back(void **state)
{
    (void)state;
    assert_int_equal(set(entry(DATA, PTE_PRESENT | PTE_WRITABLE | PTE_GLOBAL | CACHE | PTE_AVAILABLE)), 0);
    assert_int_equal(*slot(0), entry(DATA, RW | PTE_AVAILABLE));
    assert_int_equal(done, 1);
    counts(DATA, 1, 1);
    assert_int_equal(machine_frames[DATA].type, FRAME_TYPE_WRITABLE);
}

static void reserved_bits_are_refused(void **state)
{
    (void)state;
    assert_int_equal(set(entry(DATA, RW) | 1ull << 40), -EINVAL); /* beyond a 40-bit machine */
    for (unsigned bit = 52; bit < 63; bit++)
        assert_int_equal(set(entry(DATA, RW) | 1ull << bit), -EINVAL);
    assert_int_equal(*slot(0), 0);
    assert_int_equal(done, 0);
    counts(DATA, 0, 0);
}

static void no_execute_needs_the_cpu(void **state)
{
    (void)state;
    assert_int_equal(set(entry(DATA, RW | PTE_NO_EXECUTE)), 0);
    assert_int_equal(*slot(0), entry(DATA, RW | PTE_NO_EXECUTE));
    cpu_features.nx = false;
    l1_rules_init();
    assert_int_equal(set(entry(DATA, RW | PTE_NO_EXECUTE)), -EINVAL);
}

static void absent_entries_are_stored_as_they_are(void **state)
{
    (void)state;
    assert_int_equal(set(0xfedcba9876543210ull), 0);
    assert_int_equal(*slot(0), 0xfedcba9876543210ull);
    assert_int_equal(machine_full_flushes, 0);
}

/* ---- frames ---- */

static void tables_can_only_be_read(void **state)
{
    (void)state;
    for (uint64_t mfn = L4; mfn <= L1; mfn++) {
        uint32_t before = machine_frames[mfn].references;
        assert_int_equal(set(entry(mfn, RW)), -EBUSY);
        assert_int_equal(set(entry(mfn, RO)), 0);
        assert_int_equal(machine_frames[mfn].references, before + 1);
        assert_int_equal(set(0), 0);
        assert_int_equal(machine_frames[mfn].references, before);
    }
}

static void foreign_ram_is_refused(void **state)
{
    (void)state;
    machine_frames[DATA].owner = FRAME_HYPERVISOR;
    machine_frames[DATA + 1].owner = FRAME_FREE;
    machine_frames[DATA + 2].owner = FRAME_NOT_RAM;
    machine_frames[DATA + 3].owner = FRAME_FIRMWARE;
    for (uint64_t mfn = DATA; mfn < DATA + 4; mfn++) {
        assert_int_equal(set(entry(mfn, RO)), -EPERM);
        assert_int_equal(set(entry(mfn, RW)), -EPERM);
    }
    assert_int_equal(set(entry(MACHINE_APIC, RO)), -EPERM);
    /* RAM is nobody's device, even if the device policy were fooled. */
    machine_device_from = DATA;
    assert_int_equal(set(entry(DATA, RO)), -EPERM);
    assert_int_equal(set(entry(DATA + 1, RO)), -EPERM);
    assert_int_equal(*slot(0), 0);
}

static void shared_frames_as_their_flags_say(void **state)
{
    (void)state;
    machine_frames[DATA].owner = FRAME_HYPERVISOR;
    machine_frames[DATA].flags = FRAME_SHARED_RW;
    assert_int_equal(set(entry(DATA, RW | CACHE)), 0);
    assert_int_equal(*slot(0), entry(DATA, RW));
    machine_frames[DATA].flags = FRAME_SHARED_RO;
    assert_int_equal(set(entry(DATA, RW)), -EPERM);
    assert_int_equal(set(entry(DATA, RO)), 0);
    counts(DATA, 0, 0);
}

static void device_registers_are_uncached(void **state)
{
    (void)state;
    assert_int_equal(set(entry(MACHINE_MMIO, RW | PTE_PAT)), 0);
    assert_int_equal(*slot(0), entry(MACHINE_MMIO, RW | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH));
    assert_int_equal(set(entry(MACHINE_MSIX, RW)), 0);
    assert_int_equal(*slot(0),
                     entry(MACHINE_MSIX, (RW & ~PTE_WRITABLE) | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH));
    assert_int_equal(set(entry(MACHINE_MSIX, RO)), 0);
    assert_int_equal(*slot(0), entry(MACHINE_MSIX, RO | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH));
    assert_int_equal(set(entry(MACHINE_ACPI, RO | CACHE)), 0);
    assert_int_equal(*slot(0), entry(MACHINE_ACPI, RO));
}

/* ---- the screen, which is the hypervisor's until the guest can write to it ---- */

static void an_entry_gives_the_screen_up(void **state)
{
    (void)state;
    assert_int_equal(set(entry(MACHINE_MMIO, RO)), 0);
    assert_int_equal(set(entry(MACHINE_MMIO, RW) | 1ull << 40), -EINVAL);
    assert_int_equal(set(entry(MACHINE_MSIX, RW)), 0);
    assert_int_equal(fake_screen_mapped, 0);
    assert_int_equal(set(entry(MACHINE_MMIO, RW)), 0);
    assert_int_equal(fake_screen_mapped, MACHINE_MMIO);
    fake_screen_mapped = 0;
    assert_int_equal(map_va(VA, entry(MACHINE_MMIO, RW), UVMF_NONE), 0);
    assert_int_equal(fake_screen_mapped, MACHINE_MMIO);
}

static void a_table_gives_the_screen_up_when_it_is_accepted(void **state)
{
    (void)state;
    uint64_t *table = machine_page(DATA);
    for (unsigned i = 0; i < 512; i++)
        table[i] = 0;
    table[3] = entry(DATA + 1, RW);
    table[7] = entry(MACHINE_MMIO, PTE_PRESENT | PTE_WRITABLE | PTE_GLOBAL);
    table[8] = entry(DATA + 2, RW);
    table[511] = entry(MACHINE_APIC, RW);
    assert_int_equal(type_get(DATA, FRAME_TYPE_L1), -EPERM);
    assert_true(types_settle());
    assert_int_equal(fake_screen_mapped, 0);
    counts(DATA + 1, 0, 0);
    counts(DATA + 2, 0, 0);

    table[511] = entry(MACHINE_ACPI, RO);
    assert_int_equal(type_get(DATA, FRAME_TYPE_L1), 0);
    assert_int_equal(fake_screen_mapped, MACHINE_MMIO);
    assert_int_equal(table[7], entry(MACHINE_MMIO, RW | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH));
    counts(DATA + 2, 1, 1);
}

/* ---- references and the TLB ---- */

static uint32_t references_at_flush;

static void note_references(uint64_t address)
{
    (void)address;
    references_at_flush = machine_frames[DATA].references;
}

static void references_outlive_the_translation(void **state)
{
    (void)state;
    assert_int_equal(set(entry(DATA, RW)), 0);
    *slot(0) |= PTE_ACCESSED | PTE_DIRTY; /* the guest used it */
    machine_on_flush = note_references;
    references_at_flush = 99;
    assert_int_equal(set(0), 0);
    assert_int_equal(machine_full_flushes, 1);
    assert_int_equal(references_at_flush, 1);
    counts(DATA, 0, 0);
    assert_int_equal(machine_frames[DATA].type, FRAME_TYPE_NONE);
}

static void a_downgrade_flushes_before_it_counts(void **state)
{
    (void)state;
    assert_int_equal(set(entry(DATA, RW | PTE_ACCESSED)), 0);
    machine_on_flush = note_references;
    assert_int_equal(set(entry(DATA, RO | PTE_ACCESSED)), 0);
    assert_int_equal(machine_full_flushes, 1);
    assert_int_equal(references_at_flush, 2); /* the new read-only one, and the writable one still held */
    counts(DATA, 1, 0);
}

static void replacing_a_frame_flushes(void **state)
{
    (void)state;
    set(entry(DATA, RW | PTE_ACCESSED));
    assert_int_equal(set(entry(DATA + 1, RW)), 0);
    assert_int_equal(machine_full_flushes, 1);
    counts(DATA, 0, 0);
    counts(DATA + 1, 1, 1);
}

static void no_execute_and_clearing_accessed_flush(void **state)
{
    (void)state;
    set(entry(DATA, RW | PTE_ACCESSED));
    set(entry(DATA, RW | PTE_ACCESSED | PTE_NO_EXECUTE));
    assert_int_equal(machine_full_flushes, 1);
    /* The translation stays cached while the entry looks unused: the next removal would not flush. */
    set(entry(DATA, RW));
    assert_int_equal(machine_full_flushes, 2);
}

static void what_was_never_cached_is_not_flushed(void **state)
{
    (void)state;
    set(entry(DATA, RW));
    assert_int_equal(set(0), 0); /* A is clear */
    set(entry(DATA, RO | PTE_ACCESSED));
    assert_int_equal(set(entry(DATA, RW | PTE_ACCESSED)), 0); /* more rights */
    assert_int_equal(machine_full_flushes, 0);
    counts(DATA, 1, 1);
}

static void a_refused_entry_leaves_everything(void **state)
{
    (void)state;
    set(entry(DATA, RW | PTE_ACCESSED));
    assert_int_equal(set(entry(L1, RW)), -EBUSY);
    assert_int_equal(*slot(0), entry(DATA, RW | PTE_ACCESSED));
    counts(DATA, 1, 1);
    counts(L1, 1, 1);
    assert_int_equal(machine_full_flushes, 0);
}

static void references_do_not_overflow(void **state)
{
    (void)state;
    machine_frames[DATA].references = 1u << 31;
    assert_int_equal(set(entry(DATA, RO)), -ENOSPC);
    assert_int_equal(*slot(0), 0);
}

static void preserve_ad_keeps_what_the_walker_set(void **state)
{
    (void)state;
    set(entry(DATA, RW));
    *slot(0) |= PTE_ACCESSED | PTE_DIRTY;
    assert_int_equal(update(((uint64_t)L1 << FRAME_SHIFT) | MMU_PT_UPDATE_PRESERVE_AD, entry(DATA, RO)), 0);
    assert_int_equal(*slot(0), entry(DATA, RO | PTE_ACCESSED | PTE_DIRTY));
    /* An absent entry is the guest's own business: bits 5 and 6 mean nothing there. */
    assert_int_equal(update(((uint64_t)L1 << FRAME_SHIFT) | MMU_PT_UPDATE_PRESERVE_AD, 0x1000), 0);
    assert_int_equal(*slot(0), 0x1000);
}

/* ---- mmu_update as a call ---- */

static void only_own_entries_and_plain_frames_can_be_written(void **state)
{
    (void)state;
    assert_int_equal(update(((uint64_t)L4 << FRAME_SHIFT) + 8 * 256, 0), -EINVAL);
    assert_int_equal(update(((uint64_t)L4 << FRAME_SHIFT) + 8 * 271, 0), -EINVAL);
    assert_int_equal(update(((uint64_t)DATA << FRAME_SHIFT) + 16, 0x1122334455667788ull), 0);
    assert_int_equal(machine_page(DATA)[2], 0x1122334455667788ull);
    counts(DATA, 0, 0);
    machine_frames[DATA].owner = FRAME_HYPERVISOR;
    assert_int_equal(update((uint64_t)DATA << FRAME_SHIFT, 0), -EINVAL);
    assert_int_equal(update((uint64_t)MACHINE_MMIO << FRAME_SHIFT, 0), -EINVAL);
    assert_int_equal(update(UINT64_MAX & ~7ull, 0), -EINVAL);
    assert_int_equal(update(((uint64_t)L1 << FRAME_SHIFT) + 4, 0), -EINVAL); /* straddles two entries */
}

static void machphys_sets_own_frames_only(void **state)
{
    (void)state;
    assert_int_equal(update(((uint64_t)DATA << FRAME_SHIFT) | MMU_MACHPHYS_UPDATE, 4711), 0);
    assert_int_equal(machine_m2p[DATA], 4711);
    machine_frames[DATA].owner = FRAME_FREE;
    assert_int_equal(update(((uint64_t)DATA << FRAME_SHIFT) | MMU_MACHPHYS_UPDATE, 1), -EINVAL);
    assert_int_equal(update(((uint64_t)MACHINE_FRAMES << FRAME_SHIFT) | MMU_MACHPHYS_UPDATE, 1), -EINVAL);
    assert_int_equal(machine_m2p[DATA], 4711);
}

static void done_counts_what_came_before_the_error(void **state)
{
    (void)state;
    struct mmu_update updates[4];
    for (unsigned i = 0; i < 4; i++)
        updates[i] = (struct mmu_update){((uint64_t)L1 << FRAME_SHIFT) + i * 8, entry(DATA + i, RW)};
    updates[2].val = entry(L1, RW);
    assert_int_equal(update_many(updates, 4), -EBUSY);
    assert_int_equal(done, 2);
    assert_int_equal(*slot(1), entry(DATA + 1, RW));
    assert_int_equal(*slot(3), 0);
}

static void pointers_and_counts_at_their_edges(void **state)
{
    (void)state;
    struct hypercall_args nothing = {{0, 0, 0, DOMID_SELF, 0}};
    assert_int_equal(do_mmu_update(&regs, &nothing), 0);
    struct hypercall_args bad_array = {{8, 1, 0, DOMID_SELF, 0}};
    assert_int_equal(do_mmu_update(&regs, &bad_array), -EFAULT);
    struct hypercall_args endless = {{8, 0xffffffff, 0, DOMID_SELF, 0}};
    assert_int_equal(do_mmu_update(&regs, &endless), -EFAULT);
    struct mmu_update one = {(uint64_t)L1 << FRAME_SHIFT, entry(DATA, RW)};
    struct hypercall_args bad_done = {{(uint64_t)(uintptr_t)&one, 1, 8, DOMID_SELF, 0}};
    assert_int_equal(do_mmu_update(&regs, &bad_done), -EFAULT);
    struct hypercall_args foreign = {{(uint64_t)(uintptr_t)&one, 1, 0, 3, 0}};
    assert_int_equal(do_mmu_update(&regs, &foreign), -ESRCH);
    struct hypercall_args foreign_tables = {{(uint64_t)(uintptr_t)&one, 1, 0, 2 << 16 | DOMID_SELF, 0}};
    assert_int_equal(do_mmu_update(&regs, &foreign_tables), -ESRCH);
}

/* However requests are read ahead, those before the first unreadable one are carried out. */
static void an_unreadable_request_ends_the_call_there(void **state)
{
    static struct mmu_update updates[40];
    for (uint32_t readable = 0; readable < 40; readable++) {
        setup(state);
        for (unsigned i = 0; i < 40; i++)
            updates[i] = (struct mmu_update){((uint64_t)L1 << FRAME_SHIFT) + i * 8, entry(DATA + i, RW)};
        machine_fault_from = (uint64_t)(uintptr_t)&updates[readable] + 8; /* its second half is missing */
        struct hypercall_args args = {{(uint64_t)(uintptr_t)updates, 40, 0, DOMID_SELF, 0}};
        assert_int_equal(do_mmu_update(&regs, &args), -EFAULT);
        for (unsigned i = 0; i < 40; i++)
            assert_int_equal(*slot(i), i < readable ? entry(DATA + i, RW) : 0);
    }
}

static void long_calls_yield_and_resume(void **state)
{
    (void)state;
    static struct mmu_update updates[100];
    for (unsigned i = 0; i < 100; i++)
        updates[i] = (struct mmu_update){((uint64_t)L1 << FRAME_SHIFT) + i * 8, entry(DATA + i, RW)};
    machine_work_pending = true;
    assert_int_equal(update_many(updates, 100), 0x5eed);
    uint32_t rounds = 1;
    while (machine_continuations == rounds && rounds < 50) {
        struct hypercall_args rest = machine_continued;
        if (do_mmu_update(&regs, &rest) != 0x5eed)
            break;
        rounds++;
    }
    assert_int_equal(rounds, 3); /* 32 + 32 + 32 + 4 */
    assert_int_equal(done, 100);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(*slot(i), entry(DATA + i, RW));
}

static void forced_continuation_at_every_index(void **state)
{
    static struct mmu_update updates[7];
    for (uint32_t every = 1; every <= 8; every++) {
        setup(state);
        for (unsigned i = 0; i < 7; i++)
            updates[i] = (struct mmu_update){((uint64_t)L1 << FRAME_SHIFT) + i * 8, entry(DATA + i, RW)};
        guest.continue_every = every;
        long result = update_many(updates, 7);
        for (int guard = 0; result == 0x5eed && guard < 10; guard++) {
            struct hypercall_args rest = machine_continued;
            result = do_mmu_update(&regs, &rest);
        }
        assert_int_equal(result, 0);
        assert_int_equal(done, 7);
        assert_int_equal(machine_continuations, 6 / every);
    }
}

static void a_full_batch_is_settled(void **state)
{
    (void)state;
    static struct mmu_update updates[200];
    for (unsigned i = 0; i < 200; i++) {
        updates[i] =
            (struct mmu_update){((uint64_t)L1 << FRAME_SHIFT) + i * 8, entry(DATA + i, RW | PTE_ACCESSED)};
    }
    assert_int_equal(update_many(updates, 200), 0);
    for (unsigned i = 0; i < 200; i++)
        updates[i].val = 0;
    assert_int_equal(update_many(updates, 200), 0);
    assert_int_equal(machine_full_flushes, 4); /* 64 + 64 + 64 + 8 */
    for (unsigned i = 0; i < 200; i++)
        counts(DATA + i, 0, 0);
}

/* ---- update_va_mapping ---- */

static void va_mapping_walks_the_current_tables(void **state)
{
    (void)state;
    assert_int_equal(map_va(VA + 0x3000, entry(DATA, RW), UVMF_INVLPG), 0);
    assert_int_equal(*slot(3), entry(DATA, RW));
    assert_int_equal(machine_page_flushes, 1);
    assert_int_equal(map_va(VA + 0x3fff, 0, UVMF_TLB_FLUSH | UVMF_ALL), 0);
    assert_int_equal(*slot(3), 0);
    assert_int_equal(machine_full_flushes, 1);
}

static void va_mapping_needs_a_table(void **state)
{
    (void)state;
    assert_int_equal(map_va(VA + 0x200000, entry(DATA, RW), 0), -EINVAL);
    assert_int_equal(map_va(0, entry(DATA, RW), 0), -EINVAL);
    assert_int_equal(map_va(0x0000800000000000ull, entry(DATA, RW), 0), -EINVAL);
    assert_int_equal(map_va(0xffff800000000000ull, entry(DATA, RW), 0), -EINVAL);
    assert_int_equal(map_va(0xffff87fffffff000ull, entry(DATA, RW), 0), -EINVAL);
    /* The hypervisor's slots are refused for what they are, wherever their entries lead. */
    machine_page(L4)[256] = entry(L3, RW);
    assert_int_equal(map_va(0xffff800000000000ull + (510ull << 30), entry(DATA, RW), 0), -EINVAL);
    counts(DATA, 0, 0);
}

/* An entry that leads to a frame which is no table any more must not be followed. */
static void va_mapping_trusts_types_not_entries(void **state)
{
    (void)state;
    machine_page(L2)[1] = entry(DATA, RW);
    assert_int_equal(map_va(VA + 0x200000, entry(DATA + 1, RW), 0), -EINVAL);
}

static void va_mapping_reports_an_unreadable_cpu_mask(void **state)
{
    (void)state;
    assert_int_equal(map_va(VA, entry(DATA, RW), UVMF_INVLPG | 8), -EFAULT);
    assert_int_equal(*slot(0), entry(DATA, RW));
    uint64_t mask[2] = {1, 0};
    assert_int_equal(map_va(VA, 0, UVMF_TLB_FLUSH | (uint64_t)(uintptr_t)mask), 0);
}

static void va_mapping_keeps_references_until_the_flush(void **state)
{
    (void)state;
    map_va(VA, entry(DATA, RW | PTE_ACCESSED), 0);
    machine_on_flush = note_references;
    references_at_flush = 99;
    assert_int_equal(map_va(VA, 0, UVMF_NONE), 0); /* the guest asked for no flush: its rights end anyway */
    assert_int_equal(machine_full_flushes, 1);
    assert_int_equal(references_at_flush, 1);
    counts(DATA, 0, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(own_ram_is_mapped_user_local_and_write_back),
        T(reserved_bits_are_refused),
        T(no_execute_needs_the_cpu),
        T(absent_entries_are_stored_as_they_are),
        T(tables_can_only_be_read),
        T(foreign_ram_is_refused),
        T(shared_frames_as_their_flags_say),
        T(device_registers_are_uncached),
        T(an_entry_gives_the_screen_up),
        T(a_table_gives_the_screen_up_when_it_is_accepted),
        T(references_outlive_the_translation),
        T(a_downgrade_flushes_before_it_counts),
        T(replacing_a_frame_flushes),
        T(no_execute_and_clearing_accessed_flush),
        T(what_was_never_cached_is_not_flushed),
        T(a_refused_entry_leaves_everything),
        T(references_do_not_overflow),
        T(preserve_ad_keeps_what_the_walker_set),
        T(only_own_entries_and_plain_frames_can_be_written),
        T(machphys_sets_own_frames_only),
        T(done_counts_what_came_before_the_error),
        T(pointers_and_counts_at_their_edges),
        T(an_unreadable_request_ends_the_call_there),
        T(long_calls_yield_and_resume),
        T(forced_continuation_at_every_index),
        T(a_full_batch_is_settled),
        T(va_mapping_walks_the_current_tables),
        T(va_mapping_needs_a_table),
        T(va_mapping_trusts_types_not_entries),
        T(va_mapping_reports_an_unreadable_cpu_mask),
        T(va_mapping_keeps_references_until_the_flush),
    };
    return cmocka_run_group_tests_name("mmu", tests, NULL, NULL);
}
