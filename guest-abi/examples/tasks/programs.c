/* SPDX-License-Identifier: MIT */
/*
 * The programs. They run at SPACE_BASE in address spaces of their own, know the kernel by its system calls
 * alone, and name nothing that is not marked for user mode.
 */
#include "tasks.h"

static inline __attribute__((always_inline)) long call(uint64_t number, uint64_t a, uint64_t b)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result), "+D"(a), "+S"(b) : "0"(number) : "rcx", "r11", "memory");
    return result;
}

#define SAY(text) call(CALL_SAY, (uint64_t)(uintptr_t)(text), sizeof(text) - 1)

/* ---- squares: takes turns, and uses memory that is there only when it is touched ---- */

static const char squares_begin[] USER_DATA =
    "I write a square into each page of my heap, and give way after each.";
static const char squares_good[] USER_DATA = "All squares are as I wrote them.";
static const char squares_bad[] USER_DATA = "BUT one of my squares has changed!";

USER_CODE static void squares(void)
{
    bool good = true;
    SAY(squares_begin);
    for (uint64_t i = 0; i < 8; i++) {
        *(volatile uint64_t *)(HEAP_BASE + i * PAGE_SIZE) = i * i;
        call(CALL_YIELD, 0, 0);
    }
    for (uint64_t i = 0; i < 8; i++)
        good = good && *(volatile uint64_t *)(HEAP_BASE + i * PAGE_SIZE) == i * i;
    if (good)
        SAY(squares_good);
    else
        SAY(squares_bad);
    call(CALL_EXIT, !good, 0);
}

/* ---- primes: the same addresses, other contents ---- */

#define SIEVE 4000u

static const char primes_begin[] USER_DATA = "I sieve the numbers below 4000, at the same addresses.";
static const char primes_good[] USER_DATA = "There are 550 primes, as there should be.";
static const char primes_bad[] USER_DATA = "BUT I have not found 550 primes!";

USER_CODE static void primes(void)
{
    volatile uint8_t *composite = (volatile uint8_t *)HEAP_BASE;
    uint32_t found = 0;
    SAY(primes_begin);
    for (uint32_t n = 2; n < SIEVE; n++) {
        if (composite[n])
            continue;
        found++;
        for (uint32_t multiple = 2 * n; multiple < SIEVE; multiple += n)
            composite[multiple] = 1;
        if (n % 16 == 1)
            call(CALL_YIELD, 0, 0);
    }
    if (found == 550)
        SAY(primes_good);
    else
        SAY(primes_bad);
    call(CALL_EXIT, found != 550, 0);
}

/* ---- nosy: looks where it has no business ---- */

static const char nosy_begin[] USER_DATA = "I look at the kernel's memory.";
static const char nosy_bad[] USER_DATA = "BUT I could read it!";

USER_CODE static void nosy(void)
{
    SAY(nosy_begin);
    call(CALL_YIELD, 0, 0);
    (void)*(volatile uint8_t *)0xffffffff80100000;
    SAY(nosy_bad);
    call(CALL_EXIT, 1, 0);
}

/* ---- endless: never gives way ---- */

static const char endless_begin[] USER_DATA = "I never give way.";
static const char endless_bad[] USER_DATA = "BUT one of my registers has changed!";

USER_CODE static void endless(void)
{
    uint64_t up = 0, down = 0;
    SAY(endless_begin);
    while (up + down == 0) {
        up++;
        down--;
        __asm__ volatile("" : "+r"(up), "+r"(down)); /* kept in registers, and not reasoned away */
    }
    SAY(endless_bad);
    call(CALL_EXIT, 1, 0);
}

const struct program programs[PROGRAMS] = {
    [SQUARES] = {"squares", squares},
    [PRIMES] = {"primes", primes},
    [NOSY] = {"nosy", nosy},
    [ENDLESS] = {"endless", endless},
};
