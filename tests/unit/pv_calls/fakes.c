/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include "cpu/features.h"
#include "cpu/time.h"
#include "lib/log.h"
#include "pv/ptwr.h"
#include "pv/tlb.h"

#include <string.h>

struct fakes fake;
struct guest guest;
struct memory_range memory_ranges[MEMORY_RANGES_MAX];
uint32_t memory_range_count;

static struct shared_info shared;

int fresh(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    memset(&guest, 0, sizeof guest);
    memset(&shared, 0, sizeof shared);
    guest.shared = &shared;
    guest.vcpu = &shared.vcpu_info[0];
    guest.nr_pages = 1000;
    guest.slots = HYPERCALL_SLOTS;
    memory_range_count = 0;
    return 0;
}

void *at(uint64_t guest_address)
{
    return &fake.memory[guest_address - GUEST_BASE];
}

uint64_t word(uint64_t guest_address)
{
    uint64_t value;

    memcpy(&value, at(guest_address), sizeof value);
    return value;
}

long syscall_with(struct cpu_regs *regs, uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2)
{
    regs->rax = number;
    regs->rdi = a0;
    regs->rsi = a1;
    regs->rdx = a2;
    pv_guest_syscall(regs);
    return (long)regs->rax;
}

void guest_linear_set(uint64_t base)
{
    (void)base;
}

bool guest_emulate_table_write(struct cpu_regs *regs, uint64_t address)
{
    (void)regs;
    (void)address;
    return false;
}

void tlb_load(uint64_t l4_mfn)
{
    fake.loaded_l4 = l4_mfn;
}

void gs_bases_swap(void)
{
    fake.gs_swaps++;
}

void gs_load(uint16_t selector)
{
    (void)selector;
}

void cpu_sysenter_enable(void)
{
    fake.sysenter_enabled = true;
}

static int bad_range(uint64_t address, size_t count)
{
    return count && (address < GUEST_BASE || address >= GUEST_END || count > GUEST_END - address);
}

int copy_from_guest(void *destination, uint64_t address, size_t count)
{
    if (bad_range(address, count))
        return -EFAULT;
    memcpy(destination, at(address), count);
    return 0;
}

int get_guest_words3(uint64_t words[3], uint64_t address)
{
    return copy_from_guest(words, address, 24);
}

int copy_to_guest(uint64_t address, const void *source, size_t count)
{
    if (bad_range(address, count))
        return -EFAULT;
    memcpy(at(address), source, count);
    return 0;
}

int get_guest_words8(uint64_t words[8], uint64_t address)
{
    return copy_from_guest(words, address, 8 * sizeof(words[0]));
}

int get_guest_words(uint64_t *words, uint64_t address, size_t count)
{
    return copy_from_guest(words, address, count * sizeof *words);
}

int put_guest_words(uint64_t address, const uint64_t *words, size_t count)
{
    return copy_to_guest(address, words, count * sizeof *words);
}

int put_guest_u64(uint64_t address, uint64_t value)
{
    return copy_to_guest(address, &value, sizeof value);
}

int put_guest_u32(uint64_t address, uint32_t value)
{
    return copy_to_guest(address, &value, sizeof value);
}

bool cpu_preemption_point(void)
{
    return ++fake.preemption_points == fake.preempt_at;
}

_Noreturn void guest_crash(const struct cpu_regs *regs, const char *format, ...)
{
    (void)regs;
    fake.crash_format = format;
    longjmp(fake.crash, 1);
}

void log_guest(const char *text, size_t length)
{
    assert_true(fake.console_length + length <= sizeof fake.console);
    memcpy(&fake.console[fake.console_length], text, length);
    fake.console_length += length;
}

uint64_t memory_max_mfn(void)
{
    return 0x20001;
}

enum emulation guest_io(struct cpu_regs *regs, const struct insn *insn)
{
    (void)regs;
    (void)insn;
    return EMULATION_REFUSED;
}

bool iopl_covers_mode(void)
{
    return fake.level_covers;
}

struct cpu_features cpu_features;

uint64_t time_tsc_khz(void)
{
    return 1000000;
}

long do_mmu_update(struct cpu_regs *regs, const struct hypercall_args *args)
{
    fake.calls++;
    fake.last = *args;
    if (fake.continuations) {
        struct hypercall_args rest = *args;

        fake.continuations--;
        rest.a[1]++;
        return hypercall_continue(regs, &rest);
    }
    return fake.result;
}

#define UNUSED_CALL(name)                                                                                    \
    long name(struct cpu_regs *regs, const struct hypercall_args *args)                                      \
    {                                                                                                        \
        (void)regs;                                                                                          \
        (void)args;                                                                                          \
        return 0;                                                                                            \
    }
UNUSED_CALL(do_update_va_mapping)
UNUSED_CALL(do_set_gdt)
UNUSED_CALL(do_update_descriptor)
UNUSED_CALL(do_mmuext_op)
UNUSED_CALL(do_sched_op)
UNUSED_CALL(do_physdev_op)
UNUSED_CALL(do_iommu_op)
