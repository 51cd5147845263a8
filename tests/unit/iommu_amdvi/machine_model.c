/* SPDX-License-Identifier: MIT */
/* The machine around the model units: host.h. */
#include "drivers/iommu/host.h"
#include "tests/unit/iommu_amdvi/unit_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define FUNCTIONS   8u
#define UNIT_CAP    0x40u
#define MSI_CAP     0x54u
#define TICK_NS     1000000ull
#define BUS_OF_UNIT 0x20u /* of the second unit */

struct model_machine model_machine;
static _Alignas(4096) uint8_t memory[MODEL_FRAMES << 12];
static uint8_t functions[FUNCTIONS][256], unit_functions[MODEL_UNITS][256];
static uint8_t windows[MODEL_UNITS][AMDVI_REGISTER_BYTES]; /* addresses only */
static uint64_t next_frame, now;

static void put16(uint8_t *config, uint32_t offset, uint32_t value)
{
    config[offset] = (uint8_t)value;
    config[offset + 1] = (uint8_t)(value >> 8);
}

static void reset_unit_function(uint8_t *config)
{
    memset(config, 0, 256);
    put16(config, 0x00, 0x1022);
    put16(config, 0x06, 0x0010);
    config[0x34] = UNIT_CAP;
    put16(config, UNIT_CAP, AMDVI_CAP_ID | MSI_CAP << 8);
    config[UNIT_CAP + 3] = (AMDVI_CAP_FEATURES) >> 24;
    put16(config, MSI_CAP, 0x05);
    put16(config, MSI_CAP + 2u, 0x0080 | 0x0030); /* 64-bit; firmware left eight messages */
}

void model_reset(void)
{
    model_reset_units();
    memset(&model_machine, 0, sizeof model_machine);
    memset(functions, 0, sizeof functions);
    next_frame = now = 0;
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        put16(functions[i], 0x00, 0x1234);
        put16(functions[i], 0x04, 0x0006);
    }
    for (uint32_t i = 0; i < MODEL_UNITS; i++)
        reset_unit_function(unit_functions[i]);
}

/* ---- memory ---- */

void *model_memory(uint64_t address, uint64_t size)
{
    uint64_t offset = address - ((uint64_t)MODEL_FIRST_MFN << 12);

    assert_true(offset < sizeof memory && size <= sizeof memory - offset);
    return memory + offset;
}

uint64_t host_frames_alloc(uint64_t count)
{
    uint64_t first = next_frame;

    if (first + count > MODEL_FRAMES)
        return 0;
    next_frame += count;
    memset(memory + (first << 12), 0, count << 12);
    return MODEL_FIRST_MFN + first;
}

void host_frames_free(uint64_t mfn, uint64_t count)
{
    (void)model_memory(mfn << 12, count << 12);
}

void *host_frame_address(uint64_t mfn)
{
    return model_memory(mfn << 12, 4096);
}

bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames)
{
    return mfn < MODEL_FIRST_MFN + MODEL_FRAMES && mfn + frames > MODEL_FIRST_MFN;
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
        model_machine.released += frames[i].count;
}

static void look_at_store(const uint64_t *address, bool both_halves)
{
    model_machine.stores++;
    model_judge_store(address, both_halves);
    if (model_machine.on_store != NULL)
        model_machine.on_store();
}

void host_store64(uint64_t *address, uint64_t value)
{
    assert_int_equal((uintptr_t)address % 8, 0);
    *(volatile uint64_t *)address = value;
    look_at_store(address, false);
}

void host_store128(uint64_t *address, uint64_t low, uint64_t high)
{
    assert_int_equal((uintptr_t)address % 16, 0);
    address[0] = low;
    address[1] = high;
    look_at_store(address, true);
}

void host_cache_flush(const volatile void *address, size_t size)
{
    (void)address, (void)size;
}

/* ---- registers ---- */

volatile void *host_mmio_map(uint64_t physical, uint64_t size)
{
    for (uint32_t i = 0; i < MODEL_UNITS; i++)
        if (physical == MODEL_BASE(i) && size <= AMDVI_REGISTER_BYTES)
            return windows[i];
    return NULL;
}

static uint32_t unit_at(const volatile void *address, uint32_t *offset)
{
    size_t at = (size_t)((const volatile uint8_t *)address - windows[0]);

    assert_true(at < sizeof windows);
    *offset = (uint32_t)(at % AMDVI_REGISTER_BYTES);
    assert_int_equal(*offset % 8, 0);
    return (uint32_t)(at / AMDVI_REGISTER_BYTES);
}

uint64_t host_mmio_read64(const volatile void *address)
{
    uint32_t offset, unit = unit_at(address, &offset);

    return model_read(unit, offset);
}

void host_mmio_write64(volatile void *address, uint64_t value)
{
    uint32_t offset, unit = unit_at(address, &offset);

    model_write(unit, offset, value);
}

uint32_t host_mmio_read32(const volatile void *address)
{
    (void)address;
    fail_msg("registers have 64 bits");
    return 0;
}

void host_mmio_write32(volatile void *address, uint32_t value)
{
    (void)address, (void)value;
    fail_msg("registers have 64 bits");
}

/* ---- time and configuration space ---- */

uint64_t host_time_ns(void)
{
    return now += TICK_NS;
}

void host_pause(void)
{
    model_machine.pauses++;
    if (model_machine.on_pause != NULL)
        model_machine.on_pause();
}

static uint8_t *config_of(uint16_t segment, uint16_t id)
{
    if (segment != 0)
        return NULL;
    if (id == MODEL_UNIT_ID)
        return unit_functions[0];
    if (id == (BUS_OF_UNIT << 8 | MODEL_UNIT_ID))
        return unit_functions[1];
    return id % 8 == 0 && id / 8 < FUNCTIONS ? functions[id / 8] : NULL;
}

uint16_t host_pci_requester(uint16_t segment, uint16_t id)
{
    (void)segment;
    return id;
}

uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    const uint8_t *config = config_of(segment, id);
    uint32_t value = 0;

    if (config == NULL)
        return UINT32_MAX >> (32 - 8 * bytes);
    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint32_t)config[offset + i] << (8 * i);
    return value;
}

void host_pci_write(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    uint8_t *config = config_of(segment, id);

    assert_non_null(config);
    for (uint32_t i = 0; i < bytes; i++)
        config[offset + i] = (uint8_t)(value >> (8 * i));
}

bool model_is_master(uint16_t id)
{
    return (functions[id / 8][4] & 4) != 0;
}

uint32_t model_msi(uint32_t unit, uint32_t offset)
{
    const uint8_t *config = unit_functions[unit] + MSI_CAP + offset;

    return config[0] | (uint32_t)config[1] << 8;
}
