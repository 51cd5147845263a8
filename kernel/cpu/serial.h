/* SPDX-License-Identifier: MIT */
/* The serial console: a log sink. Option console=com1|com2|none (default com1). */
#ifndef SLUICE_CPU_SERIAL_H
#define SLUICE_CPU_SERIAL_H

/* Adds the sink when the port exists. 115200 baud, 8N1. */
void serial_init(void);

#endif
