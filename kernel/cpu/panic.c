/* SPDX-License-Identifier: MIT */
#include "cpu/panic.h"

#include "cpu/ops.h"
#include "cpu/stack.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/string.h"

#include <stdbool.h>

#define FRAMES_MAX 24u

struct elf_symbol {
    uint32_t name;
    uint8_t info;
    uint8_t other;
    uint16_t section;
    uint64_t value;
    uint64_t size;
};
_Static_assert(sizeof(struct elf_symbol) == 24, "ELF-64 object file format, 4");

#define SYMBOL_TYPE(info) ((info)&15)
#define SYMBOL_NOTYPE     0
#define SYMBOL_FUNCTION   2

/* link.ld */
extern const char __text_start[], __text_end[];

static const uint8_t *symbols;
static size_t symbols_size;
static const char *names;
static size_t names_size;
static uint64_t symbols_offset;

static panic_stop_fn stop_hook;
static unsigned depth; /* panics begun */

void panic_set_stop(panic_stop_fn stop)
{
    stop_hook = stop;
}

void panic_set_symbols(const void *symtab, size_t symtab_size, const char *strtab, size_t strtab_size,
                       uint64_t load_offset)
{
    symbols = symtab;
    symbols_size = symtab_size;
    names = strtab;
    names_size = strtab_size;
    symbols_offset = load_offset;
}

/* ---- symbols ---- */

static bool in_text(uint64_t address)
{
    return address >= (uint64_t)(uintptr_t)__text_start && address < (uint64_t)(uintptr_t)__text_end;
}

/* The nearest symbol at or below the address; false when there is none. */
static bool find_symbol(uint64_t address, struct elf_symbol *best)
{
    bool found = false;
    for (size_t offset = 0; offset + sizeof(*best) <= symbols_size; offset += sizeof(*best)) {
        struct elf_symbol symbol;
        memcpy(&symbol, symbols + offset, sizeof(symbol));
        symbol.value += symbols_offset;
        unsigned type = SYMBOL_TYPE(symbol.info);
        if ((type != SYMBOL_FUNCTION && type != SYMBOL_NOTYPE) || symbol.section == 0 ||
            symbol.name >= names_size || symbol.value > address)
            continue;
        if (!found || symbol.value > best->value ||
            (symbol.value == best->value && type == SYMBOL_FUNCTION)) {
            *best = symbol;
            found = true;
        }
    }
    return found;
}

static void print_address(const char *what, uint64_t address)
{
    struct elf_symbol symbol;
    if (!in_text(address) || !find_symbol(address, &symbol)) {
        log_say(LOG_FAULT, "  %s %016llx", what, (unsigned long long)address);
        return;
    }
    const char *name = names + symbol.name;
    log_say(LOG_FAULT, "  %s %016llx  %.*s+0x%llx", what, (unsigned long long)address,
            (int)strnlen(name, names_size - symbol.name), name, (unsigned long long)(address - symbol.value));
}

/* ---- what is printed ---- */

static void print_registers(const struct cpu_regs *regs)
{
#define WORD(name) (unsigned long long)regs->name
    log_say(LOG_FAULT, "  rip %016llx  rsp %016llx  rflags %08llx", WORD(rip), WORD(rsp), WORD(rflags));
    log_say(LOG_FAULT, "  rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx", WORD(rax), WORD(rbx),
            WORD(rcx), WORD(rdx));
    log_say(LOG_FAULT, "  rsi %016llx  rdi %016llx  rbp %016llx  r8  %016llx", WORD(rsi), WORD(rdi),
            WORD(rbp), WORD(r8));
    log_say(LOG_FAULT, "  r9  %016llx  r10 %016llx  r11 %016llx  r12 %016llx", WORD(r9), WORD(r10), WORD(r11),
            WORD(r12));
    log_say(LOG_FAULT, "  r13 %016llx  r14 %016llx  r15 %016llx  cs  %04llx  ss %04llx", WORD(r13), WORD(r14),
            WORD(r15), WORD(cs), WORD(ss));
    log_say(LOG_FAULT, "  cr2 %016llx  cr3 %016llx  vector 0x%llx  error code 0x%llx",
            (unsigned long long)cr2_read(), (unsigned long long)cr3_read(), WORD(vector), WORD(error_code));
#undef WORD
}

/* Frames lie inside a stack and go upwards: anything else ends the walk, so a wild RBP does no harm. */
static void print_backtrace(uint64_t frame)
{
    for (unsigned i = 0; i < FRAMES_MAX && frame % 8 == 0 && stack_holds(frame, 16); i++) {
        const uint64_t *words = (const uint64_t *)(uintptr_t)frame;
        if (!in_text(words[1]))
            return;
        print_address("from", words[1]);
        if (words[0] <= frame)
            return;
        frame = words[0];
    }
}

/* After a call to nowhere the caller is on the stack, but not in a frame yet. */
static void print_wild_call(const struct cpu_regs *regs)
{
    if (in_text(regs->rip) || regs->rsp % 8 != 0 || !stack_holds(regs->rsp, 8))
        return;
    uint64_t caller = *(const uint64_t *)(uintptr_t)regs->rsp;
    if (in_text(caller))
        print_address("from", caller);
}

_Noreturn void panic(const struct cpu_regs *regs, const char *format, ...)
{
    char message[256];
    va_list args;

    depth++;
    if (depth > 2) /* even the short form faults */
        cpu_halt_for_ever();
    va_start(args, format);
    format_string_v(message, sizeof(message), format, args);
    va_end(args);
    log_say(LOG_FAULT, "panic: %s", message);

    if (depth == 1) {
        if (regs != NULL) {
            print_registers(regs);
            print_address("at  ", regs->rip);
            print_wild_call(regs);
            print_backtrace(regs->rbp);
        } else {
            print_backtrace((uint64_t)(uintptr_t)__builtin_frame_address(0));
        }
    } else {
        log_say(LOG_FAULT, "  while reporting the one before");
        if (regs != NULL)
            print_address("at  ", regs->rip);
    }
    log_say(LOG_FAULT, "the hypervisor has stopped; nothing more will happen until the machine is reset");
    if (stop_hook != NULL) {
        panic_stop_fn stop = stop_hook;
        stop_hook = NULL;
        stop();
    }
    cpu_halt_for_ever();
}
