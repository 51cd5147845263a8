# SPDX-License-Identifier: MIT
"""Every boot test: the machine, how it must end, and what the log must say. One line each where that will do.

Each is run with an IOMMU of either vendor, unless only= says why not."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.boot import badelf, checks, firmware, handover, screens
from tests.runner import image, linux
from tests.runner.boot import Scenario
from tests.runner.core import VENDORS, Failed
from tests.runner.paths import HOOKED
from tests.runner.vm import TIMED_OUT, Machine, Run

ALL = ("nvme", "edu")
TRACE = ("vtd_inv_desc*", "amdvi_*_inval", "amdvi_completion_wait", "amdvi_unhandled_command")
FLUSH_COUNTS = Machine(guest="flush-counts", trace=(*TRACE, "pci_cfg_read"))
# After the machine's other devices, up to two of them; AMD's unit is a function of its own and comes before all others.
VIRTIO = r"^sluice: pci: 00:0[1-4]\.0 \(1af4:1042"
# A sentence of the hypervisor's or the loader's, not of the guest's.
REFUSED = r"^sluice: .*\b(refused|cannot|not|no)\b"


WIDTH = "intel: aw-bits; QEMU's amd-iommu always offers six levels"
NOT_PRESENT = "intel: caching-mode; QEMU's amd-iommu always says that it caches absence (NpCache), plain runs have it"


BUS_NUMBERS = "intel: QEMU's amd-iommu takes bus numbers before firmware gives them: devices behind bridges show as 00:xx.x"


def alternate(scenarios: list) -> list:
    """What ends before a device matters, or does not depend on one: half on each vendor."""
    return [replace(scenario, only=f"{VENDORS[index % len(VENDORS)]}: the IOMMU does not matter here, so every other one")
            for index, scenario in enumerate(scenarios)]


def tours() -> list:
    """The whole story on every machine it must work on."""
    def on(name: str, about: str, says: tuple = (), check=checks.tour, only: str = "", properties: dict | None = None,
           **machine) -> Scenario:
        return Scenario(f"tour-{name}", about, Machine(**{"guest": "tour", "devices": ALL, **machine}), says=says,
                        check=check, only=only, properties=properties or {})

    def bypass_is_shut(run: Run) -> None:
        checks.tour(run)
        if re.search(r"1af4", "".join(re.findall(r"^(?!sluice: ).*$", run.text, re.MULTILINE))):
            raise Failed("the guest sees the device that bypasses the IOMMU")

    return [
        on("default", "the machine as it comes", says=(r"^sluice: iommu: interrupts are remapped",)),
        on("aw39", "three levels", says=("3 levels",), only=WIDTH, properties={"intel": "aw-bits=39"}),
        on("aw48", "four levels", says=("4 levels",), only=WIDTH, properties={"intel": "aw-bits=48"}),
        on("caching-mode", "not-present entries may be cached", only=NOT_PRESENT,
           properties={"intel": "caching-mode=on"}),
        on("intremap-off", "a unit without interrupt remapping says so",
           says=(r"^sluice: iommu: VT-d unit 0 does not remap interrupts: ",),
           only="intel: every AMD-Vi unit remaps interrupts, and no register tells that QEMU's does not",
           properties={"intel": "intremap=off"}),
        on("scalable-mode", "legacy tables on a unit that could do more",
           only="intel: scalable mode is a property of VT-d", properties={"intel": "x-scalable-mode=on"}),
        on("identity", "p2m=identity", p2m="identity"),
        on("linear", "p2m=linear", p2m="linear"),
        on("scramble-seed", "another shuffle of the machine's frames", p2m="scramble:12345"),
        on("no-smap", "-cpu max,-smap", cpu="max,-smap"),
        on("qemu64", "a CPU without SMEP, 1 GiB pages", cpu="qemu64"),
        on("root-port", "NVMe behind a PCIe root port", only=BUS_NUMBERS, devices=("nvme-behind-root-port", "edu")),
        on("pci-bridge", "edu behind a PCIe-to-PCI bridge: its DMA shows as the bridge's",
           only=BUS_NUMBERS, devices=("nvme", "edu-behind-bridge")),
        on("both-bridges", "both of them", only=BUS_NUMBERS, devices=("nvme-behind-root-port", "edu-behind-bridge")),
        on("bypass-hidden", "virtio-blk that bypasses the IOMMU is named and shut",
           says=(rf"{VIRTIO}.*passes by the IOMMU: hidden, bus mastering off",),
           check=bypass_is_shut, devices=(*ALL, "virtio-bypass")),
        on("split-group", "what shares a device with one that bypasses the IOMMU is shut with it",
           says=(r"^sluice: group 00:10\.0, 00:10\.1: 00:10\.0 passes by the IOMMU",), check=bypass_is_shut,
           devices=(*ALL, "virtio-bypass-beside-edu")),
        on("bypass-allowed", "the same device, allowed", says=(rf"{VIRTIO}.*ALLOWED",),
           devices=(*ALL, "virtio-bypass"), options="allow-bypass"),
        on("virtio-iommu", "virtio-blk that does not bypass", devices=(*ALL, "virtio-iommu")),
        on("premap-off", "nothing is mapped at boot", options="premap=off"),
        on("continued", "every array is cut into pieces", options="continue-every=7"),
        on("iommu-off", "iommu=off: the guest runs, its probe gets -ENOSYS, the log says what that means",
           says=(r"^sluice: .*not(hing is)? protected", r"^tour: no IOMMUOP"), check=checks.disk_was_read,
           options="iommu=off"),
        on("no-iommu-off", "no IOMMU in the machine, and iommu=off", says=(r"^sluice: .*not(hing is)? protected",),
           check=checks.disk_was_read, iommu="none", options="iommu=off"),
        on("mode-none", "translation on, everything blocked", says=(r"blocked", r"^tour: no IOMMUOP"), check=None,
           options="iommu-mode=none"),
        on("smp4", "three more CPUs, which are stopped", smp=4),
        on("small", "a machine of 128 MiB", memory=128),
        on("large", "a machine with memory above 4 GiB", memory=6144, options="guest-memory=256", timeout=90),
        on("real-time", "without instruction counting", icount=False, timeout=90),
        on("trace", "every invalidation count of the summary is in QEMU's trace", check=checks.trace_agrees,
           trace=TRACE),
        on("trace-caching-mode", "the same under caching mode, in pieces", check=checks.trace_agrees, trace=TRACE,
           properties={"intel": "caching-mode=on,aw-bits=48"}, options="continue-every=5"),
    ]


def boot_volumes() -> list:
    """From a disk image, through each kind of controller, which firmware has used and leaves as it likes. Nothing is
    written to it. Another NVMe controller has the disk that the tour reads, but for the last but one."""
    def on(name: str, about: str, says: str, devices: tuple = ALL, **machine) -> Scenario:
        return Scenario(f"boot-{name}", about, Machine(guest="tour", devices=devices, timeout=90, **machine),
                        says=(says,), check=checks.image_untouched)

    def made_by_the_tool(machine: Machine) -> Machine:
        return replace(machine, image=image.make())

    return [
        on("usb", "from a USB stick behind an xHCI controller", r"loading Boot.*USB HARDDRIVE", boot="usb"),
        on("nvme", "from an NVMe disk", r"loading Boot.*NVMe Ctrl boot", boot="nvme"),
        on("ahci", "from a SATA disk behind an AHCI controller", r"loading Boot.*QEMU HARDDISK", boot="ahci"),
        on("firmware-order", "firmware finds the stick by itself, beside a disk that it cannot boot",
           r"loading Boot.*USB HARDDRIVE", boot="usb", boot_order=False),
        on("busy-usb", "with a keyboard, a mouse and more USB controllers, which firmware has polled",
           r"^sluice: pci: .* 8086:2934 usb", boot="usb", devices=(*ALL, "more-usb")),
        on("nvme-only", "the guest takes over the very controller that firmware booted from",
           r"^tour:   NVMe .*, \d{6} blocks of 512 bytes", boot="nvme", devices=("edu",)),
        on("nvme-beside-ahci", "the guest reads the disk that firmware booted from, and not the one behind AHCI",
           r"^tour:   NVMe .*, \d{6} blocks of 512 bytes", boot="nvme", devices=("edu", "ahci")),
        Scenario("boot-quiet", "controllers that firmware used cannot go on writing into what is now the guest's memory",
                 Machine(guest="inventory", devices=(*ALL, "more-usb"), boot="usb", timeout=90),
                 says=(r"^sluice: pci: firmware left bus mastering on \(\d", r"^function .* class 0c0330 bus mastering off",
                       r"^function .* class 0c0320 bus mastering off", r"^function .* class 010802 bus mastering off"),
                 never=(r"^function .* class (01|02|0c03)\w+ bus mastering on",)),
        replace(on("tool", "the image that ./tools/image makes, as it is written to a stick", r"loading Boot.*USB HARDDRIVE",
                   boot="usb", exit_port=False), prepare=made_by_the_tool),
    ]


def pcs() -> list:
    """The tour without edu, as on a PC: with one kind of disk, and with none that it can read."""
    elsewhere = "virtio-blk-pci,disable-legacy=on"  # the boot volume: passes by the IOMMU, and is hidden

    def on(name: str, about: str, devices: tuple, *says: str, **machine) -> Scenario:
        return Scenario(f"pc-{name}", about, Machine(guest="tour", devices=devices, writes_stay=True, **machine), says=says,
                        check=checks.disk_tour)

    def nothing(name: str, about: str, devices: tuple, *says: str) -> Scenario:
        return Scenario(f"pc-{name}", about, Machine(guest="tour", devices=devices, folder_on=elsewhere), says=says,
                        check=checks.nothing_driven)

    def blocked(name: str, *devices: str) -> Scenario:
        return Scenario(f"pc-{name}-blocked", "all DMA is blocked: the tour finds out and says so",
                        Machine(guest="tour", devices=devices, options="iommu-mode=none"),
                        says=(r"^tour: nothing that a device does arrives",), never=(r"station 1",))

    return [
        on("ahci", "a disk behind the AHCI controller that firmware has used", ("ahci",),
           r"^tour:   AHCI 00:1f\.2: QEMU HARDDISK, 8192 blocks of 512 bytes"),
        on("ahci-after-cd", "a CD drive at the port before the disk's is left alone", ("cd", "ahci-behind-cd"),
           r"^tour: AHCI 00:1f\.2, port 0: a CD or DVD drive \(ATAPI\): left alone", folder_on=elsewhere),
        on("nvme", "an NVMe disk, which strays like one behind AHCI", ("nvme",), r"^tour:   NVMe .* blocks of 512 bytes"),
        on("nvme-4096", "blocks of 4096 bytes", ("nvme-4096",), r"^tour:   NVMe .*, 1024 blocks of 4096 bytes"),
        on("nvme-empty", "an NVMe controller without a namespace, and a disk behind AHCI", ("nvme-empty", "ahci"),
           r"^tour: NVMe .*: it has no namespace: left alone", r"^tour:   AHCI "),
        on("ahci-premap-off", "with an empty bus map at boot", ("ahci",), options="premap=off"),
        nothing("nvme-metadata", "a disk whose blocks have metadata is left alone", ("nvme-metadata", "no-ahci"),
                r"^tour: NVMe .*: its blocks have metadata: left alone"),
        nothing("cd", "an AHCI controller with a CD drive only", ("cd",),
                r"^tour: AHCI 00:1f\.2, port 0: a CD or DVD drive", r"^tour: AHCI 00:1f\.2: no disk"),
        nothing("ahci-empty", "an AHCI controller with empty ports", (), r"^tour: AHCI 00:1f\.2: no disk"),
        nothing("virtio", "a storage controller that the tour does not know", ("no-ahci", "virtio-iommu"),
                r"^tour: storage controller 00:0\d\.0: of class 0x010000, which I cannot drive: left alone"),
        nothing("nothing", "no storage controller at all, but a hidden one", ("no-ahci",), rf"{VIRTIO}.*hidden"),
        blocked("ahci", "ahci"),
        blocked("nvme", "nvme"),
        Scenario("pc-iommu-off", "iommu=off, and a disk behind AHCI", Machine(guest="tour", devices=("ahci",), options="iommu=off"),
                 says=(r"^tour: 2 of 2 stations passed",), check=checks.disk_was_read),
    ] + [
        Scenario(f"pc-{disk}-errors", "a disk that reports an error goes on afterwards, and its controller is left stopped",
                 Machine(guest="disk-errors", devices=(disk,)), says=(r"Test result: SUCCESS",)) for disk in ("ahci", "nvme")
    ]


def counts() -> list:
    """Exact descriptors of single calls, from QEMU's trace; see tests/boot/guests/flush-counts."""
    none, one = (0, 0), (1, 1)
    plain = {"map 256 absent": none, "unmap 256 aligned": one, "unmap 256 absent": none,
             "map 256 absent, odd start": none, "unmap 256, odd start": one, "map 1 absent": none,
             "replace 1": one, "unmap 1": one, "map 3 absent": none, "unmap 3, then an error": one,
             "map 256 sparse": none, "unmap 256 sparse": (None, 1)}
    caching = {**plain, "map 256 absent": one, "map 256 absent, odd start": one, "map 1 absent": one,
               "map 3 absent": one, "map 256 sparse": (None, 1)}
    # 256 elements in pieces of 64: one flush for each piece that owes one.
    in_pieces = {"unmap 256 aligned": (4, 4), "unmap 256, odd start": (4, 4), "unmap 256 sparse": (None, 4)}
    # QEMU's AMD unit says that it caches absence. That far up the tree grows first, which owes commands of its own.
    growing = {"map 256 sparse": (None, None)}
    amd = {**caching, **growing}
    amd_in_pieces = {**amd, **in_pieces, "map 256 absent": (4, 4), "map 256 absent, odd start": (4, 4)}

    def on(name: str, about: str, wanted: dict, only: str = "", properties: dict | None = None,
           **machine) -> Scenario:
        return Scenario(f"counts{name}", about, replace(FLUSH_COUNTS, **machine),
                        says=("Test result: SUCCESS",), check=lambda run: checks.steps(run, wanted[run.vendor]),
                        only=only, properties=properties or {})

    return [
        on("", "256 unmapped: 1 descriptor and 1 wait; mapped onto absent: none, or as many where absence is cached",
           {"intel": plain, "amd": amd}),
        on("-aw48", "the same on four levels", {"intel": plain}, WIDTH, {"intel": "aw-bits=48"}),
        on("-caching-mode", "under caching mode a map owes 1 and 1", {"intel": caching}, NOT_PRESENT,
           {"intel": "caching-mode=on"}),
        on("-continued", "one flush for each forced continuation",
           {"intel": {**plain, **in_pieces}, "amd": amd_in_pieces}, options="continue-every=64"),
    ]


