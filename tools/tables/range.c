/* SPDX-License-Identifier: MIT */
#include "tools/tables/range.h"

#define PAGE        4096u
#define MSI_BASE    0xfee00000u
#define MSI_BYTES   0x100000u
#define LARGE_BYTES (1ull << 30)
#define TOTAL_BYTES (4ull << 30) /* what drivers/iommu/reserved.c honours in all */

#define ADVICE_LARGE                                                                                         \
    "See which device it is for; a setting of the firmware may make it smaller, as for the memory of "       \
    "graphics."

bool is_beyond(uint64_t address, uint32_t address_bits)
{
    return address_bits < 64 && address >> address_bits != 0;
}

bool overlap(uint64_t base, uint64_t limit, uint64_t other_base, uint64_t other_limit)
{
    return base <= other_limit && other_base <= limit;
}

void ranges_begin(struct ranges *ranges, uint32_t address_bits)
{
    ranges->count = ranges->blocked_count = 0;
    ranges->address_bits = address_bits;
    ranges_block(ranges, MSI_BASE, MSI_BYTES, "the interrupt window");
}

void ranges_block(struct ranges *ranges, uint64_t base, uint64_t size, const char *what)
{
    uint64_t limit = size - 1 > UINT64_MAX - base ? UINT64_MAX : base + size - 1;

    if (base != 0 && ranges->blocked_count < sizeof ranges->blocked / sizeof *ranges->blocked)
        ranges->blocked[ranges->blocked_count++] = (struct range){.base = base, .limit = limit, .what = what};
}

void ranges_want(struct ranges *ranges, struct range range)
{
    if (ranges->count < RANGES_MAX)
        ranges->list[ranges->count++] = range;
}

static struct place at(const struct range *range, enum severity severity, const char *advice)
{
    return (struct place){severity, range->what, range->offset, advice};
}

/* Only one reason is given: a range that is refused is refused. */
static bool check_refused(const struct ranges *ranges, const struct range *range, struct remarks *remarks)
{
    if (is_beyond(range->limit, ranges->address_bits)) {
        remark(remarks, at(range, SEVERITY_ERROR, ADVICE_UPDATE),
               "its memory lies beyond the machine's %u bits of address: Sluice refuses it, and devices that "
               "it names stay blocked",
               ranges->address_bits);
        return true;
    }
    for (uint32_t i = 0; i < ranges->blocked_count; i++) {
        const struct range *blocked = &ranges->blocked[i];

        if (!overlap(range->base, range->limit, blocked->base, blocked->limit))
            continue;
        remark(remarks, at(range, SEVERITY_ERROR, ADVICE_UPDATE),
               "its memory lies over %s: Sluice refuses it, and devices that it names stay blocked",
               blocked->what);
        return true;
    }
    return false;
}

static void check_size(const struct range *range, uint64_t *total, struct remarks *remarks)
{
    uint64_t bytes = range->limit - range->base; /* one less, so that all of memory has a size, too */

    if (bytes >= TOTAL_BYTES - *total)
        remark(remarks, at(range, SEVERITY_ERROR, ADVICE_LARGE),
               "with those before it there are more than 4 GiB of reserved memory: Sluice refuses this one, "
               "and devices that it names stay blocked");
    else if (bytes >= LARGE_BYTES)
        remark(remarks, at(range, SEVERITY_WARNING, ADVICE_LARGE),
               "more than 1 GiB is reserved for devices: guests do not get it");
    if (bytes < TOTAL_BYTES - *total)
        *total += bytes + 1;
}

static void check_pages(const struct range *range, struct remarks *remarks)
{
    if (range->base % PAGE == 0 && range->limit % PAGE == PAGE - 1)
        return;
    remark(remarks, at(range, SEVERITY_WARNING, ADVICE_UPDATE),
           "it does not begin and end with a page: its devices reach the whole pages, which is more than "
           "firmware "
           "asks for");
}

/* The same memory again may be for other devices. */
static void check_overlap(const struct ranges *ranges, uint32_t index, struct remarks *remarks)
{
    const struct range *later = &ranges->list[index];

    for (uint32_t i = 0; i < index; i++) {
        const struct range *earlier = &ranges->list[i];

        if (!overlap(earlier->base, earlier->limit, later->base, later->limit) ||
            (earlier->base == later->base && earlier->limit == later->limit))
            continue;
        remark(remarks, at(later, SEVERITY_NOTE, ADVICE_HARMLESS),
               "part of its memory is reserved by the %s at byte 0x%x, too: Sluice honours both",
               earlier->what, earlier->offset);
        return;
    }
}

void ranges_check(const struct ranges *ranges, struct remarks *remarks)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct range *range = &ranges->list[i];

        check_pages(range, remarks);
        if (!check_refused(ranges, range, remarks))
            check_size(range, &total, remarks);
        check_overlap(ranges, i, remarks);
    }
}
