/* SPDX-License-Identifier: MIT */
#include "kit/ahci.h"

#include "kit/bus.h"
#include "kit/hypercall.h"
#include "kit/memory.h"
#include "kit/string.h"
#include "kit/time.h"

/* Registers of the controller: section 3.1. */
#define HBA_CAP  0x00
#define HBA_GHC  0x04
#define HBA_PI   0x0c
#define HBA_CAP2 0x24
#define HBA_BOHC 0x28

#define CAP_64BIT      (1u << 31)
#define GHC_INTERRUPTS (1u << 1)
#define GHC_AHCI       (1u << 31)
#define CAP2_HANDOFF   (1u << 0)
#define BOHC_FIRMWARE  (1u << 0) /* BOS: firmware owns the controller */
#define BOHC_SYSTEM    (1u << 1) /* OOS: we want it */
#define BOHC_BUSY      (1u << 4)

/* Registers of a port: section 3.3. */
#define PORTS     0x100
#define PORT_SIZE 0x80
#define PX_CLB    0x00
#define PX_FB     0x08
#define PX_IS     0x10
#define PX_IE     0x14
#define PX_CMD    0x18
#define PX_TFD    0x20
#define PX_SIG    0x24
#define PX_SSTS   0x28
#define PX_SCTL   0x2c
#define PX_SERR   0x30
#define PX_CI     0x38

#define CMD_START       (1u << 0)
#define CMD_RECEIVE     (1u << 4)
#define CMD_RECEIVES    (1u << 14)
#define CMD_RUNS        (1u << 15)
#define TFD_OCCUPIED    0x88u       /* BSY, DRQ */
#define IS_ERRORS       (15u << 27) /* TFES, HBFS, HBDS, IFS */
#define DET_MASK        15u
#define DET_ESTABLISHED 3u
#define DET_RESET       1u
#define SIGNATURE_DISK  0x00000101u
#define SIGNATURE_ATAPI 0xeb140101u

/* How long the specification lets a controller take, or a disk that spins up (10.1.2, 10.4, 10.6.3). */
#define STOP_MS    500
#define LINK_MS    1000
#define HANDOFF_MS 2000
#define RESET_MS   2
#define SPIN_UP_MS 30000

#define IDENTIFY_MS 10000 /* a disk knows that without its medium */

/* What lies where in the page of the command: alignments of 3.3.1, 3.3.3 and 4.2.2. */
#define RECEIVED   0x400
#define TABLE      0x800
#define TABLE_PRDS 0x880
#define MAX_PAGES  64u

/* All the commands there are. Neither changes anything on a disk: no data goes to it. */
enum ata_command {
    ATA_READ_DMA_EXT = 0x25,
    ATA_IDENTIFY_DEVICE = 0xec,
};

/* Command header: 4.2.2. Its write bit (6) is never set: the controller brings data to memory and fetches
 * none. */
struct command_header {
    uint32_t length; /* 4:0 dwords of the FIS, 31:16 entries of the PRDT */
    uint32_t transferred;
    uint64_t table;
    uint32_t reserved[4];
};

/* Register FIS, host to device: Serial ATA 3.0, 10.3.4. */
struct command_fis {
    uint8_t type, flags, command, features;
    uint8_t lba_low[3], device;
    uint8_t lba_high[3], features_high;
    uint8_t count[2], reserved[6];
};

/* Physical region descriptor: 4.2.3.3. */
struct region {
    uint64_t address;
    uint32_t reserved;
    uint32_t last_byte; /* length less one */
};

_Static_assert(sizeof(struct command_header) == 32, "AHCI 1.3.1, section 4.2.2");
_Static_assert(sizeof(struct command_fis) == 20, "Serial ATA 3.0, section 10.3.4");
_Static_assert(sizeof(struct region) == 16, "AHCI 1.3.1, section 4.2.3.3");
_Static_assert(TABLE_PRDS + MAX_PAGES * sizeof(struct region) <= PAGE_SIZE, "the regions fit into the page");

static uint32_t read32(const struct ahci *ahci, uint32_t offset)
{
    return *(volatile uint32_t *)(ahci->registers + offset);
}

static void write32(const struct ahci *ahci, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(ahci->registers + offset) = value;
}

/* Of the port in use. */
static uint32_t px_read(const struct ahci *ahci, uint32_t offset)
{
    return read32(ahci, PORTS + ahci->port * PORT_SIZE + offset);
}

