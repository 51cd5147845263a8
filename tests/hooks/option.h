/* SPDX-License-Identifier: MIT */
#ifndef HOOKS_OPTION_H
#define HOOKS_OPTION_H

#include "boot/loader.h"

/*
 * The value of an option of the hypervisor's, into a buffer of CONFIG_PATH_MAX characters; name ends with
 * '='. FALSE: nobody gave it.
 */
BOOLEAN hook_option(const struct boot_info *info, const char *name, char *value);
/* Whether the option has the value `word`. */
BOOLEAN hook_is(const struct boot_info *info, const char *name, const char *word);

#endif