def endings() -> list:
    """How a run ends, and that the status says so."""
    def on(name: str, about: str, status: int, **rest) -> Scenario:
        says = rest.pop("says", ())
        return Scenario(f"ends-{name}", about, Machine(**rest), status=status, says=says)

    return alternate([
        on("hello", "the smallest guest", 0, says=("hello: all is well", "Test result: SUCCESS")),
        on("hello-hypercall-page", "a guest that calls through the hypercall page", 0,
           guest="hello-hypercall-page", says=("hello: all is well",)),
        on("hello-low", "a guest linked low", 0, guest="hello-low", says=("hello: all is well",)),
        on("hello-no-devices", "a machine with no device to speak of", 0, says=("hello: all is well",)),
        Scenario("ends-acpi", "without exit-port the machine is switched off by ACPI", Machine(exit_port=False),
                 check=checks.switched_itself_off),
        on("crash", "the guest reports a crash", 1, guest="misbehave", cmdline="crash"),
        on("reboot", "the guest asks for a reboot", 1, guest="misbehave", cmdline="reboot"),
        on("odd-reason", "a shutdown reason without a name", 1, guest="misbehave", cmdline="odd_reason"),
        on("power-off", "the guest shuts down well", 0, guest="misbehave", cmdline="power_off"),
        on("loop", "a guest that loops forever is stopped by the time limit only", TIMED_OUT, guest="misbehave",
           cmdline="loop_forever", last_line="misbehave: looping", says=("misbehave: looping",)),
        on("hypercall-loop", "a guest that calls forever", TIMED_OUT, guest="misbehave",
           cmdline="hypercall_forever", last_line="misbehave: looping", says=("misbehave: looping",)),
    ])


