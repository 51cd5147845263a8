/* SPDX-License-Identifier: MIT */
#include "tools/tables/registers.h"

#include "tools/tables/range.h"
#include "tools/tables/tree.h"

static struct place at(const struct registers *registers, enum severity severity)
{
    return (struct place){severity, registers->structure, registers->offset, ADVICE_UPDATE};
}

/* False when no unit can have its registers there. */
static bool check_address(const struct registers *registers, uint32_t address_bits, struct remarks *remarks)
{
    if (registers->base == 0) {
        remark(remarks, at(registers, SEVERITY_ERROR),
               "its register address is 0: Sluice cannot use the unit, its devices stay blocked");
        return false;
    }
    if (registers->base % registers->align != 0) {
        remark(remarks, at(registers, SEVERITY_ERROR),
               "its register address 0x%llx is no multiple of %s: Sluice cannot use the unit, its devices "
               "stay blocked",
               (unsigned long long)registers->base, size_text(registers->align));
        return false;
    }
    if (is_beyond(registers->base, address_bits))
        remark(remarks, at(registers, SEVERITY_ERROR),
               "its register address 0x%llx lies beyond the %u bit%s of address that the table gives the "
               "machine: if the CPU has no more, Sluice cannot use the unit, and its devices stay blocked",
               (unsigned long long)registers->base, address_bits, plural(address_bits));
    return true;
}

/* False when an earlier unit has them. */
static bool check_shared(const struct registers *list, uint32_t index, struct remarks *remarks)
{
    const struct registers *later = &list[index];

    for (uint32_t i = 0; i < index; i++) {
        const struct registers *earlier = &list[i];

        if (!earlier->usable || !overlap(earlier->base, earlier->base + earlier->bytes - 1, later->base,
                                         later->base + later->bytes - 1))
            continue;
        if (earlier->base == later->base)
            remark(remarks, at(later, SEVERITY_ERROR),
                   "its registers are also those of the unit at byte 0x%x: Sluice uses the first, this one's "
                   "devices stay blocked",
                   earlier->offset);
        else
            remark(
                remarks, at(later, SEVERITY_WARNING),
                "its registers overlap those of the unit at byte 0x%x: one of the two is not where firmware "
                "says, or not as large; Sluice uses what answers like a unit",
                earlier->offset);
        return earlier->base != later->base;
    }
    return true;
}

void registers_check(struct registers *list, uint32_t count, uint32_t address_bits, struct remarks *remarks)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].usable)
            list[i].usable = check_address(&list[i], address_bits, remarks) && check_shared(list, i, remarks);
}
