/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_random/judge.h"

#include "tests/unit/iommu_engine/model.h"

#include <stddef.h>
#include <string.h>

#define RW      (IOMMU_READ | IOMMU_WRITE)
#define WATCHED 64u
#define NEAR    1024u

struct judge_change judge_change;
uint64_t judge_released;

static const struct iommu_context *context;
static uint32_t led_to[FLAT_PAGES_MAX]; /* the frame, times 4, and the permissions; 0: nothing */
static uint32_t watched[WATCHED], watched_count;
static uint64_t numbers, released_sum;

/* Not those that choose the operations: what devices do changes nothing. */
static uint32_t below(uint32_t limit)
{
    numbers = numbers * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((numbers >> 33) % limit);
}

static uint32_t pack(uint64_t translation)
{
    return (uint32_t)(translation >> 10 | (translation & RW));
}

static uint32_t packed(uint64_t mfn, uint32_t flags)
{
    return (flags & RW) != 0 ? (uint32_t)(mfn << 2) | (flags & RW) : 0;
}

/* ---- memory ---- */

/* Whether the operation makes that of the page; of a list, one page may be changed several times. */
static bool is_asked_for(uint32_t page, uint32_t to)
{
    const struct judge_change *by = &judge_change;
    uint32_t offset = page - by->page;

    for (uint32_t i = 0; i < by->count; i++)
        if (by->list[i].page == page && packed(by->list[i].mfn, by->list[i].flags) == to)
            return true;
    return by->count == 0 && offset < by->frames && packed(by->mfn + offset, by->flags) == to;
}

static void see_change(uint64_t bfn, uint64_t frames, uint64_t old, uint64_t new)
{
    uint32_t first;

    model_require(flat_page_of(bfn, &first));
    for (uint32_t i = 0; i < frames; i++) {
        uint32_t page = first + i, from = old != 0 ? pack(old + ((uint64_t)i << 12)) : 0;
        uint32_t to = new != 0 ? pack(new + ((uint64_t)i << 12)) : 0;

        model_require(led_to[page] == from);
        model_require(is_asked_for(page, to));
        led_to[page] = to;
    }
}

static bool is_as_asked(uint32_t page)
{
    return led_to[page] == packed(flat.pages[page].mfn, flat.pages[page].flags);
}

void judge_operation(void)
{
    const struct judge_change *by = &judge_change;

    for (uint32_t i = 0; i < by->count; i++)
        model_require(is_as_asked(by->list[i].page));
    for (uint32_t i = 0; i < by->frames && by->count == 0 && by->page + i < flat.page_count; i++)
        model_require(is_as_asked(by->page + i));
}

void judge_cut_short(void)
{
    const struct judge_change *by = &judge_change;

    for (uint32_t i = 0; i < by->frames && by->count == 0 && by->page + i < flat.page_count; i++)
        model_require(is_as_asked(by->page + i) || is_asked_for(by->page + i, led_to[by->page + i]));
}

/* ---- devices ---- */

/* Until the next flush a unit may use what was there; what is new may not be written back yet. */
static bool may_be_seen(uint32_t page, uint64_t translation)
{
    if (pack(translation) == led_to[page])
        return true;
    return model_is_stale(flat_bfn(page), translation) || (translation == 0 && !model.coherent);
}

static void look_at(uint32_t unit, uint32_t page)
{
    uint64_t entry = model_translate(unit, context, flat_bfn(page), below(4) != 0);

    model_require(may_be_seen(page, model_translation(entry)));
    watched[watched_count++ % WATCHED] = page;
}

void judge_look(uint32_t near)
{
    uint32_t unit = below(model.units);

    look_at(unit, (near + below(NEAR)) % flat.page_count);
    look_at(unit, near);
    look_at(unit, below(flat.page_count));
}

static void look_after_store(void)
{
    if (below(64) == 0)
        judge_look(judge_change.count != 0 ? judge_change.list[0].page : judge_change.page);
}

static void look_meanwhile(uint32_t unit)
{
    look_at(unit, watched[below(WATCHED)]);
    look_at(unit, below(flat.page_count));
}

/* ---- releases ---- */

static void see_release(uint64_t mfn, uint32_t flags)
{
    judge_released++;
    released_sum += flat_sum(mfn, flags);
}

void judge_given_back(uint32_t page, uint64_t mfn, uint32_t flags)
{
    model_require(!model_is_stale(flat_bfn(page), mfn << 12 | (flags & RW)));
    see_release(mfn, flags);
}

void judge_flush(void)
{
    uint32_t count = watched_count < WATCHED ? watched_count : WATCHED;

    model_require(model_stale() == 0);
    model_require(model_is_written_back());
    model_require(judge_released == flat.removed);
    model_require(released_sum == flat.removed_sum);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t entry = model_translate(below(model.units), context, flat_bfn(watched[i]), true);

        model_require(pack(model_translation(entry)) == led_to[watched[i]]);
    }
}

void judge_begin(const struct iommu_context *of, uint64_t seed)
{
    context = of;
    numbers = seed;
    watched_count = 0;
    memset(watched, 0, sizeof watched);
    judge_released = released_sum = 0;
    memset(led_to, 0, flat.page_count * sizeof *led_to);
    for (uint32_t page = 0; page < flat.page_count && flat.held != 0; page++)
        led_to[page] = packed(flat.pages[page].mfn, flat.pages[page].flags);
    judge_change = (struct judge_change){0};
    model.on_change = see_change;
    model.on_release = see_release;
    model.on_store = look_after_store;
    model.on_delay = look_meanwhile;
}
