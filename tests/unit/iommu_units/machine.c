/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_units/machine.h"

#include "drivers/iommu/amdvi/regs.h"
#include "drivers/iommu/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define WINDOW_BYTES AMDVI_REGISTER_BYTES
#define LINE_BYTES   64u
#define TICK_NS      10000000ull
#define NEVER        0xdbu /* what is in memory where nothing was written back: entries that are present */

struct machine machine;
static uint8_t *memory, *written; /* what the CPU sees; what has been written back */
static uint8_t windows[MACHINE_UNITS_MAX + 1][WINDOW_BYTES];   /* addresses only; the last: nobody's */
static uint16_t function_of[MACHINE_SEGMENTS][UINT16_MAX + 1]; /* its number and 1; 0: nothing is there */

/* ---- the machine ---- */

static const struct unit_model *model(void)
{
    return machine.vendor == IOMMU_VENDOR_VTD ? &vtd_unit_model : &amdvi_unit_model;
}

/* Large, and used in part only: the pages come when they are touched. */
static uint8_t *reserve_memory(void)
{
    void *room = mmap(NULL, MACHINE_FRAMES << 12, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_true(room != MAP_FAILED);
    return room;
}

void machine_reset(enum iommu_vendor vendor)
{
    for (uint32_t i = 0; i < machine.function_count; i++)
        function_of[machine.functions[i].segment][machine.functions[i].id] = 0;
    if (memory == NULL) {
        memory = reserve_memory();
        written = reserve_memory();
    }
    memset(&machine, 0, sizeof machine);
    machine.vendor = vendor;
    machine.failing_allocation = -1;
}

void machine_restart(void)
{
    machine.next_frame = machine.time = machine.stores = machine.released = 0;
    for (uint32_t i = 0; i < machine.unit_count; i++) {
        struct unit *unit = &machine.units[i];

        memset(&unit->done, 0, sizeof *unit - offsetof(struct unit, done));
        model()->reset(unit);
    }
    for (uint32_t i = 0; i < machine.function_count; i++)
        machine.functions[i].config[4] = 6;
}

uint32_t machine_add_unit(uint16_t segment)
{
    struct unit *unit = &machine.units[machine.unit_count];

    assert_true(machine.unit_count < MACHINE_UNITS_MAX && segment < MACHINE_SEGMENTS);
    *unit = (struct unit){.base = MACHINE_BASE(machine.unit_count), .segment = segment};
    model()->reset(unit);
    return machine.unit_count++;
}

uint64_t machine_page_in(uint64_t address, uint64_t bfn, uint32_t level)
{
    uint64_t pages = (1ull << (9 * (level - 1))) - 1;

    assert_int_equal(address >> 12 & pages, 0);
    return address + ((bfn & pages) << 12);
}

bool machine_is_on(const struct unit *unit)
{
    return model()->is_on(unit);
}

bool machine_dma(struct unit *unit, uint16_t id, uint64_t bfn, bool write, uint64_t *mfn)
{
    return model()->dma(unit, id, bfn, write, mfn);
}

/* ---- functions ---- */

static void put16(uint8_t *config, uint32_t offset, uint32_t value)
{
    config[offset] = (uint8_t)value;
    config[offset + 1] = (uint8_t)(value >> 8);
}

struct machine_function *machine_add_function(uint16_t segment, uint16_t id, uint32_t unit)
{
    struct machine_function *function = &machine.functions[machine.function_count];

    assert_true(machine.function_count < MACHINE_FUNCTIONS && segment < MACHINE_SEGMENTS);
    assert_null(machine_function_at(segment, id));
    *function = (struct machine_function){.segment = segment, .id = id, .shows = id, .unit = unit};
    put16(function->config, 0x00, 0x1234);
    put16(function->config, 0x04, 0x0006);
    function_of[segment][id] = (uint16_t)++machine.function_count;
    return function;
}

void machine_add_bridge(uint16_t segment, uint16_t id, uint32_t unit, uint8_t secondary, uint8_t subordinate)
{
    struct machine_function *function = machine_add_function(segment, id, unit);

    function->config[0x0e] = 1;
    function->config[0x19] = secondary;
    function->config[0x1a] = subordinate;
}

void machine_add_unit_function(uint16_t segment, uint16_t id, uint32_t unit)
{
    struct machine_function *function = machine_add_function(segment, id, unit);

    function->is_unit = true;
    put16(function->config, 0x06, 0x0010);
    function->config[0x34] = UNIT_CAPABILITY;
    put16(function->config, UNIT_CAPABILITY, AMDVI_CAP_ID);
    function->config[UNIT_CAPABILITY + 3] = AMDVI_CAP_FEATURES >> 24;
}

struct machine_function *machine_function_at(uint16_t segment, uint16_t id)
{
    uint32_t number = segment < MACHINE_SEGMENTS ? function_of[segment][id] : 0;

    return number != 0 ? &machine.functions[number - 1] : NULL;
}

bool machine_is_master(const struct machine_function *function)
{
    return (function->config[4] & 4) != 0;
}

uint16_t host_pci_requester(uint16_t segment, uint16_t id)
{
    (void)segment;
    return id;
}

uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    const struct machine_function *function = machine_function_at(segment, id);
    uint32_t value = 0;

    if (function == NULL || offset + bytes > sizeof function->config)
        return UINT32_MAX >> (32 - 8 * bytes);
    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint32_t)function->config[offset + i] << (8 * i);
    if (function->is_unit && machine.units[function->unit].caches_absence && offset == UNIT_CAPABILITY)
        value |= bytes == 4 ? AMDVI_CAP_NPCACHE : 0;
    return value;
}

