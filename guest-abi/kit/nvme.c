/* SPDX-License-Identifier: MIT */
#include "kit/nvme.h"

#include "kit/bus.h"
#include "kit/hypercall.h"
#include "kit/memory.h"
#include "kit/string.h"
#include "kit/time.h"

/* Controller registers: section 3.1. */
#define NVME_CAP       0x00
#define NVME_CC        0x14
#define NVME_CSTS      0x1c
#define NVME_AQA       0x24
#define NVME_ASQ       0x28
#define NVME_ACQ       0x30
#define NVME_DOORBELLS 0x1000
#define REGISTER_BYTES 0x2000 /* that are mapped */

#define CAP_NVM_COMMANDS (1ull << 37)
#define CAP_MINIMUM_PAGE (15ull << 48) /* MPSMIN: 0 is 4 KiB */
#define CC_ENABLE        1u
#define CC_ENTRIES       (6u << 16 | 4u << 20) /* 64-byte commands, 16-byte completions */
#define CC_SHUTDOWN      (1u << 14)
#define CSTS_READY       1u
#define CSTS_FATAL       2u
#define CSTS_SHUTDOWN    (3u << 2)
#define CSTS_SHUT_DOWN   (2u << 2)
#define READY_UNIT_MS    500u /* of CAP.TO */
#define SHUTDOWN_WAIT_MS 5000u

#define QUEUE_ENTRIES 64u /* one page of commands */

/* All the commands there are: sections 5 and 6. None changes anything on a disk. */
enum admin_command {
    ADMIN_CREATE_IO_SQ = 0x01,
    ADMIN_CREATE_IO_CQ = 0x05,
    ADMIN_IDENTIFY = 0x06,
};
enum io_command {
    IO_READ = 0x02,
};

#define IDENTIFY_NAMESPACE  0u
#define IDENTIFY_CONTROLLER 1u
#define IDENTIFY_LIST       2u /* of active namespaces */
#define QUEUE_CONTIGUOUS    1u
#define PSDT_SGL            (1u << 14) /* command dword 0: metadata pointer is an address, data is an SGL */

struct nvme_command {
    uint32_t opcode; /* 7:0 opcode, 15:14 PSDT, 31:16 identifier */
    uint32_t namespace_id;
    uint64_t reserved, metadata;
    uint64_t data[2]; /* PRP1, PRP2; or one SGL descriptor */
    uint32_t dword[6];
};

struct nvme_completion {
    uint32_t result, reserved, queue;
    uint32_t status; /* 15:0 identifier, 16 phase, 31:17 status field */
};

_Static_assert(sizeof(struct nvme_command) == 64, "NVMe 1.4, section 4.2");
_Static_assert(sizeof(struct nvme_completion) == 16, "NVMe 1.4, section 4.6");

static uint32_t read32(const struct nvme *nvme, uint32_t offset)
{
    return *(volatile uint32_t *)(nvme->registers + offset);
}

static void write32(const struct nvme *nvme, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(nvme->registers + offset) = value;
}

static void write64(const struct nvme *nvme, uint32_t offset, uint64_t value)
{
    write32(nvme, offset, (uint32_t)value);
    write32(nvme, offset + 4, (uint32_t)(value >> 32));
}

static uint32_t doorbell(const struct nvme *nvme, uint32_t queue, bool completion)
{
    uint32_t stride = 4u << (nvme->capabilities >> 32 & 15);
    return NVME_DOORBELLS + (2 * queue + completion) * stride;
}

static void ring(const struct nvme *nvme, uint32_t queue, bool completion, uint32_t value)
{
    __asm__ volatile("" : : : "memory"); /* the command is in memory before the doorbell rings */
    write32(nvme, doorbell(nvme, queue, completion), value);
}

static bool wait_status(const struct nvme *nvme, uint32_t mask, uint32_t wanted, uint32_t ms)
{
    uint64_t deadline = deadline_after(ms);
    while ((read32(nvme, NVME_CSTS) & mask) != wanted) {
        if (deadline_passed(deadline))
            return false;
    }
    return true;
}

