/* SPDX-License-Identifier: MIT */
/*
 * Rule: the validation of a tree of page tables is cut off when an event comes, a table at a time, and goes
 * on afterwards. A table that is cut off in the middle can neither be changed nor used as anything else
 * meanwhile.
 *
 * From: guest-abi/pv_memory.md, sections 4 and 6. Tables that were half judged and used all the same were
 * XSA-299 and XSA-310.
 *
 * Method: an L2 with many L1 tables is pinned while a timer is about to expire. The handler finds it half
 * judged, and tries to change it, to use it as another type and to map it for writing. Then the call goes on.
 *
 * Errors: -EINVAL to change it; -EBUSY to use it as another type, to map it for writing or to clear it.
 *
 * run: default
 * run: every-1 options="continue-every=1"
 */
#include "common/tables.h"
#include "kit/time.h"

#define L1_TABLES 64u
#define TRIES     200u
#define STEP_NS   5000u

static struct table l2, l1[L1_TABLES];
static volatile bool pinning;
static uint32_t half_judged;

static void expect_untouchable(void)
{
    EXPECT_RETURN(set_entry(l2.mfn, 0, 0), -EINVAL);
    EXPECT_RETURN(pin(1, l2.mfn), -EBUSY);
    EXPECT_RETURN(pin(3, l2.mfn), -EBUSY);
    EXPECT_RETURN(mmuext(MMUEXT_CLEAR_PAGE, l2.mfn, 0), -EBUSY);
    EXPECT_RETURN(table_view(&l2, MAP_RAM), -EBUSY);
}

/* Half judged is what mmu_update refuses with an entry that it takes before and afterwards. */
static void in_between(evtchn_port_t port)
{
    (void)port;
    if (!pinning || set_entry(l2.mfn, 300, 0) != -EINVAL)
        return;
    half_judged++;
    expect_untouchable();
}

static void build(void)
{
    uint64_t data = pfn_to_mfn(frame_take_from_end()) << PAGE_SHIFT;
    table_begin(&l2);
    for (uint32_t i = 0; i < L1_TABLES; i++) {
        table_begin(&l1[i]);
        for (uint32_t entry = 0; entry < TABLE_ENTRIES; entry++)
            l1[i].view[entry] = data | MAP_RAM_READ;
        table_seal(&l1[i]);
        l2.view[i] = table_link(&l1[i]);
    }
    table_seal(&l2);
}

static void pin_with_a_timer(uint64_t after_ns)
{
    EXPECT_RETURN(set_timer_op(system_time_ns() + after_ns), 0);
    pinning = true;
    EXPECT_RETURN(pin(2, l2.mfn), 0);
    pinning = false;
    EXPECT_RETURN(set_entry(l2.mfn, 300, 0), 0);
    EXPECT_RETURN(unpin(l2.mfn), 0);
}

void guest_main(void)
{
    build();
    EXPECT_RETURN(events_init(), 0);
    long port = event_bind_virq(VIRQ_TIMER);
    EXPECT(port > 0, "VIRQ_TIMER gave %ld", port);
    event_set_handler((evtchn_port_t)port, in_between);
    events_allow();
    for (uint32_t i = 0; i < TRIES && !half_judged; i++)
        pin_with_a_timer(i * STEP_NS);
    EXPECT(half_judged, "no event came in the middle of a validation");
    report_success("half judged, a table is untouchable");
}