void host_pci_write(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    struct machine_function *function = machine_function_at(segment, id);

    assert_non_null(function);
    assert_true(offset + bytes <= sizeof function->config);
    for (uint32_t i = 0; i < bytes; i++)
        function->config[offset + i] = (uint8_t)(value >> (8 * i));
}

/* ---- memory ---- */

static uint64_t offset_of(uint64_t address, uint64_t size)
{
    uint64_t offset = address - (MACHINE_FIRST_MFN << 12);

    assert_true(offset < MACHINE_FRAMES << 12 && size <= (MACHINE_FRAMES << 12) - offset);
    return offset;
}

static bool is_coherent(const struct unit *unit)
{
    return machine.vendor == IOMMU_VENDOR_AMDVI || (unit->ecap & 1) != 0;
}

const void *machine_memory_of(const struct unit *unit, uint64_t address, uint64_t size)
{
    assert_true(machine.has_written || is_coherent(unit));
    return (is_coherent(unit) ? memory : written) + offset_of(address, size);
}

void machine_store(uint64_t address, const void *value, uint64_t size)
{
    memcpy(memory + offset_of(address, size), value, size);
}

uint64_t host_frames_alloc(uint64_t count)
{
    uint64_t first = machine.next_frame;

    if (count > MACHINE_FRAMES - first || machine.failing_allocation-- == 0)
        return 0;
    machine.frames_out += (int64_t)count;
    machine.next_frame += count;
    memset(memory + (first << 12), 0, count << 12);
    if (machine.has_written)
        memset(written + (first << 12), NEVER, count << 12);
    return MACHINE_FIRST_MFN + first;
}

void host_frames_free(uint64_t mfn, uint64_t count)
{
    (void)offset_of(mfn << 12, count << 12);
    machine.frames_out -= (int64_t)count;
}

void *host_frame_address(uint64_t mfn)
{
    return memory + offset_of(mfn << 12, 4096);
}

bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames)
{
    return mfn < MACHINE_FIRST_MFN + MACHINE_FRAMES && mfn + frames > MACHINE_FIRST_MFN;
}

uint64_t host_range_withhold(uint64_t mfn, uint64_t frames)
{
    (void)mfn, (void)frames;
    return 0;
}

void host_frames_release(const struct iommu_frames *frames, uint32_t runs, uint64_t address_mask,
                         uint32_t flags)
{
    (void)address_mask, (void)flags;
    for (uint32_t i = 0; i < runs; i++)
        machine.released += frames[i].count;
}

void host_store64(uint64_t *address, uint64_t value)
{
    *address = value;
    machine.stores++;
}

void host_store128(uint64_t *address, uint64_t low, uint64_t high)
{
    address[0] = low;
    address[1] = high;
    machine.stores++;
}

