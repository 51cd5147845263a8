/* SPDX-License-Identifier: MIT */
#include "option.h"

static BOOLEAN is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The value when the word at `text` is this option, else NULL. */
static const char *value_of(const char *text, const char *name)
{
    while (*name && *text == *name) {
        text++;
        name++;
    }
    return *name ? NULL : text;
}

BOOLEAN hook_option(const struct boot_info *info, const char *name, char *value)
{
    const char *text = (const char *)(UINTN)info->options.base, *found = NULL;
    for (UINTN i = 0; text[i]; i++)
        if ((i == 0 || is_blank(text[i - 1])) && value_of(text + i, name))
            found = value_of(text + i, name); /* the last one counts, as in the kernel */
    if (!found)
        return FALSE;
    UINTN n = 0;
    for (; found[n] && !is_blank(found[n]) && n < CONFIG_PATH_MAX - 1; n++)
        value[n] = found[n];
    value[n] = 0;
    return TRUE;
}

BOOLEAN hook_is(const struct boot_info *info, const char *name, const char *word)
{
    char value[CONFIG_PATH_MAX];
    const char *text = value;
    if (!hook_option(info, name, value))
        return FALSE;
    while (*word && *text == *word) {
        text++;
        word++;
    }
    return *text == *word;
}
