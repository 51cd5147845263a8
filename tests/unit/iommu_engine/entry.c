/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_engine/parts.h"

#define ADDRESS 0x000ffffffffff000ull
#define LARGE   0x80ull /* PS of VT-d */

static bool is_amd(void)
{
    return model.vendor == IOMMU_VENDOR_AMDVI;
}

/* VT-d: R is bit 0 and W bit 1. AMD-Vi: IR is bit 61 and IW bit 62, and neither counts without PR, bit 0. */
uint32_t model_permissions(uint64_t entry)
{
    if (is_amd())
        return (entry & 1) != 0 ? (uint32_t)(entry >> 61 & 3) : 0;
    return (uint32_t)(entry & 3);
}

uint64_t model_translation(uint64_t entry)
{
    uint32_t permissions = model_permissions(entry);

    return permissions != 0 ? (entry & ADDRESS) | permissions : 0;
}

/* Bits 9 to 11 of an entry of AMD-Vi: the level of what it points at. */
static uint32_t next_level(uint64_t entry)
{
    return (uint32_t)(entry >> 9) & 7;
}

/* What an entry must never have, whatever it is: reserved bits; on AMD-Vi all but nothing without PR. */
void entry_check(uint64_t entry)
{
    if (entry == 0)
        return;
    if (is_amd()) {
        model_require((entry & 1) != 0);
        model_require((entry >> 52 & 0x7f) == 0);
        model_require(entry >> 63 == 0);
        model_require(next_level(entry) < 6);
    } else {
        model_require((entry & 0xf7cull) == 0);
        model_require(entry >> 62 == 0);
    }
}

/* PS of VT-d; of AMD-Vi a next level of 0. */
bool entry_is_leaf(uint64_t entry, uint32_t level)
{
    return level == 1 || (is_amd() ? next_level(entry) == 0 : (entry & LARGE) != 0);
}

/* Leaves where the unit allows them, aligned to what they cover; no level is skipped. */
void entry_check_level(uint64_t entry, uint32_t level)
{
    if (entry == 0)
        return;
    if (entry_is_leaf(entry, level)) {
        model_require(level <= model.leaf_level);
        model_require(((entry & ADDRESS) >> 12 & (entry_span(level) - 1)) == 0);
        model_require(is_amd() || level > 1 || (entry & LARGE) == 0);
    }
    if (is_amd())
        model_require(next_level(entry) == (entry_is_leaf(entry, level) ? 0 : level - 1));
}

uint32_t entry_target(uint64_t entry)
{
    uint64_t mfn = (entry & ADDRESS) >> 12;

    model_require(mfn >= MODEL_FIRST_MFN && mfn < MODEL_FIRST_MFN + MODEL_FRAMES);
    return (uint32_t)(mfn - MODEL_FIRST_MFN);
}

uint64_t entry_seen(uint64_t entry, uint32_t level, uint32_t *permissions)
{
    entry_check(entry);
    entry_check_level(entry, level);
    *permissions &= model_permissions(entry);
    if (*permissions == 0)
        return 0;
    if (!entry_is_leaf(entry, level))
        return entry;
    if (is_amd())
        return (entry & ~(3ull << 61)) | (uint64_t)*permissions << 61;
    return (entry & ~3ull) | *permissions;
}

uint64_t entry_piece(uint64_t entry, uint64_t bfn, uint32_t level)
{
    return (is_amd() || level == 1 ? entry : entry & ~LARGE) + ((bfn & (entry_span(level) - 1)) << 12);
}
