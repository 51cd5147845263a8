/* SPDX-License-Identifier: MIT */
/* A model of irq/ for host programs: three functions, 24 inputs, and a check of how they are used. */
#ifndef FAKES_IRQ_H
#define FAKES_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_DEVICE  0x0010u /* 00:02.0: MSI, and MSI-X with FAKE_ENTRIES */
#define FAKE_OTHER   0x0008u /* 00:01.0: MSI */
#define FAKE_BRIDGE  0x0020u /* 00:04.0: a bridge with MSI */
#define FAKE_HIDDEN  0x0018u /* 00:03.0: MSI, not shown to the guest */
#define FAKE_ENTRIES 4u
#define FAKE_LINES   24u
#define FAKE_MCFG    0xb0000000ull

/* What the device or the wire does; false when it is masked or nobody has it open. */
bool fake_irq_send(uint16_t id, uint32_t entry);
bool fake_irq_assert(uint32_t gsi);

extern uint32_t fake_irq_restored; /* calls of irq_message_restore() */
uint32_t fake_irq_open(void);      /* messages and lines that are open now */
extern int fake_irq_error;         /* what opening gives from now on; 0: it works */

#endif
