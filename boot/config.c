/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdbool.h>

struct key {
    const char *name;
    size_t offset, capacity;
};

static const struct key keys[] = {
    {"guest", offsetof(struct config, guest), CONFIG_PATH_MAX},
    {"module", offsetof(struct config, module), CONFIG_PATH_MAX},
    {"cmdline", offsetof(struct config, cmdline), CONFIG_CMDLINE_MAX},
    {"options", offsetof(struct config, options), CONFIG_OPTIONS_MAX},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_printable(char c)
{
    return (c >= ' ' && c <= '~') || c == '\t';
}

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && is_blank((*text)[0])) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && is_blank((*text)[*length - 1]))
        (*length)--;
}

static bool equals(const char *text, size_t length, const char *name)
{
    size_t i = 0;
    while (i < length && name[i] != '\0' && text[i] == name[i])
        i++;
    return i == length && name[i] == '\0';
}

static const char *store(struct config *config, const struct key *key, const char *value, size_t length)
{
    char *field = (char *)config + key->offset;
    if (field[0] != '\0')
        return "this key was given before";
    if (length == 0)
        return "the value is empty";
    if (length >= key->capacity)
        return "the value is too long (paths: 255 characters, cmdline and options: 1023)";
    for (size_t i = 0; i < length; i++) {
        if (!is_printable(value[i]))
            return "the value holds a character that is not printable ASCII";
        field[i] = value[i];
    }
    field[length] = '\0';
    return NULL;
}

static const char *parse_line(struct config *config, const char *text, size_t length)
{
    trim(&text, &length);
    if (length == 0 || text[0] == '#')
        return NULL;

    size_t equal = 0;
    while (equal < length && text[equal] != '=')
        equal++;
    if (equal == length)
        return "a line must read 'key = value'";

    const char *value = text + equal + 1;
    size_t value_length = length - equal - 1, name_length = equal;
    trim(&text, &name_length);
    trim(&value, &value_length);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (equals(text, name_length, keys[i].name))
            return store(config, &keys[i], value, value_length);
    }
    return "unknown key; known are guest, module, cmdline and options";
}

const char *config_parse(const char *text, size_t length, struct config *config, uint32_t *line)
{
    *config = (struct config){.guest = ""};
    *line = 0;
    if (length > CONFIG_FILE_MAX)
        return "the file is larger than 16 KiB";

    size_t start = 0;
    if (length >= 3 && (uint8_t)text[0] == 0xef && (uint8_t)text[1] == 0xbb && (uint8_t)text[2] == 0xbf)
        start = 3; /* editors on other systems put a byte order mark there */
    while (start < length) {
        size_t end = start;
        while (end < length && text[end] != '\n')
            end++;
        (*line)++;
        const char *wrong = parse_line(config, text + start, end - start);
        if (wrong)
            return wrong;
        start = end + 1;
    }
    *line = 0;
    if (config->guest[0] == '\0')
        return "no 'guest = PATH' line";
    return NULL;
}

const char *config_append_options(struct config *config, const char *words, size_t length)
{
    size_t used = 0;
    while (config->options[used] != '\0')
        used++;
    trim(&words, &length);
    if (length == 0)
        return NULL;
    if (length + 2 > CONFIG_OPTIONS_MAX - used)
        return "options of sluice.conf and of the command line together are longer than 1023 characters";
    for (size_t i = 0; i < length; i++) {
        if (!is_printable(words[i]))
            return "the command line holds a character that is not printable ASCII";
    }
    if (used > 0)
        config->options[used++] = ' ';
    for (size_t i = 0; i < length; i++)
        config->options[used++] = words[i];
    config->options[used] = '\0';
    return NULL;
}
