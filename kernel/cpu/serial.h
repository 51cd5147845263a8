/* SPDX-License-Identifier: MIT */
/* The serial console: a log sink, and what is typed there. Option console=com1|com2|none (default com1). */
#ifndef SLUICE_CPU_SERIAL_H
#define SLUICE_CPU_SERIAL_H

#include <stddef.h>

/* Adds the sink when the port exists. 115200 baud, 8N1. */
void serial_init(void);

/* Characters that have arrived, at most count of them. Does not wait; 0 when there is no port. */
size_t serial_read(char *text, size_t count);

#endif