def user_mode() -> list:
    """The multitasking example, which ends well only when every program did."""
    return [Scenario("tasks", "four programs in user mode, each with an address space of its own, and a timer",
                     Machine(guest="tasks"),
                     says=("^squares: All squares", "^primes: There are 550",
                           "nosy touched 0xffffffff80100000, which is not its own",
                           "endless ended after .* [1-9][0-9]* time slices used up", "tasks: all have ended"),
                     never=("BUT",))]


def foreign() -> list:
    """Debian's kernel, in which nobody here changed a bit, comes to user space and is well there. In real time: a clock
    that counts instructions goes so fast that the kernel's watchdog bites."""
    def on(name: str, about: str, never: tuple = (), **machine) -> Scenario:
        return Scenario(f"debian{name}", about,
                        Machine(**{"guest": None, "memory": 512, "devices": ALL, "timeout": 240, "icount": False, **machine}),
                        says=("^debian: all is well",), never=("debian: FAILED", *never), prepare=linux.with_debian)

    return [
        on("", "Debian's kernel, in frames scattered over the machine", never=("RSDP was not found",)),
        *alternate([on("-linear", "the same in frames that are neighbours", p2m="linear"),
                    on("-no-acpi", "the same without firmware's tables",
                       cmdline=f"{linux.debian.CMDLINE} acpi=off")]),
    ]


