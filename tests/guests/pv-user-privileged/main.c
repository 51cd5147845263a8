/* SPDX-License-Identifier: MIT */
/*
 * Rule: in user mode every privileged instruction is #GP, but for CLI and STI at virtual I/O privilege level
 * 3 and ports that this or a clear bit of the bitmap opens. The bitmap is the kernel's memory, whatever user
 * mode has at its address. CPUID behind the prefix is answered; SMSW and STR are the processor's.
 *
 * From: guest-abi/instructions.md; guest-abi/hypercalls.md, physdev_op.
 *
 * Method: each instruction from user mode at each level; a bitmap that user mode has another page for.
 *
 * Errors: none.
 *
 * run: default
 * run: poor-cpu cpu="qemu64"
 */
#include "common/user.h"

static struct code_regs regs;

static void set_level(uint32_t level)
{
    struct physdev_set_iopl request = {level};
    EXPECT_RETURN(physdev_op(PHYSDEVOP_set_iopl, &request), 0);
}

static void set_bitmap(uint64_t bitmap, uint32_t ports)
{
    struct physdev_set_iobitmap request = {bitmap, ports};
    EXPECT_RETURN(physdev_op(PHYSDEVOP_set_iobitmap, &request), 0);
}

static void privileged_is_gp(void)
{
    set_level(3);
    EXPECT(!USER_WORKS(&regs, 0xf4), "hlt");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x06), "clts");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x09), "wbinvd");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x32), "rdmsr");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x30), "wrmsr");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x33), "rdpmc");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x20, 0xc0), "mov %%cr0, %%rax");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x20, 0xd8), "mov %%cr3, %%rax");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x22, 0xd0), "mov %%rax, %%cr2");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x21, 0xf0), "mov %%dr6, %%rax");
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x23, 0xc0), "mov %%rax, %%dr0");
    struct trap_result seen = USER(&regs, 0x0f, 0x01, 0xd1);
    EXPECT(seen.trapped && seen.rip == 0, "xsetbv");
    EXPECT(USER_WORKS(&regs, 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2), "forced cpuid");
    EXPECT(USER_WORKS(&regs, 0x0f, 0x01, 0xe0), "smsw %%eax");
    EXPECT(USER_WORKS(&regs, 0x0f, 0x00, 0xc8), "str %%eax");
}

/* CR4.TSD takes the counter from user mode, whose kernel may set it. */
static void the_counter_is_the_kernels_to_give(void)
{
    EXPECT(USER_WORKS(&regs, 0x0f, 0x31), "rdtsc");
    CODE_WORKS("mov %cr4, %rax", &regs, 0x0f, 0x20, 0xe0);
    regs.rax |= 4;
    CODE_WORKS("mov %rax, %cr4", &regs, 0x0f, 0x22, 0xe0);
    EXPECT(!USER_WORKS(&regs, 0x0f, 0x31), "rdtsc under CR4.TSD");
    regs.rax &= ~4ul;
    CODE_WORKS("mov %rax, %cr4", &regs, 0x0f, 0x22, 0xe0);
    EXPECT(USER_WORKS(&regs, 0x0f, 0x31), "rdtsc after CR4.TSD");
}

static bool user_opens(uint16_t port, uint32_t bytes)
{
    regs = (struct code_regs){.rdx = port};
    return bytes == 1 ? USER_WORKS(&regs, 0xec) : USER_WORKS(&regs, 0xed);
}

static void levels(void)
{
    static uint8_t buffer[8];
    for (uint32_t level = 0; level <= 3; level++) {
        set_level(level);
        EXPECT(USER_WORKS(&regs, 0xfa) == (level == 3), "cli at level %u", level);
        EXPECT(USER_WORKS(&regs, 0xfb) == (level == 3), "sti at level %u", level);
        EXPECT(user_opens(0x80, 1) == (level == 3), "in at level %u", level);
        EXPECT(USER_WORKS(&regs, 0xe6, 0x80) == (level == 3), "out at level %u", level);
        regs = (struct code_regs){
            .rdx = 0x80, .rsi = hypercall_pointer(buffer), .rdi = hypercall_pointer(buffer)};
        EXPECT(USER_WORKS(&regs, 0x6e) == (level == 3), "outsb at level %u", level);
        EXPECT(USER_WORKS(&regs, 0x6c) == (level == 3), "insb at level %u", level);
    }
    set_level(1);
}

/* A page fault in a string instruction of user mode is user mode's. */
static void faults_are_the_users(void)
{
    set_level(3);
    regs = (struct code_regs){.rdx = 0x80, .rsi = 0x10};
    struct trap_result seen = USER(&regs, 0x6e);
    EXPECT(seen.trapped && seen.vector == TRAP_PAGE_FAULT && seen.error_code == PF_USER &&
               seen.address == 0x10 && seen.rip == 0,
           "vector %u, error code 0x%x at 0x%lx", seen.vector, seen.error_code, seen.address);
    set_level(1);
}

/* One page at an address of the kernel's, another at the same address of user mode's. */
static void the_bitmap_is_the_kernels(void)
{
    static struct table kernel[5], user[5];
    uint64_t closed = pfn_to_mfn(frame_take_from_end()), opened = pfn_to_mfn(frame_take_from_end());
    uint8_t *view = map_frame(closed, MAP_RAM);
    memset(view, 0xff, PAGE_SIZE);
    unmap_frames(view, 1);
    view = map_frame(opened, MAP_RAM);
    memset(view, 0, PAGE_SIZE);
    unmap_frames(view, 1);
    tree_begin(kernel, closed << PAGE_SHIFT | MAP_RAM_READ);
    tree_begin(user, opened << PAGE_SHIFT | MAP_RAM_READ);
    const uint32_t slot = 0x55;
    const uint64_t bitmap = (uint64_t)slot << 39;
    EXPECT_RETURN(set_entry(loaded_l4(), slot, table_link(&kernel[3])), 0);
    EXPECT_RETURN(set_entry(user_l4.mfn, slot, table_link(&user[3])), 0);
    EXPECT_RETURN(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
    set_bitmap(bitmap, 4096);
    EXPECT(!user_opens(0x80, 1), "user mode's own bitmap opens port 0x80");
    view = map_frame(closed, MAP_RAM);
    view[0x80 / 8] = 0xfe;
    EXPECT(user_opens(0x80, 1) && !user_opens(0x81, 1) && !user_opens(0x80, 4), "the kernel's does not");
    set_bitmap(bitmap + PAGE_SIZE, 4096);
    EXPECT(!user_opens(0x80, 1), "a bitmap that is not there opens port 0x80");
    set_bitmap(0, 0);
}

void guest_main(void)
{
    user_begin();
    privileged_is_gp();
    the_counter_is_the_kernels_to_give();
    levels();
    faults_are_the_users();
    the_bitmap_is_the_kernels();
    report_success("user mode may do what its kernel lets it");
}
