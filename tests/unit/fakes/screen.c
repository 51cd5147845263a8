/* SPDX-License-Identifier: MIT */
/* A machine without a screen. */
#include "screen/screen.h"

void screen_guest_maps(uint64_t mfn)
{
    (void)mfn;
}

void screen_guest_moves(uint64_t window, uint64_t size)
{
    (void)window;
    (void)size;
}
