/* SPDX-License-Identifier: MIT */
/*
 * The part of the public Xen x86-64 PV contract that Sluice offers: numbers, names and layouts.
 * Usable from C and, for the plain numbers, from assembler.
 */
#ifndef SLUICE_XEN_H
#define SLUICE_XEN_H

/* Hypercall numbers: RAX; arguments RDI, RSI, RDX, R10, R8; result RAX; SYSCALL clobbers RCX and R11. */
#define __HYPERVISOR_set_trap_table    0
#define __HYPERVISOR_mmu_update        1
#define __HYPERVISOR_set_gdt           2
#define __HYPERVISOR_stack_switch      3
#define __HYPERVISOR_set_callbacks     4
#define __HYPERVISOR_fpu_taskswitch    5
#define __HYPERVISOR_platform_op       7
#define __HYPERVISOR_set_debugreg      8
#define __HYPERVISOR_get_debugreg      9
#define __HYPERVISOR_update_descriptor 10
#define __HYPERVISOR_memory_op         12
#define __HYPERVISOR_multicall         13
#define __HYPERVISOR_update_va_mapping 14
#define __HYPERVISOR_set_timer_op      15
#define __HYPERVISOR_xen_version       17
#define __HYPERVISOR_console_io        18
#define __HYPERVISOR_grant_table_op    20
#define __HYPERVISOR_vm_assist         21
#define __HYPERVISOR_iret              23
#define __HYPERVISOR_vcpu_op           24
#define __HYPERVISOR_set_segment_base  25
#define __HYPERVISOR_mmuext_op         26
#define __HYPERVISOR_sched_op          29
#define __HYPERVISOR_callback_op       30
#define __HYPERVISOR_event_channel_op  32
#define __HYPERVISOR_physdev_op        33

/* The flat descriptors every PV guest finds in its GDT. */
#define FLAT_RING3_CS32          0xe023
#define FLAT_RING3_SS64          0xe02b
#define FLAT_RING3_CS64          0xe033
#define FIRST_RESERVED_GDT_PAGE  14
#define FIRST_RESERVED_GDT_ENTRY (FIRST_RESERVED_GDT_PAGE * 512)

/* Hypervisor-reserved virtual addresses: L4 slots 256 to 271. The M2P is the first thing in them. */
#define HYPERVISOR_VIRT_START 0xffff800000000000
#define HYPERVISOR_VIRT_END   0xffff880000000000
#define MACH2PHYS_VIRT_START  0xffff800000000000

/* ELF notes of a PV kernel: PT_NOTE, name "Xen". */
#define XEN_ELFNOTE_ENTRY              1
#define XEN_ELFNOTE_HYPERCALL_PAGE     2
#define XEN_ELFNOTE_VIRT_BASE          3
#define XEN_ELFNOTE_PADDR_OFFSET       4
#define XEN_ELFNOTE_XEN_VERSION        5
#define XEN_ELFNOTE_GUEST_OS           6
#define XEN_ELFNOTE_GUEST_VERSION      7
#define XEN_ELFNOTE_LOADER             8
#define XEN_ELFNOTE_PAE_MODE           9
#define XEN_ELFNOTE_FEATURES           10
#define XEN_ELFNOTE_BSD_SYMTAB         11
#define XEN_ELFNOTE_HV_START_LOW       12
#define XEN_ELFNOTE_L1_MFN_VALID       13
#define XEN_ELFNOTE_SUSPEND_CANCEL     14
#define XEN_ELFNOTE_INIT_P2M           15
#define XEN_ELFNOTE_MOD_START_PFN      16
#define XEN_ELFNOTE_SUPPORTED_FEATURES 17

/* The iret hypercall's frame flags. */
#define VGCF_in_syscall 0x100

/* Flags of struct trap_info. */
#define TRAP_INFO_DPL         0x3 /* least privilege for `int n` */
#define TRAP_INFO_MASK_EVENTS 0x4

#ifndef __ASSEMBLER__
#include <stdint.h>

typedef uint16_t domid_t;
#define DOMID_SELF ((domid_t)0x7ff0)
#define DOMID_IO   ((domid_t)0x7ff1) /* memory of devices */

/* ---- set_trap_table: array ended by address 0 ---- */
struct trap_info {
    uint8_t vector;
    uint8_t flags; /* TRAP_INFO_* */
    uint16_t cs;
    uint64_t address;
};

/* ---- iret: as it lies on the stack, RSP at rax ---- */
struct iret_context {
    uint64_t rax, r11, rcx, flags, rip, cs, rflags, rsp, ss;
};

