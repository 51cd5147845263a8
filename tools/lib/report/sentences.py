# SPDX-License-Identifier: MIT
"""The sentences of Sluice that a report understands, by their format strings: those of log_line() in kernel/ and
drivers/ and of say() in boot/, word for word. tests/runner/report.py looks each of them up in the sources."""
import re
from collections import defaultdict
from dataclasses import dataclass

LOADERS = ("loader: ", "refused: ")  # what the loader's lines begin with, and none of the hypervisor's
PCI = "%02x:%02x.%x"  # PCI_FMT


@dataclass(frozen=True)
class Sentence:
    key: str
    format: str
    fields: tuple
    old: bool = False  # of a Sluice before this one: not in the sources any more


def _kernel():
    """Key, format, names of what the format's conversions stand for: a PCI id is one, and so is a row of %s."""
    return (
        ("banner", "Sluice, a micro-hypervisor whose guest steers its devices' DMA; build %016llx", "build"),
        ("banner", "Sluice, a micro-hypervisor whose guest steers its devices' DMA", ""),
        ("mismatch", "the loader and the hypervisor do not belong together", ""),
        ("screen", "screen: %ux%u pixels at 0x%llx, %ux%u characters", "width height base columns rows"),
        ("screen_none", "screen: firmware has no framebuffer; the serial port alone shows what happens", ""),
        ("screen_refused", "screen: not used: the framebuffer %s", "reason"),
        ("screen_left", "screen: the guest maps the framebuffer, and draws from here on; this goes on on the serial port", ""),
        ("screen_left", "screen: the guest moves the framebuffer; this goes on on the serial port", ""),
        ("cpu", "cpu: %s %s, %u address bits,%s%s%s%s%s%s", "vendor brand bits features"),
        ("memory", "memory: %llu MiB of RAM up to 0x%llx, frame table %llu KiB, page tables %llu KiB",
         "mib top frame_table tables"),
        ("ram", "memory: RAM at %s", "ranges"),
        ("acpi", "acpi: revision %u, %u tables, %u bytes kept", "revision tables bytes"),
        ("time", "time: TSC %llu.%03llu MHz, local APIC timer %llu kHz, by the %s", "mhz khz lapic clock"),
        ("bridge", f"pci: {PCI} %04x:%04x %s to buses %02x-%02x", "id vendor device kind first last"),
        ("function", f"pci: {PCI} %04x:%04x %s requester {PCI}", "id vendor device kind requester"),
        ("windows", f"pci: {PCI} has memory at %s", "id ranges"),
        ("window_refused", f"pci: {PCI}: window %u at 0x%llx (0x%llx bytes) is not given to the guest: %s",
         "id index base size reason"),
        ("windows_given", "pci: %u of %u device windows are the guest's", "given all"),
        ("phantoms", f"pci: {PCI} uses phantom functions, set %02x", "id set"),
        ("access_control", "pci: access control is on at %u of %u ports", "on ports"),
        ("group", "pci: group of %u: %s", "count members"),
        ("bypass_allowed", f"pci: {PCI} (%04x:%04x, virtio) passes by the IOMMU and is ALLOWED to (allow-bypass): its DMA "
         "reaches all of memory", "id vendor device"),
        ("bypass", f"pci: {PCI} (%04x:%04x, virtio without ACCESS_PLATFORM) passes by the IOMMU: hidden, bus mastering off",
         "id vendor device"),
        ("header_type", f"pci: {PCI}: header type %u is not known; the function is hidden", "id type"),
        ("refused_bus", f"pci: {PCI} is on a bus of a refused bridge: it is hidden", "id"),
        ("refused_bridge", f"pci: bridge {PCI} to buses %02x-%02x is refused: %s; what is behind it stays blocked",
         "id first last reason"),
        ("too_many", f"pci: more than %u functions; those from {PCI} on stay blocked", "most id"),
        ("mastering_off", "pci: firmware left bus mastering on (%u controllers): it is off until the guest wants it", "controllers"),
        ("services_kept", "memory: what firmware's boot services held is not used: other processors may be at work there", ""),
        ("device_shut", f"device {PCI} %s: its bus mastering is off and the guest cannot see it", "id reason"),
        ("group_shut", f"group %s: {PCI} %s: bus mastering of all of them is off and the guest cannot see them",
         "members id reason"),
        ("vtd_unit", "iommu: VT-d unit %u at 0x%llx: %u levels, %u-bit bus addresses, %u domains%s%s%s",
         "index base levels bits domains features"),
        ("vtd_registers", "iommu: unit %u is of segment %u, version 0x%x, CAP 0x%016llx, ECAP 0x%016llx",
         "index segment version cap ecap"),
        ("vtd_no_interrupts", "iommu: VT-d unit %u does not remap interrupts: %s", "index reason"),
        ("vtd_unusable", "iommu: VT-d unit at 0x%llx (DMAR offset %u) is not usable: %s", "base offset reason"),
        ("amdvi_unit", "iommu: AMD-Vi unit %u at 0x%llx: %u to %u levels, %u-bit bus addresses, %u domains%s",
         "index base levels most bits domains features"),
        ("amdvi_width", "iommu: firmware says %u bits of bus address, the units translate %u: %s", "said bits which"),
        ("amdvi_registers", f"iommu: unit %u is of segment %u, function {PCI}, EFR 0x%016llx", "index segment id efr"),
        ("amdvi_unusable", "iommu: AMD-Vi unit at 0x%llx (IVRS offset %u) is not usable: %s", "base offset reason"),
        ("unit_dead", "iommu: unit %u at 0x%llx did not finish %s: it counts as dead, the DMA of its devices is cut off",
         "index base what"),
        ("unit_left_on", "iommu: firmware left unit %u on: it is taken over as it runs", "index"),
        ("finding", "iommu: %s offset %u, %s: %s", "table offset structure reason"),
        ("more_findings", "iommu: %s: %u more findings", "table count"),
        ("reserved_refused", "iommu: reserved range 0x%llx to 0x%llx%s%s", "base limit reason"),
        ("reserved_free", "iommu: ... %llu KiB of it were free memory: nobody else gets them", "kib"),
        ("reserved_for", f"iommu: device {PCI} reaches reserved range 0x%llx to 0x%llx", "id base limit"),
        ("reserved_lacking", f"iommu: device {PCI} cannot be given its reserved ranges (%d): it stays blocked", "id error"),
        ("remapped", "iommu: interrupts are remapped: what no entry allows is blocked", ""),
        ("fault", f"iommu: device {PCI} %s 0x%llx: %s (reason 0x%02x)", "id access bfn reason code"),
        ("unit_fault", "iommu: unit %u: %s (%016llx:%016llx)", "index text high low"),
        ("faults_lost", "iommu: unit %u had more faults than fault records", "index"),
        ("storm", f"iommu: device {PCI} does nothing but fault: its DMA is switched off", "id"),
        ("not_shown", "%s: %llu more not shown", "what count"),
        ("no_iommu", "iommu: firmware has neither a sound DMAR (VT-d) nor a sound IVRS (AMD-Vi) table: the machine has no "
         "IOMMU, or it is switched off in the firmware's set-up, or the table was refused above", ""),
        ("unconfined", "without a working IOMMU the guest could not be confined, so it is not started (iommu=off starts it "
         "with no protection)", ""),
        ("iommu_off", "iommu=off: nothing is protected: every device can read and write all of memory, the hypervisor "
         "included", ""),
        ("bus_none", "bus: mode none: every device of the guest stays blocked", ""),
        ("bus", "bus: mode %s, %s%s, %u functions attached, %u of %u table pages used, %u kept back for splits",
         "mode premap attached used quota kept"),
        ("bus_trusted", "bus: the guest is trusted: its devices can write all of its memory, page tables included, and so it "
         "can take over the hypervisor", ""),
        ("bus_strict", "bus: strict: IOMMUOP is switched off", ""),
        ("option_unknown", "options: nobody knows '%s'", "name"),
        ("guest", "guest: %llu MiB, kernel at 0x%llx, entry 0x%llx, %llu page-table frames", "mib start entry tables"),
        ("entering", "entering the guest, %llu TSC ticks after the loader's last instruction", "ticks"),
        ("off", "the guest switched itself off", ""),
        ("off", "the guest switched itself off by ACPI's sleep register", ""),
        ("off", "the guest took its only virtual CPU down: it switched itself off", ""),
        ("shutdown", "the guest %s (reason %u)", "what reason"),
        ("crash", "guest crashed: %s", "reason"),
        ("panic", "panic: %s", "reason"),
        ("backtrace", "  %s %016llx  %.*s+0x%llx", "what address symbol offset"),
        ("backtrace", "  %s %016llx", "what address"),
        ("stopped", "the hypervisor has stopped; nothing more will happen until the machine is reset", ""),
        ("ended", "run ended: %s", "reason"),
        ("halted", "halted; it is safe to switch the machine off: hold the power button", ""),
        ("halted", "halted; it is safe to switch the machine off", ""),
        # What makes Sluice refuse, beside the above; advice in words.py.
        ("refusal", "cpu: the no-execute bit is missing or switched off in the firmware's set-up; Sluice does not run "
         "without it", ""),
        ("refusal", "cpu: there is no CMPXCHG16B, without which an IOMMU's entries cannot be changed while it runs", ""),
        ("refusal", "no guest: \\\\sluice\\\\sluice.conf names none, or its file could not be read", ""),
        ("refusal", "the guest cannot be started: %s", "reason"),
        ("refusal", "the guest cannot be started with %llu MiB: %s", "mib reason"),
        ("refusal", "iommu-mode=%s is not a mode; use owned, relaxed, draft-a-literal or none", "text"),
        ("refusal", "p2m=%s is not an order; use identity, linear or scramble[:SEED]", "text"),
        ("refusal", "not enough memory to build a guest", ""),
        ("refusal", "memory: the largest free range has %llu KiB; Sluice needs %llu KiB and room for a guest", "has needs"),
    )