static void px_write(const struct ahci *ahci, uint32_t offset, uint32_t value)
{
    write32(ahci, PORTS + ahci->port * PORT_SIZE + offset, value);
}

static bool px_wait(const struct ahci *ahci, uint32_t offset, uint32_t mask, uint32_t wanted, uint32_t ms)
{
    uint64_t deadline = deadline_after(ms);
    while ((px_read(ahci, offset) & mask) != wanted) {
        if (deadline_passed(deadline))
            return false;
    }
    return true;
}

static void pause_ms(uint32_t ms)
{
    uint64_t deadline = deadline_after(ms);
    while (!deadline_passed(deadline))
        ;
}

/* ---- a port's engines: 10.3, 10.4 ---- */

static bool stop_commands(const struct ahci *ahci)
{
    px_write(ahci, PX_CMD, px_read(ahci, PX_CMD) & ~CMD_START);
    return px_wait(ahci, PX_CMD, CMD_RUNS, 0, STOP_MS);
}

static bool stop_port(const struct ahci *ahci)
{
    px_write(ahci, PX_IE, 0);
    bool stopped = stop_commands(ahci);
    px_write(ahci, PX_CMD, px_read(ahci, PX_CMD) & ~CMD_RECEIVE);
    return px_wait(ahci, PX_CMD, CMD_RECEIVES, 0, STOP_MS) && stopped;
}

static bool stop_all_ports(struct ahci *ahci)
{
    bool stopped = true;
    for (ahci->port = 0; ahci->port < AHCI_PORTS; ahci->port++)
        if (ahci->ports >> ahci->port & 1)
            stopped = stop_port(ahci) && stopped;
    ahci->port = 0;
    return stopped;
}

/* Errors of the past would stop the engine at once. Both registers are cleared by writing ones. */
static void forget_errors(const struct ahci *ahci)
{
    px_write(ahci, PX_SERR, UINT32_MAX);
    px_write(ahci, PX_IS, UINT32_MAX);
}

static bool has_link(const struct ahci *ahci)
{
    return (px_read(ahci, PX_SSTS) & DET_MASK) == DET_ESTABLISHED;
}

static bool wait_idle(const struct ahci *ahci)
{
    return px_wait(ahci, PX_TFD, TFD_OCCUPIED, 0, SPIN_UP_MS);
}

/* What the device sends lands in our page from here on, its signature first. */
static void start_receiving(const struct ahci *ahci)
{
    uint64_t received = ahci->command_bus + RECEIVED;
    px_write(ahci, PX_CLB, (uint32_t)ahci->command_bus);
    px_write(ahci, PX_CLB + 4, (uint32_t)(ahci->command_bus >> 32));
    px_write(ahci, PX_FB, (uint32_t)received);
    px_write(ahci, PX_FB + 4, (uint32_t)(received >> 32));
    forget_errors(ahci);
    px_write(ahci, PX_CMD, px_read(ahci, PX_CMD) | CMD_RECEIVE);
}

static bool start_commands(const struct ahci *ahci)
{
    px_write(ahci, PX_CMD, px_read(ahci, PX_CMD) | CMD_START);
    return px_wait(ahci, PX_CMD, CMD_RUNS, CMD_RUNS, STOP_MS);
}

/* COMRESET: 10.4.2. The engine is stopped. */
static bool reset_link(const struct ahci *ahci)
{
    uint32_t control = px_read(ahci, PX_SCTL) & ~DET_MASK;
    px_write(ahci, PX_SCTL, control | DET_RESET);
    pause_ms(RESET_MS);
    px_write(ahci, PX_SCTL, control);
    return px_wait(ahci, PX_SSTS, DET_MASK, DET_ESTABLISHED, LINK_MS);
}

/* After an error the port begins anew: 6.2.2.1. */
static void recover(const struct ahci *ahci)
{
    bool stopped = stop_commands(ahci);
    if (!stopped || px_read(ahci, PX_TFD) & TFD_OCCUPIED)
        reset_link(ahci);
    forget_errors(ahci);
    if (wait_idle(ahci))
        start_commands(ahci);
}

/* ---- commands ---- */

