/* SPDX-License-Identifier: MIT */
/* console_io(cmd, count, buffer): the guest's text, on the hypervisor's console. */
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "mem/guest_copy.h"
#include "pv/guest.h"

/* A serial line takes 11 ms for this much; interrupts are let in after each chunk. */
#define CHUNK 128u

static long console_write(struct cpu_regs *regs, uint32_t count, uint64_t buffer)
{
    char chunk[CHUNK];

    if (count > INT32_MAX)
        return -EINVAL;
    while (count) {
        uint32_t length = count < CHUNK ? count : CHUNK;

        if (copy_from_guest(chunk, buffer, length))
            return -EFAULT;
        log_guest(chunk, length);
        count -= length;
        buffer += length;
        if (count && cpu_preemption_point())
            return hypercall_continue(regs, &(struct hypercall_args){{CONSOLEIO_write, count, buffer}});
    }
    return 0;
}

long do_console_io(struct cpu_regs *regs, const struct hypercall_args *args)
{
    switch ((uint32_t)args->a[0]) {
    case CONSOLEIO_write:
        return console_write(regs, (uint32_t)args->a[1], args->a[2]);
    case CONSOLEIO_read:
        return 0; /* nobody types */
    default:
        return -ENOSYS;
    }
}
