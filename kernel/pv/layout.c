/* SPDX-License-Identifier: MIT */
#include "pv/layout.h"

#include "guest-abi/include/sluice/xen.h"
#include "mem/map.h"

#define PAGE       4096ull
#define SLACK      (512ull << 10)
#define V_END_STEP (4ull << 20)

static const char too_big[] = "it needs more memory than the guest has";

static uint64_t pages_of(uint64_t bytes)
{
    return bytes / PAGE + (bytes % PAGE != 0);
}

static uint64_t span(uint64_t start, uint64_t end, unsigned shift)
{
    return ((end - 1) >> shift) - (start >> shift) + 1;
}

struct table_counts table_counts_for(uint64_t start, uint64_t end)
{
    return (struct table_counts){
        .l3 = span(start, end, 39),
        .l2 = span(start, end, 30),
        .l1 = span(start, end, 21),
    };
}

static uint64_t counts_sum(const struct table_counts *counts)
{
    return counts->l3 + counts->l2 + counts->l1;
}

/* The tables map themselves, so their number and v_end depend on each other; both only grow. */
static bool plan_tables(struct guest_layout *layout, uint64_t offset)
{
    layout->tables = layout->v_start + offset;
    layout->table_pages = 1;
    for (;;) {
        uint64_t used = offset + layout->table_pages * PAGE + PAGE + SLACK;
        uint64_t end = 0;
        if (__builtin_add_overflow(layout->v_start, used + V_END_STEP - 1, &end))
            return false;
        layout->v_end = end & ~(V_END_STEP - 1);
        layout->counts = table_counts_for(layout->v_start, layout->v_end);
        uint64_t needed = 1 + counts_sum(&layout->counts);
        if (needed <= layout->table_pages)
            break;
        layout->table_pages = needed;
    }
    layout->stack_top = layout->tables + layout->table_pages * PAGE + PAGE;
    return true;
}

/* The list of INIT_P2M has L4 slots to itself, so that its tables and the kernel's are apart. */
static const char *plan_p2m_apart(struct guest_layout *layout, uint64_t start)
{
    uint64_t last = 0;
    if (__builtin_add_overflow(start, layout->p2m_pages * PAGE - 1, &last) || last == UINT64_MAX ||
        !address_is_canonical(last) || start >> 63 != last >> 63 ||
        (last >= HYPERVISOR_VIRT_START && start < HYPERVISOR_VIRT_END))
        return "the P2M list at its INIT_P2M note reaches addresses a guest cannot have";
    if (start >> 39 <= (layout->v_end - 1) >> 39 && last >> 39 >= layout->v_start >> 39)
        return "its INIT_P2M note points into the kernel's own 512 GiB slot";
    layout->p2m_va = start;
    layout->p2m_counts = table_counts_for(start, last + 1);
    layout->p2m_table_pages = counts_sum(&layout->p2m_counts);
    return NULL;
}

const char *guest_layout_plan(const struct guest_image *image, uint64_t module_size, uint64_t nr_pages,
                              struct guest_layout *layout)
{
    uint64_t memory = nr_pages * PAGE;
    *layout = (struct guest_layout){.v_start = image->virt_base, .p2m_apart = image->has_init_p2m};
    /* With both below the guest's memory no sum below can overflow. */
    if (nr_pages > UINT64_MAX / PAGE / 16 || image->kernel_end - image->virt_base > memory ||
        module_size > memory)
        return too_big;

    uint64_t offset = pages_of(image->kernel_end - image->virt_base) * PAGE;
    bool module_mapped = module_size != 0 && !image->module_by_pfn;
    if (module_mapped) {
        layout->module_pfn = offset / PAGE;
        layout->module_va = layout->v_start + offset;
        offset += pages_of(module_size) * PAGE;
    }
    layout->p2m_pages = pages_of(nr_pages * sizeof(uint64_t));
    if (!layout->p2m_apart) {
        layout->p2m_pfn = offset / PAGE;
        layout->p2m_va = layout->v_start + offset;
        offset += layout->p2m_pages * PAGE;
    }
    layout->start_info = layout->v_start + offset;
    offset += PAGE;
    if (offset > memory)
        return too_big;
    if (!plan_tables(layout, offset) || layout->v_start >> 63 != (layout->v_end - 1) >> 63 ||
        !address_is_canonical(layout->v_end - 1) ||
        (layout->v_end > HYPERVISOR_VIRT_START && layout->v_start < HYPERVISOR_VIRT_END))
        return "its initial memory does not fit between VIRT_BASE and the end of the address space";

    uint64_t next = (layout->v_end - layout->v_start) / PAGE;
    if (module_size != 0 && image->module_by_pfn) {
        layout->module_pfn = next;
        next += pages_of(module_size);
    }
    if (layout->p2m_apart) {
        const char *reason = plan_p2m_apart(layout, image->init_p2m);
        if (reason != NULL)
            return reason;
        layout->p2m_table_pfn = next;
        layout->p2m_pfn = next + layout->p2m_table_pages;
        next = layout->p2m_pfn + layout->p2m_pages;
    }
    layout->pages_needed = next;
    return next <= nr_pages ? NULL : too_big;
}
