/* SPDX-License-Identifier: MIT */
#include "pv/device_write.h"

#include "mem/frame.h"
#include "pv/device.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "pv/pte.h"
#include "pv/trap.h"
#include "pv/walk.h"

/* The frame behind a present mapping that may only be read; 0: there is none such. */
static uint64_t read_only_frame(uint64_t address)
{
    if (!address_is_canonical(address) || address_is_hypervisor(address))
        return 0;
    const uint64_t *entry = walk_to_l1_entry(address);
    if (entry == NULL || (*entry & (PTE_PRESENT | PTE_WRITABLE)) != PTE_PRESENT)
        return 0;
    return pte_mfn(*entry);
}

bool guest_emulate_device_write(struct cpu_regs *regs, uint64_t address)
{
    uint64_t mfn = read_only_frame(address);
    struct insn insn;
    uint16_t function;

    if (mfn == 0 || device_frame_kind(mfn) != DEVICE_FRAME_READ_ONLY)
        return false;
    if (!guest_decode(regs, &insn) || insn.op != INSN_MOV || guest_operand_address(regs, &insn) != address)
        return false;
    if (insn.bytes <= 4 && device_config_function(mfn, &function))
        config_guest_write(function, (uint16_t)(address & (FRAME_SIZE - 1)), insn.bytes,
                           (uint32_t)guest_store_source(regs, &insn));
    guest_step_over(regs, insn.length);
    return true;
}
