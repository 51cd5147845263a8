/* SPDX-License-Identifier: MIT */
/*
 * Rule: a callback is set at a canonical address, by its type; only that of NMIs can be taken back.
 * set_callbacks sets three at once, or none. vm_assist accepts what changes nothing for a 64-bit guest.
 *
 * From: guest-abi/hypercalls.md, callback_op, set_callbacks and vm_assist.
 *
 * Method: every type up to 20 with both commands; every assistance up to 64; addresses on both sides of the
 * hole.
 *
 * Errors: -EFAULT, -EINVAL, -ENOSYS.
 *
 * run: default
 */
#include "kit/guest.h"

#define LAST_LOWER  0x00007ffffffffffful
#define FIRST_UPPER 0xffff800000000000ul

static bool is_type(uint16_t type)
{
    return type <= CALLBACKTYPE_syscall || type == CALLBACKTYPE_nmi || type == CALLBACKTYPE_sysenter ||
           type == CALLBACKTYPE_syscall32;
}

static long set(uint16_t type, uint64_t address)
{
    struct callback_register request = {type, CALLBACKF_mask_events, address};
    return callback_op(CALLBACKOP_register, &request);
}

static long take_back(uint16_t type)
{
    struct callback_unregister request = {.type = type};
    return callback_op(CALLBACKOP_unregister, &request);
}

static void types(void)
{
    for (uint16_t type = 0; type < 20; type++) {
        EXPECT_RETURN(set(type, LAST_LOWER), is_type(type) ? 0 : -ENOSYS);
        EXPECT_RETURN(set(type, FIRST_UPPER), is_type(type) ? 0 : -ENOSYS);
        EXPECT_RETURN(set(type, LAST_LOWER + 1), is_type(type) ? -EINVAL : -ENOSYS);
        EXPECT_RETURN(set(type, FIRST_UPPER - 1), is_type(type) ? -EINVAL : -ENOSYS);
        EXPECT_RETURN(take_back(type), type == CALLBACKTYPE_nmi ? 0 : is_type(type) ? -EINVAL : -ENOSYS);
    }
    EXPECT_RETURN(set(UINT16_MAX, 0), -ENOSYS);
    EXPECT_RETURN(callback_op(CALLBACKOP_register, NULL), -EFAULT);
    EXPECT_RETURN(callback_op(CALLBACKOP_unregister, NULL), -EFAULT);
    EXPECT_RETURN(callback_op(2, NULL), -ENOSYS);
}

extern const char event_entry[];

/* The upcall shows which address counts. */
static void three_at_once(void)
{
    uint64_t entry = (uint64_t)(uintptr_t)event_entry;
    struct evtchn_bind_ipi request = {0};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_ipi, &request), 0);
    EXPECT_RETURN(set_callbacks(entry, 0, 0), 0);
    EXPECT_RETURN(set_callbacks(LAST_LOWER + 1, 0, 0), -EINVAL);
    EXPECT_RETURN(set_callbacks(0, LAST_LOWER + 1, 0), -EINVAL);
    EXPECT_RETURN(set_callbacks(0, 0, LAST_LOWER + 1), -EINVAL);
    events_allow();
    EXPECT_RETURN(event_channel_op(EVTCHNOP_send, &(struct evtchn_port_op){request.port}), 0);
    EXPECT(event_count(request.port) == 1, "%u upcalls", event_count(request.port));
    /* Without a callback there is no upcall: the event stays. */
    EXPECT_RETURN(set_callbacks(0, 0, 0), 0);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_send, &(struct evtchn_port_op){request.port}), 0);
    EXPECT(event_is_pending(request.port), "the event is gone");
    EXPECT_RETURN(events_init(), 0);
    EXPECT(event_count(request.port) == 2, "%u upcalls", event_count(request.port));
}

static void assistance(void)
{
    for (uint32_t type = 0; type < 64; type++) {
        bool offered = type <= VMASST_TYPE_pae_extended_cr3 || type == VMASST_TYPE_runstate_update_flag;
        EXPECT_RETURN(vm_assist(VMASST_CMD_enable, type), offered ? 0 : -EINVAL);
        EXPECT_RETURN(vm_assist(VMASST_CMD_disable, type), offered ? 0 : -EINVAL);
        EXPECT_RETURN(vm_assist(2, type), offered ? -ENOSYS : -EINVAL);
    }
    EXPECT_RETURN(vm_assist(VMASST_CMD_enable, UINT32_MAX), -EINVAL);
}

void guest_main(void)
{
    types();
    three_at_once();
    assistance();
    report_success("callbacks are where they were set");
}
