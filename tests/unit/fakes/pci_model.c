/* SPDX-License-Identifier: MIT */
#include "pci_model.h"

#include "cpu/io.h"
#include "pci/pci.h"

#include <assert.h>
#include <string.h>

struct model_function model_functions[MODEL_FUNCTIONS];
uint32_t model_count, model_live_bar_writes, model_access_count, model_port_value;
struct model_access model_accesses[64];

static uint32_t latch;

void model_reset(void)
{
    memset(model_functions, 0, sizeof model_functions);
    model_count = model_live_bar_writes = model_access_count = latch = 0;
    model_port_value = 0;
}

struct model_function *model_find(uint16_t id)
{
    for (uint32_t i = 0; i < model_count; i++) {
        if (model_functions[i].id == id)
            return &model_functions[i];
    }
    return NULL;
}

void model_set(struct model_function *function, uint32_t offset, uint32_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        function->space[offset + i] = (uint8_t)(value >> (8 * i));
}

uint32_t model_get(const struct model_function *function, uint32_t offset, uint32_t bytes)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint32_t)function->space[offset + i] << (8 * i);
    return value;
}

static void writable(struct model_function *function, uint32_t offset, uint32_t mask, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        function->writable[offset + i] = (uint8_t)(mask >> (8 * i));
}

struct model_function *model_add(uint16_t id, uint16_t vendor, uint16_t device, uint32_t class_code,
                                 uint8_t header)
{
    assert(model_count < MODEL_FUNCTIONS);
    struct model_function *function = &model_functions[model_count++];

    function->id = id;
    model_set(function, 0, (uint32_t)device << 16 | vendor, 4);
    model_set(function, 8, class_code << 8 | 1, 4);
    function->space[0x0e] = header;
    writable(function, 4, 0x0547, 2);
    function->clears[7] = 0xf9;
    function->writable[0x0c] = function->writable[0x0d] = function->writable[0x3c] = 0xff;
    for (uint32_t i = 0x40; i < 256; i++)
        function->writable[i] = 0xff;
    if ((header & 0x7f) == 1) {
        writable(function, 0x18, 0xffffffff, 4);
        writable(function, 0x20, 0xfff0fff0, 4);
        writable(function, 0x24, 0xfff0fff0, 4);
        writable(function, 0x3e, 0xffff, 2);
        model_set(function, 0x20, 0xfff0, 4); /* no window: base above limit */
        model_set(function, 0x24, 0xfff0, 4);
    }
    return function;
}

void model_bridge(struct model_function *function, uint8_t secondary, uint8_t subordinate)
{
    function->space[0x18] = (uint8_t)(function->id >> 8);
    function->space[0x19] = secondary;
    function->space[0x1a] = subordinate;
}

void model_bridge_window(struct model_function *function, uint32_t base, uint32_t limit)
{
    model_set(function, 0x20, base >> 16 | (limit & 0xfff00000), 4);
}

void model_bar(struct model_function *function, uint32_t index, enum model_bar kind, uint64_t base,
               uint64_t size)
{
    uint32_t offset = 0x10 + 4 * index;
    uint64_t mask = ~(size - 1);

    model_set(function, offset, (uint32_t)base | (kind == MODEL_IO ? 1 : kind == MODEL_MEM64 ? 4 : 0), 4);
    writable(function, offset, (uint32_t)mask & (kind == MODEL_IO ? 0xfffc : 0xfffffff0), 4);
    if (kind != MODEL_MEM64)
        return;
    model_set(function, offset + 4, (uint32_t)(base >> 32), 4);
    writable(function, offset + 4, (uint32_t)(mask >> 32), 4);
}

void model_capability(struct model_function *function, uint8_t at, uint8_t id, uint8_t next)
{
    function->space[6] |= 0x10;
    if (function->space[0x34] == 0)
        function->space[0x34] = at;
    function->space[at] = id;
    function->space[at + 1] = next;
    function->writable[at] = function->writable[at + 1] = 0;
}

/* ---- ports ---- */

static bool is_bar(const struct model_function *function, uint32_t offset)
{
    return offset >= 0x10 && offset < (function->space[0x0e] & 0x7f ? 0x18u : 0x28u);
}

static void config_write(uint32_t offset, uint32_t bytes, uint32_t value)
{
    struct model_function *function = model_find((uint16_t)(latch >> 8));

    if (!(latch & 0x80000000u) || !function)
        return;
    function->writes++;
    for (uint32_t i = 0; i < bytes; i++) {
        uint32_t at = offset + i;
        uint8_t before = function->space[at], byte = (uint8_t)(value >> (8 * i)),
                mask = function->writable[at];

        function->space[at] = (uint8_t)(((before & ~mask) | (byte & mask)) & ~(byte & function->clears[at]));
        if (is_bar(function, at) && function->space[at] != before && (function->space[4] & 3))
            model_live_bar_writes++;
    }
}

static uint32_t config_read(uint32_t offset, uint32_t bytes)
{
    const struct model_function *function = model_find((uint16_t)(latch >> 8));

    return (latch & 0x80000000u) && function ? model_get(function, offset, bytes) : 0xffffffffu;
}

static void access_port(uint16_t port, uint8_t bytes, bool write, uint32_t value)
{
    model_accesses[model_access_count++ % 64] = (struct model_access){port, bytes, write, value};
}

static uint32_t read_port(uint16_t port, uint8_t bytes)
{
    if (port >= 0xcfc && port + bytes <= 0xd00)
        return config_read((latch & 0xfc) + port - 0xcfcu, bytes);
    access_port(port, bytes, false, model_port_value);
    return model_port_value;
}

static void write_port(uint16_t port, uint8_t bytes, uint32_t value)
{
    if (port == 0xcf8 && bytes == 4)
        latch = value;
    else if (port >= 0xcfc && port + bytes <= 0xd00)
        config_write((latch & 0xfc) + port - 0xcfcu, bytes, value);
    else
        access_port(port, bytes, true, value);
}

uint8_t in8(uint16_t port)
{
    return (uint8_t)read_port(port, 1);
}

uint16_t in16(uint16_t port)
{
    return (uint16_t)read_port(port, 2);
}

uint32_t in32(uint16_t port)
{
    return read_port(port, 4);
}

void out8(uint16_t port, uint8_t value)
{
    write_port(port, 1, value);
}

void out16(uint16_t port, uint16_t value)
{
    write_port(port, 2, value);
}

void out32(uint16_t port, uint32_t value)
{
    write_port(port, 4, value);
}
