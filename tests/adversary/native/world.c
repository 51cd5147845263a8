/* SPDX-License-Identifier: MIT */
/* The model machine as a sequence meets it; after everything it does, all is checked. */
#include "tests/adversary/world.h"
#include "tests/adversary/native/machine.h"
#include "tests/adversary/random.h"
#include "tests/unit/fakes/cpu.h"
#include "tests/unit/iommu_engine/model.h"

#include "cpu/trap.h"
#include "lib/log.h"
#include "mem/guest_copy.h"
#include "pv/assign.h"
#include "pv/guest.h"
#include "pv/hypercall.h"
#include "pv/trap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct world world;
uint64_t machine_random;
static struct cpu_regs regs;

#define CODE_VA           (world.scratch_va - 2 * FRAME_SIZE) /* of the SYSCALL: never fetched */
#define STACK_VA          (world.scratch_va + world.scratch_bytes + 3 * FRAME_SIZE)
#define SYSCALL_BYTES     2u
#define RFLAGS            0x202u
/* More continuations than the longest array in all of the guest's memory can need. */
#define CONTINUATIONS_MAX 2000000u

static bool chance(uint32_t one_in)
{
    return random_below(&machine_random, one_in) == 0;
}

/* ---- after every action ---- */

/* The guest is gone; its parent begins another one. */
static _Noreturn void end_of_life(uint64_t *count)
{
    ++*count;
    _exit(0);
}

#define STRANDED_AFTER 40u

/* A guest that took its own memory away can do no more than fault. */
static void check_stranded(void)
{
    static uint32_t stranded;

    stranded = cpu_reach(world.scratch_va, true) == NULL ? stranded + 1 : 0;
    if (stranded > STRANDED_AFTER)
        end_of_life(&progress->stranded);
}

static void speculate(void)
{
    for (uint32_t i = 0; i < 4; i++)
        cpu_speculate(world.arena_va +
                      (uint64_t)random_below(&machine_random, world.arena_frames) * FRAME_SIZE);
    if (chance(8))
        cpu_speculate((uint64_t)random_below(&machine_random, 256) << 39 |
                      (uint64_t)random_below(&machine_random, 8) << 12);
}

static void after(void)
{
    progress->actions++;
    machine_interrupts();
    speculate();
    check_stranded();
    if (progress->actions < machine_options.check_from ||
        progress->actions % machine_options.check_every != 0)
        return;
    progress->checks++;
    cpu_check();
    recount();
}

void world_note(const char *name)
{
    strncpy(progress->act, name, sizeof progress->act - 1);
    if (machine_options.trace)
        fprintf(stderr, "%s\n", name);
}

/* ---- devices ---- */

#define RECENT 16u
static uint64_t recent[RECENT];

static void device_access(uint64_t bfn, bool write, uint64_t value)
{
    uint32_t unit = random_below(&machine_random, model.units);
    uint64_t entry = model_translate(unit, guest.context, bfn, true), translation = model_translation(entry);
    uint64_t mfn = translation >> FRAME_SHIFT;
    const struct frame *frame = frame_of(mfn);

    if ((translation & (write ? IOMMU_WRITE : IOMMU_READ)) == 0)
        return;
    if (frame == NULL)
        return; /* recount() judges these */
    if (frame->owner != FRAME_GUEST && frame->owner != FRAME_PARKED)
        machine_fail("a device reaches MFN 0x%llx at BFN 0x%llx, and it is not the guest's",
                     (unsigned long long)mfn, (unsigned long long)bfn);
    if (!write)
        return;
    if (frame_type_is_table(frame->type))
        machine_fail("a device writes MFN 0x%llx at BFN 0x%llx, and its type is %u", (unsigned long long)mfn,
                     (unsigned long long)bfn, frame->type);
    progress->dma_writes++;
    memcpy(phys_to_virt(mfn << FRAME_SHIFT), &value, sizeof value);
}

/* While the hypervisor waits for a unit, devices go on. */
static void on_delay(uint32_t unit)
{
    (void)unit;
    device_access(recent[random_below(&machine_random, RECENT)], true, random_next(&machine_random));
}

void world_dma(uint64_t bfn, bool write, uint64_t value)
{
    recent[random_below(&machine_random, RECENT)] = bfn;
    model.on_delay = on_delay;
    if (!iommu_is_window(bfn))
        device_access(bfn, write, value);
    after();
}

uint32_t assign_devices(void)
{
    for (uint16_t unit = 0; unit < model.units; unit++)
        if (iommu_attach(guest.context, unit, 0) != 0)
            machine_fail("a device cannot be attached");
    return model.units;
}

/* ---- the guest's instructions ---- */

static void reset_registers(void)
{
    regs.rip = CODE_VA + SYSCALL_BYTES;
    regs.rsp = STACK_VA;
    regs.cs = FLAT_RING3_CS64;
    regs.ss = FLAT_RING3_SS64;
    regs.rflags = RFLAGS;
}

/* In a handler of the guest's: back to where it was interrupted, with events let in again. */
static void leave_handler(void)
{
    uint64_t rip;

    if (get_guest_u64(&rip, regs.rsp + 16) != 0)
        rip = CODE_VA + SYSCALL_BYTES;
    reset_registers();
    regs.rip = rip;
    guest.vcpu->evtchn_upcall_mask = 0;
}

