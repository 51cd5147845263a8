/* SPDX-License-Identifier: MIT */
/* Interrupts that firmware's drivers may have left on: PCI 3.0, 6.8.1.3 and 6.8.2.3. */
#include "pci/pci.h"

#define CONTROL     2u
#define MSI_ENABLE  0x0001u
#define MSIX_ENABLE 0x8000u
#define MSIX_MASK   0x4000u /* all vectors of the function */

static void change_control(uint16_t id, uint16_t capability, uint32_t clear, uint32_t set)
{
    uint16_t at = (uint16_t)(capability + CONTROL);
    uint32_t before = pci_read(id, at, 2), after = (before & ~clear) | set;

    /* A function in reset answers with ones, which must not be written back to it. */
    if (after != before && before != UINT16_MAX)
        pci_write(id, at, 2, after);
}

void pci_stop_message(const struct pci_function *function, bool msix)
{
    if (msix && function->cap_msix)
        change_control(function->id, function->cap_msix, MSIX_ENABLE, MSIX_MASK);
    if (!msix && function->cap_msi)
        change_control(function->id, function->cap_msi, MSI_ENABLE, 0);
}

void pci_stop_messages(void)
{
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *function = pci_at(i);

        /* The unit's own fault interrupt is its driver's business. */
        if (function->kind == PCI_KIND_IOMMU)
            continue;
        pci_stop_message(function, false);
        pci_stop_message(function, true);
    }
}