/* ---- mmu_update, update_va_mapping ---- */
#define MMU_NORMAL_PT_UPDATE       0
#define MMU_MACHPHYS_UPDATE        1
#define MMU_PT_UPDATE_PRESERVE_AD  2
#define MMU_PT_UPDATE_NO_TRANSLATE 3

struct mmu_update {
    uint64_t ptr; /* machine address of the entry; bits 0-1 = command */
    uint64_t val; /* new entry */
};

#define UVMF_NONE           0UL
#define UVMF_TLB_FLUSH      1UL
#define UVMF_INVLPG         2UL
#define UVMF_FLUSHTYPE_MASK 3UL
#define UVMF_LOCAL          0UL
#define UVMF_ALL            4UL

/* ---- mmuext_op(array, count, done, domain) ---- */
#define MMUEXT_PIN_L1_TABLE       0
#define MMUEXT_PIN_L2_TABLE       1
#define MMUEXT_PIN_L3_TABLE       2
#define MMUEXT_PIN_L4_TABLE       3
#define MMUEXT_UNPIN_TABLE        4
#define MMUEXT_NEW_BASEPTR        5
#define MMUEXT_TLB_FLUSH_LOCAL    6
#define MMUEXT_INVLPG_LOCAL       7
#define MMUEXT_TLB_FLUSH_MULTI    8
#define MMUEXT_INVLPG_MULTI       9
#define MMUEXT_TLB_FLUSH_ALL      10
#define MMUEXT_INVLPG_ALL         11
#define MMUEXT_FLUSH_CACHE        12
#define MMUEXT_SET_LDT            13
#define MMUEXT_NEW_USER_BASEPTR   15
#define MMUEXT_CLEAR_PAGE         16
#define MMUEXT_COPY_PAGE          17
#define MMUEXT_FLUSH_CACHE_GLOBAL 18

struct mmuext_op {
    uint32_t cmd;
    union {
        uint64_t mfn;
        uint64_t linear_addr; /* INVLPG, SET_LDT */
    } arg1;
    union {
        uint32_t nr_ents;  /* SET_LDT */
        uint64_t vcpumask; /* address of a bitmap: the MULTI forms */
        uint64_t src_mfn;  /* COPY_PAGE */
    } arg2;
};

/* ---- memory_op ---- */
#define XENMEM_increase_reservation       0
#define XENMEM_decrease_reservation       1
#define XENMEM_maximum_ram_page           2
#define XENMEM_current_reservation        3
#define XENMEM_maximum_reservation        4
#define XENMEM_populate_physmap           6
#define XENMEM_memory_map                 9
#define XENMEM_machine_memory_map         10
#define XENMEM_exchange                   11
#define XENMEM_machphys_mapping           12
#define XENMEM_get_pod_target             17
#define XENMEM_reserved_device_memory_map 27

/* mem_flags: bits 0-7, the extents lie below 2^bits bytes, 0 = anywhere; bits 8-15, the node and 1, or 0. */
#define XENMEMF_address_bits(bits)      (bits)
#define XENMEMF_get_address_bits(flags) ((flags)&0xffu)
#define XENMEMF_node(node)              (((node) + 1) << 8)
#define XENMEMF_exact_node_request      (1u << 17)

struct xen_memory_reservation {
    uint64_t extent_start; /* guest virtual address of uint64_t[nr_extents] */
    uint64_t nr_extents;
    uint32_t extent_order; /* an extent is 2^order frames */
    uint32_t mem_flags;    /* XENMEMF_* */
    domid_t domid;
};

struct xen_memory_exchange {
    struct xen_memory_reservation in;  /* MFNs that go */
    struct xen_memory_reservation out; /* in: PFNs; out: the MFNs that are theirs now */
    uint64_t nr_exchanged;             /* in: 0; out: extents of `in` that went */
};

#define XENMEM_RDM_ALL 1u

struct xen_reserved_device_memory_map {
    uint32_t flags;
    uint32_t nr_entries; /* in: capacity; out: ranges there are */
    uint64_t buffer;     /* guest virtual address of struct xen_reserved_device_memory[] */
    uint16_t seg;
    uint8_t bus, devfn;
};

struct xen_reserved_device_memory {
    uint64_t start_pfn, nr_pages;
};

struct xen_memory_map {
    uint32_t nr_entries; /* in: capacity; out: entries written */
    uint64_t buffer;     /* guest virtual address of struct e820_entry[] */
};

