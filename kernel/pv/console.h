/* SPDX-License-Identifier: MIT */
/* console_io's input. */
#ifndef SLUICE_PV_CONSOLE_H
#define SLUICE_PV_CONSOLE_H

/* Looks for input from now on and raises VIRQ_CONSOLE when there is some, as long as that is bound. */
void console_input_start(void);

#endif
