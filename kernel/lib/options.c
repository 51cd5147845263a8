/* SPDX-License-Identifier: MIT */
#include "lib/options.h"

#include "lib/log.h"
#include "lib/string.h"

#define TEXT_MAX  2047u
#define WORDS_MAX 128u

static char text_copy[TEXT_MAX + 1]; /* blanks become NULs */
static struct {
    const char *name;
    size_t name_length;
    const char *value;
    bool asked;
} words[WORDS_MAX];
static uint32_t word_count;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void add_word(char *word)
{
    if (word_count == WORDS_MAX) {
        log_line("options: over %u words, '%s' and what follows is ignored", WORDS_MAX, word);
        return;
    }
    size_t length = 0;
    while (word[length] != '\0' && word[length] != '=')
        length++;
    words[word_count].name = word;
    words[word_count].name_length = length;
    words[word_count].value = word[length] == '=' ? word + length + 1 : word + length;
    words[word_count].asked = false;
    word_count++;
}

void options_set(const char *text, size_t length)
{
    size_t used = text == NULL ? 0 : strnlen(text, length);
    if (used > TEXT_MAX) {
        log_line("options: cut after %u characters", TEXT_MAX);
        used = TEXT_MAX;
    }
    if (used != 0)
        memcpy(text_copy, text, used);
    text_copy[used] = '\0';
    word_count = 0;

    for (size_t i = 0; i < used;) {
        if (is_blank(text_copy[i])) {
            i++;
            continue;
        }
        size_t start = i;
        while (i < used && !is_blank(text_copy[i]))
            i++;
        text_copy[i] = '\0';
        i++;
        uint32_t before = word_count;
        add_word(text_copy + start);
        if (word_count == before)
            return;
    }
}

const char *option_value(const char *name)
{
    size_t length = strlen(name);
    const char *value = NULL;
    for (uint32_t i = 0; i < word_count; i++) {
        if (words[i].name_length == length && memcmp(words[i].name, name, length) == 0) {
            words[i].asked = true;
            value = words[i].value;
        }
    }
    return value;
}

static bool is_any_of(const char *value, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcmp(value, *list) == 0)
            return true;
    }
    return false;
}

bool option_bool(const char *name, bool fallback)
{
    static const char *const yes[] = {"", "on", "yes", "true", "1", NULL};
    static const char *const no[] = {"off", "no", "false", "0", NULL};
    const char *value = option_value(name);

    if (value == NULL)
        return fallback;
    if (is_any_of(value, yes))
        return true;
    if (is_any_of(value, no))
        return false;
    log_line("options: %s=%s is neither on nor off; taking %s", name, value, fallback ? "on" : "off");
    return fallback;
}

/* The digit's value, or base when it is none. */
static unsigned digit_of(char c, unsigned base)
{
    unsigned digit = base;
    if (c >= '0' && c <= '9')
        digit = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f')
        digit = (unsigned)(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F')
        digit = (unsigned)(c - 'A') + 10;
    return digit < base ? digit : base;
}

static bool parse_number(const char *text, uint64_t *number)
{
    unsigned base = 10;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    if (*text == '\0')
        return false;
    *number = 0;
    for (; *text != '\0'; text++) {
        unsigned digit = digit_of(*text, base);
        if (digit == base || __builtin_mul_overflow(*number, (uint64_t)base, number) ||
            __builtin_add_overflow(*number, (uint64_t)digit, number))
            return false;
    }
    return true;
}

uint64_t option_number(const char *name, uint64_t low, uint64_t high, uint64_t fallback)
{
    const char *value = option_value(name);
    uint64_t number = 0;

    if (value == NULL)
        return fallback;
    if (parse_number(value, &number) && number >= low && number <= high)
        return number;
    log_line("options: %s=%s is not a number from %llu to %llu; taking %llu", name, value,
             (unsigned long long)low, (unsigned long long)high, (unsigned long long)fallback);
    return fallback;
}

void options_report_unknown(void)
{
    for (uint32_t i = 0; i < word_count; i++) {
        if (!words[i].asked)
            log_line("options: nobody knows '%s'", words[i].name);
    }
}
