/* SPDX-License-Identifier: MIT */
/*
 * The world that a hostile sequence runs in, and all it can do to it. There are two: a guest in a machine,
 * which is a part of what it attacks, and a host program with a model machine around the real sources.
 */
#ifndef SLUICE_ADVERSARY_WORLD_H
#define SLUICE_ADVERSARY_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define WORLD_ARENA_MAX   128u
#define WORLD_FOREIGN_MAX 16u

struct world {
    /* Frames whose contents nobody needs, each mapped at its place: arena_va + index * 4096. */
    uint64_t arena_va;
    uint32_t arena_frames;
    uint64_t arena_mfn[WORLD_ARENA_MAX];
    uint64_t arena_pfn[WORLD_ARENA_MAX];
    uint64_t arena_pte[WORLD_ARENA_MAX]; /* machine addresses of the level 1 entries */

    uint64_t scratch_va; /* for arguments; what follows is not mapped */
    uint32_t scratch_bytes;

    uint64_t table_mfn[5];                   /* own tables that translate the arena, by level */
    uint64_t image_entry;                    /* the level 4 entry that the sequence itself lives by... */
    uint32_t image_slot;                     /* ... and its slot */
    uint64_t foreign_mfn[WORLD_FOREIGN_MAX]; /* the hypervisor's, devices', nobody's */
    uint32_t foreign_count;
    uint64_t machine_frames; /* one past the highest */
    uint64_t bus_first;      /* BFNs from here on are free for the taking */
    uint64_t bus_last;       /* the highest there is */

    /* The sequence runs inside: it spares its own code, stack and handlers. */
    bool fragile;
};
extern struct world world;

/* One hypercall from the guest's kernel, continued to its end. */
long world_call(uint64_t slot, const uint64_t arguments[5]);

/* A fragile sequence would not survive that this frame is written: it is mapped read-only, if at all. */
bool world_lives_by(uint64_t mfn);

/* What follows is about this: for whoever tells of a failure. */
void world_note(const char *name);

/* Puts bytes into scratch or arena memory as far as it can be written. */
void world_put(uint64_t address, const void *bytes, uint32_t count);

/* The guest's own accesses, on its own tables. False: it faulted. */
bool world_load(uint64_t address, uint64_t *value);
bool world_store(uint64_t address, uint64_t value);

/* A device reads or writes the first word of a bus frame; blocked accesses do nothing. */
void world_dma(uint64_t bfn, bool write, uint64_t value);

/*
 * Runs an instruction in the guest's kernel. It goes through, is emulated, or raises an exception that the
 * guest survives.
 */
struct world_instruction {
    uint8_t bytes[14];
    uint8_t length;
    uint8_t vector; /* what a CPU raises for it in ring 3 */
    uint16_t error_code;
    bool stores; /* eight bytes of RAX at RDI: if that faults, #PF is what it raises */
    uint64_t rax, rcx, rdx, rdi;
};
void world_execute(const struct world_instruction *instruction);

#endif
