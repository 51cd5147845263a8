/* SPDX-License-Identifier: MIT */
#include "tests/driver/qtest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 64
#define ANSWER_MS     20000

static pid_t qemu;
static int channel = -1;
static uint8_t *ram;
static char folder[64];
static char answer[256];
static char trace[1 << 20]; /* of the QEMU that ended last */
static size_t trace_length;

static void path_of(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", folder, name);
}

static void fail_with_errors(void)
{
    char path[96], text[512];
    FILE *file;

    path_of(path, sizeof path, "errors");
    file = fopen(path, "r");
    memset(text, 0, sizeof text);
    if (file != NULL && fread(text, 1, sizeof text - 1, file) == 0)
        text[0] = 0;
    if (file != NULL)
        fclose(file);
    fail_msg("QEMU does not answer: %s", text);
}

/* One line from QEMU, without its end. */
static void read_line(void)
{
    size_t length = 0;

    for (;;) {
        struct pollfd ready = {.fd = channel, .events = POLLIN};
        char byte = 0;

        if (poll(&ready, 1, ANSWER_MS) != 1 || read(channel, &byte, 1) != 1)
            fail_with_errors();
        if (byte == '\n')
            break;
        if (length + 1 < sizeof answer)
            answer[length++] = byte;
    }
    answer[length] = '\0';
}

static uint64_t command(const char *format, ...) __attribute__((format(printf, 1, 2)));
static uint64_t command(const char *format, ...)
{
    char text[128];
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (write(channel, text, (size_t)length) != length)
        fail_msg("QEMU is gone");
    do
        read_line();
    while (strncmp(answer, "OK", 2) != 0 && strncmp(answer, "FAIL", 4) != 0 &&
           strncmp(answer, "ERR", 3) != 0);
    if (strncmp(answer, "OK", 2) != 0)
        fail_msg("QEMU on \"%s\": %s", text, answer);
    return answer[2] == ' ' ? strtoull(answer + 3, NULL, 0) : 0;
}

/* 64 KiB that halt: at the reset vector cli; hlt; jmp back. */
static void write_rom(const char *path)
{
    static uint8_t rom[65536];
    static const uint8_t code[] = {0xfa, 0xf4, 0xeb, 0xfd};
    FILE *file = fopen(path, "wb");

    memset(rom, 0xf4, sizeof rom);
    memcpy(rom + 0xfff0, code, sizeof code);
    assert_non_null(file);
    assert_int_equal(fwrite(rom, 1, sizeof rom, file), sizeof rom);
    fclose(file);
}

