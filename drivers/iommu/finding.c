/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/finding.h"

static const char *const structures[FINDING_STRUCTURES] = {
    [FINDING_TABLE] = "table", [FINDING_HEADER] = "header",      [FINDING_STRUCTURE] = "structure",
    [FINDING_DRHD] = "DRHD",   [FINDING_RMRR] = "RMRR",          [FINDING_ATSR] = "ATSR",
    [FINDING_RHSA] = "RHSA",   [FINDING_ANDD] = "ANDD",          [FINDING_SATC] = "SATC",
    [FINDING_SIDP] = "SIDP",   [FINDING_SCOPE] = "device scope", [FINDING_BLOCK] = "block",
    [FINDING_IVHD] = "IVHD",   [FINDING_IVMD] = "IVMD",          [FINDING_ENTRY] = "device entry",
};

static const char *const reasons[FINDING_REASONS] = {
    [FINDING_NO_HEADER] = "too short for a header",
    [FINDING_OTHER_TABLE] = "its signature is another table's",
    [FINDING_OTHER_LENGTH] = "its length is not the table's",
    [FINDING_ZEROES] = "it ends in zeroes that are no structure",
    [FINDING_CUT] = "it ends within a structure: there may be units that nobody knows of",
    [FINDING_LENGTH] = "its length is impossible: what follows is lost, and there may be units in it",
    [FINDING_UNKNOWN] = "of a type Sluice does not know: skipped",
    [FINDING_SHORT] = "too short: left out",
    [FINDING_TOO_MANY] = "there are more than Sluice keeps: left out",
    [FINDING_LIST_LENGTH] =
        "its length is impossible: the rest of the list is lost, its devices stay blocked",
    [FINDING_INVERTED] = "it ends before it begins: its devices stay blocked",
    [FINDING_EMPTY] = "of no bytes: its devices stay blocked",
    [FINDING_BEYOND] = "it ends beyond the last address: its devices stay blocked",
    [FINDING_DEVICES_INVERTED] = "for a range of devices that ends before it starts: left out",
    [FINDING_OF_ONE_UNIT] = "for the devices of one unit, which Sluice does not do: left out",
    [FINDING_TYPE_TWICE] = "a second block of its type for one unit: left out, its devices stay blocked",
    [FINDING_PATH_LENGTH] = "its path is empty or cut: its device stays blocked",
    [FINDING_PATH_IMPOSSIBLE] =
        "its path names a device or function that cannot be: its device stays blocked",
    [FINDING_NO_START] = "a range ends that did not start: left out",
    [FINDING_NO_END] = "a range without an end: its devices stay blocked",
    [FINDING_RANGE_INVERTED] = "a range that ends before it starts: its devices stay blocked",
    [FINDING_NOT_SPECIAL] = "a special device that is neither IO-APIC nor HPET: left out",
    [FINDING_NO_BRIDGE] = "its path leads over a function that is no bridge: its device stays blocked",
    [FINDING_BRIDGE_BUSES] = "its bridge's bus numbers cannot be: what is behind the bridge stays blocked",
    [FINDING_TWO_UNITS] = "two units claim one device: it stays blocked",
    [FINDING_TWO_ALIASES] = "two aliases for one device: it stays blocked",
};

void findings_add(struct findings *findings, enum finding_structure structure, enum finding_reason reason,
                  size_t offset)
{
    if (findings->count >= FINDINGS_MAX) {
        findings->lost++;
        return;
    }
    findings->list[findings->count++] = (struct finding){
        .offset = (uint32_t)offset, .structure = (uint8_t)structure, .reason = (uint8_t)reason};
}

const char *finding_structure_text(const struct finding *finding)
{
    return structures[finding->structure];
}

const char *finding_reason_text(const struct finding *finding)
{
    return reasons[finding->reason];
}