def texts() -> list:
    """The code in the guest author's texts does what the texts say."""
    def on(guest: str, text: str, **machine) -> Scenario:
        name = f"text-{guest}" + ("-continued" if "options" in machine else "")
        return Scenario(name, f"the code of {text}", Machine(guest=guest, devices=ALL, **machine),
                        says=("Test result: SUCCESS",))

    return [
        on("reference", "iommu_op.md"),
        on("reference", "iommu_op.md", options="continue-every=1"),
        on("calls", "hypercalls.md"),
        on("instructions", "instructions.md"),
        on("modes", "modes.md"),
        on("events", "events.md"),
        on("interrupts", "interrupts.md"),
        on("finder", "guest-abi/README.md"),
        on("windows", "devices.md"),
    ]


def refusals() -> list:
    """Sluice does not start the guest, and says why."""
    def on(name: str, about: str, says: str, only: str = "", properties: dict | None = None, **machine) -> Scenario:
        return Scenario(f"refuses-{name}", about, Machine(**machine), status=2, says=(says,),
                        never=("unknown option", r"^hello: "), only=only, properties=properties or {})

    by_iommu = [
        on("no-iommu", "a machine without an IOMMU", r"^sluice: .*(no IOMMU|no DMAR|DMAR)", iommu="none"),
        on("dma-translation-off", "a unit that cannot translate", r"^sluice: .*(translat|SAGAW|page-table)",
           "intel: dma-translation; QEMU's amd-iommu always translates", {"intel": "dma-translation=off"}),
    ]
    return by_iommu + alternate([
        on("no-conf", "sluice.conf is empty", r"^sluice: refused: .*is empty", conf=b""),
        on("conf-truncated", "sluice.conf ends in the middle of a word", r"^sluice: refused: .*key = value",
           conf=b"guest = \\sluice\\guest\nopti"),
        on("conf-binary", "sluice.conf is not text", r"^sluice: refused: .*sluice\.conf", conf=bytes(range(256)) * 8),
        on("conf-huge", "sluice.conf is absurdly large", r"^sluice: refused: .*too large",
           conf=b"# " + b"x" * 100000 + b"\nguest = \\sluice\\guest\n"),
        on("conf-unknown-key", "a key that nobody knows", r"^sluice: refused: .*unknown key",
           conf=b"guset = \\sluice\\guest\n"),
        on("conf-long-value", "a path that is too long", r"^sluice: refused: .*too long",
           conf=b"guest = \\" + b"a" * 5000 + b"\n"),
        on("missing-guest", "the guest's file is not there", r"^sluice: refused: .*no such file", guest=None),
        on("missing-module", "the module's file is not there", r"^sluice: refused: .*no such file",
           conf=b"guest = \\sluice\\guest\nmodule = \\sluice\\nothing\n"),
        on("guest-is-folder", "the guest's path is a folder", r"^sluice: refused: ",
           conf=b"guest = \\sluice\n"),
        on("no-notes", "an ELF without Xen notes", r"^sluice: .*note", guest="without-notes"),
        on("too-little-memory", "a machine too small for anything", r"^sluice: .*(memory|MiB)",
           options="guest-memory=1"),
    ])


