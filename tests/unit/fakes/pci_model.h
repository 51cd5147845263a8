/* SPDX-License-Identifier: MIT */
/*
 * A machine's configuration space behind ports 0xcf8 and 0xcfc, with registers that behave: read-only bits,
 * bits that a 1 clears, base address registers of a size. Other ports remember what was written.
 */
#ifndef SLUICE_TESTS_PCI_MODEL_H
#define SLUICE_TESTS_PCI_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_FUNCTIONS 600u

struct model_function {
    uint16_t id;
    uint8_t space[256];
    uint8_t writable[256];
    uint8_t clears[256]; /* a 1 clears */
    uint32_t writes;     /* configuration writes seen */
};

extern struct model_function model_functions[MODEL_FUNCTIONS];
extern uint32_t model_count;
/* Base address registers changed while the function decoded: each is a window over something else. */
extern uint32_t model_live_bar_writes;

/* The other ports: the last 64 accesses. */
struct model_access {
    uint16_t port;
    uint8_t bytes;
    bool write;
    uint32_t value;
};
extern struct model_access model_accesses[64];
extern uint32_t model_access_count;
extern uint32_t model_port_value; /* what they read as */

void model_reset(void);
struct model_function *model_add(uint16_t id, uint16_t vendor, uint16_t device, uint32_t class_code,
                                 uint8_t header);
struct model_function *model_find(uint16_t id);
void model_bridge(struct model_function *function, uint8_t secondary, uint8_t subordinate);
/* A bridge's memory window, whole MiB, end inclusive. */
void model_bridge_window(struct model_function *function, uint32_t base, uint32_t limit);

enum model_bar { MODEL_IO, MODEL_MEM32, MODEL_MEM64 };
void model_bar(struct model_function *function, uint32_t index, enum model_bar kind, uint64_t base,
               uint64_t size);
/* Appends a capability of that id at the offset, in the order of the calls. */
void model_capability(struct model_function *function, uint8_t at, uint8_t id, uint8_t next);
void model_set(struct model_function *function, uint32_t offset, uint32_t value, uint32_t bytes);
uint32_t model_get(const struct model_function *function, uint32_t offset, uint32_t bytes);

#endif
