/* SPDX-License-Identifier: MIT */
/* Random page-table calls, with a full recount of references and a model of the TLB after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../fakes/machine.h"
#include "cpu/features.h"
#include "guest-abi/include/sluice/errno.h"
#include "pv/l1.h"
#include "pv/mmu.h"
#include "pv/pte.h"
#include "pv/types.h"
#include "pv/walk.h"

#define FIRST 10u
#define LAST  27u
#define TOP   10u /* the L4 it starts with */
static const unsigned slots[] = {0, 1, 3, 511};
#define SLOTS 4u

static uint64_t state = 88172645463325252ull;
static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 2685821657736338717ull >> 17;
}
static uint64_t below(uint64_t n)
{
    return rnd() % n;
}

static struct cpu_regs regs;
static uint64_t step;
static unsigned long stats[16];

#define CHECK(c, ...)                                                                                        \
    do {                                                                                                     \
        if (!(c)) {                                                                                          \
            printf("step %lu: " #c ": ", (unsigned long)step);                                               \
            printf(__VA_ARGS__);                                                                             \
            printf("\n");                                                                                    \
            fflush(stdout);                                                                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* ---- TLB model ---- */
struct cached {
    uint64_t tables[4];
    uint8_t types[4];
    uint64_t mfn;
    bool write;
};
static struct cached tlb[64];
static unsigned tlb_count;
static void flushed(uint64_t address)
{
    if (address == UINT64_MAX)
        tlb_count = 0;
}

static void access_random(void)
{
    uint64_t at = machine_loaded_l4;
    struct cached c = {0};
    bool write = true;
    for (unsigned level = 4; level >= 1; level--) {
        uint64_t *table = machine_page(at);
        unsigned i = slots[below(SLOTS)];
        c.tables[level - 1] = at;
        c.types[level - 1] = frame_of(at)->type;
        if (!(table[i] & PTE_PRESENT))
            return;
        table[i] |= PTE_ACCESSED;
        write = write && (table[i] & PTE_WRITABLE);
        at = pte_mfn(table[i]);
        if (level > 1)
            CHECK(at >= FIRST && at <= LAST, "walks to %lx", at);
    }
    if (at < FIRST || at > LAST)
        return;
    if (write)
        machine_page(c.tables[0])[0] |= 0;
    c.mfn = at;
    c.write = write;
    if (tlb_count < 64)
        tlb[tlb_count++] = c;
    stats[0]++;
    if (write) { /* the guest scribbles: what would be a fine entry for it */
        uint64_t flags =
            PTE_PRESENT | PTE_USER | (below(2) ? PTE_WRITABLE : 0) | (below(2) ? PTE_ACCESSED : 0);
        uint64_t v = below(8) == 0 ? 0
                                   : (FIRST + below(LAST - FIRST + 1)) << 12 | flags |
                                         (below(20) == 0 ? 1ull << 55 : 0);
        machine_page(at)[slots[below(SLOTS)]] = below(12) == 0 ? 0 : v;
        stats[1]++;
    }
}
static void check_tlb(void)
{
    for (unsigned i = 0; i < tlb_count; i++) {
        struct frame *f = frame_of(tlb[i].mfn);
        CHECK(f->references > 0, "cached translation of frame %lu without reference", tlb[i].mfn);
        if (tlb[i].write)
            CHECK(f->type == FRAME_TYPE_WRITABLE, "writable translation of frame %lu type %u", tlb[i].mfn,
                  f->type);
        for (unsigned l = 0; l < 4; l++)
            CHECK(f->references > 0 && frame_of(tlb[i].tables[l])->type == tlb[i].types[l],
                  "cached path through frame %lu type %u at level %u", tlb[i].tables[l],
                  frame_of(tlb[i].tables[l])->type, l + 1);
    }
}

/* ---- recount ---- */
static uint32_t refs[LAST + 1], types[LAST + 1];
static void hold(uint64_t mfn, bool type)
{
    if (mfn >= FIRST && mfn <= LAST) {
        refs[mfn]++;
        types[mfn] += type;
    }
}

static uint64_t gdt[3];
static unsigned gdt_count;

static void recount(void)
{
    memset(refs, 0, sizeof refs);
    memset(types, 0, sizeof types);
    unsigned dying = 0;
    for (uint64_t m = FIRST; m <= LAST; m++) {
        struct frame *f = frame_of(m);
        if (f->flags & FRAME_PINNED)
            hold(m, true);
        if (f->flags & (FRAME_PARTIAL | FRAME_DYING))
            hold(m, true);
        dying += (f->flags & FRAME_DYING) != 0;
        CHECK((f->flags & (FRAME_PARTIAL | FRAME_DYING)) != (FRAME_PARTIAL | FRAME_DYING), "both");
        if (f->type < FRAME_TYPE_L1 || f->type > FRAME_TYPE_L4)
            continue;
        unsigned level = f->type - FRAME_TYPE_L1 + 1u;
        unsigned end = f->flags & (FRAME_PARTIAL | FRAME_DYING) ? f->progress : 512;
        bool linear = false;
        for (unsigned s = 0; s < SLOTS; s++) {
            unsigned i = slots[s];
            uint64_t e = machine_page(m)[i];
            if (i >= end || !(e & PTE_PRESENT))
                continue;
            uint64_t t = pte_mfn(e);
            if (level == 1) {
                hold(t, e & PTE_WRITABLE);
                if (t >= FIRST && t <= LAST && (e & PTE_WRITABLE))
                    CHECK(frame_of(t)->type == FRAME_TYPE_WRITABLE, "frame %lu writable in L1 %lu", t, m);
                continue;
            }
            if (level == 4 && t == m) {
                CHECK(!linear && !(e & PTE_WRITABLE), "recursion");
                linear = true;
                hold(t, false);
                continue;
            }
            hold(t, true);
            CHECK(is_whole(frame_of(t), (enum frame_type)(f->type - 1)), "frame %lu below %lu is not whole",
                  t, m);
        }
        if (level == 4)
            CHECK(linear == ((f->flags & FRAME_LINEAR) != 0), "linear flag of %lu", m);
    }
    hold(guest.l4_mfn, true);
    if (guest.user_l4_mfn)
        hold(guest.user_l4_mfn, true);
    for (unsigned i = 0; i < gdt_count; i++)
        hold(gdt[i], true);
    for (uint64_t m = FIRST; m <= LAST; m++) {
        struct frame *f = frame_of(m);
        CHECK(f->references == refs[m] && f->type_references == types[m],
              "frame %lu type %u flags %x: %u/%u, recount %u/%u", m, f->type, f->flags, f->references,
              f->type_references, refs[m], types[m]);
        CHECK(f->type_references != 0 || f->type == FRAME_TYPE_NONE, "type without references %lu", m);
    }
    unsigned listed = 0;
    for (uint32_t m = types_first_dying; m != TYPES_NOBODY; m = frame_of(m)->next)
        listed++;
    CHECK(listed == dying, "%u %u", listed, dying);
    CHECK(machine_loaded_l4 == guest.l4_mfn, "loaded");
    CHECK(is_whole(frame_of(guest.l4_mfn), FRAME_TYPE_L4), "L4 in use");
    CHECK(!guest.user_l4_mfn || is_whole(frame_of(guest.user_l4_mfn), FRAME_TYPE_L4), "user L4 in use");
    /* the walk cache */
    if (walk_l1_key != UINT64_MAX) {
        uint64_t at = guest.l4_mfn, va = walk_l1_key << 21;
        for (unsigned shift = 39; shift >= 21; shift -= 9) {
            uint64_t e = machine_page(at)[va >> shift & 511];
            CHECK(e & PTE_PRESENT, "walk cache of %lx", va);
            at = pte_mfn(e);
        }
        CHECK(walk_l1 == machine_page(at) && is_whole(frame_of(at), FRAME_TYPE_L1), "walk cache of %lx", va);
    }
}

static void all(void)
{
    check_tlb();
    recount();
}

static uint64_t random_entry(void)
{
    uint64_t mfn = FIRST + below(LAST - FIRST + 1), flags = PTE_PRESENT | PTE_USER;
    if (below(5) == 0)
        return below(2) ? 0 : 0xfff0;
    if (below(2))
        flags |= PTE_WRITABLE;
    if (below(2))
        flags |= PTE_ACCESSED;
    if (below(6) == 0)
        flags |= PTE_NO_EXECUTE;
    if (below(40) == 0)
        mfn = MACHINE_MMIO;
    if (below(60) == 0)
        flags |= 1ull << 55;
    return mfn << 12 | flags;
}

static long call(bool ext, struct hypercall_args args)
{
    long r;
    for (;;) {
        r = ext ? do_mmuext_op(&regs, &args) : do_mmu_update(&regs, &args);
        if (getenv("TRACE")) {
            printf("%lu: %s = %ld", step, ext ? "ext" : "mmu", r);
            for (uint32_t i = 0; i < (args.a[1] & 15); i++) {
                uint64_t *w = (uint64_t *)args.a[0] + i * (ext ? 3 : 2);
                printf(" (%lx %lx)", w[0], w[1]);
            }
            printf("\n");
        }
        all();
        if (r != 0x5eed)
            break;
        stats[2]++;
        if (below(6) == 0) {
            stats[3]++;
            return r;
        } /* never asked for again */
        args = machine_continued;
        machine_work_pending = below(3) != 0;
        for (uint64_t i = below(4); i != 0; i--)
            access_random();
    }
    if (r == 0)
        stats[ext ? 5 : 4]++;
    else
        stats[ext ? 7 : 6]++;
    return r;
}

static uint64_t random_va(void)
{
    uint64_t va = 0;
    for (unsigned i = 0; i < 4; i++)
        va = va << 9 | slots[below(SLOTS)];
    return (uint64_t)((int64_t)(va << 28) >> 16);
}

static void one_step(void)
{
    static struct mmu_update updates[8];
    static struct mmuext_op ops[8];
    uint32_t done, n = 1 + (below(2) ? (uint32_t)below(8) : 0);
    machine_work_pending = below(3) != 0;
    for (uint64_t i = below(4); i != 0; i--)
        access_random();
    if (below(6) == 0) {
        uint64_t frames[3];
        unsigned count = (unsigned)below(3);
        for (unsigned i = 0; i < count; i++)
            frames[i] = FIRST + below(LAST - FIRST + 1);
        struct hypercall_args args = {{(uint64_t)(uintptr_t)frames, count * 512, 0, 0, 0}};
        long r = do_set_gdt(&regs, &args);
        if (getenv("TRACE")) {
            printf("%lu: set_gdt %u (%lu %lu) = %ld\n", step, count, frames[0], frames[1], r);
        }
        if (r == 0) {
            memcpy(gdt, frames, sizeof frames);
            gdt_count = count;
        }
        stats[10 + (r == 0)]++;
        all();
        return;
    }
    switch (below(4)) {
    case 0:
    case 1:
        for (uint32_t i = 0; i < n; i++)
            updates[i] = (struct mmu_update){((FIRST + below(LAST - FIRST + 1)) << 12) +
                                                 slots[below(SLOTS)] * 8 + (below(3) ? 0 : 2),
                                             random_entry()};
        call(false, (struct hypercall_args){
                        {(uint64_t)(uintptr_t)updates, n, (uint64_t)(uintptr_t)&done, DOMID_SELF, 0}});
        break;
    case 2:
        for (uint32_t i = 0; i < n; i++) {
            static const uint32_t cmds[] = {0, 1, 2, 3, 4, 4, 4, 5, 15, 16, 4, 13, 0, 1, 2, 3};
            memset(&ops[i], 0, sizeof ops[i]);
            ops[i].cmd = cmds[below(16)];
            ops[i].arg1.mfn = FIRST + below(LAST - FIRST + 1);
            ops[i].arg2.src_mfn = FIRST + below(LAST - FIRST + 1);
            if (ops[i].cmd == 15 && below(3) == 0)
                ops[i].arg1.mfn = 0;
            if (ops[i].cmd == 13)
                ops[i].arg2.nr_ents = 0;
        }
        call(true, (struct hypercall_args){
                       {(uint64_t)(uintptr_t)ops, n, (uint64_t)(uintptr_t)&done, DOMID_SELF, 0}});
        break;
    default: {
        struct hypercall_args args = {{random_va(), random_entry(), 0, 0, 0}};
        stats[8] += do_update_va_mapping(&regs, &args) == 0;
        all();
        if (below(2)) {
            uint64_t va = random_va();
            uint64_t *e = walk_to_l1_entry(va), old;
            if (e) {
                old = *e;
                stats[9] += l1_compare_and_update(e, &old, random_entry()) == 0;
            }
            all();
        }
    }
    }
    (void)done;
}

static void random_calls(void **unused)
{
    (void)unused;
    const char *seed = getenv("SEED"), *steps = getenv("STEPS");
    if (seed)
        state ^= strtoull(seed, NULL, 0) * 0x9e3779b97f4a7c15ull;
    uint64_t end = steps ? strtoull(steps, NULL, 0) : 300000;
    for (step = 0; step < end; step++) {
        if (step % 2000 == 0) { /* a fresh machine: it silts up */
            struct hypercall_args none = {{0, 0, 0, 0, 0}};
            machine_work_pending = false;
            do_set_gdt(&regs, &none);
            gdt_count = 0;
            machine_reset();
            l1_rules_init();
            walk_forget();
            types_first_dying = TYPES_NOBODY;
            tlb_count = 0;
            machine_on_flush = flushed;
            for (uint64_t m = FIRST; m <= LAST; m++)
                memset(machine_page(m), 0, 4096);
            static const uint8_t t[] = {FRAME_TYPE_L4, FRAME_TYPE_L3, FRAME_TYPE_L2, FRAME_TYPE_L1};
            for (unsigned i = 0; i < 4; i++)
                frame_get_type(frame_of(TOP + i), t[i]);
            for (unsigned i = 0; i < 3; i++)
                machine_page(TOP + i)[0] = (uint64_t)(TOP + i + 1) << 12 | 7;
            guest.l4_mfn = machine_loaded_l4 = TOP;
            guest.user_l4_mfn = 0;
            /* Some valid trees lie about. */
            for (unsigned i = 0; i < 3; i++)
                machine_page(20 + i)[0] = (uint64_t)(20 + i + 1) << 12 | 5;
            for (unsigned i = 0; i < 2; i++)
                machine_page(24 + i)[3] = (uint64_t)(24 + i + 1) << 12 | 5;
            map_fill_guest_l4(machine_page(TOP));
        }
        one_step();
    }
    for (unsigned i = 0; i < 12; i++)
        printf("%lu ", stats[i]);
    printf("\n");
}

/* A pin of an L4 is cut off inside its L2, then given up: nothing of the tree stays a table. */
static void given_up(void **unused)
{
    (void)unused;
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = 20};
    struct hypercall_args args = {{(uint64_t)(uintptr_t)&op, 1, 0, DOMID_SELF, 0}};
    machine_reset();
    l1_rules_init();
    walk_forget();
    types_first_dying = TYPES_NOBODY;
    guest.l4_mfn = 10;
    frame_get_type(frame_of(10), FRAME_TYPE_L4);
    for (uint64_t m = FIRST; m <= LAST; m++)
        memset(machine_page(m), 0, 4096);
    machine_page(20)[0] = 21ull << 12 | 5;
    machine_page(21)[0] = 22ull << 12 | 5;
    machine_page(22)[0] = 23ull << 12 | 5;
    machine_page(22)[1] = 24ull << 12 | 5;
    machine_page(23)[0] = 25ull << 12 | 7;
    machine_work_pending = true;
    long r = do_mmuext_op(&regs, &args);
    for (int i = 0; i < 1 && r == 0x5eed; i++) {
        args = machine_continued;
        r = do_mmuext_op(&regs, &args);
    }
    machine_work_pending = false;
    op.cmd = MMUEXT_UNPIN_TABLE;
    args = (struct hypercall_args){{(uint64_t)(uintptr_t)&op, 1, 0, DOMID_SELF, 0}};
    assert_int_equal(r, 0x5eed);
    assert_int_equal(do_mmuext_op(&regs, &args), 0);
    for (uint64_t m = 20; m <= 25; m++)
        assert_int_equal(frame_of(m)->references, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(given_up), cmocka_unit_test(random_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
