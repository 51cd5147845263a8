/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include "cpu/features.h"
#include "cpu/rtc.h"
#include "cpu/serial.h"
#include "cpu/time.h"
#include "lib/log.h"
#include "mem/frame.h"
#include "pv/descriptor.h"
#include "pv/device_write.h"
#include "pv/ptwr.h"
#include "pv/tlb.h"

#include <string.h>

struct fakes fake;
struct guest guest;
struct memory_range memory_ranges[MEMORY_RANGES_MAX];
uint32_t memory_range_count;

static struct shared_info shared;
static struct frame frames[FAKE_FRAMES];
struct frame *frame_table = frames;
uint64_t frame_table_count = FAKE_FRAMES;
uint64_t test_direct_base;

int fresh(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    memset(&guest, 0, sizeof guest);
    memset(&shared, 0, sizeof shared);
    for (unsigned int mfn = 0; mfn < FAKE_FRAMES; mfn++)
        frames[mfn] = (struct frame){.owner = FRAME_GUEST};
    test_direct_base = (uint64_t)(uintptr_t)fake.memory;
    guest.shared = &shared;
    guest.vcpu = &shared.vcpu_info[0];
    guest.nr_pages = 1000;
    guest.slots = HYPERCALL_SLOTS;
    memory_range_count = 0;
    return 0;
}

uint64_t segment_base(uint16_t selector)
{
    (void)selector;
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

bool guest_emulate_device_write(struct cpu_regs *regs, uint64_t address)
{
    (void)regs;
    (void)address;
    return false;
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

bool in_guest(uint64_t address, size_t count)
{
    return !bad_range(address, count);
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
    if (bad_range(address, count) || (fake.read_only_from && address + count > fake.read_only_from))
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

int get_guest_u32(uint32_t *value, uint64_t address)
{
    return copy_from_guest(value, address, sizeof *value);
}

int put_guest_u64(uint64_t address, uint64_t value)
{
    return copy_to_guest(address, &value, sizeof value);
}

int put_guest_u32(uint64_t address, uint32_t value)
{
    return copy_to_guest(address, &value, sizeof value);
}

void cpu_request_preemption(void)
{
    fake.preemption_requests++;
}

/* ---- time ---- */

uint64_t time_now_ns(void)
{
    return fake.now;
}

struct time_scale time_scale(void)
{
    return (struct time_scale){.base = 1000, .mul = 0x80000000, .shift = 1};
}

uint64_t rtc_read(void)
{
    return fake.rtc;
}

static struct fake_timer *timer_of(timer_fn fn)
{
    for (unsigned int i = 0; i < FAKE_TIMERS; i++) {
        if (fake.timers[i].fn == fn)
            return &fake.timers[i];
    }
    return NULL;
}

void timer_start_at(timer_fn fn, uint64_t ns)
{
    struct fake_timer *timer = timer_of(fn);

    if (!timer)
        timer = timer_of(NULL);
    *timer = (struct fake_timer){fn, ns};
}

void timer_start(timer_fn fn, uint64_t delay_ns)
{
    timer_start_at(fn, fake.now + delay_ns);
}

void timer_stop(timer_fn fn)
{
    struct fake_timer *timer = timer_of(fn);

    if (timer)
        timer->fn = NULL;
}

unsigned int run_timers(uint64_t now)
{
    unsigned int ran = 0;

    fake.now = now;
    for (unsigned int i = 0; i < FAKE_TIMERS; i++) {
        timer_fn fn = fake.timers[i].fn;
        if (!fn || fake.timers[i].deadline > now)
            continue;
        fake.timers[i].fn = NULL;
        fn();
        ran++;
    }
    return ran;
}

size_t serial_read(char *text, size_t count)
{
    size_t length = strnlen(fake.typed, count);

    memcpy(text, fake.typed, length);
    memmove(fake.typed, fake.typed + length, sizeof fake.typed - length);
    return length;
}

void log_line(const char *format, ...)
{
    (void)format;
}

_Noreturn void machine_stop(enum stop_reason reason)
{
    fake.stop_reason = reason;
    longjmp(fake.crash, 1);
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
UNUSED_CALL(do_physdev_op)
UNUSED_CALL(do_platform_op)
UNUSED_CALL(do_update_va_mapping)
UNUSED_CALL(do_set_gdt)
UNUSED_CALL(do_update_descriptor)
UNUSED_CALL(do_mmuext_op)
UNUSED_CALL(do_sched_op)
UNUSED_CALL(do_iommu_op)
