/* SPDX-License-Identifier: MIT */
/* libFuzzer entry: any bytes as sluice.conf, then as more options; what the parser promises of what it takes.
 */
#include "boot/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_text(const char *field, size_t capacity)
{
    size_t length = strnlen(field, capacity);
    if (length == capacity)
        abort();
    for (size_t i = 0; i < length; i++)
        if ((field[i] < ' ' || field[i] > '~') && field[i] != '\t')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    uint32_t line;
    const char *wrong = config_parse((const char *)data, size, &config, &line);
    if (wrong == NULL && config.guest[0] == '\0')
        abort();
    wrong = config_append_options(&config, (const char *)data, size);
    if (wrong != NULL && wrong[0] == '\0')
        abort();
    must_be_text(config.guest, sizeof(config.guest));
    must_be_text(config.module, sizeof(config.module));
    must_be_text(config.cmdline, sizeof(config.cmdline));
    must_be_text(config.options, sizeof(config.options));
    return 0;
}
