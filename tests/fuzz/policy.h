/* SPDX-License-Identifier: MIT */
/*
 * The policy over firmware's tables on a small machine: what the files of the target `policy` share.
 *
 * policy_machine.c is the machine and everything that the product asks of it or tells it; policy_vtd.c and
 * policy_amdvi.c run the product and derive from the parsed description, in another way, what must come of
 * it; policy_judge.c compares.
 */
#ifndef SLUICE_TESTS_FUZZ_POLICY_H
#define SLUICE_TESTS_FUZZ_POLICY_H

#include "drivers/iommu/claims.h"
#include "drivers/iommu/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the machine ---- */

#define MACHINE_BYTES    72u /* of the input */
#define MACHINE_SEGMENTS 2u
#define MACHINE_BRIDGES  6u
#define MACHINE_DEVICES  6u
#define MACHINE_HELD     2u /* ranges of the hypervisor's memory */

struct machine_function {
    uint16_t segment, id;
    bool present, bridge;
    bool speaks; /* a bridge under whose id what is behind it does DMA */
    uint8_t secondary, subordinate;
};

struct machine {
    bool amd;
    bool counters; /* AMD-Vi units have performance counters: more registers */
    uint8_t address_bits;
    uint8_t crowd;   /* units that are added at the table's end */
    uint64_t usable; /* i % 64: the i-th unit of the table can be driven */
    struct machine_function functions[MACHINE_BRIDGES + MACHINE_DEVICES]; /* bridges first */
    struct iommu_range held[MACHINE_HELD];
};

extern struct machine machine;

void machine_read(const uint8_t *bytes);
/* The function there, or NULL. */
const struct machine_function *machine_function(uint16_t segment, uint16_t id);
const struct machine_function *machine_bridge(uint16_t segment, uint16_t id);
/* AMD-Vi units that are there, by their registers. */
void machine_add_unit(uint64_t base);

/* ---- what the product asked for ---- */

#define ATTACHED_MAX 1024u

struct attached {
    uint64_t ranges;
    uint16_t segment, id;
};

struct outcome {
    uint32_t reserved_count, attached_count;
    struct iommu_reserved reserved[IOMMU_RESERVED_MAX];
    bool withheld[IOMMU_RESERVED_MAX];
    struct attached attached[ATTACHED_MAX];
};

extern struct outcome outcome;

/* Ranges that the requester reaches; 0 when it was not attached. */
uint64_t outcome_ranges(uint16_t segment, uint16_t id);

/* ---- who owns a requester id ---- */

#define WIDTH_REST 65535u /* of "all the rest": every id of a segment */

/* By the description: the narrowest structures that name the id. */
struct owner {
    uint32_t width; /* ids that they name, less one */
    uint64_t units[3];
    uint16_t alias;
    bool named, aliased, contradiction;
};

static inline bool in_set(const uint64_t *set, uint32_t index)
{
    return (set[index / 64] >> index % 64 & 1) != 0;
}

/* One more structure names the id. */
void owner_add(struct owner *owner, uint32_t unit, uint32_t width, const uint16_t *alias);

/* What a vendor's file says of the parsed description. */
struct policy {
    const struct claims *claims;
    const struct findings *findings;
    uint32_t units;
    bool rest_is_known; /* nothing is unread that a unit which is not usable could own */
    bool (*usable)(uint32_t unit);
    /* Not counting what names many ids at once when the rest is not known. */
    struct owner (*owner_of)(uint16_t segment, uint16_t id);
};

void judge_owners(const struct policy *policy);

/* ---- reserved ranges ---- */

/* A range of memory that firmware wants for devices. */
struct wish {
    uint64_t first, last; /* frames */
    uint32_t flags;       /* 0: for nothing */
    uint32_t index;       /* in the description */
    bool malformed;
    bool for_all; /* whatever device there is: one that cannot be costs nobody */
};

struct wishes {
    const struct wish *list;
    uint32_t count;
    const struct iommu_range *registers;
    uint32_t register_count;
    /* Calls `check` for each function that it is wanted for. */
    void (*each)(const struct wish *wish,
                 void (*check)(const struct wish *wish, uint16_t segment, uint16_t id));
};

void judge_reserved(const struct wishes *wishes);

/* ---- one vendor's table, of exactly so many bytes ---- */

void policy_vtd(const uint8_t *table, size_t size);
void policy_amdvi(const uint8_t *table, size_t size);

#endif