/* For as long as the controller asks for: CAP.TO. */
static bool wait_ready(const struct nvme *nvme, uint32_t wanted)
{
    uint32_t units = (uint32_t)(nvme->capabilities >> 24 & 0xff);
    return wait_status(nvme, CSTS_READY, wanted, (units + 1) * READY_UNIT_MS);
}

static bool queue_init(struct nvme *nvme, struct nvme_queue *queue, uint32_t number)
{
    uint64_t commands, completions;
    uint32_t limit = (uint32_t)(nvme->capabilities & 0xffff) + 1;
    queue->number = number;
    queue->size = limit < QUEUE_ENTRIES ? limit : QUEUE_ENTRIES;
    queue->tail = queue->head = 0;
    queue->phase = 1;
    queue->commands = page_alloc(&commands);
    queue->completions = page_alloc(&completions);
    if (!queue->commands || !queue->completions)
        return false;
    queue->commands_bus = bus_address(commands);
    queue->completions_bus = bus_address(completions);
    return queue->commands_bus != NO_BUS && queue->completions_bus != NO_BUS;
}

static bool has_completion(const struct nvme_queue *queue)
{
    return (queue->completions[queue->head].status >> 16 & 1) == queue->phase;
}

static long wait_completion(struct nvme *nvme, struct nvme_queue *queue)
{
    volatile struct nvme_completion *completion = &queue->completions[queue->head];
    uint64_t deadline = deadline_after(DEVICE_DEADLINE_MS);
    while (!has_completion(queue)) {
        if (read32(nvme, NVME_CSTS) & CSTS_FATAL)
            return -EIO;
        if (deadline_passed(deadline))
            return -ETIMEDOUT;
    }
    long status = completion->status >> 17;
    if (++queue->head == queue->size) {
        queue->head = 0;
        queue->phase ^= 1;
    }
    ring(nvme, queue->number, true, queue->head);
    return status;
}

static void post(struct nvme *nvme, struct nvme_queue *queue, const struct nvme_command *command)
{
    queue->commands[queue->tail] = *command;
    queue->commands[queue->tail].opcode |= queue->tail << 16;
    queue->tail = (queue->tail + 1) % queue->size;
    ring(nvme, queue->number, false, queue->tail);
}

static long submit(struct nvme *nvme, struct nvme_queue *queue, const struct nvme_command *command)
{
    post(nvme, queue, command);
    return wait_completion(nvme, queue);
}

static long identify(struct nvme *nvme, uint32_t what, uint32_t namespace_id)
{
    struct nvme_command command = {
        .opcode = ADMIN_IDENTIFY, .namespace_id = namespace_id, .data = {nvme->data_bus}, .dword = {what}};
    memset(nvme->data, 0, PAGE_SIZE);
    return submit(nvme, &nvme->admin, &command);
}

static long create_io_queues(struct nvme *nvme)
{
    uint32_t size_and_number = (nvme->io.size - 1) << 16 | nvme->io.number;
    struct nvme_command completion = {.opcode = ADMIN_CREATE_IO_CQ,
                                      .data = {nvme->io.completions_bus},
                                      .dword = {size_and_number, QUEUE_CONTIGUOUS}};
    struct nvme_command submission = {.opcode = ADMIN_CREATE_IO_SQ,
                                      .data = {nvme->io.commands_bus},
                                      .dword = {size_and_number, nvme->io.number << 16 | QUEUE_CONTIGUOUS}};
    long status = submit(nvme, &nvme->admin, &completion);
    return status ? status : submit(nvme, &nvme->admin, &submission);
}

/* Identify strings are padded with blanks, not terminated. */
static void copy_text(char *to, const uint8_t *from, size_t bytes)
{
    memcpy(to, from, bytes);
    while (bytes && (to[bytes - 1] == ' ' || to[bytes - 1] == '\0'))
        bytes--;
    to[bytes] = '\0';
}

