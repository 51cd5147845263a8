/* SPDX-License-Identifier: MIT */
#include "pv/assign.h"

#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "pci/group.h"
#include "pv/guest.h"

#define SEGMENT 0

/* The first function that a group cannot be given for, and what is the matter with it. */
struct obstacle {
    const struct pci_function *function;
    const char *what;
};

/* ---- the members of a group ---- */

/* The first member at or after *index, which then stands behind it; NULL after the last. */
static struct pci_function *next_member(uint32_t group, uint32_t *index)
{
    while (*index < pci_count()) {
        struct pci_function *function = pci_at((*index)++);

        if (function->group == group)
            return function;
    }
    return NULL;
}

static uint32_t member_count(uint32_t group)
{
    uint32_t count = 0;

    for (uint32_t i = group; next_member(group, &i) != NULL;)
        count++;
    return count;
}

#define NAMED_MAX 32u
#define NAME_SIZE 9u /* "00:00.0, " */
#define MORE_SIZE 24u

struct member_list {
    char text[NAMED_MAX * NAME_SIZE + MORE_SIZE];
};

static struct member_list list_members(uint32_t group)
{
    struct member_list list = {{0}};
    uint32_t left = member_count(group), named = 0, used = 0;
    const struct pci_function *function;

    for (uint32_t i = group; named < NAMED_MAX && (function = next_member(group, &i)) != NULL; named++)
        used += (uint32_t)format_string(list.text + used, sizeof list.text - used, "%s" PCI_FMT,
                                        named ? ", " : "", PCI_ARG(function->id));
    if (left > named)
        format_string(list.text + used, sizeof list.text - used, " and %u more", left - named);
    return list;
}

/* ---- giving ---- */

static int give_id(uint16_t id)
{
    if (guest.context != NULL)
        return iommu_attach(guest.context, SEGMENT, id);
    return iommu_covers(SEGMENT, id) ? 0 : -ENODEV;
}

/*
 * 0, or why an id cannot be given. A bridge's own requests are interrupts, which are blocked anyway; what it
 * sends for others counts with them.
 */
static int give(const struct pci_function *function)
{
    uint16_t ids[PCI_REQUESTER_IDS_MAX];
    uint32_t count = pci_requester_ids(function, ids);

    for (uint32_t i = 0; i < count; i++) {
        int error = give_id(ids[i]);

        if (error != 0 && !(function->kind == PCI_KIND_BRIDGE && ids[i] == function->id))
            return error;
    }
    return 0;
}

static void take_back(uint32_t group)
{
    uint16_t ids[PCI_REQUESTER_IDS_MAX];
    const struct pci_function *function;

    for (uint32_t i = group; (function = next_member(group, &i)) != NULL;) {
        uint32_t count = pci_requester_ids(function, ids);

        /* An id that no unit judges, or whose unit is dead, cannot be blocked: bus mastering will be off. */
        for (uint32_t j = 0; j < count; j++)
            (void)iommu_detach(SEGMENT, ids[j]);
    }
}

/* ---- what stands in the way ---- */

static const char *words_for(int error)
{
    switch (error) {
    case -ENODEV:
        return "is behind no IOMMU unit";
    case -EPERM:
        return "is named for reserved memory that it cannot have";
    case -EIO:
        return "is behind an IOMMU unit that does not answer";
    default:
        return "finds no room in the tables of its IOMMU unit";
    }
}

/* What was hidden is out of the unit's reach, or not understood; its companions could speak for it. */
static struct obstacle find_hidden(uint32_t group)
{
    const struct pci_function *function;

    for (uint32_t i = group; (function = next_member(group, &i)) != NULL;) {
        if (function->hidden)
            return (struct obstacle){function,
                                     function->bypasses_iommu ? "passes by the IOMMU" : "is hidden"};
    }
    return (struct obstacle){0};
}

static struct obstacle give_all(uint32_t group)
{
    const struct pci_function *function;

    for (uint32_t i = group; (function = next_member(group, &i)) != NULL;) {
        int error = give(function);

        if (error != 0)
            return (struct obstacle){function, words_for(error)};
    }
    return (struct obstacle){0};
}

/* ---- shutting out ---- */

static bool is_behind(const struct pci_function *function, const struct pci_function *bridge)
{
    const struct pci_function *at = function->parent;

    while (at != NULL && at != bridge)
        at = at->parent;
    return at != NULL;
}

/* The way to a function of another group stays open. */
static bool leads_elsewhere(const struct pci_function *bridge)
{
    for (uint32_t i = 0; i < pci_count(); i++) {
        if (pci_at(i)->group != bridge->group && is_behind(pci_at(i), bridge))
            return true;
    }
    return false;
}

static void shut_out(struct pci_function *function)
{
    if (function->kind == PCI_KIND_BRIDGE && leads_elsewhere(function))
        return;
    /* The command register of an ISA bridge is firmware's. */
    if (function->kind != PCI_KIND_ISA_BRIDGE)
        pci_set_bus_master(function->id, false);
    function->hidden = true;
}

static void shut_all_out(uint32_t group)
{
    struct pci_function *function;

    for (uint32_t i = group; (function = next_member(group, &i)) != NULL;)
        shut_out(function);
}

static void tell(uint32_t group, const struct obstacle *obstacle)
{
    const struct member_list list = list_members(group);

    if (member_count(group) == 1)
        log_line("device " PCI_FMT " %s: its bus mastering is off and the guest cannot see it",
                 PCI_ARG(obstacle->function->id), obstacle->what);
    else
        log_line("group %s: " PCI_FMT
                 " %s: bus mastering of all of them is off and the guest cannot see them",
                 list.text, PCI_ARG(obstacle->function->id), obstacle->what);
}

/* ---- group by group ---- */

static bool is_all_hidden(uint32_t group)
{
    const struct pci_function *function;

    for (uint32_t i = group; (function = next_member(group, &i)) != NULL;) {
        if (!function->hidden)
            return false;
    }
    return true;
}

/* True when the group is the guest's. */
static bool assign(uint32_t group)
{
    struct obstacle obstacle = find_hidden(group);

    if (obstacle.function == NULL)
        obstacle = give_all(group);
    if (obstacle.function == NULL)
        return true;
    take_back(group);
    tell(group, &obstacle);
    shut_all_out(group);
    return false;
}

static void tell_of_company(uint32_t group, uint32_t count)
{
    const struct member_list list = list_members(group);

    if (count > 1)
        log_line("pci: group of %u: %s", count, list.text);
}

/* They do no DMA that a context could serve. */
static bool is_guests(const struct pci_function *function)
{
    return function->kind != PCI_KIND_HOST_BRIDGE && function->kind != PCI_KIND_IOMMU;
}

static uint16_t alias_of(uint16_t id)
{
    return iommu_alias(SEGMENT, id);
}

uint32_t assign_devices(void)
{
    uint32_t assigned = 0;
    bool refused = false;

    pci_form_groups(alias_of);
    for (uint32_t i = 0; i < pci_count(); i++) {
        uint32_t count;

        if (pci_at(i)->group != i || !is_guests(pci_at(i)))
            continue;
        count = member_count(i);
        tell_of_company(i, count);
        if (is_all_hidden(i))
            continue;
        if (assign(i))
            assigned += count;
        else
            refused = true;
    }
    /* The windows of what was hidden just now are not the guest's any more. */
    if (refused)
        device_policy_init();
    return assigned;
}
