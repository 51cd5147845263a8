/* SPDX-License-Identifier: MIT */
/* Hypercalls: number in RAX, arguments in RDI, RSI, RDX, R10, R8, result in RAX, by SYSCALL. */
#ifndef KIT_HYPERCALL_H
#define KIT_HYPERCALL_H

#include <sluice/errno.h>
#include <sluice/event_channel.h>
#include <sluice/physdev.h>
#include <sluice/platform.h>
#include <sluice/vcpu.h>
#include <sluice/xen.h>

#include <stddef.h>
#include <stdint.h>

/*
 * Any hypercall. All argument registers are taken as changed: a preempted call is restarted with advanced
 * arguments. A guest built with HYPERCALL_PAGE goes through the page the loader filled.
 */
static inline long hypercall(uint64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    register uint64_t r10 __asm__("r10") = a4;
    register uint64_t r8 __asm__("r8") = a5;
    long result;
#ifdef GUEST_HYPERCALL_PAGE
    extern const char hypercall_page[];
    __asm__ volatile("call *%%rax"
                     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     : "0"(hypercall_page + 32 * number)
                     : "rcx", "r11", "memory");
#else
    __asm__ volatile("syscall"
                     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     : "0"(number)
                     : "rcx", "r11", "memory");
#endif
    return result;
}

static inline uint64_t hypercall_pointer(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static inline long xen_version(uint32_t command, void *buffer)
{
    return hypercall(__HYPERVISOR_xen_version, command, hypercall_pointer(buffer), 0, 0, 0);
}

static inline long console_io(uint32_t command, uint32_t count, const char *buffer)
{
    return hypercall(__HYPERVISOR_console_io, command, count, hypercall_pointer(buffer), 0, 0);
}

static inline long sched_op(uint32_t command, void *argument)
{
    return hypercall(__HYPERVISOR_sched_op, command, hypercall_pointer(argument), 0, 0, 0);
}

static inline long memory_op(uint32_t command, void *argument)
{
    return hypercall(__HYPERVISOR_memory_op, command, hypercall_pointer(argument), 0, 0, 0);
}

static inline long physdev_op(uint32_t command, void *argument)
{
    return hypercall(__HYPERVISOR_physdev_op, command, hypercall_pointer(argument), 0, 0, 0);
}

static inline long set_trap_table(const struct trap_info *table)
{
    return hypercall(__HYPERVISOR_set_trap_table, hypercall_pointer(table), 0, 0, 0, 0);
}

static inline long stack_switch(uint64_t ss, uint64_t sp)
{
    return hypercall(__HYPERVISOR_stack_switch, ss, sp, 0, 0, 0);
}

static inline long fpu_taskswitch(uint64_t set)
{
    return hypercall(__HYPERVISOR_fpu_taskswitch, set, 0, 0, 0, 0);
}

static inline long set_debugreg(uint32_t number, uint64_t value)
{
    return hypercall(__HYPERVISOR_set_debugreg, number, value, 0, 0, 0);
}

static inline long get_debugreg(uint32_t number)
{
    return hypercall(__HYPERVISOR_get_debugreg, number, 0, 0, 0, 0);
}

static inline long set_gdt(const uint64_t *mfns, uint32_t entries)
{
    return hypercall(__HYPERVISOR_set_gdt, hypercall_pointer(mfns), entries, 0, 0, 0);
}

/* One descriptor of 8 bytes, at a machine address. */
static inline long update_descriptor(uint64_t machine, uint64_t descriptor)
{
    return hypercall(__HYPERVISOR_update_descriptor, machine, descriptor, 0, 0, 0);
}

static inline long set_segment_base(uint32_t which, uint64_t base)
{
    return hypercall(__HYPERVISOR_set_segment_base, which, base, 0, 0, 0);
}

static inline long callback_register(uint16_t type, uint16_t flags, const void *address)
{
    struct callback_register request = {type, flags, hypercall_pointer(address)};
    return hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, hypercall_pointer(&request), 0, 0, 0);
}

/* Writes the level 1 entry that translates va. */
static inline long update_va_mapping(uint64_t va, uint64_t entry, uint64_t flags)
{
    return hypercall(__HYPERVISOR_update_va_mapping, va, entry, flags, 0, 0);
}

static inline long mmu_update(const struct mmu_update *requests, uint32_t count, uint32_t *done)
{
    return hypercall(__HYPERVISOR_mmu_update, hypercall_pointer(requests), count, hypercall_pointer(done),
                     DOMID_SELF, 0);
}

static inline long mmuext_op(const struct mmuext_op *requests, uint32_t count, uint32_t *done)
{
    return hypercall(__HYPERVISOR_mmuext_op, hypercall_pointer(requests), count, hypercall_pointer(done),
                     DOMID_SELF, 0);
}

/* One request; first is an MFN or an address. */
static inline long mmuext(uint32_t command, uint64_t first, uint64_t second)
{
    struct mmuext_op request = {.cmd = command, .arg1.mfn = first, .arg2.vcpumask = second};
    return mmuext_op(&request, 1, NULL);
}

static inline long event_channel_op(uint32_t command, void *argument)
{
    return hypercall(__HYPERVISOR_event_channel_op, command, hypercall_pointer(argument), 0, 0, 0);
}

static inline long vcpu_op(uint32_t command, uint32_t vcpu, void *argument)
{
    return hypercall(__HYPERVISOR_vcpu_op, command, vcpu, hypercall_pointer(argument), 0, 0);
}

/* System time in ns; 0 stops the timer. */
static inline long set_timer_op(uint64_t time)
{
    return hypercall(__HYPERVISOR_set_timer_op, time, 0, 0, 0, 0);
}

static inline long callback_op(uint32_t command, void *argument)
{
    return hypercall(__HYPERVISOR_callback_op, command, hypercall_pointer(argument), 0, 0, 0);
}

static inline long set_callbacks(uint64_t event, uint64_t failsafe, uint64_t system_call)
{
    return hypercall(__HYPERVISOR_set_callbacks, event, failsafe, system_call, 0, 0);
}

static inline long vm_assist(uint32_t command, uint32_t type)
{
    return hypercall(__HYPERVISOR_vm_assist, command, type, 0, 0, 0);
}

static inline long platform_op(struct xen_platform_op *request)
{
    return hypercall(__HYPERVISOR_platform_op, hypercall_pointer(request), 0, 0, 0, 0);
}

static inline long multicall(struct multicall_entry *entries, uint32_t count)
{
    return hypercall(__HYPERVISOR_multicall, hypercall_pointer(entries), count, 0, 0, 0);
}

#endif
