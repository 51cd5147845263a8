/* SPDX-License-Identifier: MIT */
/* vcpu_op(command, virtual CPU, argument) and vm_assist: numbers, names and layouts of Xen's public contract.
 */
#ifndef SLUICE_VCPU_H
#define SLUICE_VCPU_H

#include <stdint.h>

#define VCPUOP_initialise                     0
#define VCPUOP_up                             1
#define VCPUOP_down                           2
#define VCPUOP_is_up                          3
#define VCPUOP_get_runstate_info              4
#define VCPUOP_register_runstate_memory_area  5
#define VCPUOP_set_periodic_timer             6
#define VCPUOP_stop_periodic_timer            7
#define VCPUOP_set_singleshot_timer           8
#define VCPUOP_stop_singleshot_timer          9
#define VCPUOP_register_vcpu_info             10
#define VCPUOP_send_nmi                       11
#define VCPUOP_get_physid                     12
#define VCPUOP_register_vcpu_time_memory_area 13

#define RUNSTATE_running  0
#define RUNSTATE_runnable 1
#define RUNSTATE_blocked  2
#define RUNSTATE_offline  3

struct vcpu_runstate_info {
    int32_t state;             /* RUNSTATE_* */
    uint64_t state_entry_time; /* system time, ns */
    uint64_t time[4];          /* ns spent in each state until state_entry_time */
};

/* register_runstate_memory_area and register_vcpu_time_memory_area: a virtual address. */
struct vcpu_register_memory_area {
    uint64_t address;
};

struct vcpu_set_periodic_timer {
    uint64_t period_ns;
};

#define VCPU_SSHOTTMR_future 1u /* -ETIME when it has passed */

struct vcpu_set_singleshot_timer {
    uint64_t timeout_abs_ns;
    uint32_t flags; /* VCPU_SSHOTTMR_* */
};

struct vcpu_register_vcpu_info {
    uint64_t mfn;
    uint32_t offset; /* bytes into the frame */
    uint32_t rsvd;
};

/* ---- vm_assist(command, type) ---- */
#define VMASST_CMD_enable  0
#define VMASST_CMD_disable 1

#define VMASST_TYPE_4gb_segments         0
#define VMASST_TYPE_4gb_segments_notify  1
#define VMASST_TYPE_writable_pagetables  2
#define VMASST_TYPE_pae_extended_cr3     3
#define VMASST_TYPE_architectural_iopl   4
#define VMASST_TYPE_runstate_update_flag 5
#define VMASST_TYPE_m2p_strict           32

_Static_assert(sizeof(struct vcpu_runstate_info) == 48, "public ABI");
_Static_assert(sizeof(struct vcpu_set_singleshot_timer) == 16, "public ABI");
_Static_assert(sizeof(struct vcpu_register_vcpu_info) == 16, "public ABI");

#endif
