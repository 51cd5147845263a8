/* SPDX-License-Identifier: MIT */
/* A machine without a screen, which remembers what it was told of the guest's mappings. */
#ifndef SLUICE_TEST_FAKES_SCREEN_H
#define SLUICE_TEST_FAKES_SCREEN_H

#include <stdint.h>

extern uint64_t fake_screen_mapped; /* the last frame that the guest maps for writing, 0: none */

#endif