def bad_guests() -> list:
    """Files that are no kernels."""
    def prepared(name: str):
        def prepare(machine: Machine) -> Machine:
            file = Path(tempfile.mkdtemp(prefix="sluice-elf-")) / name
            file.write_bytes(badelf.BAD[name](bytearray((machine.guests / "hello").read_bytes())))
            return replace(machine, guest=str(file))
        return prepare

    return alternate([Scenario(f"bad-elf-{name}", "a guest file that no loader may start", Machine(), status=2,
                               says=(REFUSED,), never=(r"^hello: ",), prepare=prepared(name)) for name in badelf.BAD])


STOPPED = r"^sluice: guest crashed: |^guest: exception |^sluice: .*reported that it crashed"


def misbehaviour() -> list:
    """The guest goes wrong; it is stopped with a sentence, and the hypervisor lives."""
    ways = ("jump_low", "jump_noncanonical", "jump_into_hypervisor", "jump_low_with_handlers", "invalid_opcode", "halt",
            "stack_overflow", "stack_overflow_without_handlers", "handler_in_nonsense", "handler_in_hypervisor",
            "handler_with_bad_selector", "stack_at_zero", "stack_noncanonical", "stack_in_hypervisor",
            "stack_above_hypervisor", "iret_without_frame", "iret_from_hypervisor", "iret_noncanonical",
            "iret_into_hypervisor", "iret_bad_selectors", "iret_null_selectors", "iret_to_user",
            "user_without_handlers", "user_without_callbacks", "user_nowhere", "user_tables_taken_away",
            "kernel_stack_at_zero", "kernel_stack_noncanonical", "kernel_stack_in_hypervisor",
            "kernel_stack_above_hypervisor", "kernel_stack_read_only",
            "debug_trap_into_syscall", "step_onto_watched_word", "write_m2p", "read_hypervisor")
    return alternate([Scenario(f"guest-{way.replace('_', '-')}", "stopped with a sentence",
                               Machine(guest="misbehave", cmdline=way), status=1, says=(STOPPED,),
                               never=("still here", "hypervisor fault", "unknown option")) for way in ways])