static void read_controller_data(struct nvme *nvme)
{
    const uint8_t *data = nvme->data;
    uint32_t sgls;
    memcpy(&sgls, data + 536, sizeof(sgls));
    copy_text(nvme->model, data + 24, 40);
    nvme->sgl = sgls & 3;
    uint32_t order = data[77] ? PAGE_SHIFT + data[77] : 31;
    /* One page of PRP list bounds a command too. */
    nvme->max_bytes = order > 20 ? 1u << 20 : 1u << order;
}

/* Before NVMe 1.1 there was no list, and namespaces were counted from 1. */
static void choose_namespace(struct nvme *nvme)
{
    nvme->namespace_id = 1;
    if (!identify(nvme, IDENTIFY_LIST, 0))
        memcpy(&nvme->namespace_id, nvme->data, sizeof(nvme->namespace_id));
}

static const char *read_namespace_data(struct nvme *nvme)
{
    const uint8_t *data = nvme->data;
    uint32_t format;
    memcpy(&nvme->blocks, data, sizeof(nvme->blocks));
    memcpy(&format, data + 128 + 4 * (data[26] & 15), sizeof(format));
    uint32_t order = format >> 16 & 0xff;
    nvme->block_size = order >= 9 && order <= 12 ? 1u << order : 0;
    if (!nvme->blocks)
        return "its first namespace holds nothing";
    if (format & 0xffff)
        return "its blocks have metadata";
    return nvme->block_size ? NULL : "its blocks are smaller than 512 bytes or larger than 4096";
}

static const char *identify_all(struct nvme *nvme)
{
    if (identify(nvme, IDENTIFY_CONTROLLER, 0))
        return "identify controller failed";
    read_controller_data(nvme);
    if (!nvme->model[0])
        return "identify controller brought no data";
    choose_namespace(nvme);
    if (!nvme->namespace_id)
        return "it has no namespace";
    if (identify(nvme, IDENTIFY_NAMESPACE, nvme->namespace_id))
        return "identify namespace failed";
    return read_namespace_data(nvme);
}

/* EN goes when the controller is ready, or never will be, and the rest stays as it is: section 3.1.5. */
static bool stop_controller(const struct nvme *nvme)
{
    uint32_t configuration = read32(nvme, NVME_CC);
    if (configuration & CC_ENABLE)
        wait_ready(nvme, CSTS_READY);
    write32(nvme, NVME_CC, configuration & ~CC_ENABLE);
    return wait_ready(nvme, 0);
}

static const char *start_controller(struct nvme *nvme)
{
    write32(nvme, NVME_AQA, (nvme->admin.size - 1) << 16 | (nvme->admin.size - 1));
    write64(nvme, NVME_ASQ, nvme->admin.commands_bus);
    write64(nvme, NVME_ACQ, nvme->admin.completions_bus);
    write32(nvme, NVME_CC, CC_ENTRIES | CC_ENABLE);
    return wait_ready(nvme, CSTS_READY) ? NULL : "the controller does not become ready";
}

static const char *map_registers(struct nvme *nvme)
{
    uint64_t bar = pci_bar(nvme->id, 0);
    nvme->registers = bar ? map_mmio(bar, REGISTER_BYTES) : NULL;
    if (!nvme->registers)
        return "its registers cannot be mapped";
    nvme->capabilities = read32(nvme, NVME_CAP) | (uint64_t)read32(nvme, NVME_CAP + 4) << 32;
    if (nvme->capabilities == UINT64_MAX)
        return "its registers do not answer";
    if (!(nvme->capabilities & CAP_NVM_COMMANDS))
        return "it has no NVM command set";
    if (doorbell(nvme, 1, true) >= REGISTER_BYTES)
        return "its doorbells are too far apart";
    if (nvme->capabilities & CAP_MINIMUM_PAGE)
        return "its smallest page is larger than 4 KiB";
    return NULL;
}

static bool get_pages(struct nvme *nvme)
{
    uint64_t data_pfn;
    nvme->data = page_alloc(&data_pfn);
    return nvme->data && (nvme->data_bus = bus_address(data_pfn)) != NO_BUS &&
           queue_init(nvme, &nvme->admin, 0) && queue_init(nvme, &nvme->io, 1);
}

