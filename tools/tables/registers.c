/* SPDX-License-Identifier: MIT */
#include "tools/tables/registers.h"

#include "tools/tables/range.h"
#include "tools/tables/tree.h"

static struct place at(const struct registers *registers)
{
    return (struct place){SEVERITY_ERROR, registers->structure, registers->offset, ADVICE_UPDATE};
}

/* False when no unit can have its registers there. */
static bool check_address(const struct registers *registers, uint32_t address_bits, struct remarks *remarks)
{
    if (registers->base == 0) {
        remark(remarks, at(registers),
               "its register address is 0: Sluice cannot use the unit, its devices stay blocked");
        return false;
    }
    if (registers->base % registers->align != 0) {
        remark(remarks, at(registers),
               "its register address 0x%llx is no multiple of %s: Sluice cannot use the unit, its devices "
               "stay blocked",
               (unsigned long long)registers->base, size_text(registers->align));
        return false;
    }
    if (is_beyond(registers->base, address_bits))
        remark(remarks, at(registers),
               "its register address 0x%llx lies beyond the %u bit%s of address that the table gives the "
               "machine: if the CPU has no more, Sluice cannot use the unit, and its devices stay blocked",
               (unsigned long long)registers->base, address_bits, plural(address_bits));
    return true;
}

static bool share(const struct registers *one, const struct registers *other)
{
    return overlap(one->base, one->base + one->bytes - 1, other->base, other->base + other->bytes - 1);
}

/* False when an earlier unit has them. */
static bool check_shared(const struct registers *list, uint32_t index, struct remarks *remarks)
{
    for (uint32_t i = 0; i < index; i++) {
        if (!list[i].usable || !share(&list[i], &list[index]))
            continue;
        remark(remarks, at(&list[index]),
               "its registers are also those of the unit at byte 0x%x: Sluice uses the first, this one's "
               "devices stay blocked",
               list[i].offset);
        return false;
    }
    return true;
}

/* The first that is about the same unit: itself, mostly. */
static uint32_t unit_of(const struct registers *list, uint32_t index)
{
    uint32_t first = 0;

    while (first < index && !(list[index].joins && list[first].base == list[index].base &&
                              list[first].segment == list[index].segment))
        first++;
    return first;
}

void registers_check(struct registers *list, uint32_t count, uint32_t address_bits, struct remarks *remarks)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = unit_of(list, i);

        if (first < i)
            list[i].usable = list[first].usable;
        else if (list[i].usable)
            list[i].usable = check_address(&list[i], address_bits, remarks) && check_shared(list, i, remarks);
    }
}
