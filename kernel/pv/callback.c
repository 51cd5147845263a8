/* SPDX-License-Identifier: MIT */
/* callback_op(command, argument) and set_callbacks(event, failsafe, syscall): where the guest wants to be
 * told. */
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/guest.h"

static bool is_known(uint16_t type)
{
    switch (type) {
    case CALLBACKTYPE_event:
    case CALLBACKTYPE_failsafe:
    case CALLBACKTYPE_syscall:
    case CALLBACKTYPE_nmi:
    case CALLBACKTYPE_sysenter:
    case CALLBACKTYPE_syscall32:
        return true;
    default:
        return false;
    }
}

static long callback_register(uint64_t argument)
{
    struct callback_register request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (!is_known(request.type))
        return -ENOSYS;
    if (!address_is_canonical(request.address))
        return -EINVAL;
    guest.callbacks[request.type] = request.address;
    guest.callback_flags[request.type] = request.flags;
    if (request.type == CALLBACKTYPE_sysenter)
        cpu_sysenter_enable();
    return 0;
}

/* A guest may do without NMIs, but not without the others again. */
static long callback_unregister(uint64_t argument)
{
    struct callback_unregister request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (!is_known(request.type))
        return -ENOSYS;
    if (request.type != CALLBACKTYPE_nmi)
        return -EINVAL;
    guest.callbacks[CALLBACKTYPE_nmi] = 0;
    return 0;
}

long do_callback_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    switch ((uint32_t)args->a[0]) {
    case CALLBACKOP_register:
        return callback_register(args->a[1]);
    case CALLBACKOP_unregister:
        return callback_unregister(args->a[1]);
    default:
        return -ENOSYS;
    }
}

long do_set_callbacks(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    for (uint32_t i = 0; i < 3; i++) {
        if (!address_is_canonical(args->a[i]))
            return -EINVAL;
    }
    guest.callbacks[CALLBACKTYPE_event] = args->a[0];
    guest.callbacks[CALLBACKTYPE_failsafe] = args->a[1];
    guest.callbacks[CALLBACKTYPE_syscall] = args->a[2];
    guest.callback_flags[CALLBACKTYPE_failsafe] = guest.callback_flags[CALLBACKTYPE_syscall] = 0;
    return 0;
}