static bool is_continued(void)
{
    if (regs.rip != CODE_VA && regs.rip != CODE_VA + SYSCALL_BYTES)
        leave_handler();
    return regs.rip == CODE_VA;
}

/* A guest that is interrupted need not come back to its call; what the call left must be sound either way. */
static bool is_abandoned(void)
{
    after();
    if (!chance(256))
        return false;
    regs.rax = UINT64_MAX;
    return true;
}

long world_call(uint64_t slot, const uint64_t arguments[5])
{
    uint32_t entries = 0;

    if (machine_options.trace)
        fprintf(stderr, "%llu: %llu(0x%llx, 0x%llx, 0x%llx, 0x%llx, 0x%llx)",
                (unsigned long long)progress->actions, (unsigned long long)slot,
                (unsigned long long)arguments[0], (unsigned long long)arguments[1],
                (unsigned long long)arguments[2], (unsigned long long)arguments[3],
                (unsigned long long)arguments[4]);
    reset_registers();
    regs.rax = slot;
    regs.rdi = arguments[0];
    regs.rsi = arguments[1];
    regs.rdx = arguments[2];
    regs.r10 = arguments[3];
    regs.r8 = arguments[4];
    do {
        regs.rip = CODE_VA + SYSCALL_BYTES;
        pv_guest_syscall(&regs);
        if (++entries == CONTINUATIONS_MAX)
            machine_fail("hypercall %llu never ends", (unsigned long long)slot);
    } while (is_continued() && !is_abandoned());
    if (machine_options.trace)
        fprintf(stderr, " = %lld\n", (long long)regs.rax);
    progress->calls_done += (long)regs.rax >= 0;
    after();
    return (long)regs.rax;
}

void world_put(uint64_t address, const void *bytes, uint32_t count)
{
    (void)copy_to_guest(address, bytes, count);
}

bool world_load(uint64_t address, uint64_t *value)
{
    bool done = address % 8 == 0 && cpu_reach(address, false) != NULL;

    *value = 0;
    if (done)
        memcpy(value, cpu_reach(address, false), sizeof *value);
    progress->faults += !done;
    after();
    return done;
}

bool world_lives_by(uint64_t mfn)
{
    (void)mfn;
    return false;
}

bool world_store(uint64_t address, uint64_t value)
{
    uint8_t *place = address % 8 == 0 ? cpu_reach(address, true) : NULL;

    if (place != NULL)
        memcpy(place, &value, sizeof value);
    progress->faults += place == NULL;
    after();
    return place != NULL;
}

/* What the CPU raises for it, where it stands and in this state; false: it is done. */
static bool raises(const struct world_instruction *instruction)
{
    regs.vector = instruction->vector;
    regs.error_code = instruction->error_code;
    if (!instruction->stores)
        return true;
    if (cpu_reach(regs.rdi, true) != NULL && cpu_reach(regs.rdi + 7, true) != NULL) {
        (void)copy_to_guest(regs.rdi, &regs.rax, sizeof regs.rax);
        return false;
    }
    regs.vector = TRAP_PF;
    regs.error_code = cpu_reach(regs.rdi, false) != NULL ? 7 : 6;
    cpu_model.cr2 = regs.rdi;
    return true;
}

#define REPEATS_MAX 100000u

void world_execute(const struct world_instruction *instruction)
{
    /* Now and then its last byte is the last that is mapped. */
    uint64_t place = world.scratch_va + world.scratch_bytes - instruction->length - (chance(2) ? 0 : 16);
    uint32_t repeats = 0;

    /* Without a handler it would be the guest's end: that is seen soon enough. */
    if (guest.traps[instruction->vector].address == 0 && !chance(16))
        return;
    world_put(place, instruction->bytes, instruction->length);
    reset_registers();
    regs.rax = instruction->rax;
    regs.rcx = instruction->rcx;
    regs.rdx = instruction->rdx;
    regs.rdi = regs.rsi = instruction->rdi;
    regs.rip = place;
    do {
        if (!raises(instruction))
            break;
        pv_guest_exception(&regs);
        pv_guest_leave(&regs);
        if (++repeats == REPEATS_MAX)
            machine_fail("an instruction never ends");
    } while (regs.rip == place);
    guest.vcpu->evtchn_upcall_mask = 0;
    after();
}

/* ---- cpu/, and what else the sources need ---- */

bool device_frame_is_kept(uint64_t mfn)
{
    return mfn == MFN_LOCAL_APIC;
}

enum device_frame device_frame_kind(uint64_t mfn)
{
    const struct frame *frame = frame_of(mfn);

    if (frame != NULL && frame->owner == FRAME_FIRMWARE)
        return DEVICE_FRAME_FIRMWARE;
    if (mfn == MFN_MMIO)
        return DEVICE_FRAME_MMIO;
    return mfn == MFN_MSIX ? DEVICE_FRAME_READ_ONLY : DEVICE_FRAME_DENIED;
}

void log_guest(const char *text, size_t length)
{
    (void)text, (void)length;
}

void guest_crash(const struct cpu_regs *at, const char *format, ...)
{
    (void)at;
    if (machine_options.trace) {
        va_list args;

        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
    }
    end_of_life(&progress->crashes);
}

void machine_stop(enum stop_reason reason)
{
    (void)reason;
    end_of_life(&progress->shutdowns);
}
