/* SPDX-License-Identifier: MIT */
/*
 * The rule is Linux's and Xen's, in doubt on the safe side. Two functions are in one group when
 *  - they share a requester id, an alias included;
 *  - one is a bridge that does not send all that comes from behind it to the root, and the other is behind
 * it;
 *  - they are functions of one device, or ports of one switch, of which one does not send all to the root.
 * A function that sends all to the root is a PCI Express port with access control on (acs.c). An endpoint's
 * own access control counts for nothing: a reset, which the guest may ask for, takes it away.
 */
#include "pci/group.h"

/* With an alias for each. */
#define SHOWN_MAX (2 * PCI_REQUESTER_IDS_MAX)

/* The ids that a function's DMA may show, while groups are formed. */
static struct shown {
    uint16_t ids[SHOWN_MAX];
    uint32_t count;
} shown[PCI_FUNCTIONS_MAX];

/* Of each function: a bridge past which nothing from behind it goes but to the root. */
static bool separates[PCI_FUNCTIONS_MAX];

uint32_t pci_requester_ids(const struct pci_function *function, uint16_t ids[PCI_REQUESTER_IDS_MAX])
{
    uint32_t count = 0;

    /* A bridge takes over some transactions only; the others carry the function's own id. */
    ids[count++] = function->id;
    if (function->requester_id != function->id)
        ids[count++] = function->requester_id;
    for (uint8_t number = 1; number < 8; number++) {
        if (function->phantoms >> number & 1)
            ids[count++] = pci_id(PCI_BUS(function->id), PCI_DEVICE(function->id), number);
    }
    return count;
}

/* ---- sets of functions: each names an earlier member, the first one itself ---- */

static uint16_t first_of(const struct pci_function *functions, uint32_t index)
{
    while (functions[index].group != index)
        index = functions[index].group;
    return (uint16_t)index;
}

static void join(struct pci_function *functions, uint32_t left, uint32_t right)
{
    uint16_t a = first_of(functions, left), b = first_of(functions, right);

    if (a < b)
        functions[b].group = a;
    else
        functions[a].group = b;
}

/* ---- who can reach whom ---- */

/* They make no requests of their own that the IOMMU would have to judge. */
static bool is_silent(const struct pci_function *function)
{
    return function->kind == PCI_KIND_HOST_BRIDGE || function->kind == PCI_KIND_IOMMU;
}

static bool sends_all_up(const struct pci_function *function)
{
    return pci_is_port(function) && function->access_control;
}

/*
 * They share a place that may pass requests between them: a device, or what is below one bridge, which is a
 * switch, a conventional bus, or one device even if its functions have numbers over 7 (ARI).
 */
static bool are_peers(const struct pci_function *left, const struct pci_function *right)
{
    return left != right && !is_silent(left) && !is_silent(right) &&
           PCI_BUS(left->id) == PCI_BUS(right->id) &&
           (left->parent || PCI_DEVICE(left->id) == PCI_DEVICE(right->id));
}

/* One that passes requests on to a peer is enough: what it reaches did not ask to be reached. */
static bool peers_are_open(const struct pci_function *functions, uint32_t count,
                           const struct pci_function *function)
{
    bool has_peer = false, all_send_up = sends_all_up(function);

    for (uint32_t i = 0; i < count; i++) {
        if (!are_peers(&functions[i], function))
            continue;
        has_peer = true;
        all_send_up = all_send_up && sends_all_up(&functions[i]);
    }
    return has_peer && !all_send_up;
}

/* An upstream port has one place to send to, unless it shares its device with others. */
static bool is_separator(const struct pci_function *functions, uint32_t count,
                         const struct pci_function *bridge)
{
    if (!pci_is_port(bridge) || peers_are_open(functions, count, bridge))
        return false;
    return sends_all_up(bridge) || (bridge->pcie_type == PCIE_TYPE_UPSTREAM && bridge->parent);
}

static void join_peers(struct pci_function *functions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!peers_are_open(functions, count, &functions[i]))
            continue;
        for (uint32_t j = 0; j < count; j++) {
            if (are_peers(&functions[i], &functions[j]))
                join(functions, i, j);
        }
    }
}

static void join_bridges(struct pci_function *functions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        separates[i] = is_separator(functions, count, &functions[i]);
    for (uint32_t i = 0; i < count; i++) {
        for (const struct pci_function *at = functions[i].parent; at && !is_silent(&functions[i]);
             at = at->parent) {
            uint32_t bridge = (uint32_t)(at - functions);

            if (!separates[bridge])
                join(functions, i, bridge);
        }
    }
}

/* ---- who cannot be told apart ---- */

static void collect_ids(const struct pci_function *function, uint16_t (*alias)(uint16_t id),
                        struct shown *all)
{
    uint32_t count = pci_requester_ids(function, all->ids);

    all->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t other = alias(all->ids[i]);

        if (other != all->ids[i])
            all->ids[all->count++] = other;
    }
}

static bool share_an_id(const struct shown *left, const struct shown *right)
{
    for (uint32_t i = 0; i < left->count; i++) {
        for (uint32_t j = 0; j < right->count; j++) {
            if (left->ids[i] == right->ids[j])
                return true;
        }
    }
    return false;
}

static void join_ids(struct pci_function *functions, uint32_t count, uint16_t (*alias)(uint16_t id))
{
    for (uint32_t i = 0; i < count; i++)
        collect_ids(&functions[i], alias, &shown[i]);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = i + 1; j < count && !is_silent(&functions[i]); j++) {
            if (!is_silent(&functions[j]) && share_an_id(&shown[i], &shown[j]))
                join(functions, i, j);
        }
    }
}

void pci_group(struct pci_function *functions, uint32_t count, uint16_t (*alias)(uint16_t id))
{
    for (uint32_t i = 0; i < count; i++)
        functions[i].group = (uint16_t)i;
    join_peers(functions, count);
    join_bridges(functions, count);
    join_ids(functions, count, alias);
    for (uint32_t i = 0; i < count; i++)
        functions[i].group = first_of(functions, i);
}
