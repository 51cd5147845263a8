/* SPDX-License-Identifier: MIT */
/*
 * The adversary on the host: lives of a guest, each in a process of its own and with a seed of its own, until
 * so many steps are done or a rule is broken. ./tools/adversary runs it.
 */
#include "tests/adversary/native/machine.h"
#include "tests/adversary/sequence.h"
#include "tests/host/log_capture.h"
#include "tests/unit/iommu_engine/model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct machine_options machine_options = {
    .vendor = IOMMU_VENDOR_VTD, .seed = 1, .check_every = 1, .check_from = 0};
struct progress *progress;
static uint64_t steps = 100000, life = 2000, seconds;

static const char *vendor_name(void)
{
    return machine_options.vendor == IOMMU_VENDOR_VTD ? "intel" : "amd";
}

/* ---- failing ---- */

static void describe(void)
{
    fprintf(stderr, "adversary: native %s, seed %llu, step %llu, action %llu, about %s\n", vendor_name(),
            (unsigned long long)progress->seed, (unsigned long long)progress->steps,
            (unsigned long long)progress->actions, progress->act);
}

void machine_fail(const char *format, ...)
{
    va_list args;

    describe();
    captured_dump();
    fprintf(stderr, "adversary: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    _exit(1);
}

/* ---- one life ---- */

#define LIFE_SECONDS 600u /* and something hangs: the signal ends it */

static void live(uint64_t limit)
{
    alarm(LIFE_SECONDS);
    privileged_init();
    machine_boot();
    model.describe = describe;
    recount();
    sequence_begin(machine_options.seed);
    while (progress->steps < limit) {
        progress->steps++;
        sequence_step();
    }
    _exit(0);
}

/* Steps done, or a negative number. */
static int64_t run_life(uint64_t limit)
{
    struct progress before = *progress;
    int status;
    pid_t child;

    progress->seed = machine_options.seed;
    progress->steps = progress->actions = 0;
    fflush(stderr);
    child = fork();
    if (child == 0)
        live(limit);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -errno;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        describe();
        fprintf(
            stderr,
            "adversary: to see it again: ./tools/adversary --native --iommu %s --seed %llu --steps %llu\n",
            vendor_name(), (unsigned long long)progress->seed, (unsigned long long)progress->steps);
        return -1;
    }
    uint64_t done = progress->steps;

    progress->steps += before.steps;
    progress->actions += before.actions;
    return (int64_t)done;
}

/* ---- all of them ---- */

static _Noreturn void usage(const char *name)
{
    fprintf(stderr,
            "usage: %s [--iommu intel|amd] [--seed S] [--steps N] [--seconds N] [--life N] [--every N] "
            "[--from K] "
            "[--trace]\n",
            name);
    exit(2);
}

static void parse(int count, char **words)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        uint64_t number = strtoull(value, NULL, 0);

        if (strcmp(words[i], "--trace") == 0) {
            machine_options.trace = true;
            continue;
        }
        if (strcmp(words[i], "--iommu") == 0)
            machine_options.vendor = strcmp(value, "amd") == 0 ? IOMMU_VENDOR_AMDVI : IOMMU_VENDOR_VTD;
        else if (strcmp(words[i], "--seed") == 0)
            machine_options.seed = number;
        else if (strcmp(words[i], "--steps") == 0)
            steps = number;
        else if (strcmp(words[i], "--seconds") == 0)
            seconds = number;
        else if (strcmp(words[i], "--life") == 0)
            life = number;
        else if (strcmp(words[i], "--every") == 0)
            machine_options.check_every = number;
        else if (strcmp(words[i], "--from") == 0)
            machine_options.check_from = number;
        else
            usage(words[0]);
        i++;
    }
    if (life == 0 || machine_options.check_every == 0)
        usage(words[0]);
}

static uint64_t passed(time_t start)
{
    return (uint64_t)(time(NULL) - start);
}

int main(int count, char **words)
{
    time_t start = time(NULL);
    uint64_t first = 0, lives = 0, told = 0;

    parse(count, words);
    first = machine_options.seed;
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        return 2;
    for (uint64_t done = 0; done < steps && (seconds == 0 || passed(start) < seconds); lives++) {
        int64_t more = run_life(steps - done < life ? steps - done : life);

        if (more < 0)
            return 1;
        done += (uint64_t)more;
        machine_options.seed++;
        if (passed(start) / 10 != told) {
            told = passed(start) / 10;
            fprintf(stderr, "adversary: native %s: %llu steps, %llu s\n", vendor_name(),
                    (unsigned long long)done, (unsigned long long)passed(start));
        }
    }
    printf(
        "adversary: native %s, seeds %llu to %llu: %llu steps, %llu actions, %llu recounts, %llu calls that "
        "succeeded, %llu accesses that faulted, %llu words written by devices, %llu interrupts, %llu "
        "guests crashed, %llu shut down, %llu stranded, %llu s: clean\n",
        vendor_name(), (unsigned long long)first, (unsigned long long)(first + lives - 1),
        (unsigned long long)progress->steps, (unsigned long long)progress->actions,
        (unsigned long long)progress->checks, (unsigned long long)progress->calls_done,
        (unsigned long long)progress->faults, (unsigned long long)progress->dma_writes,
        (unsigned long long)progress->interrupts, (unsigned long long)progress->crashes,
        (unsigned long long)progress->shutdowns, (unsigned long long)progress->stranded,
        (unsigned long long)passed(start));
    return 0;
}
