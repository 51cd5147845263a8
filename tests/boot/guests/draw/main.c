/* SPDX-License-Identifier: MIT */
/* A guest that draws: from the moment it maps the display's memory the hypervisor must leave that alone. */
#include "kit/guest.h"
#include "kit/memory.h"
#include "kit/pci.h"

#define CLASS_VGA 0x030000u
#define PIXELS    4096u
#define COLOUR    0x00ff00u

void guest_main(void)
{
    pci_id display;

    EXPECT(pci_find_class(CLASS_VGA, 0, &display), "there is no display");
    printk("draw: before\n");
    volatile uint32_t *pixels = map_mmio(pci_bar(display, 0), PIXELS * sizeof *pixels);
    for (uint32_t i = 0; i < PIXELS; i++)
        pixels[i] = COLOUR;
    printk("draw: after\n");
    report_success("the picture is there");
}
