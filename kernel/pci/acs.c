/* SPDX-License-Identifier: MIT */
/*
 * Access Control Services (PCIe 4.0, 6.12): a port that has them on sends what comes from behind it to the
 * root, where the IOMMU judges it, and not straight to another device.
 */
#include "lib/log.h"
#include "pci/pci.h"

#define EXTENDED_ACS   0x000du
#define EXTENDED_MAX   480u /* as many as fit, 8 bytes each; a longer chain is a loop */
#define ACS_CAPABILITY 4u
#define ACS_CONTROL    6u

#define ACS_SOURCE_VALIDATION    0x01u
#define ACS_TRANSLATION_BLOCKING 0x02u
#define ACS_REQUEST_REDIRECT     0x04u
#define ACS_COMPLETION_REDIRECT  0x08u
#define ACS_UPSTREAM_FORWARDING  0x10u
#define ACS_EGRESS_CONTROL       0x20u /* with a vector that lets requests pass to peers */
#define ACS_DIRECT_TRANSLATED    0x40u /* requests that call themselves translated pass to peers */

#define ACS_NEEDED                                                                                           \
    (ACS_SOURCE_VALIDATION | ACS_REQUEST_REDIRECT | ACS_COMPLETION_REDIRECT | ACS_UPSTREAM_FORWARDING)
#define ACS_HOLES (ACS_EGRESS_CONTROL | ACS_DIRECT_TRANSLATED)

/* Offset, or 0. */
static uint16_t find_acs(uint16_t id)
{
    uint32_t at = PCI_CONFIG_END;

    for (uint32_t hops = 0; hops < EXTENDED_MAX && at >= PCI_CONFIG_END; hops++) {
        uint32_t header = pci_read(id, (uint16_t)at, 4);

        if (header == 0 || header == UINT32_MAX)
            return 0;
        if ((header & 0xffff) == EXTENDED_ACS)
            return at + ACS_CONTROL + 2 <= PCI_EXTENDED_END ? (uint16_t)at : 0;
        at = header >> 20 & 0xffc;
    }
    return 0;
}

/*
 * What a port does not list among its capabilities it has no way to do: passing requests to peers, as well
 * as keeping them from it. What reads back decides, since some chipsets have these registers elsewhere.
 */
static bool switch_on(uint16_t id, uint16_t at)
{
    uint32_t can = pci_read(id, (uint16_t)(at + ACS_CAPABILITY), 2), needed = can & ACS_NEEDED;
    uint32_t control = pci_read(id, (uint16_t)(at + ACS_CONTROL), 2);
    uint32_t next = (control & ~ACS_HOLES) | needed | (can & ACS_TRANSLATION_BLOCKING);

    if (can == UINT16_MAX)
        return false;
    if (next != control)
        pci_write(id, (uint16_t)(at + ACS_CONTROL), 2, next);
    control = pci_read(id, (uint16_t)(at + ACS_CONTROL), 2);
    return (control & (needed | ACS_HOLES)) == needed;
}

void pci_enable_access_control(void)
{
    uint32_t ports = 0, on = 0;

    for (uint32_t i = 0; i < pci_count(); i++) {
        struct pci_function *function = pci_at(i);
        uint16_t at = pci_is_port(function) ? find_acs(function->id) : 0;

        function->access_control = at != 0 && switch_on(function->id, at);
        ports += pci_is_port(function);
        on += function->access_control;
    }
    if (ports != 0)
        log_line("pci: access control is on at %u of %u ports", on, ports);
}