static void map_ram(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

    assert_true(file >= 0 && ftruncate(file, (off_t)QTEST_RAM_BYTES) == 0);
    ram = mmap(NULL, QTEST_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_true(ram != MAP_FAILED);
    close(file);
}

static const char *program(void)
{
    return getenv("QEMU") != NULL ? getenv("QEMU") : "qemu-system-x86_64";
}

static void run_qemu(int socket, const char *const *extra, const char *rom, const char *memory)
{
    char object[160], events[96], errors[96];
    /* clang-format off */
    const char *arguments[ARGUMENTS_MAX] = {
        program(),
        "-M", "q35,accel=tcg,memory-backend=ram,kernel-irqchip=off", "-m", "64M", "-object", object,
        "-bios", rom, "-icount", "shift=10,sleep=off", "-nodefaults", "-display", "none", "-net", "none",
        "-qtest", "stdio", "-qtest-log", "none", "-D", events,
    };
    /* clang-format on */
    size_t count = 0;
    int log;

    snprintf(object, sizeof object, "memory-backend-file,id=ram,size=64M,share=on,mem-path=%s", memory);
    path_of(events, sizeof events, "trace");
    path_of(errors, sizeof errors, "errors");
    while (arguments[count] != NULL)
        count++;
    while (*extra != NULL && count + 1 < ARGUMENTS_MAX)
        arguments[count++] = *extra++;
    log = open(errors, O_WRONLY | O_CREAT, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(socket, 0);
    dup2(socket, 1);
    dup2(log, 2);
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

void qtest_start(const char *const *arguments)
{
    char rom[96], memory[96];
    int sockets[2];

    snprintf(folder, sizeof folder, "/tmp/sluice-driver-XXXXXX");
    assert_non_null(mkdtemp(folder));
    path_of(rom, sizeof rom, "halt.rom");
    path_of(memory, sizeof memory, "memory");
    write_rom(rom);
    map_ram(memory);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    qemu = fork();
    assert_true(qemu >= 0);
    if (qemu == 0)
        run_qemu(sockets[1], arguments, rom, memory);
    close(sockets[1]);
    channel = sockets[0];
    command("inl 0xcf8\n");
    remove(rom);
    remove(memory);
}

static void keep_trace(void)
{
    char path[96];
    FILE *file;

    path_of(path, sizeof path, "trace");
    file = fopen(path, "r");
    trace_length = file != NULL ? fread(trace, 1, sizeof trace - 1, file) : 0;
    trace[trace_length] = '\0';
    if (file != NULL)
        fclose(file);
    remove(path);
    path_of(path, sizeof path, "errors");
    remove(path);
    rmdir(folder);
}

void qtest_stop(void)
{
    if (channel < 0)
        return;
    /* QEMU stays when its socket closes; it writes the trace as it goes down on SIGTERM. */
    kill(qemu, SIGTERM);
    waitpid(qemu, NULL, 0);
    close(channel);
    channel = -1;
    munmap(ram, QTEST_RAM_BYTES);
    keep_trace();
}

const char *qtest_trace_line(const char *event, uint32_t index)
{
    size_t length = strlen(event);

    for (const char *at = trace; (at = strstr(at, event)) != NULL; at += length)
        if (at[length] == ' ' && index-- == 0)
            return at;
    return NULL;
}

uint32_t qtest_trace_count(const char *event)
{
    uint32_t count = 0;

    while (qtest_trace_line(event, count) != NULL)
        count++;
    return count;
}

void qtest_pulse_pin(uint32_t pin)
{
    command("set_irq_in /machine/q35/ioapic unnamed-gpio-in %u 1\n", pin);
    command("set_irq_in /machine/q35/ioapic unnamed-gpio-in %u 0\n", pin);
}

uint32_t qtest_version(void)
{
    char command_line[512];
    unsigned version = 0;
    FILE *answer_of;

    snprintf(command_line, sizeof command_line, "'%s' --version", program());
    answer_of = popen(command_line, "r");
    if (answer_of == NULL)
        return 0;
    if (fscanf(answer_of, "QEMU emulator version %u", &version) != 1)
        version = 0;
    pclose(answer_of);
    return version;
}

uint8_t *qtest_ram(void)
{
    return ram;
}

uint32_t qtest_read32(uint64_t physical)
{
    return (uint32_t)command("readl 0x%" PRIx64 "\n", physical);
}
uint64_t qtest_read64(uint64_t physical)
{
    return command("readq 0x%" PRIx64 "\n", physical);
}
void qtest_write32(uint64_t physical, uint32_t value)
{
    command("writel 0x%" PRIx64 " 0x%" PRIx32 "\n", physical, value);
}
void qtest_write64(uint64_t physical, uint64_t value)
{
    command("writeq 0x%" PRIx64 " 0x%" PRIx64 "\n", physical, value);
}

static char width_letter(uint8_t bytes)
{
    return bytes == 1 ? 'b' : bytes == 2 ? 'w' : 'l';
}

static void select_register(uint16_t id, uint16_t offset)
{
    command("outl 0xcf8 0x%x\n", 0x80000000u | (uint32_t)id << 8 | (offset & 0xfcu));
}

uint32_t qtest_pci_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    select_register(id, offset);
    return (uint32_t)command("in%c 0x%x\n", width_letter(bytes), 0xcfcu + (offset & 3u));
}

void qtest_pci_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    select_register(id, offset);
    command("out%c 0x%x 0x%x\n", width_letter(bytes), 0xcfcu + (offset & 3u), value);
}
