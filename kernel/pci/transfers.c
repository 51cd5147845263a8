/* SPDX-License-Identifier: MIT */
/*
 * DMA that firmware's drivers may have left under way. UEFI wants them to stop it (UEFI 2.10, 7.4.6), and not
 * each does. Bus mastering: PCI 3.0, 6.2.2.
 */
#include "lib/log.h"
#include "pci/pci.h"

#define BASE_STORAGE 0x01u
#define BASE_NETWORK 0x02u
#define SD_HOST      0x0805u
#define FIREWIRE     0x0c00u
#define USB          0x0c03u

/* What firmware boots from, and the keyboard's way. Others may have tasks that end with their bus mastering:
 * the picture on the screen, or management of the machine. */
static bool is_for_booting(const struct pci_function *function)
{
    uint32_t base = function->class_code >> 16, class_subclass = function->class_code >> 8;

    return function->kind == PCI_KIND_ENDPOINT &&
           (base == BASE_STORAGE || base == BASE_NETWORK || class_subclass == SD_HOST ||
            class_subclass == FIREWIRE || class_subclass == USB);
}

void pci_stop_transfers(bool (*is_needed)(uint16_t id))
{
    uint32_t stopped = 0;

    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *function = pci_at(i);

        if (!is_for_booting(function) || (pci_read(function->id, PCI_COMMAND, 2) & PCI_COMMAND_MASTER) == 0 ||
            is_needed(function->id))
            continue;
        pci_set_bus_master(function->id, false);
        stopped++;
    }
    if (stopped != 0)
        log_line("pci: firmware left bus mastering on (%u controllers): it is off until the guest wants it",
                 stopped);
}