#define E820_RAM      1
#define E820_RESERVED 2
#define E820_ACPI     3
#define E820_NVS      4
#define E820_UNUSABLE 5

struct e820_entry { /* 20 bytes, packed */
    uint64_t addr;
    uint64_t size;
    uint32_t type;
} __attribute__((packed));

struct xen_machphys_mapping {
    uint64_t v_start, v_end;
    uint64_t max_mfn;
};

/* ---- console_io(cmd, count, buffer) ---- */
#define CONSOLEIO_write 0
#define CONSOLEIO_read  1

/* ---- sched_op(cmd, arg) ---- */
#define SCHEDOP_yield    0
#define SCHEDOP_block    1
#define SCHEDOP_shutdown 2
#define SCHEDOP_poll     3

#define SHUTDOWN_poweroff 0
#define SHUTDOWN_reboot   1
#define SHUTDOWN_suspend  2
#define SHUTDOWN_crash    3
#define SHUTDOWN_watchdog 4

struct sched_shutdown {
    uint32_t reason;
};

struct sched_poll {
    uint64_t ports;    /* virtual address of 32-bit port numbers */
    uint32_t nr_ports; /* at most SCHED_POLL_PORTS_MAX */
    uint64_t timeout;  /* system time, ns; 0 = none */
};
#define SCHED_POLL_PORTS_MAX 128u

/* ---- xen_version(cmd, buffer) ---- */
#define XENVER_version             0
#define XENVER_extraversion        1
#define XENVER_compile_info        2
#define XENVER_capabilities        3
#define XENVER_changeset           4
#define XENVER_platform_parameters 5
#define XENVER_get_features        6
#define XENVER_pagesize            7
#define XENVER_guest_handle        8
#define XENVER_commandline         9

typedef char xen_extraversion_t[16];
typedef char xen_capabilities_info_t[1024];
typedef char xen_changeset_info_t[64];
typedef char xen_commandline_t[1024];
typedef uint8_t xen_domain_handle_t[16];

struct xen_compile_info {
    char compiler[64];
    char compile_by[16];
    char compile_domain[32];
    char compile_date[32];
};

struct xen_feature_info {
    uint32_t submap_idx; /* in */
    uint32_t submap;     /* out */
};

#define XENFEAT_writable_page_tables      0
#define XENFEAT_auto_translated_physmap   2
#define XENFEAT_pae_pgdir_above_4gb       4
#define XENFEAT_mmu_pt_update_preserve_ad 5
#define XENFEAT_highmem_assist            6
#define XENFEAT_gnttab_map_avail_bits     7
#define XENFEAT_dom0                      11
#define XENFEAT_direct_mapped             17 /* frame numbers in calls are MFNs */

/* ---- callback_op ---- */
#define CALLBACKOP_register    0
#define CALLBACKOP_unregister  1
#define CALLBACKTYPE_event     0
#define CALLBACKTYPE_failsafe  1
#define CALLBACKTYPE_syscall   2
#define CALLBACKTYPE_nmi       4
#define CALLBACKTYPE_sysenter  5
#define CALLBACKTYPE_syscall32 7

#define CALLBACKF_mask_events 0x1

struct callback_register {
    uint16_t type;
    uint16_t flags; /* bit 0 mask events */
    uint64_t address;
};

struct callback_unregister {
    uint16_t type;
    uint16_t unused;
};

/* ---- set_segment_base(which, base) ---- */
#define SEGBASE_FS          0
#define SEGBASE_GS_USER     1
#define SEGBASE_GS_KERNEL   2
#define SEGBASE_GS_USER_SEL 3

/* ---- multicall: array of entries, count ---- */
struct multicall_entry {
    uint64_t op;
    int64_t result;
    uint64_t args[6];
};

/* ---- shared information page ---- */
struct arch_vcpu_info {
    uint64_t cr2;
    uint64_t pad;
};

/* System time in ns: system_time + ((TSC - tsc_timestamp) * 2^tsc_shift * tsc_to_system_mul >> 32). */
struct vcpu_time_info {
    uint32_t version; /* odd while it is being changed */
    uint32_t pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags; /* PVCLOCK_* */
    uint8_t pad1[2];
};
#define PVCLOCK_TSC_STABLE 0x1 /* the same on all virtual CPUs, and never steps */

struct vcpu_info {
    uint8_t evtchn_upcall_pending;
    uint8_t evtchn_upcall_mask;
    uint64_t evtchn_pending_sel;
    struct arch_vcpu_info arch;
    struct vcpu_time_info time;
};