def faults() -> list:
    """The hypervisor's own fault: never silent. The patch makes one hypercall run into a null pointer."""
    return [Scenario("hypervisor-fault", "registers, a backtrace with names, exit status 3", Machine(), status=3,
                     says=(r"^sluice: .*page fault|^sluice: .*#PF", r"^sluice: .*\brip\b.*[0-9a-f]{16}",
                           r"^sluice: .*\bdo_xen_version\b", r"^sluice: .*\bpv_guest_syscall\b",
                           r'^sluice: summary \{"reason":"hypervisor-fault"'),
                     patch=Path(__file__).parent / "hypervisor-fault.patch",
                     only="intel: the IOMMU does not matter here")]


def on_screen() -> list:
    """The console on the framebuffer: what a person in front of a PC sees at the end."""
    back = "to go back: take out what Sluice was started from"

    def on(name: str, about: str, mode: str, least: int, words: tuple, vendor: str = "", status: int = 0, patch=None,
           **machine) -> Scenario:
        width, height = (int(part) for part in mode.partition(",")[0].split("x"))
        return Scenario(f"screen-{name}", about, Machine(screen=mode, capture=True, **machine), status=status,
                        says=(rf"^sluice: screen: {width}x{height} pixels",), patch=patch,
                        check=screens.shows(width, height, least, *words),
                        only=f"{vendor}: the screen does not depend on the IOMMU, so one is enough" if vendor else "")

    tour = ("12 of 12 stations passed", "the machine switches itself off in 60 seconds", back)
    return [
        on("800x600", "the end of the tour on a small screen", "800x600", 26, tour, "amd", guest="tour", devices=ALL),
        on("4k", "and on a large one", "3840x2160", 32, tour, "intel", guest="tour", devices=ALL, timeout=90),
        on("identity", "another device, another mode", "1366x768,bochs-display", 30, ("hello: all is well", back), "amd"),
        on("refusal", "a machine without an IOMMU: why, and what to do", "1920x1080", 15,
           ("has no IOMMU, or it is switched off in the firmware's set-up", "nothing was changed", back, "safe to switch"),
           status=2, iommu="none"),
        on("early-refusal", "what is refused before the hypervisor has page tables of its own", "800x600", 6,
           ("Sluice, a micro-hypervisor", "there is no CMPXCHG16B", "nothing was changed", back, "safe to switch"),
           "intel", status=2, cpu="max,-cx16"),
        Scenario("screen-build-refusal", "a guest that cannot be built is refused in amber",
                 Machine(screen="1024x768", capture=True, options="guest-memory=1"), status=2,
                 check=screens.refuses(1024, 768, "the guest cannot be started with 1 MiB"),
                 only="amd: the screen does not depend on the IOMMU, so one is enough"),
        on("crash", "a guest that crashes", "1024x768", 20, ("guest crashed", "safe to switch"), "amd", status=1,
           guest="misbehave", cmdline="invalid_opcode"),
        on("fault", "the hypervisor's own fault", "1280x800", 30,
           ("panic: hypervisor fault: page fault", "do_xen_version", "the hypervisor has stopped"), "intel", status=3,
           patch=Path(__file__).parent / "hypervisor-fault.patch"),
        on("pitch", "lines that are longer than they are wide", "800x600", 20, ("hello: all is well", back), "amd",
           efi=HOOKED, options="framebuffer=pitch"),
        Scenario("screen-nonsense", "firmware names memory in use: never drawn on, one sentence on the serial port",
                 Machine(screen="800x600", efi=HOOKED, options="framebuffer=memory"),
                 says=(r"^sluice: screen: not used: the framebuffer is said to be in memory that is in use",
                       "^hello: all is well"),
                 only="intel: the screen does not depend on the IOMMU, so one is enough"),
        Scenario("screen-guests", "the hypervisor leaves the screen alone once the guest maps it",
                 Machine(guest="draw", screen="800x600", capture=True), says=("^draw: after",), check=screens.guest_draws,
                 only="intel: the screen does not depend on the IOMMU, so one is enough"),
        Scenario("screen-off", "screen=off: the machine switches itself off at once, nobody reads",
                 Machine(screen="800x600", exit_port=False, options="screen=off"), check=checks.switched_itself_off,
                 never=("^sluice: screen: ", "switches itself off in"),
                 only="amd: the screen does not depend on the IOMMU, so one is enough"),
        Scenario("screen-read", "the machine switches itself off when there was time to read",
                 Machine(screen="800x600", exit_port=False), check=checks.switched_itself_off,
                 says=("switches itself off in 60 seconds",),
                 only="intel: the screen does not depend on the IOMMU, so one is enough"),
        Scenario("screen-none", "no graphics device: one sentence, on the serial port", Machine(),
                 says=("^sluice: screen: firmware has no framebuffer",),
                 only="amd: the screen does not depend on the IOMMU, so one is enough"),
    ]


