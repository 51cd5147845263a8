/* SPDX-License-Identifier: MIT */
/* platform_op(request): numbers, names and layouts of Xen's public contract. */
#ifndef SLUICE_PLATFORM_H
#define SLUICE_PLATFORM_H

#include <stdint.h>

#define XENPF_INTERFACE_VERSION 0x03000001u

#define XENPF_settime32     17
#define XENPF_firmware_info 50
#define XENPF_settime64     62

#define XEN_FW_DISK_INFO          1
#define XEN_FW_DISK_MBR_SIGNATURE 2
#define XEN_FW_VBEDDC_INFO        3
#define XEN_FW_EFI_INFO           4
#define XEN_FW_KBD_SHIFT_FLAGS    5

#define XEN_FW_EFI_VERSION      0
#define XEN_FW_EFI_CONFIG_TABLE 1
#define XEN_FW_EFI_VENDOR       2
#define XEN_FW_EFI_MEM_INFO     3
#define XEN_FW_EFI_RT_VERSION   4

union xenpf_efi_info {
    uint32_t version; /* XEN_FW_EFI_VERSION, XEN_FW_EFI_RT_VERSION */
    struct {
        uint64_t addr; /* machine address of the configuration tables */
        uint32_t nent;
    } cfg; /* XEN_FW_EFI_CONFIG_TABLE */
    struct {
        uint32_t revision;
        uint32_t bufsz; /* in: bytes at name */
        uint64_t name;  /* in: virtual address for 16-bit characters */
    } vendor;           /* XEN_FW_EFI_VENDOR */
    struct {
        uint64_t addr, size, attr;
        uint32_t type;
    } mem; /* XEN_FW_EFI_MEM_INFO */
};

struct xenpf_firmware_info {
    uint32_t type;  /* in: XEN_FW_* */
    uint32_t index; /* in: XEN_FW_EFI_* */
    union {
        union xenpf_efi_info efi_info;
    } u;
};

/* The time of day at a system time. */
struct xenpf_settime32 {
    uint32_t secs, nsecs;
    uint64_t system_time;
};
struct xenpf_settime64 {
    uint64_t secs;
    uint32_t nsecs;
    uint32_t mbz;
    uint64_t system_time;
};

struct xen_platform_op {
    uint32_t cmd;
    uint32_t interface_version;
    union {
        struct xenpf_settime32 settime32;
        struct xenpf_firmware_info firmware_info;
        struct xenpf_settime64 settime64;
        uint8_t pad[128];
    } u;
};

_Static_assert(sizeof(struct xen_platform_op) == 136, "public ABI");
_Static_assert(__builtin_offsetof(struct xen_platform_op, u.firmware_info.u.efi_info.vendor.name) == 24,
               "public ABI");

#endif
