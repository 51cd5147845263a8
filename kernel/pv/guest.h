/* SPDX-License-Identifier: MIT */
/* The one guest: what the rooms of pv/ share about it. */
#ifndef SLUICE_PV_GUEST_H
#define SLUICE_PV_GUEST_H

#include "cpu/regs.h"
#include "guest-abi/include/sluice/xen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iommu_context;

#define HYPERCALL_SLOTS 64u

/* Relaxed and literal: the guest is trusted. With `strict` the bus is that of OWNED. */
enum iommu_mode { IOMMU_MODE_OWNED = 0, IOMMU_MODE_NONE, IOMMU_MODE_RELAXED, IOMMU_MODE_LITERAL };

/* What IOMMUOP's doors do: nothing (-ENOSYS), check whose a frame is, or take any but the hypervisor's. */
enum iommu_doors { IOMMU_DOORS_CLOSED = 0, IOMMU_DOORS_CHECK, IOMMU_DOORS_TRUST };

struct guest {
    uint64_t nr_pages;                   /* PFN 0 .. nr_pages - 1 exist; the most that it may have */
    uint64_t pages_now;                  /* frames that are its own */
    uint64_t l4_mfn;                     /* kernel L4 in use */
    uint64_t user_l4_mfn;                /* user L4 in use; 0 = none */
    bool in_user;                        /* user mode runs: on the user L4, with the user's GS base */
    uint32_t slots;                      /* a SYSCALL with a number below is a hypercall: none in user mode */
    uint64_t linear_kernel, linear_user; /* where those L4s show themselves; 0 = they do not */
    struct shared_info *shared;          /* hypervisor's view */
    uint64_t shared_mfn;
    struct vcpu_info *vcpu;      /* hypervisor's view: in the shared page, or where the guest put it */
    bool de_cleared;             /* what the guest did to its CR4.DE */
    struct trap_info traps[256]; /* address 0 = none */
    uint64_t kernel_sp;          /* stack_switch */
    uint64_t callbacks[8];       /* by CALLBACKTYPE_*; 0 = none */
    uint16_t callback_flags[8];  /* CALLBACKF_* */

    /* IOMMU policy, decided at boot. */
    struct iommu_context *context; /* NULL with iommu=off or mode none */
    bool iommu_on;                 /* translation is on */
    enum iommu_mode iommu_mode;
    enum iommu_doors iommu_doors;
    bool premap;
    uint32_t continue_every; /* test option: force a continuation after this many elements; 0 = off */

    /* Counters for the summary. */
    uint64_t hypercalls[HYPERCALL_SLOTS]; /* by slot */
    uint64_t hypercalls_unknown;
    uint64_t elements_mapped, elements_unmapped;
    uint64_t continuations;
};
extern struct guest guest;

/* ---- build.c: from the boot information to an address space and registers; false after saying why ---- */
struct boot_info;
bool guest_build(const struct boot_info *info, struct cpu_regs *entry);

/* ---- shutdown.c ---- */
enum stop_reason {
    STOP_GUEST_POWEROFF = 0x10, /* values of the exit port */
    STOP_GUEST_FAILED = 0x11,   /* crash, or a shutdown reason other than poweroff */
    STOP_REFUSED = 0x12,        /* Sluice would not start the guest */
    STOP_HYPERVISOR_FAULT = 0x13,
};
/* Prints the summary line, then exit port, ACPI power-off, or "safe to switch off". */
_Noreturn void machine_stop(enum stop_reason reason);
void machine_stop_init(void); /* reads exit-port=, hooks panic */