#define XEN_LEGACY_MAX_VCPUS 32

struct arch_shared_info {
    uint64_t max_pfn, pfn_to_mfn_frame_list_list, nmi_reason;
    uint64_t p2m_cr3, p2m_vaddr, p2m_generation;
};

struct shared_info {
    struct vcpu_info vcpu_info[XEN_LEGACY_MAX_VCPUS];
    uint64_t evtchn_pending[64];
    uint64_t evtchn_mask[64];
    uint32_t wc_version, wc_sec, wc_nsec, wc_sec_hi; /* UTC at system time 0 */
    struct arch_shared_info arch;
};

/* ---- start information page: RSI at entry ---- */
#define START_INFO_MAGIC  "xen-3.0-x86_64"
#define MAX_GUEST_CMDLINE 1024
#define SIF_PRIVILEGED    1u
#define SIF_INITDOMAIN    2u
#define SIF_MOD_START_PFN 8u

struct start_info {
    char magic[32];
    uint64_t nr_pages;    /* frames given to the guest: PFN 0 .. nr_pages - 1 */
    uint64_t shared_info; /* machine address */
    uint32_t flags;       /* SIF_* */
    uint64_t store_mfn;
    uint32_t store_evtchn;
    union {
        struct {
            uint64_t mfn;
            uint32_t evtchn;
        } domU;
        struct {
            uint32_t info_off, info_size; /* dom0_vga_console_info, offset from start_info */
        } dom0;
    } console;
    uint64_t pt_base; /* virtual address of the initial L4 */
    uint64_t nr_pt_frames;
    uint64_t mfn_list;  /* virtual address of the P2M list */
    uint64_t mod_start; /* virtual address of the module, or its PFN with SIF_MOD_START_PFN */
    uint64_t mod_len;   /* bytes */
    char cmd_line[MAX_GUEST_CMDLINE];
    uint64_t first_p2m_pfn, nr_p2m_frames; /* with XEN_ELFNOTE_INIT_P2M */
};

/* ---- video console of the privileged guest ---- */
#define XEN_VGATYPE_TEXT_MODE_3 0x03
#define XEN_VGATYPE_VESA_LFB    0x23
#define XEN_VGATYPE_EFI_LFB     0x70

struct dom0_vga_console_info {
    uint8_t video_type;
    union {
        struct {
            uint16_t font_height, cursor_x, cursor_y, rows, columns;
        } text_mode_3;
        struct {
            uint16_t width, height, bytes_per_line, bits_per_pixel;
            uint32_t lfb_base, lfb_size;
            uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size, rsvd_pos, rsvd_size;
            uint32_t gbl_caps;
            uint16_t mode_attrs, pad;
            uint32_t ext_lfb_base;
        } vesa_lfb;
    } u;
};

_Static_assert(sizeof(struct trap_info) == 16, "public ABI");
_Static_assert(sizeof(struct e820_entry) == 20, "public ABI");
_Static_assert(sizeof(struct mmuext_op) == 24, "public ABI");
_Static_assert(sizeof(struct xen_memory_reservation) == 32, "public ABI");
_Static_assert(__builtin_offsetof(struct xen_memory_reservation, domid) == 24, "public ABI");
_Static_assert(__builtin_offsetof(struct xen_memory_exchange, nr_exchanged) == 64, "public ABI");
_Static_assert(__builtin_offsetof(struct xen_reserved_device_memory_map, buffer) == 8 &&
                   sizeof(struct xen_reserved_device_memory_map) == 24,
               "public ABI");
_Static_assert(sizeof(struct multicall_entry) == 64, "public ABI");
_Static_assert(sizeof(struct vcpu_info) == 64, "public ABI");
_Static_assert(sizeof(struct sched_poll) == 24, "public ABI");
_Static_assert(__builtin_offsetof(struct shared_info, evtchn_pending) == 2048, "public ABI");
_Static_assert(__builtin_offsetof(struct start_info, flags) == 48, "public ABI");
_Static_assert(__builtin_offsetof(struct start_info, pt_base) == 88, "public ABI");
_Static_assert(__builtin_offsetof(struct start_info, cmd_line) == 128, "public ABI");
_Static_assert(__builtin_offsetof(struct start_info, first_p2m_pfn) == 1152, "public ABI");
_Static_assert(__builtin_offsetof(struct xen_memory_map, buffer) == 8, "public ABI");
#endif /* __ASSEMBLER__ */

#endif
