/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_PV_IO_H
#define SLUICE_PV_IO_H

/* Reports what was suppressed of refused port accesses and opens the log again: call from the tick. */
void guest_io_log_refill(void);

#endif
