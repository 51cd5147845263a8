/* SPDX-License-Identifier: MIT */
#include "pv/withhold.h"

#include "machine.h"

int machine_withhold_error;
uint32_t machine_withheld, machine_restored, machine_restore_ends;

int withhold(uint64_t mfn)
{
    (void)mfn;
    if (machine_withhold_error == 0)
        machine_withheld++;
    return machine_withhold_error;
}

void withhold_restore(uint64_t mfn)
{
    (void)mfn;
    machine_restored++;
}

void withhold_restore_end(void)
{
    machine_restore_ends++;
}
