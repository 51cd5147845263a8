/* SPDX-License-Identifier: MIT */
/*
 * The boot order, on one page. Each step either works, or says in a sentence why the guest cannot be run
 * and stops. Nothing is sized, built or entered before the IOMMU denies what nobody has allowed.
 */
#include "acpi/acpi.h"
#include "boot_info.h"
#include "cpu/features.h"
#include "cpu/lapic.h"
#include "cpu/ops.h"
#include "cpu/panic.h"
#include "cpu/serial.h"
#include "cpu/time.h"
#include "cpu/trap.h"
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
#include "hook.h"
#include "irq/irq.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "pci/pci.h"
#include "pv/guest.h"
#include "pv/io.h"
#include "screen/screen.h"

#define TICK_NS 100000000ull /* 100 ms: log limits open again */

_Noreturn void kernel_main(const struct boot_info *given);

static struct boot_info info; /* a private copy */

/* An ELF note: three words of sizes and type, a name of four bytes, then the build id, eight. */
extern const uint8_t __build_note[];
#define BUILD_ID_OFFSET 16u

/* ---- the steps ---- */

static uint64_t build_id(void)
{
    uint64_t bytes;

    memcpy(&bytes, __build_note + BUILD_ID_OFFSET, sizeof(bytes));
    return __builtin_bswap64(bytes);
}

static bool take_boot_info(const struct boot_info *given)
{
    bool ours =
        given->magic == BOOT_INFO_MAGIC && given->version == BOOT_INFO_VERSION && given->size == sizeof(info);
    if (ours) {
        info = *given;
        options_set((const char *)(uintptr_t)info.options.base, info.options.size);
    }
    serial_init();
    if (ours)
        screen_init(&info.framebuffer);
    log_line("Sluice, a micro-hypervisor whose guest steers its devices' DMA; build %016llx",
             (unsigned long long)build_id());
    if (!ours)
        log_say(LOG_ALERT, "the loader and the hypervisor do not belong together");
    return ours;
}

/* Backtraces have names from the first instruction on: first where the loader left the tables, then our own
 * copies. */
static void use_symbols(const void *symtab, const void *strtab)
{
    panic_set_symbols(symtab, info.symtab.size, strtab, info.strtab.size, 0);
}

static const void *keep(const struct boot_blob *blob)
{
    uint64_t mfn = frames_alloc((blob->size + FRAME_SIZE - 1) / FRAME_SIZE);
    if (mfn == 0)
        return NULL;
    void *copy = phys_to_virt(mfn << FRAME_SHIFT);
    return memcpy(copy, phys_to_virt(blob->base), blob->size);
}

static void keep_symbols(void)
{
    const void *symtab = keep(&info.symtab);
    const void *strtab = keep(&info.strtab);
    if (symtab == NULL || strtab == NULL)
        info.symtab.size = info.strtab.size = 0;
    use_symbols(symtab, strtab);
}

static bool take_cpu_and_memory(void)
{
    use_symbols((const void *)(uintptr_t)info.symtab.base, (const void *)(uintptr_t)info.strtab.base);
    trap_init();
    cpu_features_read();
    bool mapped = memory_map_init(&info, cpu_features.physical_bits);
    screen_start(&info, cpu_features.physical_bits);
    if (!cpu_features_init() || !mapped || !memory_init(&info))
        return false;
    memory_report_ram();
    keep_symbols();
    return true;
}

static bool others_stopped;

static void start_clock_and_interrupts(void)
{
    acpi_init(info.rsdp);
    lapic_init(lapic_uses_window() ? mmio_map(lapic_base(), FRAME_SIZE) : NULL);
    others_stopped = lapic_stop_others();
    irq_init();
    time_init(acpi_power().pm_timer);
}

static void tick(void)
{
    iommu_fault_tick();
    trap_log_refill();
    guest_io_log_refill();
    timer_start(tick, TICK_NS);
}

