/* SPDX-License-Identifier: MIT */
/* Everything a small guest needs, in one include. A guest defines guest_main(). */
#ifndef KIT_GUEST_H
#define KIT_GUEST_H

#include "kit/console.h"
#include "kit/event.h"
#include "kit/hypercall.h"
#include "kit/memory.h"
#include "kit/report.h"
#include "kit/string.h"
#include "kit/trap.h"

/* Runs after the kit has set up stack, memory and trap table. Returning powers off. */
void guest_main(void);

#endif
