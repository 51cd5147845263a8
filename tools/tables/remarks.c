/* SPDX-License-Identifier: MIT */
#include "tools/tables/remarks.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define ADVICE_NEWER                                                                                         \
    "Nothing to do: a newer specification may define it. Should devices be missing, look for a newer "       \
    "Sluice."
#define ADVICE_ZEROES "Nothing to worry about: some firmware fills its tables up."
#define ADVICE_BRIDGE                                                                                        \
    "Look with lspci whether the bridge on the way is there; firmware may have switched it off, then "       \
    "nothing "                                                                                               \
    "is lost."

/* By enum finding_reason: the parsers say what is wrong, a person wants to know how bad it is. What is not
 * listed is a note, and harmless. */
static const struct judgement {
    enum severity severity;
    const char *advice;
} judgements[FINDING_REASONS] = {
    [FINDING_NO_HEADER] = {SEVERITY_ERROR, ADVICE_DUMP},
    [FINDING_OTHER_TABLE] = {SEVERITY_ERROR, ADVICE_DUMP},
    [FINDING_OTHER_LENGTH] = {SEVERITY_ERROR, ADVICE_DUMP},
    [FINDING_ZEROES] = {SEVERITY_NOTE, ADVICE_ZEROES},
    [FINDING_CUT] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_LENGTH] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_UNKNOWN] = {SEVERITY_NOTE, ADVICE_NEWER},
    [FINDING_SHORT] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_TOO_MANY] = {SEVERITY_ERROR, ADVICE_LIMIT},
    [FINDING_LIST_LENGTH] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_INVERTED] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_EMPTY] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_BEYOND] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_DEVICES_INVERTED] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_OF_ONE_UNIT] = {SEVERITY_WARNING, ADVICE_LIMIT},
    [FINDING_TYPE_TWICE] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_PATH_LENGTH] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_PATH_IMPOSSIBLE] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_NO_START] = {SEVERITY_WARNING, ADVICE_UPDATE},
    [FINDING_NO_END] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_RANGE_INVERTED] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_NOT_SPECIAL] = {SEVERITY_WARNING, ADVICE_NEWER},
    [FINDING_NO_BRIDGE] = {SEVERITY_WARNING, ADVICE_BRIDGE},
    [FINDING_BRIDGE_BUSES] = {SEVERITY_WARNING, ADVICE_BRIDGE},
    [FINDING_TWO_UNITS] = {SEVERITY_ERROR, ADVICE_UPDATE},
    [FINDING_TWO_ALIASES] = {SEVERITY_ERROR, ADVICE_UPDATE},
};

const char *severity_text(enum severity severity)
{
    static const char *const texts[SEVERITIES] = {
        [SEVERITY_NOTE] = "note", [SEVERITY_WARNING] = "warning", [SEVERITY_ERROR] = "error"};

    return texts[severity];
}

void remark(struct remarks *remarks, struct place place, const char *format, ...)
{
    struct remark *next = &remarks->list[remarks->count];
    va_list values;

    if (remarks->count == REMARKS_MAX) {
        remarks->lost++;
        return;
    }
    remarks->count++;
    next->offset = (uint32_t)place.offset;
    next->severity = place.severity;
    next->structure = place.structure;
    next->advice = place.advice;
    va_start(values, format);
    vsnprintf(next->text, sizeof next->text, format, values);
    va_end(values);
}

/* Without those, no device stays blocked. */
static bool is_extra(const struct finding *finding)
{
    return finding->structure == FINDING_ATSR || finding->structure == FINDING_RHSA ||
           finding->structure == FINDING_ANDD || finding->structure == FINDING_SATC ||
           finding->structure == FINDING_SIDP;
}

static enum severity severity_of(const struct finding *finding)
{
    bool of_device = finding->structure == FINDING_SCOPE || finding->structure == FINDING_ENTRY;

    /* A structure of a new type is news; a device of a new kind is one that stays blocked. */
    if (finding->reason == FINDING_UNKNOWN && of_device)
        return SEVERITY_WARNING;
    if (finding->reason == FINDING_TOO_MANY && is_extra(finding))
        return SEVERITY_WARNING;
    return judgements[finding->reason].severity;
}

void remark_findings(struct remarks *remarks, const struct findings *findings)
{
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];
        const char *advice = judgements[finding->reason].advice;

        remark(remarks,
               (struct place){severity_of(finding), finding_structure_text(finding), finding->offset,
                              advice != NULL ? advice : ADVICE_HARMLESS},
               "%s", finding_reason_text(finding));
    }
    remarks->lost += findings->lost;
}