static bool find_iommu(struct iommu_setup *setup)
{
    struct irq_msi msi = irq_msi_for(VECTOR_IOMMU_FAULT);

    setup->physical_bits = cpu_features.physical_bits;
    setup->fault_address = msi.address;
    setup->fault_data = msi.data;
    setup->x2apic = !lapic_uses_window();
    setup->vendor = IOMMU_VENDOR_VTD;
    setup->table = acpi_table("DMAR", 0, &setup->table_size);
    if (setup->table == NULL) {
        setup->vendor = IOMMU_VENDOR_AMDVI;
        setup->table = acpi_table("IVRS", 0, &setup->table_size);
    }
    if (setup->table != NULL)
        return true;
    log_say(
        LOG_ALERT,
        "iommu: firmware has neither a sound DMAR (VT-d) nor a sound IVRS (AMD-Vi) table: the machine has no "
        "IOMMU, or it is switched off in the firmware's set-up, or the table was refused above");
    return false;
}

/* What a unit cannot reach must hold no table of its, and what devices cannot reach is of no use to a guest.
 */
static void keep_within_reach(const struct iommu_setup *setup)
{
    uint32_t bits = iommu_dma_bits(setup);
    uint64_t frames = bits < 64 ? memory_set_reach(1ull << (bits - FRAME_SHIFT)) : 0;

    if (frames != 0)
        log_line("memory: %llu MiB are not used: devices reach %u bits of address, says firmware's table",
                 (unsigned long long)frames >> (20 - FRAME_SHIFT), bits);
}

static bool enable_iommu(void)
{
    hook_before_enable();
    if (iommu_enable() != 0)
        return false;
    hook_after_enable();
    return true;
}

static bool start_iommu(void)
{
    struct iommu_setup setup = {0};

    if (!find_iommu(&setup))
        return false;
    keep_within_reach(&setup);
    return iommu_init(&setup) == 0 && enable_iommu();
}

static void fault_interrupt(uint32_t vector)
{
    (void)vector;
    iommu_fault_interrupt();
}

/* Denies all DMA that is not allowed; from here on a device reaches nothing by accident. */
static bool take_iommu(void)
{
    if (!option_bool("iommu", true)) {
        log_line("iommu=off: nothing is protected: every device can read and write all of memory, the "
                 "hypervisor included");
        return true;
    }
    interrupt_set_handler(VECTOR_IOMMU_FAULT, fault_interrupt);
    if (start_iommu()) {
        guest.iommu_on = true;
        if (iommu_interrupts_remapped())
            log_line("iommu: interrupts are remapped: what no entry allows is blocked");
        return true;
    }
    log_say(LOG_ALERT,
            "without a working IOMMU the guest could not be confined, so it is not started (iommu=off starts "
            "it with no protection)");
    return false;
}

/* What firmware reserved memory for may be at work for it, as a USB keyboard that poses as a PS/2 one. */
static bool works_for_firmware(uint16_t id)
{
    return guest.iommu_on && iommu_has_reserved(0, id);
}

static void take_devices(void)
{
    pci_stop_messages();
    pci_stop_transfers(works_for_firmware);
    pci_size_bars();
    pci_report_memory();
    if (guest.iommu_on) {
        pci_enable_access_control();
        pci_find_bypass();
    }
    device_policy_init();
}

/* Devices that firmware left at work are blocked by now, or have lost their bus mastering. */
static void take_firmware_memory(void)
{
    if (others_stopped)
        memory_release_boot_services();
    else
        log_line(
            "memory: what firmware's boot services held is not used: other processors may be at work there");
}

static _Noreturn void enter(struct cpu_regs *entry)
{
    options_report_unknown();
    timer_start(tick, TICK_NS);
    log_line("entering the guest, %llu TSC ticks after the loader's last instruction",
             (unsigned long long)(tsc_read() - info.entry_tsc));
    screen_guest_runs();
    cpu_enter_guest(entry);
}

/* ---- the order ---- */

void kernel_main(const struct boot_info *given)
{
    static struct cpu_regs entry;

    if (!take_boot_info(given))
        cpu_halt_for_ever();
    machine_stop_init();
    if (!take_cpu_and_memory())
        machine_stop(STOP_REFUSED);
    start_clock_and_interrupts();
    pci_walk();
    if (!take_iommu())
        machine_stop(STOP_REFUSED);
    take_devices();
    take_firmware_memory();
    if (!guest_build(&info, &entry))
        machine_stop(STOP_REFUSED);
    enter(&entry);
}
