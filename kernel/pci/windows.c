/* SPDX-License-Identifier: MIT */
/* Where each function's registers and memory are, in the log. */
#include "lib/log.h"
#include "lib/printf.h"
#include "pci/pci.h"

#define WINDOW_TEXT 42u /* of the longest, with what parts it from the next */

static void report_memory(const struct pci_function *function)
{
    char text[PCI_BARS * WINDOW_TEXT];
    size_t used = 0;

    for (uint32_t i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &function->bars[i];

        if ((bar->kind == PCI_BAR_MEM32 || bar->kind == PCI_BAR_MEM64) && bar->base != 0)
            used += (size_t)format_string(text + used, sizeof(text) - used, "%s0x%llx-0x%llx",
                                          used ? ", " : "", (unsigned long long)bar->base,
                                          (unsigned long long)(bar->base + bar->size - 1));
    }
    if (used != 0)
        log_line("pci: " PCI_FMT " has memory at %s", PCI_ARG(function->id), text);
}

void pci_report_memory(void)
{
    for (uint32_t i = 0; i < pci_count(); i++) {
        if (pci_at(i)->kind == PCI_KIND_ENDPOINT || pci_at(i)->kind == PCI_KIND_BRIDGE)
            report_memory(pci_at(i));
    }
}
