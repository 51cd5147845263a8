/* SPDX-License-Identifier: MIT */
/* What vtd_only.c needs beside vendor.h. */
#ifndef SLUICE_TESTS_VENDOR_VTD_H
#define SLUICE_TESTS_VENDOR_VTD_H

#include <stdbool.h>

/* The driver sees a unit without an invalidation queue. Off after machine_start(). */
extern bool vtd_hide_queue;

#endif
