/* SPDX-License-Identifier: MIT */
/* The hypervisor's leaves of CPUID, behind the prefix of an emulated instruction: numbers of Xen's public
 * contract. */
#ifndef SLUICE_CPUID_H
#define SLUICE_CPUID_H

#define XEN_CPUID_FIRST_LEAF     0x40000000
#define XEN_CPUID_MAX_NUM_LEAVES 5 /* behind the first */

/* Leaf 0: "XenVMMXenVMM". */
#define XEN_CPUID_SIGNATURE_EBX 0x566e6558
#define XEN_CPUID_SIGNATURE_ECX 0x65584d4d
#define XEN_CPUID_SIGNATURE_EDX 0x4d4d566e

#endif