/* Firmware may have left it running, with queues in memory that is ours now: it is stopped before it gets
 * there. */
static const char *take_controller(struct nvme *nvme)
{
    pci_enable_memory(nvme->id);
    const char *trouble = map_registers(nvme);
    if (trouble)
        return trouble;
    if (!get_pages(nvme))
        return "no memory or no bus address for its queues";
    if (!stop_controller(nvme))
        return "the controller does not stop";
    if (!pci_set_master(nvme->id, true))
        return "it may not become a bus master";
    trouble = start_controller(nvme);
    if (!trouble)
        trouble = identify_all(nvme);
    if (!trouble && create_io_queues(nvme))
        trouble = "the I/O queues cannot be created";
    if (trouble)
        stop_controller(nvme);
    return trouble;
}

bool nvme_present(uint32_t index)
{
    pci_id id;
    return pci_find_class(NVME_CLASS, index, &id);
}

const char *nvme_open(struct nvme *nvme, uint32_t index)
{
    nvme->model[0] = '\0';
    if (!pci_find_class(NVME_CLASS, index, &nvme->id))
        return "there is no controller";
    const char *trouble = take_controller(nvme);
    if (trouble)
        pci_set_master(nvme->id, false);
    return trouble;
}

void nvme_close(struct nvme *nvme)
{
    write32(nvme, NVME_CC, read32(nvme, NVME_CC) | CC_SHUTDOWN);
    wait_status(nvme, CSTS_SHUTDOWN, CSTS_SHUT_DOWN, SHUTDOWN_WAIT_MS);
    stop_controller(nvme);
    pci_set_master(nvme->id, false);
}

static void post_read(struct nvme *nvme, uint64_t lba, uint32_t bytes, struct nvme_command *command)
{
    command->opcode |= IO_READ;
    command->namespace_id = nvme->namespace_id;
    command->dword[0] = (uint32_t)lba;
    command->dword[1] = (uint32_t)(lba >> 32);
    command->dword[2] = bytes / nvme->block_size - 1;
    post(nvme, &nvme->io, command);
}

static bool size_is_good(const struct nvme *nvme, uint32_t bytes)
{
    return bytes && bytes <= nvme->max_bytes && bytes % nvme->block_size == 0;
}

bool nvme_has_finished(const struct nvme *nvme)
{
    return has_completion(&nvme->io);
}

long nvme_finish(struct nvme *nvme)
{
    return wait_completion(nvme, &nvme->io);
}

long nvme_read_pages(struct nvme *nvme, uint64_t lba, uint32_t bytes, const uint64_t *pages)
{
    if (!size_is_good(nvme, bytes))
        return -EINVAL;
    uint32_t count = (uint32_t)((bytes + PAGE_SIZE - 1) / PAGE_SIZE);
    struct nvme_command command = {.data = {pages[0], count == 2 ? pages[1] : 0}};
    if (count > 2) {
        memcpy(nvme->data, pages + 1, (count - 1) * sizeof(pages[0]));
        command.data[1] = nvme->data_bus;
    }
    post_read(nvme, lba, bytes, &command);
    return nvme_finish(nvme);
}

long nvme_start_sgl(struct nvme *nvme, uint64_t lba, uint32_t bytes, uint64_t bus_address)
{
    if (!size_is_good(nvme, bytes))
        return -EINVAL;
    /* Data block descriptor (type 0): address, then length in the low half of the second word. */
    struct nvme_command command = {.opcode = PSDT_SGL, .data = {bus_address, bytes}};
    post_read(nvme, lba, bytes, &command);
    return 0;
}

long nvme_read_sgl(struct nvme *nvme, uint64_t lba, uint32_t bytes, uint64_t bus_address)
{
    long status = nvme_start_sgl(nvme, lba, bytes, bus_address);
    return status ? status : nvme_finish(nvme);
}
