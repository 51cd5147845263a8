/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include "mem/map.h"

#include <string.h>

struct fakes fake;
struct guest guest;

static struct frame frames[FRAMES];

/* Never looked into: a context is opaque to the front door. Another one each time, so that nothing is left.
 */
static char context_storage[2];
static uint32_t resets;

void fakes_reset(void)
{
    memset(&fake, 0, sizeof fake);
    memset(&guest, 0, sizeof guest);
    memset(frames, 0, sizeof frames);
    fake.parked_limit = IOMMU_FLUSH_PARKED;
    guest.context = (struct iommu_context *)(void *)&context_storage[resets++ % 2];
    guest.iommu_on = true;
    guest.iommu_doors = IOMMU_DOORS_CHECK;
    guest.premap = true;
    for (uint64_t mfn = MFN_OWN; mfn <= MFN_TABLE; mfn++)
        frames[mfn] = (struct frame){.owner = FRAME_GUEST, .references = 1};
    frames[MFN_TABLE].type = FRAME_TYPE_L1;
    frames[MFN_HYPERVISOR].owner = FRAME_HYPERVISOR;
    frames[MFN_FIRMWARE].owner = FRAME_FIRMWARE;
    frames[MFN_FREE].owner = FRAME_FREE;
    fake.bus[BFN_PREMAPPED] =
        (struct fake_entry){true, BFN_PREMAPPED, IOMMU_READ | IOMMU_WRITE | IOMMU_PREMAP};
    frames[BFN_PREMAPPED].references = 2;
    frames[BFN_PREMAPPED].flags = FRAME_PREMAPPED;
    for (unsigned int i = 0; i < 2; i++)
        fake.bus[BFN_RESERVED + i] =
            (struct fake_entry){true, BFN_RESERVED + i, IOMMU_READ | IOMMU_WRITE | IOMMU_LOCKED};
}

uint32_t references(uint64_t mfn)
{
    return frames[mfn].references;
}

uint32_t bus_writable(uint64_t mfn)
{
    return frames[mfn].bus_writable;
}

void fill_references(uint64_t mfn)
{
    frames[mfn].references = FRAME_REFERENCES_MAX;
}

void set_owner(uint64_t mfn, enum frame_owner owner)
{
    frames[mfn].owner = (uint8_t)owner;
}

struct iommu_map_op *element(unsigned int index)
{
    return (struct iommu_map_op *)(void *)&fake.memory[index * sizeof(struct iommu_map_op)];
}

void set_element(unsigned int index, uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    *element(index) = (struct iommu_map_op){bfn, mfn, flags, UNTOUCHED};
}

/* ---- guest memory ---- */

static uint8_t *guest_byte(uint64_t address, bool write)
{
    if (!address_is_canonical(address) || address_is_hypervisor(address))
        return NULL;
    if (fake.readable_end && address >= fake.readable_end)
        return NULL;
    if (address < GUEST_BASE || address >= GUEST_UNMAPPED || (write && address >= GUEST_READ_ONLY))
        return NULL;
    return &fake.memory[address - GUEST_BASE];
}

int copy_from_guest(void *destination, uint64_t address, size_t count)
{
    fake.reads++;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *byte = guest_byte(address + i, false);

        if (!byte)
            return -EFAULT;
        ((uint8_t *)destination)[i] = *byte;
        fake.read_bytes++;
    }
    return 0;
}

int copy_to_guest(uint64_t address, const void *source, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *byte = guest_byte(address + i, true);

        if (!byte)
            return -EFAULT;
        *byte = ((const uint8_t *)source)[i];
    }
    fake.writes++;
    return 0;
}

int put_guest_u32(uint64_t address, uint32_t value)
{
    return copy_to_guest(address, &value, sizeof value);
}

int put_guest_u32_each(uint64_t address, uint64_t stride, uint32_t count, uint32_t value)
{
    int error = 0;

    for (; count && !error; count--, address += stride)
        error = put_guest_u32(address, value);
    return error;
}

int probe_guest_u32(uint64_t address)
{
    return guest_byte(address, true) && guest_byte(address + 3, true) ? 0 : -EFAULT;
}

int get_guest_words3(uint64_t words[3], uint64_t address)
{
    return copy_from_guest(words, address, 24);
}

int get_guest_u64(uint64_t *value, uint64_t address)
{
    return copy_from_guest(value, address, sizeof *value);
}

/* ---- frames ---- */

struct frame *frame_table = frames;
uint64_t frame_table_count = FRAMES;

enum device_frame device_frame_kind(uint64_t mfn)
{
    return mfn == MFN_OWN_MMIO || fake.policy_says_mmio ? DEVICE_FRAME_MMIO : DEVICE_FRAME_DENIED;
}

bool device_frame_is_kept(uint64_t mfn)
{
    return mfn == MFN_IOMMU || mfn == MFN_LAPIC;
}

void frame_unpark(uint64_t mfn)
{
    fake.unparked = mfn;
}

/* ---- the bus ---- */

static void park(struct iommu_flush *flush, const struct fake_entry *old)
{
    assert_true(flush->parked_count < IOMMU_FLUSH_PARKED);
    flush->parked[flush->parked_count++] = (struct iommu_frames){old->mfn << 12 | old->flags, 1};
    flush->parked_frames++;
}

uint64_t iommu_max_bfn(const struct iommu_context *context)
{
    assert_ptr_equal(context, guest.context);
    return MAX_BFN;
}

