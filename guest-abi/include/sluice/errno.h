/* SPDX-License-Identifier: MIT */
/*
 * Error numbers of the hypercall interface: Xen's public numbers, which equal Linux's on x86.
 * Hypercalls return them negated.
 */
#ifndef SLUICE_ERRNO_H
#define SLUICE_ERRNO_H

#ifndef EPERM
#define EPERM         1
#define ENOENT        2
#define ESRCH         3
#define EIO           5
#define ENXIO         6
#define E2BIG         7
#define ENOEXEC       8
#define EAGAIN        11
#define ENOMEM        12
#define EACCES        13
#define EFAULT        14
#define EBUSY         16
#define EEXIST        17
#define ENODEV        19
#define EINVAL        22
#define ENOSPC        28
#define ERANGE        34
#define ENOSYS        38
#define ETIME         62
#define EOPNOTSUPP    95
#define EADDRINUSE    98
#define EADDRNOTAVAIL 99
#define ENOBUFS       105
#define ETIMEDOUT     110
#endif

#endif