def hooks() -> list:
    """What QEMU's firmware and devices do not do: an image with tests/hooks in it."""
    taken_over = (r"firmware left unit 0 on: it is taken over as it runs", r"hook: a DMA under firmware.s tables arrived",
                  r"hook: the DMA that began before is under way",
                  r"hook: the DMA did not arrive")
    events = (r"device 00:03\.0 write to BFN 0x123: ", r"device 00:03\.0 read from BFN 0x124: ",
              r"device 00:03\.0 .*BFN 0x125: an illegal device table entry",
              r"device 00:03\.0 interrupt 0xfee00: no entry of the interrupt table allows it",
              r"unit 0: an illegal command")

    def on(name: str, about: str, says: tuple, check, only: str = "", **machine) -> Scenario:
        return Scenario(name, about, Machine(guest="tour", devices=ALL, efi=HOOKED, **machine), says=says, check=check,
                        only=only)

    return [
        on("takeover", "firmware left the unit on and DMA is under way: no moment without translation", taken_over,
           checks.never_off, trace=("vtd_dmar_enable", "memory_region_ops_write")),
        on("usb-at-work", "a USB controller that firmware did not stop is blocked, and said to be",
           (r"hook: the USB controller's event arrived", r"hook: the USB controller's next event did not arrive",
            r"^sluice: pci: firmware left bus mastering on"), checks.usb_is_named, boot="usb", options="hook=usb"),
        on("event-log", "events in AMD-Vi's log are decoded", events, checks.tour,
           only="amd: VT-d's faults are recorded by QEMU itself"),
    ]


SCENARIOS = (hooks() + tours() + pcs() + boot_volumes() + counts() + endings() + user_mode() + foreign() + texts() + refusals()
             + bad_guests()
             + misbehaviour() + faults() + on_screen() + firmware.SCENARIOS + handover.SCENARIOS)