/* Says why and stops with STOP_GUEST_FAILED: the guest did something nobody can recover from. */
_Noreturn void guest_crash(const struct cpu_regs *regs, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- trap.c ---- */
/* Delivers an exception to the guest's handler: pushes the bounce frame, or crashes the guest in words. */
void guest_bounce(struct cpu_regs *regs, uint32_t vector, bool error_code_present, uint32_t error_code);

/* ---- mode.c: the guest's kernel and user mode, both in ring 3 ---- */
/* Swaps L4 and GS base; nothing when that mode runs already. To user mode only with a user L4. */
void guest_to_kernel(void);
void guest_to_user(void);

/* ---- mmu.c ---- */
/* Eight bytes at an aligned machine address, in a frame of the guest's. -EINVAL when it may not write there.
 */
struct frame;
int guest_plain_store(struct frame *frame, uint64_t machine, uint64_t value);

/* ---- mmuext.c ---- */
/* After a recursive entry may have come or gone; in kernel mode. */
void guest_linear_refresh(void);

/* ---- hypercalls: each takes RDI, RSI, RDX, R10, R8 as arguments and returns what RAX becomes ---- */
struct hypercall_args {
    uint64_t a[5];
};
/*
 * A handler that must go on later calls this with its advanced arguments and returns whatever it likes:
 * outside a multicall RIP is left on the SYSCALL and the argument registers are rewritten; inside one the
 * entry's arguments are advanced.
 */
long hypercall_continue(struct cpu_regs *regs, const struct hypercall_args *args);

long do_set_trap_table(struct cpu_regs *regs, const struct hypercall_args *args);
long do_mmu_update(struct cpu_regs *regs, const struct hypercall_args *args);
long do_mmuext_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_set_gdt(struct cpu_regs *regs, const struct hypercall_args *args);
long do_stack_switch(struct cpu_regs *regs, const struct hypercall_args *args);
long do_fpu_taskswitch(struct cpu_regs *regs, const struct hypercall_args *args);
long do_set_debugreg(struct cpu_regs *regs, const struct hypercall_args *args);
long do_get_debugreg(struct cpu_regs *regs, const struct hypercall_args *args);
long do_update_descriptor(struct cpu_regs *regs, const struct hypercall_args *args);
long do_set_callbacks(struct cpu_regs *regs, const struct hypercall_args *args);
long do_platform_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_memory_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_multicall(struct cpu_regs *regs, const struct hypercall_args *args);
long do_update_va_mapping(struct cpu_regs *regs, const struct hypercall_args *args);
long do_set_timer_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_xen_version(struct cpu_regs *regs, const struct hypercall_args *args);
long do_console_io(struct cpu_regs *regs, const struct hypercall_args *args);
long do_vm_assist(struct cpu_regs *regs, const struct hypercall_args *args);
long do_iret(struct cpu_regs *regs, const struct hypercall_args *args);
long do_set_segment_base(struct cpu_regs *regs, const struct hypercall_args *args);
long do_vcpu_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_sched_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_callback_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_event_channel_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_physdev_op(struct cpu_regs *regs, const struct hypercall_args *args);
long do_iommu_op(struct cpu_regs *regs, const struct hypercall_args *args);

/* ---- device.c: what machine frames outside the guest's RAM it may use ---- */
enum device_frame {
    DEVICE_FRAME_DENIED = 0,
    DEVICE_FRAME_READ_ONLY, /* CPU may read: MSI-X tables, configuration space, the HPET */
    DEVICE_FRAME_MMIO,      /* own device registers: CPU read and write, and a bus target */
    DEVICE_FRAME_FIRMWARE,  /* ACPI, the ISA hole and such: CPU only */
};
void device_policy_init(void); /* after pci_size_bars(): fixes own MMIO from the BARs, once */
enum device_frame device_frame_kind(uint64_t mfn);
/* Registers that nobody but the hypervisor may reach: interrupts, IOMMUs, timers, configuration space. */
bool device_frame_is_kept(uint64_t mfn);

/* ---- config.c: emulation of configuration cycles ---- */
uint32_t config_guest_read(uint16_t id, uint16_t offset, uint8_t bytes);
void config_guest_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value);

#endif
