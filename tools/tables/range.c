/* SPDX-License-Identifier: MIT */
#include "tools/tables/range.h"

#include "tools/tables/tree.h"

#define PAGE        4096u
#define MSI_BASE    0xfee00000u
#define MSI_BYTES   0x100000u
#define LARGE_PAGES (1ull << 18) /* 1 GiB */
#define TOTAL_PAGES (1ull << 20) /* 4 GiB: what drivers/iommu/reserved.c honours in all */

#define ADVICE_LARGE                                                                                         \
    "See which device it is for; a setting of the firmware may make it smaller, as for the memory of "       \
    "graphics."

#define ADVICE_LOG "Sluice's log tells at boot whether it honours the range."

bool is_beyond(uint64_t address, uint32_t address_bits)
{
    return address_bits < 64 && address >> address_bits != 0;
}

bool overlap(uint64_t base, uint64_t limit, uint64_t other_base, uint64_t other_limit)
{
    return base <= other_limit && other_base <= limit;
}

void ranges_begin(struct ranges *ranges, uint32_t kept, uint32_t address_bits)
{
    ranges->count = ranges->blocked.count = ranges->doubted.count = 0;
    ranges->kept = kept;
    ranges->address_bits = address_bits;
    ranges_block(ranges, MSI_BASE, MSI_BYTES, "the interrupt window");
}

static void add_window(struct windows *windows, uint64_t base, uint64_t size, const char *what)
{
    uint64_t limit = size - 1 > UINT64_MAX - base ? UINT64_MAX : base + size - 1;

    if (base != 0 && windows->count < WINDOWS_MAX)
        windows->list[windows->count++] = (struct range){.base = base, .limit = limit, .what = what};
}

void ranges_block(struct ranges *ranges, uint64_t base, uint64_t size, const char *what)
{
    add_window(&ranges->blocked, base, size, what);
}

void ranges_doubt(struct ranges *ranges, uint64_t base, uint64_t size, const char *what)
{
    add_window(&ranges->doubted, base, size, what);
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

/* What lies in the way of the range's pages, or NULL. */
static const char *what_meets(const struct windows *windows, const struct range *range)
{
    for (uint32_t i = 0; i < windows->count; i++)
        if (overlap(range->base & ~(uint64_t)(PAGE - 1), range->limit | (PAGE - 1), windows->list[i].base,
                    windows->list[i].limit))
            return windows->list[i].what;
    return NULL;
}

static const char *cost_text(const struct range *range)
{
    return range->names_nobody ? "nobody reaches it" : "devices that it names stay blocked";
}

/* Only one reason is given: a range that is refused is refused. */
static bool check_place(const struct ranges *ranges, const struct range *range, struct remarks *remarks)
{
    const char *what = what_meets(&ranges->blocked, range);

    if (is_beyond(range->limit, ranges->address_bits)) {
        remark(remarks, at(range, SEVERITY_ERROR, ADVICE_UPDATE),
               "its memory lies beyond the %u bit%s of address that the table gives the machine: unless the "
               "CPU and the units have more, Sluice refuses it, and %s",
               ranges->address_bits, plural(ranges->address_bits), cost_text(range));
        return false;
    }
    if (what != NULL) {
        remark(remarks, at(range, SEVERITY_ERROR, ADVICE_UPDATE),
               "its memory lies over %s: Sluice refuses it, and %s", what, cost_text(range));
        return false;
    }
    what = what_meets(&ranges->doubted, range);
    if (what != NULL)
        remark(remarks, at(range, SEVERITY_NOTE, ADVICE_LOG),
               "its memory lies over %s, if that has any: Sluice refuses it then, and %s", what,
               cost_text(range));
    return true;
}

/* Less 1, so that all of memory has a number, too. */
static uint64_t pages_less_one(const struct range *range)
{
    return range->limit / PAGE - range->base / PAGE;
}

/* What Sluice has honoured before. */
struct honoured {
    uint64_t pages;
    uint32_t count;
    const struct range *list[RANGES_MAX];
};

static bool check_size(const struct range *range, const struct honoured *before, struct remarks *remarks)
{
    if (pages_less_one(range) >= TOTAL_PAGES - before->pages) {
        remark(remarks, at(range, SEVERITY_ERROR, ADVICE_LARGE),
               "with those before it there are more than 4 GiB of reserved memory: Sluice refuses this one, "
               "and %s",
               cost_text(range));
        return false;
    }
    if (pages_less_one(range) >= LARGE_PAGES)
        remark(remarks, at(range, SEVERITY_WARNING, ADVICE_LARGE),
               "more than 1 GiB is reserved for devices: guests do not get it");
    return true;
}

static bool is_same(const struct range *one, const struct range *other)
{
    return one->base / PAGE == other->base / PAGE && one->limit / PAGE == other->limit / PAGE &&
           one->access == other->access;
}

static void count_in(const struct range *range, uint32_t kept, struct honoured *before,
                     struct remarks *remarks)
{
    uint32_t i = 0;

    while (i < before->count && !is_same(before->list[i], range))
        i++;
    if (i == kept) {
        remark(remarks, at(range, SEVERITY_ERROR, ADVICE_LIMIT),
               "there are more than Sluice keeps: it honours %u different ranges and refuses this one, and "
               "%s",
               kept, cost_text(range));
        return;
    }
    if (i == before->count)
        before->list[before->count++] = range;
    before->pages += pages_less_one(range) + 1;
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
    static struct honoured honoured;

    honoured.pages = honoured.count = 0;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct range *range = &ranges->list[i];

        check_pages(range, remarks);
        if (check_place(ranges, range, remarks) && check_size(range, &honoured, remarks))
            count_in(range, ranges->kept, &honoured, remarks);
        check_overlap(ranges, i, remarks);
    }
}