void host_cache_flush(const volatile void *address, size_t size)
{
    size_t first = (size_t)((const volatile uint8_t *)address - memory) / LINE_BYTES * LINE_BYTES;
    size_t end = (size_t)((const volatile uint8_t *)address - memory) + size;

    end = (end + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    assert_true(size != 0 && first < end && end <= MACHINE_FRAMES << 12);
    if (machine.has_written)
        memcpy(written + first, memory + first, end - first);
}

/* ---- registers ---- */

volatile void *host_mmio_map(uint64_t physical, uint64_t size)
{
    assert_true(size <= WINDOW_BYTES);
    for (uint32_t i = 0; i < machine.unit_count; i++)
        if (physical == machine.units[i].base)
            return windows[i];
    return windows[MACHINE_UNITS_MAX];
}

/* The unit that answers there, or NULL. */
static struct unit *unit_at(const volatile void *address, uint32_t *offset)
{
    size_t at = (size_t)((const volatile uint8_t *)address - windows[0]);
    struct unit *unit;

    assert_true(at < sizeof windows);
    *offset = (uint32_t)(at % WINDOW_BYTES);
    unit = at / WINDOW_BYTES < machine.unit_count ? &machine.units[at / WINDOW_BYTES] : NULL;
    return unit != NULL && !unit->silent ? unit : NULL;
}

uint32_t host_mmio_read32(const volatile void *address)
{
    uint32_t offset;
    struct unit *unit = unit_at(address, &offset);

    return unit != NULL ? (uint32_t)model()->read(unit, offset, 4) : UINT32_MAX;
}

uint64_t host_mmio_read64(const volatile void *address)
{
    uint32_t offset;
    struct unit *unit = unit_at(address, &offset);

    return unit != NULL ? model()->read(unit, offset, 8) : UINT64_MAX;
}

void host_mmio_write32(volatile void *address, uint32_t value)
{
    uint32_t offset;
    struct unit *unit = unit_at(address, &offset);

    if (unit != NULL)
        model()->write(unit, offset, value, 4);
}

void host_mmio_write64(volatile void *address, uint64_t value)
{
    uint32_t offset;
    struct unit *unit = unit_at(address, &offset);

    if (unit != NULL)
        model()->write(unit, offset, value, 8);
}

uint64_t host_time_ns(void)
{
    return machine.time += TICK_NS;
}

void host_pause(void)
{
}

/* ---- what a unit remembers: one place for each of some ids and pages ---- */

struct unit_device *unit_known_device(struct unit *unit, uint16_t id)
{
    struct unit_device *device = &unit->devices[id % UNIT_CACHED];

    return device->valid && device->id == id ? device : NULL;
}

struct unit_page *unit_known_page(struct unit *unit, uint16_t domain, uint64_t bfn)
{
    struct unit_page *page = &unit->pages[(bfn + domain) % UNIT_CACHED];

    return page->valid && page->domain == domain && page->bfn == bfn ? page : NULL;
}

void unit_remember_device(struct unit *unit, uint16_t id, uint64_t low, uint64_t high)
{
    unit->devices[id % UNIT_CACHED] = (struct unit_device){true, id, low, high};
}

void unit_remember_page(struct unit *unit, uint16_t domain, uint64_t bfn, uint64_t entry)
{
    unit->pages[(bfn + domain) % UNIT_CACHED] = (struct unit_page){true, domain, bfn, entry};
}

void unit_forget_devices(struct unit *unit)
{
    memset(unit->devices, 0, sizeof unit->devices);
}

void unit_forget_pages(struct unit *unit)
{
    memset(unit->pages, 0, sizeof unit->pages);
}

void unit_forget_domain(struct unit *unit, uint16_t domain)
{
    for (uint32_t i = 0; i < UNIT_CACHED; i++)
        if (unit->pages[i].domain == domain)
            unit->pages[i].valid = false;
}

void unit_forget_range(struct unit *unit, uint16_t domain, uint64_t bfn, uint64_t frames)
{
    for (uint32_t i = 0; i < UNIT_CACHED; i++)
        if (unit->pages[i].domain == domain && unit->pages[i].bfn - bfn < frames)
            unit->pages[i].valid = false;
}
