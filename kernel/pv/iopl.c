/* SPDX-License-Identifier: MIT */
/*
 * Who may use ports at all: the virtual I/O privilege level, for which the guest's kernel counts as ring 1,
 * and a bitmap for what the level does not cover. Which ports there are is io.c's.
 */
#include "guest-abi/include/sluice/errno.h"
#include "guest-abi/include/sluice/physdev.h"
#include "mem/guest_copy.h"
#include "pv/emulate.h"
#include "pv/guest.h"

#define PORTS 65536u

static uint32_t level;
static struct physdev_set_iobitmap granted; /* in the guest's kernel; no ports: nothing */

bool iopl_covers_mode(void)
{
    return level >= (guest.in_user ? 3 : 1);
}

/* The guest kernel's memory, whichever mode runs; a fault counts as a refusal. */
static bool bitmap_clear(uint32_t port, uint32_t bytes)
{
    bool from_user = guest.in_user;
    uint8_t bits[2] = {0};
    uint32_t first = port / 8, last = (port + bytes - 1) / 8;

    guest_to_kernel();
    int error = copy_from_guest(bits, granted.bitmap + first, last - first + 1);
    if (from_user)
        guest_to_user();
    return !error && !((bits[0] | (uint32_t)bits[1] << 8) >> port % 8 & ((1u << bytes) - 1));
}

bool iopl_allows_port(uint16_t port, uint32_t bytes)
{
    return iopl_covers_mode() || (port + bytes <= granted.nr_ports && bitmap_clear(port, bytes));
}

long iopl_set(uint64_t argument)
{
    struct physdev_set_iopl request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.iopl > 3)
        return -EINVAL;
    level = request.iopl;
    return 0;
}

long iopl_set_bitmap(uint64_t argument)
{
    struct physdev_set_iobitmap request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.nr_ports > PORTS)
        return -EINVAL;
    granted = request;
    return 0;
}
