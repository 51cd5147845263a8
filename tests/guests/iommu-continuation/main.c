/* SPDX-License-Identifier: MIT */
/*
 * Rule: a long array is done in several entries of the same call. The caller sees nothing of it: each status
 * is written exactly once, the result is that of the whole, and every register is kept but RAX, RCX, R11 and
 * the argument registers.
 *
 * From: guest-abi/iommu_op.md, rule 4.
 *
 * Method: arrays of many lengths under continue-every=N, with every length up to 24, with a bad element at
 * every index of an array of 24, and with guard elements on both sides.
 *
 * Errors: those of the bad element.
 *
 * run: every-1 options="continue-every=1"
 * run: every-2 options="continue-every=2"
 * run: every-7 options="continue-every=7"
 * run: never
 */
#include "common/rule.h"

#define SHORT 24u
#define LONG  1500u

static struct iommu_map_op ops[LONG + 2];
static uint64_t bfn, mfn;

static struct iommu_map_op *prepare(uint32_t count)
{
    ops[0] = ops[count + 1] = (struct iommu_map_op){bfn + LONG, mfn, IOMMU_RW, 77};
    for (uint32_t i = 0; i < count; i++)
        ops[i + 1] = (struct iommu_map_op){bfn + i, mfn, IOMMU_RW, STATUS_NOT_REACHED};
    return ops + 1;
}

static void whole_array(uint32_t subop, uint32_t count)
{
    struct iommu_map_op *array = prepare(count);
    EXPECT_RETURN(iommu_op(subop, array, count), 0);
    for (uint32_t i = 0; i < count; i++)
        EXPECT(array[i].status == 0, "element %u of %u has status %d", i, count, array[i].status);
    EXPECT(ops[0].status == 77 && ops[count + 1].status == 77, "an element outside the array was touched");
    EXPECT_ABSENT(bfn + LONG);
}

static void bad_element(uint32_t at)
{
    struct iommu_map_op *array = prepare(SHORT);
    array[at].flags = 0x10;
    EXPECT_RETURN(iommu_op(IOMMUOP_map_page, array, SHORT), -EFAULT);
    for (uint32_t i = 0; i < SHORT; i++)
        EXPECT(array[i].status == (i < at    ? 0
                                   : i == at ? -EINVAL
                                             : STATUS_NOT_REACHED),
               "bad element %u: element %u has status %d", at, i, array[i].status);
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, prepare(SHORT), SHORT), 0);
}

static void registers_are_kept(void)
{
    register uint64_t r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
    uint64_t rdi = IOMMUOP_map_page, rsi = hypercall_pointer(prepare(LONG)), rdx = LONG, wrong;
    long result;
    __asm__ volatile("push %%rbx; push %%rbp; push %%r12; push %%r13; push %%r14; push %%r15\n\t"
                     "mov $0x1111, %%ebx; mov $0x2222, %%ebp; mov $0x3333, %%r9d; mov $0x4444, %%r12d\n\t"
                     "mov $0x5555, %%r13d; mov $0x6666, %%r14d; mov $0x7777, %%r15d\n\t"
                     "syscall\n\t"
                     "sub $0x1111, %%rbx; sub $0x2222, %%rbp; sub $0x3333, %%r9; sub $0x4444, %%r12\n\t"
                     "sub $0x5555, %%r13; sub $0x6666, %%r14; sub $0x7777, %%r15\n\t"
                     "mov %%rbx, %%rcx; or %%rbp, %%rcx; or %%r9, %%rcx; or %%r12, %%rcx\n\t"
                     "or %%r13, %%rcx; or %%r14, %%rcx; or %%r15, %%rcx\n\t"
                     "pop %%r15; pop %%r14; pop %%r13; pop %%r12; pop %%rbp; pop %%rbx"
                     : "=a"(result), "=&c"(wrong), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8)
                     : "0"((long)__HYPERVISOR_iommu_op)
                     : "r9", "r11", "memory", "cc");
    EXPECT_RETURN(result, 0);
    EXPECT(wrong == 0, "a register that must be kept has changed: 0x%lx", wrong);
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, prepare(LONG), LONG), 0);
}

void guest_main(void)
{
    need_iommu();
    bfn = unused_bfns(LONG + 1);
    mfn = own_mfn();
    for (uint32_t count = 1; count <= SHORT; count++) {
        whole_array(IOMMUOP_map_page, count);
        for (uint32_t i = 0; i < count; i++)
            EXPECT_MAPPED(bfn + i, mfn, IOMMU_RW);
        whole_array(IOMMUOP_unmap_page, count);
        for (uint32_t i = 0; i < count; i++)
            EXPECT_ABSENT(bfn + i);
    }
    whole_array(IOMMUOP_map_page, LONG);
    EXPECT_MAPPED(bfn + LONG - 1, mfn, IOMMU_RW);
    whole_array(IOMMUOP_unmap_page, LONG);
    EXPECT_ABSENT(bfn + LONG - 1);
    for (uint32_t at = 0; at < SHORT; at++)
        bad_element(at);
    registers_are_kept();
    report_success("a continued call looks like any other");
}
