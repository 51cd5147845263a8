/* SPDX-License-Identifier: MIT */
/*
 * \sluice\sluice.conf: lines of "key = value". Keys: guest, module (paths on the same volume), cmdline (the
 * guest's), options (the hypervisor's). '#' starts a comment line. Pure: also compiled for the host's tests.
 */
#ifndef BOOT_CONFIG_H
#define BOOT_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE_MAX    16384u /* bytes */
#define CONFIG_PATH_MAX    256u   /* characters with the NUL */
#define CONFIG_CMDLINE_MAX 1024u  /* what a guest's start information holds, NUL included */
#define CONFIG_OPTIONS_MAX 1024u

struct config {
    char guest[CONFIG_PATH_MAX];
    char module[CONFIG_PATH_MAX]; /* empty: none */
    char cmdline[CONFIG_CMDLINE_MAX];
    char options[CONFIG_OPTIONS_MAX];
};

/* NULL when the text is good; else a sentence that says what is wrong, with *line the line number (0: the
 * whole file). */
const char *config_parse(const char *text, size_t length, struct config *config, uint32_t *line);

/* Appends words to the options, with a blank between. NULL, or why not; then nothing was appended. */
const char *config_append_options(struct config *config, const char *words, size_t length);

#endif
