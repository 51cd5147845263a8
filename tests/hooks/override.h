/* SPDX-License-Identifier: MIT */
/* The option acpi-override=FILE: FILE stands where firmware's ACPI table of the same signature stood. */
#ifndef HOOKS_OVERRIDE_H
#define HOOKS_OVERRIDE_H

#include "boot/loader.h"

/* The path, into a buffer of CONFIG_PATH_MAX characters. FALSE: nobody asked for it. */
BOOLEAN override_asked(const struct boot_info *info, char *path);
/* Reads the file from the volume of sluice.conf and puts it in its place. FALSE after saying what is wrong.
 */
BOOLEAN override_table(struct boot_info *info, const char *path);
/* Copies of all that the RSDT names, at odd addresses in memory that boot services have; a root pointer of
 * ACPI 1.0. */
BOOLEAN override_places(struct boot_info *info);
/* In the last memory map that memory is the highest. Nothing happens where override_places() did not. */
void override_make_highest(struct boot_info *info);

#endif
