/* SPDX-License-Identifier: MIT */
/* The hypervisor's own functions beside the host's, under other names. */
#ifndef STRING_RENAMED_H
#define STRING_RENAMED_H

#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
#define strlen  own_strlen
#define strnlen own_strnlen
#define strcmp  own_strcmp
#define strncmp own_strncmp
#include "lib/string.h"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp

#endif
