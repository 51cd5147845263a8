/* SPDX-License-Identifier: MIT */
/* What vtd_only.c needs beside vendor.h. */
#ifndef SLUICE_TESTS_VENDOR_VTD_H
#define SLUICE_TESTS_VENDOR_VTD_H

#include <stdbool.h>
#include <stdint.h>

/* The driver sees a unit without an invalidation queue. Off after machine_start(). */
extern bool vtd_hide_queue;
/* ... or without interrupt remapping. */
extern bool vtd_hide_remapping;
/* Commands of the driver's that switched running interrupt remapping off. */
extern uint32_t vtd_remapping_stops;

#endif