int iommu_map(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order, uint32_t flags,
              struct iommu_flush *flush)
{
    assert_ptr_equal(context, guest.context);
    assert_int_equal(order, 0);
    if (bfn > MAX_BFN)
        return -EINVAL;
    if (fake.unit_dead)
        return -EIO;
    if (iommu_is_window(bfn))
        return -EACCES;
    if (bfn >= BUS_FRAMES || fake.out_of_tables)
        return -ENOMEM;
    if (fake.bus[bfn].present && (fake.bus[bfn].flags & IOMMU_LOCKED))
        return -EACCES;
    if (fake.bus[bfn].present)
        park(flush, &fake.bus[bfn]);
    fake.bus[bfn] = (struct fake_entry){true, mfn, flags};
    fake.maps++;
    return 0;
}

int iommu_unmap(struct iommu_context *context, uint64_t bfn, uint32_t order, struct iommu_flush *flush)
{
    assert_ptr_equal(context, guest.context);
    assert_int_equal(order, 0);
    if (bfn > MAX_BFN)
        return -EINVAL;
    if (fake.unit_dead)
        return -EIO;
    fake.unmaps++;
    if (bfn >= BUS_FRAMES || !fake.bus[bfn].present)
        return 0;
    if (fake.bus[bfn].flags & IOMMU_LOCKED)
        return -EACCES;
    park(flush, &fake.bus[bfn]);
    fake.bus[bfn].present = false;
    return 0;
}

int iommu_map_list(struct iommu_context *context, const struct iommu_element *list, uint32_t count,
                   struct iommu_flush *flush, uint32_t *done)
{
    int error = 0;

    for (*done = 0; *done < count && !error; *done += !error)
        error = iommu_map(context, list[*done].bfn, list[*done].mfn, 0, list[*done].flags, flush);
    return error;
}

int iommu_unmap_list(struct iommu_context *context, const struct iommu_element *list, uint32_t count,
                     struct iommu_flush *flush, uint32_t *done)
{
    int error = 0;

    for (*done = 0; *done < count && !error; *done += !error)
        error = iommu_unmap(context, list[*done].bfn, 0, flush);
    return error;
}

int iommu_unmap_page(struct iommu_context *context, uint64_t bfn, struct iommu_mapping *gone,
                     struct iommu_flush *flush)
{
    gone->flags = 0;
    return iommu_unmap(context, bfn, 0, flush);
}

int iommu_lookup(const struct iommu_context *context, uint64_t bfn, struct iommu_mapping *mapping)
{
    assert_ptr_equal(context, guest.context);
    fake.lookups++;
    if (bfn > MAX_BFN)
        return -EINVAL;
    if (bfn >= BUS_FRAMES || !fake.bus[bfn].present)
        return -ENOENT;
    *mapping = (struct iommu_mapping){fake.bus[bfn].mfn, fake.bus[bfn].flags};
    return 0;
}

void iommu_flush_begin(struct iommu_flush *flush, struct iommu_context *context)
{
    flush->context = context;
    flush->parked_count = IOMMU_FLUSH_PARKED - fake.parked_limit;
    flush->parked_frames = flush->parked_count;
}

int iommu_flush(struct iommu_flush *flush)
{
    uint32_t first = IOMMU_FLUSH_PARKED - fake.parked_limit;

    fake.flushes++;
    if (fake.flush_fails)
        return -EIO;
    for (uint32_t i = first; i < flush->parked_count; i++) {
        uint64_t mfn = flush->parked[i].entry >> 12, flags = flush->parked[i].entry & 0xfff;

        if (mfn >= FRAMES)
            continue; /* device registers carry no reference */
        if ((flags & IOMMU_PREMAP) == 0)
            frame_bus_put(mfn, flags & (IOMMU_WRITE | IOMMU_WITHHELD));
        else if (frames[mfn].flags & FRAME_PREMAPPED)
            frame_put(&frames[mfn]);
    }
    flush->parked_count = first;
    flush->parked_frames = first;
    return 0;
}

uint32_t iommu_reserved_count(void)
{
    return 2;
}

bool iommu_is_window(uint64_t bfn)
{
    return bfn - 0xfee00 < 0x100;
}

struct iommu_reserved iommu_reserved_at(uint32_t index)
{
    if (index == 0)
        return (struct iommu_reserved){BFN_RESERVED, 2, IOMMU_KIND_IDENTITY, 3};
    return (struct iommu_reserved){0xfee00, 0x100, IOMMU_KIND_MSI, 0};
}

uint32_t iommu_tables_used(const struct iommu_context *context)
{
    assert_ptr_equal(context, guest.context);
    return 7;
}

uint32_t iommu_tables_quota(const struct iommu_context *context)
{
    assert_ptr_equal(context, guest.context);
    return 1234;
}

/* ---- the way out ---- */

bool cpu_preemption_point(void)
{
    return ++fake.preemption_points == fake.preempt_at;
}

long hypercall_continue(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    fake.continued = true;
    fake.next = *args;
    return 0x5eed;
}

long call(uint64_t subop, uint64_t array, uint64_t count)
{
    struct cpu_regs regs = {0};

    fake.continued = false;
    return do_iommu_op(&regs, &(struct hypercall_args){{subop, array, count, 0x1111, 0x2222}});
}

long call_to_the_end(uint64_t subop, uint64_t array, uint64_t count, unsigned int *continuations)
{
    long result = call(subop, array, count);

    *continuations = 0;
    while (fake.continued) {
        ++*continuations;
        assert_true(fake.next.a[2] > 0 && fake.next.a[2] < count); /* every entry gets on */
        count = fake.next.a[2];
        result = call(fake.next.a[0], fake.next.a[1], count);
    }
    return result;
}
