/* SPDX-License-Identifier: MIT */
#include "pv/runstate.h"

#include "cpu/time.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"

/* From the beginning of time_now_ns(): the boot counts as running. */
static struct vcpu_runstate_info current = {.state = RUNSTATE_running};
static uint64_t copy_address; /* 0 = none */

struct vcpu_runstate_info runstate_now(void)
{
    struct vcpu_runstate_info info = current;

    info.time[info.state] += time_now_ns() - info.state_entry_time;
    return info;
}

void runstate_enter(int32_t state)
{
    uint64_t now = time_now_ns();

    current.time[current.state] += now - current.state_entry_time;
    current.state = state;
    current.state_entry_time = now;
    /* Where it cannot be written any more, the guest has unmapped it and does not look. */
    if (state == RUNSTATE_running && copy_address != 0)
        (void)copy_to_guest(copy_address, &current, sizeof current);
}

long runstate_register(uint64_t address)
{
    if (copy_to_guest(address, &current, sizeof current))
        return -EFAULT;
    copy_address = address;
    return 0;
}