/* One command into slot 0, which nothing else uses: 5.5.1. */
static void fill_command(const struct ahci *ahci, enum ata_command command, uint64_t lba, uint32_t blocks)
{
    struct command_fis fis = {.type = 0x27, .flags = 0x80, .command = (uint8_t)command, .device = 0x40};
    for (uint32_t i = 0; i < 3; i++) {
        fis.lba_low[i] = (uint8_t)(lba >> 8 * i);
        fis.lba_high[i] = (uint8_t)(lba >> (24 + 8 * i));
    }
    fis.count[0] = (uint8_t)blocks;
    fis.count[1] = (uint8_t)(blocks >> 8);
    memset(ahci->command + TABLE, 0, TABLE_PRDS - TABLE);
    memcpy(ahci->command + TABLE, &fis, sizeof(fis));
}

static void fill_regions(const struct ahci *ahci, const uint64_t *pages, uint32_t bytes)
{
    struct region *regions = (struct region *)(void *)(ahci->command + TABLE_PRDS);
    uint32_t count = 0;
    for (uint32_t left = bytes; left; count++) {
        uint32_t piece = left < PAGE_SIZE ? left : (uint32_t)PAGE_SIZE;
        regions[count] = (struct region){pages[count], 0, piece - 1};
        left -= piece;
    }
    struct command_header header = {.length = count << 16 | sizeof(struct command_fis) / 4,
                                    .table = ahci->command_bus + TABLE};
    memcpy(ahci->command, &header, sizeof(header));
}

static long wait_command(const struct ahci *ahci, uint32_t ms)
{
    uint64_t deadline = deadline_after(ms);
    for (;;) {
        uint32_t issued = px_read(ahci, PX_CI);
        if (px_read(ahci, PX_IS) & IS_ERRORS)
            return -EIO;
        if (!(issued & 1))
            return 0;
        if (deadline_passed(deadline))
            return -ETIMEDOUT;
    }
}

static long run_command(const struct ahci *ahci, uint32_t ms)
{
    forget_errors(ahci);
    __asm__ volatile("" : : : "memory"); /* the command is in memory before it is issued */
    px_write(ahci, PX_CI, 1);
    long status = wait_command(ahci, ms);
    if (status)
        recover(ahci);
    return status;
}

long ahci_read_pages(struct ahci *ahci, uint64_t lba, uint32_t bytes, const uint64_t *pages)
{
    if (!bytes || bytes > ahci->max_bytes || bytes % ahci->block_size)
        return -EINVAL;
    fill_command(ahci, ATA_READ_DMA_EXT, lba, bytes / ahci->block_size);
    fill_regions(ahci, pages, bytes);
    return run_command(ahci, DEVICE_DEADLINE_MS);
}

/* ---- who is there ---- */

/* Two characters a word, the first one in the upper half, padded with blanks: ATA8-ACS, 7.16. */
static void copy_model(char *to, const uint16_t *words)
{
    uint32_t length = 40;
    for (uint32_t i = 0; i < 40; i++)
        to[i] = (char)(words[27 + i / 2] >> (i & 1 ? 0 : 8));
    while (length && (to[length - 1] == ' ' || to[length - 1] == '\0'))
        length--;
    to[length] = '\0';
}

/* Word 106 says whether words 117 and 118 hold the size of a block, in words. */
static uint32_t block_size(const uint16_t *words)
{
    if ((words[106] & 0xd000) != 0x5000)
        return 512;
    uint32_t size = words[117] | (uint32_t)words[118] << 16;
    return size < UINT32_MAX / 2 ? size * 2 : 0;
}

static const char *read_identity(struct ahci *ahci)
{
    const uint16_t *words = (const uint16_t *)(const void *)ahci->data;
    copy_model(ahci->model, words);
    memcpy(&ahci->blocks, words + 100, sizeof(ahci->blocks));
    ahci->block_size = block_size(words);
    ahci->max_bytes = MAX_PAGES * PAGE_SIZE;
    if (!ahci->model[0])
        return "IDENTIFY DEVICE brought no data";
    if (words[128] & 4)
        return "the disk is locked by a password";
    if (!(words[49] & 0x100) || !(words[83] & 0x400))
        return "the disk is too old: no DMA, or no 48-bit addresses";
    if (ahci->block_size < 512 || ahci->block_size > PAGE_SIZE || ahci->block_size & (ahci->block_size - 1))
        return "the disk has blocks of an odd size";
    return NULL;
}

static const char *identify(struct ahci *ahci)
{
    memset(ahci->data, 0, PAGE_SIZE);
    fill_command(ahci, ATA_IDENTIFY_DEVICE, 0, 0);
    fill_regions(ahci, &ahci->data_bus, 512);
    return run_command(ahci, IDENTIFY_MS) ? "IDENTIFY DEVICE failed" : read_identity(ahci);
}

