/* SPDX-License-Identifier: MIT */
#undef SLUICE_HOST_TEST
#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
#define strlen  own_strlen
#define strnlen own_strnlen
#define strcmp  own_strcmp
#define strncmp own_strncmp
#include "kernel/lib/string.c"
