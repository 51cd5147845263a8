/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping, for every vendor: whose which entry is, and what may be put into one. Entries that
 * nobody has are blocked, and so are those that nobody has set.
 */
#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"

#define FIRST_VECTOR 0x10u /* lower ones are no interrupts to a local APIC */

static bool is_used(const struct iommu_interrupt_table *table, uint32_t index)
{
    return (table->used[index / 64] >> index % 64 & 1) != 0;
}

static void take(struct iommu_interrupt_table *table, uint32_t index, uint16_t requester_id)
{
    table->used[index / 64] |= 1ull << index % 64;
    table->owner[index] = requester_id;
}

static void give_back(struct iommu_interrupt_table *table, uint32_t index)
{
    table->used[index / 64] &= ~(1ull << index % 64);
}

/* First entry that nobody has, or -ENOSPC. */
static int find_free(const struct iommu_interrupt_table *table)
{
    for (uint32_t word = 0; word < table->count / 64; word++)
        if (table->used[word] != UINT64_MAX)
            return (int)(word * 64 + (uint32_t)__builtin_ctzll(~table->used[word]));
    return -ENOSPC;
}

int iommu_interrupt_allocate(uint16_t segment, uint16_t requester_id, uint32_t *index)
{
    struct iommu_interrupt_table *table = NULL;
    int error = iommu_driver() != NULL ? iommu_driver()->interrupt_table(segment, requester_id, true, &table)
                                       : -ENODEV;
    int found;

    if (error != 0)
        return error;
    found = find_free(table);
    if (found < 0)
        return found;
    take(table, (uint32_t)found, requester_id);
    *index = (uint32_t)found;
    return 0;
}

/* The table with that entry of the requester's. 0, -ENOENT, or what the vendor says. */
static int find_entry(uint16_t segment, uint16_t requester_id, uint32_t index,
                      struct iommu_interrupt_table **table)
{
    int error = iommu_driver() != NULL ? iommu_driver()->interrupt_table(segment, requester_id, false, table)
                                       : -ENODEV;

    if (error != 0)
        return error;
    if (*table == NULL || index >= (*table)->count || !is_used(*table, index) ||
        (*table)->owner[index] != requester_id)
        return -ENOENT;
    return 0;
}

int iommu_interrupt_set(uint16_t segment, uint16_t requester_id, uint32_t index,
                        const struct iommu_interrupt *interrupt, struct iommu_message *message)
{
    struct iommu_interrupt_table *table = NULL;
    int error = find_entry(segment, requester_id, index, &table);

    if (error != 0)
        return error;
    if (interrupt != NULL &&
        (interrupt->vector < FIRST_VECTOR || interrupt->destination > table->destination_max))
        return -EINVAL;
    if (message != NULL)
        *message = iommu_driver()->interrupt_message(index, interrupt);
    return iommu_driver()->interrupt_write(table, requester_id, index, interrupt);
}

int iommu_interrupt_free(uint16_t segment, uint16_t requester_id, uint32_t index)
{
    struct iommu_interrupt_table *table = NULL;
    int error = find_entry(segment, requester_id, index, &table);

    if (error == 0)
        error = iommu_driver()->interrupt_write(table, requester_id, index, NULL);
    /* What a unit that does not answer may still know is never given to another. */
    if (error == 0)
        give_back(table, index);
    return error;
}

int iommu_interrupt_source(enum iommu_interrupt_source kind, uint8_t id, uint16_t *segment,
                           uint16_t *requester_id)
{
    return iommu_driver() != NULL ? iommu_driver()->interrupt_source(kind, id, segment, requester_id)
                                  : -ENOENT;
}

bool iommu_interrupts_remapped(void)
{
    return iommu_driver() != NULL && iommu_driver()->interrupts_remapped();
}