def _loader():
    """say() puts its parts together: each of what stands between the %s is in the sources."""
    return (
        ("hello", "loader: hello.", ""),
        ("guest_file", "loader: %s %s, %s bytes.", "what path size"),
        ("levels", "loader: firmware left 5-level paging on; the hypervisor starts with 4 levels.", ""),
        ("leaving", "loader: kernel at %s, entry %s; leaving boot services.", "base entry"),
        ("loader_refused", "refused: %s", "reason"),
        ("nothing_started", "loader: nothing was started%s", "rest"),
    )


# Of earlier versions.
OLD = ("Sluice, a micro-hypervisor whose guest steers its devices' DMA", "halted; it is safe to switch the machine off")


def _sentences(rows):
    return tuple(Sentence(key, text, tuple(fields.split()), text in OLD) for key, text, fields in rows)


KERNEL = _sentences(_kernel())
LOADER = _sentences(_loader())

_CONVERSION = re.compile(r"%02x:%02x\.%x|%\.\*s|(?:%s)+|%0?(\d*)(?:ll|l|z)?([uxd])|%%")


def _pattern_of(found):
    text = found[0]
    if text == PCI:
        return r"([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])"
    if text == "%%":
        return "%"
    if text.endswith("s"):
        return "(.*)" if len(text) > 2 and text[1] != "." else "(.*?)"
    return {"u": r"(\d{1,20})", "d": r"(-?\d{1,11})", "x": r"([0-9a-f]{1,16})"}[found[2]]


def pattern(text):
    """The regular expression of a format string."""
    text = text.replace("\\\\", "\\")
    parts, at = [], 0
    for found in _CONVERSION.finditer(text):
        parts += [re.escape(text[at:found.start()]), _pattern_of(found)]
        at = found.end()
    return re.compile("".join(parts) + re.escape(text[at:]))


class Matcher:
    """Which sentence a line is. Only those that begin with the line's first word are tried, and those with none."""

    def __init__(self, sentences):
        self.by_word, self.others = defaultdict(list), []
        for sentence in sentences:
            compiled = (sentence, pattern(sentence.format))
            if compiled[1].groups != len(sentence.fields):
                raise ValueError(f"{sentence.format!r} has not the fields {sentence.fields}")
            word = sentence.format.partition(" ")[0]
            (self.others if "%" in word or not word else self.by_word[word]).append(compiled)

    def match(self, line):
        """(key, fields by name), or (None, {})."""
        for sentence, regex in (*self.by_word.get(line.partition(" ")[0], ()), *self.others):
            if found := regex.fullmatch(line):
                return sentence.key, dict(zip(sentence.fields, found.groups()))
        return None, {}
