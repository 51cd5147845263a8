/* SPDX-License-Identifier: MIT */
/* What platform_op tells about firmware. */
#ifndef SLUICE_PV_PLATFORM_H
#define SLUICE_PV_PLATFORM_H

struct boot_info;

/* Copies what EFI left behind; its memory is never looked at again. Once, before the guest runs. */
void platform_init(const struct boot_info *info);

#endif
