/* SPDX-License-Identifier: MIT */
#include "pv/start_info.h"

#include "lib/string.h"

#define PAGE                4096u
#define STUB_SIZE           32u
#define LFB_UNIT_SHIFT      16 /* lfb_size counts 64 KiB */
#define CONSOLE_INFO_OFFSET ((sizeof(struct start_info) + 15) & ~(size_t)15)

_Static_assert(CONSOLE_INFO_OFFSET + sizeof(struct dom0_vga_console_info) <= PAGE, "one page holds both");
_Static_assert(sizeof(struct shared_info) <= PAGE, "one page");

static void describe_framebuffer(struct dom0_vga_console_info *console,
                                 const struct boot_framebuffer *framebuffer)
{
    bool red_first = framebuffer->format == BOOT_PIXEL_RGBX;

    console->video_type = XEN_VGATYPE_EFI_LFB;
    console->u.vesa_lfb.width = (uint16_t)framebuffer->width;
    console->u.vesa_lfb.height = (uint16_t)framebuffer->height;
    console->u.vesa_lfb.bytes_per_line = (uint16_t)(framebuffer->pitch * 4);
    console->u.vesa_lfb.bits_per_pixel = 32;
    console->u.vesa_lfb.lfb_base = (uint32_t)framebuffer->base;
    console->u.vesa_lfb.ext_lfb_base = (uint32_t)(framebuffer->base >> 32);
    console->u.vesa_lfb.lfb_size =
        (uint32_t)((framebuffer->size + (1u << LFB_UNIT_SHIFT) - 1) >> LFB_UNIT_SHIFT);
    console->u.vesa_lfb.red_pos = red_first ? 0 : 16;
    console->u.vesa_lfb.green_pos = 8;
    console->u.vesa_lfb.blue_pos = red_first ? 16 : 0;
    console->u.vesa_lfb.rsvd_pos = 24;
    console->u.vesa_lfb.red_size = 8;
    console->u.vesa_lfb.green_size = 8;
    console->u.vesa_lfb.blue_size = 8;
    console->u.vesa_lfb.rsvd_size = 8;
}

void start_info_fill(void *page, const struct start_info_facts *facts)
{
    const struct guest_layout *layout = facts->layout;
    struct start_info *info = page;

    memset(page, 0, PAGE);
    memcpy(info->magic, START_INFO_MAGIC, sizeof(START_INFO_MAGIC));
    info->nr_pages = facts->nr_pages;
    info->shared_info = facts->shared_mfn * PAGE;
    info->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    info->pt_base = layout->tables;
    info->nr_pt_frames = layout->table_pages;
    info->mfn_list = layout->p2m_va;
    if (facts->module_size != 0) {
        info->mod_len = facts->module_size;
        if (facts->image->module_by_pfn) {
            info->mod_start = layout->module_pfn;
            info->flags |= SIF_MOD_START_PFN;
        } else {
            info->mod_start = layout->module_va;
        }
    }
    if (layout->p2m_apart) {
        info->first_p2m_pfn = layout->p2m_table_pfn;
        info->nr_p2m_frames = layout->p2m_table_pages + layout->p2m_pages;
    }
    if (facts->framebuffer->format != BOOT_PIXEL_NONE && facts->framebuffer->base != 0) {
        info->console.dom0.info_off = CONSOLE_INFO_OFFSET;
        info->console.dom0.info_size = sizeof(struct dom0_vga_console_info);
        describe_framebuffer((struct dom0_vga_console_info *)((uint8_t *)page + CONSOLE_INFO_OFFSET),
                             facts->framebuffer);
    }
    if (facts->cmdline != NULL) {
        uint64_t room =
            facts->cmdline_size < MAX_GUEST_CMDLINE - 1 ? facts->cmdline_size : MAX_GUEST_CMDLINE - 1;
        memcpy(info->cmd_line, facts->cmdline, strnlen(facts->cmdline, room));
    }
}

void shared_info_fill(struct shared_info *shared)
{
    for (uint32_t i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        shared->vcpu_info[i].evtchn_upcall_mask = 1;
}

/* Slot 23 keeps RAX as well: the iret frame it leaves on the stack wants it, and it does not return. */
static const uint8_t stub_head[] = {0x51, 0x41, 0x53, 0xb8};             /* push rcx, r11; mov eax */
static const uint8_t stub_tail[] = {0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3}; /* syscall; pop r11, rcx; ret */
static const uint8_t iret_head[] = {0x51, 0x41, 0x53, 0x50, 0xb8};       /* push rcx, r11, rax; mov eax */
static const uint8_t iret_tail[] = {0x0f, 0x05};                         /* syscall */

static void put_stub(uint8_t *stub, uint32_t slot)
{
    bool is_iret = slot == __HYPERVISOR_iret;
    const uint8_t *head = is_iret ? iret_head : stub_head;
    size_t head_size = is_iret ? sizeof(iret_head) : sizeof(stub_head);
    const uint8_t *tail = is_iret ? iret_tail : stub_tail;
    size_t tail_size = is_iret ? sizeof(iret_tail) : sizeof(stub_tail);

    memcpy(stub, head, head_size);
    memcpy(stub + head_size, &slot, sizeof(slot));
    memcpy(stub + head_size + sizeof(slot), tail, tail_size);
}

void hypercall_page_fill(uint8_t *page)
{
    memset(page, 0xcc, PAGE); /* INT3: whoever jumps between the stubs learns it at once */
    for (uint32_t slot = 0; slot < PAGE / STUB_SIZE; slot++)
        put_stub(page + slot * STUB_SIZE, slot);
}
