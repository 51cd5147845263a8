/* SPDX-License-Identifier: MIT */
/* What is to be said against a table: how bad, where, what it costs under Sluice, and what a person can do.
 */
#ifndef SLUICE_TABLES_REMARKS_H
#define SLUICE_TABLES_REMARKS_H

#include "drivers/iommu/finding.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REMARKS_MAX      256u
#define REMARK_TEXT_SIZE 256u

enum severity {
    SEVERITY_NOTE,    /* odd, and costs nothing */
    SEVERITY_WARNING, /* some device does less than it could */
    SEVERITY_ERROR,   /* Sluice leaves something out: devices stay blocked, or it does not start */
    SEVERITIES,
};

struct remark {
    uint32_t offset; /* in the table, bytes */
    enum severity severity;
    const char *structure; /* what stands there, such as "DRHD" */
    const char *advice;
    char text[REMARK_TEXT_SIZE];
};

struct remarks {
    uint32_t count, lost; /* lost: those that there was no room for */
    bool single_only;     /* Sluice serves none but devices that are named one by one */
    struct remark list[REMARKS_MAX];
};

const char *severity_text(enum severity severity);

/* Where a remark belongs, and what to do about it; the words of what is wrong follow. */
struct place {
    enum severity severity;
    const char *structure;
    size_t offset;
    const char *advice;
};
void remark(struct remarks *remarks, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a parser found, in its own words. */
void remark_findings(struct remarks *remarks, const struct findings *findings);

/* The pieces of advice that several checks give. */
#define ADVICE_UPDATE                                                                                        \
    "The firmware wrote this; look for an update of it, and tell the maker of the machine if there is none."
#define ADVICE_LIMIT    "Sluice has a fixed limit here; tell its authors about this machine."
#define ADVICE_HARMLESS "Nothing to worry about."
#define ADVICE_DUMP     "Read the table again, as root, from /sys/firmware/acpi/tables: this copy is not whole."

#endif