enum ahci_kind ahci_look(struct ahci *ahci, uint32_t port)
{
    ahci->port = port;
    if (!has_link(ahci))
        return AHCI_EMPTY;
    start_receiving(ahci);
    bool answers = wait_idle(ahci);
    uint32_t signature = px_read(ahci, PX_SIG);
    stop_port(ahci);
    if (!answers)
        return AHCI_EMPTY;
    return signature == SIGNATURE_DISK ? AHCI_DISK : signature == SIGNATURE_ATAPI ? AHCI_ATAPI : AHCI_OTHER;
}

const char *ahci_open_disk(struct ahci *ahci, uint32_t port)
{
    ahci->port = port;
    ahci->model[0] = '\0';
    start_receiving(ahci);
    if (!wait_idle(ahci)) {
        stop_port(ahci);
        return "the disk stays busy";
    }
    const char *trouble = start_commands(ahci) ? identify(ahci) : "its port does not start";
    if (trouble)
        stop_port(ahci);
    return trouble;
}

/* ---- the controller ---- */

/* Firmware's system management mode may still drive it: 10.6. One that does not let go is taken nevertheless.
 */
static void take_from_firmware(const struct ahci *ahci)
{
    if (!(read32(ahci, HBA_CAP2) & CAP2_HANDOFF))
        return;
    write32(ahci, HBA_BOHC, read32(ahci, HBA_BOHC) | BOHC_SYSTEM);
    uint64_t deadline = deadline_after(HANDOFF_MS);
    while (read32(ahci, HBA_BOHC) & (BOHC_FIRMWARE | BOHC_BUSY) && !deadline_passed(deadline))
        ;
}

static uint32_t ports_within_reach(uint64_t bar)
{
    uint64_t offset = (bar & (PAGE_SIZE - 1)) + PORTS;
    return offset < PAGE_SIZE ? (uint32_t)((PAGE_SIZE - offset) / PORT_SIZE) : 0;
}

static const char *map_registers(struct ahci *ahci)
{
    uint64_t bar = pci_bar(ahci->id, 5);
    /* The page that they begin in. A window that does not begin with a page ends with it. */
    ahci->registers = bar ? map_mmio(bar, PORTS) : NULL;
    if (!ahci->registers)
        return "its registers cannot be mapped";
    if (read32(ahci, HBA_PI) == UINT32_MAX && read32(ahci, HBA_CAP) == UINT32_MAX)
        return "its registers do not answer";
    /* It would ignore the upper halves, and take its commands from wherever the lower ones lead. */
    if (!(read32(ahci, HBA_CAP) & CAP_64BIT))
        return "it takes bus addresses of 32 bits only";
    ahci->ports = read32(ahci, HBA_PI);
    return ahci->ports >> ports_within_reach(bar) ? "it has ports whose registers are out of reach" : NULL;
}

static bool get_pages(struct ahci *ahci)
{
    uint64_t command, data;
    ahci->command = page_alloc(&command);
    ahci->data = page_alloc(&data);
    if (!ahci->command || !ahci->data)
        return false;
    ahci->command_bus = bus_address(command);
    ahci->data_bus = bus_address(data);
    return ahci->command_bus != NO_BUS && ahci->data_bus != NO_BUS;
}

bool ahci_present(uint32_t index)
{
    pci_id id;
    return pci_find_class(AHCI_CLASS, index, &id);
}

static const char *take_controller(struct ahci *ahci)
{
    pci_enable_memory(ahci->id);
    const char *trouble = map_registers(ahci);
    if (trouble)
        return trouble;
    if (!get_pages(ahci))
        return "no memory or no bus address for its commands";
    take_from_firmware(ahci);
    write32(ahci, HBA_GHC, (read32(ahci, HBA_GHC) | GHC_AHCI) & ~GHC_INTERRUPTS);
    if (!stop_all_ports(ahci))
        return "a port of it does not stop";
    return pci_set_master(ahci->id, true) ? NULL : "it may not become a bus master";
}

const char *ahci_open(struct ahci *ahci, uint32_t index)
{
    if (!pci_find_class(AHCI_CLASS, index, &ahci->id))
        return "there is no controller";
    const char *trouble = take_controller(ahci);
    if (trouble)
        pci_set_master(ahci->id, false);
    return trouble;
}

void ahci_close(struct ahci *ahci)
{
    stop_all_ports(ahci);
    pci_set_master(ahci->id, false);
}
