# SPDX-License-Identifier: MIT
"""What the lines of one boot say: versions, units, devices, ranges, faults, and how it ended. Nothing is concluded from
a line that is not there."""
import json
import re
from collections import deque
from dataclasses import dataclass, field

from . import sentences

KERNEL, LOADER = sentences.Matcher(sentences.KERNEL), sentences.Matcher(sentences.LOADER)

SENTENCE_MAX = 600  # characters: LINE_MAX of kernel/lib/log.c, and some; only the summary is longer
GROUPS_MAX = 500  # different faults that are kept apart
LIST_MAX = 2000   # devices, ranges and such: far more than Sluice prints
NOTES_MAX = 200

_RANGE = re.compile(r"0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})")
_ID = re.compile(r"[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_REGISTERS = re.compile(r"  (?:r[a-z0-9]{1,2}|cr2) +[0-9a-f]{16}  .*")
_PERSONAL = re.compile(r"\bserial\b|\buuid\b|\basset tag\b|\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b", re.IGNORECASE)

# Sentences that are no reason to refuse anything, and follow one another on the way.
ORDINARY = {
    "banner", "screen", "screen_none", "screen_refused", "screen_left", "cpu", "memory", "ram", "acpi", "time", "bridge",
    "function", "windows", "windows_given", "phantoms", "access_control", "group", "vtd_unit", "vtd_registers",
    "amdvi_unit", "amdvi_registers", "remapped", "reserved_free", "reserved_for", "bus", "guest", "entering",
    "option_unknown", "guest_file",
}


@dataclass
class Unit:
    vendor: str
    base: int
    words: dict                                    # of the line that names it
    registers: dict = field(default_factory=dict)  # of the line with its capability registers
    notes: list = field(default_factory=list)


@dataclass
class Device:
    id: str
    words: dict
    windows: list = field(default_factory=list)  # (first byte, last byte)
    notes: list = field(default_factory=list)
    barred: str = ""   # why the guest does not get it
    bypasses: bool = False


@dataclass
class Reserved:
    base: int
    limit: int
    refused: str = ""
    devices: list = field(default_factory=list)


@dataclass
class Fault:
    device: str
    access: str
    reason: str
    code: int
    count: int = 0
    places: dict = field(default_factory=dict)  # number (BFN, or interrupt) -> how often; the first 64


def _ranges(text):
    return [(int(first, 16), int(last, 16)) for first, last in _RANGE.findall(text)]


class Facts:
    """Fed line by line with see() and see_other(); the rest is for reading."""

    def __init__(self):
        self.first_line = 0
        self.said = {}  # key -> fields of the first such line
        self.units, self.devices, self.reserved, self.ram = [], {}, [], []
        self.groups, self.findings, self.unusable_units = [], [], []
        self.faults, self.fault_lines, self.faults_not_kept = {}, 0, 0
        self.unit_faults, self.not_shown = [], {}
        self.windows_refused = []
        self.refusals, self.unknown, self.unknown_count = [], [], 0
        self.registers, self.backtrace = [], []
        self.summary = None
        self.summary_is_cut = False
        self.personal, self.personal_count = [], 0
        self.last = deque(maxlen=3)  # of the hypervisor's, before the end
        self.lines = 0
        self.loader_said = self.kernel_said = False

    @property
    def banner_seen(self):
        return "banner" in self.said

    @property
    def loader_alone(self):
        """Whether all that Sluice said was the loader's."""
        return self.loader_said and not self.kernel_said

    @property
    def headless(self):
        """Whether the log lacks the boot's beginning, so that nothing follows from what it does not say."""
        return not self.banner_seen and not self.loader_alone

    @property
    def ended(self):
        return "ended" in self.said or "stopped" in self.said or "nothing_started" in self.said

    @property
    def guest_may_speak(self):
        """Whether a line that is not Sluice's beyond doubt may be the guest's."""
        return not self.loader_alone and not self.ended

    def first(self, key, name, default=None):
        return self.said.get(key, {}).get(name, default)

    def count(self, name):
        """A count of the summary; None when there is none that makes sense."""
        value = (self.summary or {}).get(name)
        return value if isinstance(value, int) and 0 <= value < 1 << 64 else None

    # ---- line by line ----

    def see_other(self, text):
        if _PERSONAL.search(text):
            self.personal_count += 1
            if len(self.personal) < 20:
                self.personal.append(text)

    def see(self, text):
        self.lines += 1
        if text.startswith("summary "):
            self._see_summary(text.removeprefix("summary "))
            return
        if _REGISTERS.fullmatch(text) and ("panic" in self.said or "crash" in self.said):
            self._keep(self.registers, text.strip(), 32)
            return
        if len(text) > SENTENCE_MAX:
            self.unknown_count += 1
            self._keep(self.unknown, text[:SENTENCE_MAX] + " ...", NOTES_MAX)
            return
        loaders = text.startswith(sentences.LOADERS)
        key, words = (LOADER if loaders else KERNEL).match(text)
        self.loader_said |= loaders
        self.kernel_said |= key is not None and not loaders
        if key is None:
            self.unknown_count += 1
            self._keep(self.unknown, text, NOTES_MAX)
        else:
            self.said.setdefault(key, words)
            getattr(self, f"_see_{key}", lambda words: None)(words)
        if key not in ORDINARY and not self.ended and not text.startswith("  "):
            self.last.append(text)

    @staticmethod
    def _keep(items, item, most=LIST_MAX):
        if len(items) < most:
            items.append(item)

    def _see_summary(self, text):
        try:
            summary = json.loads(text)
        except (ValueError, RecursionError):  # no JSON, a number without an end, brackets in brackets
            self.summary_is_cut = True
            return
        if isinstance(summary, dict):
            self.summary = summary

    # ---- memory and firmware ----

    def _see_ram(self, words):
        for one in _ranges(words["ranges"]):
            self._keep(self.ram, one)

    def _see_finding(self, words):
        self._keep(self.findings, words)

    # ---- units ----

    def _see_vtd_unit(self, words):
        self._keep(self.units, Unit("VT-d", int(words["base"], 16), words))

    def _see_amdvi_unit(self, words):
        self._keep(self.units, Unit("AMD-Vi", int(words["base"], 16), words))

    def _unit(self, words):
        return next((unit for unit in self.units if unit.words["index"] == words["index"]), None)

    def _see_vtd_registers(self, words):
        if unit := self._unit(words):
            unit.registers = words

    _see_amdvi_registers = _see_vtd_registers

    def _note_unit(self, words, text):
        if unit := self._unit(words):
            self._keep(unit.notes, text, NOTES_MAX)

    def _see_vtd_no_interrupts(self, words):
        self._note_unit(words, f"does not remap interrupts: {words['reason']}")

    def _see_unit_dead(self, words):
        self._note_unit(words, f"DEAD: it did not finish {words['what']}; the DMA of its devices is cut off")

    def _see_unit_left_on(self, words):
        self._note_unit(words, "firmware left it on: it was taken over as it ran")

    def _see_faults_lost(self, words):
        self._note_unit(words, "had more faults than fault records")

    def _see_vtd_unusable(self, words):
        self._keep(self.unusable_units, ("VT-d", words))

    def _see_amdvi_unusable(self, words):
        self._keep(self.unusable_units, ("AMD-Vi", words))

    # ---- devices ----

    def _see_function(self, words):
        if len(self.devices) < LIST_MAX:
            self.devices.setdefault(words["id"], Device(words["id"], words))

    _see_bridge = _see_function

    def _bar(self, name, why):
        """Devices that were never listed are kept as well: the log may have lost the line."""
        if name not in self.devices and len(self.devices) < LIST_MAX:
            self.devices[name] = Device(name, {})
        if name in self.devices and not self.devices[name].barred:
            self.devices[name].barred = why

    def _note_device(self, name, text):
        if name in self.devices:
            self._keep(self.devices[name].notes, text, NOTES_MAX)

    def _see_windows(self, words):
        if words["id"] in self.devices:
            self.devices[words["id"]].windows = _ranges(words["ranges"])[:6]

    def _see_window_refused(self, words):
        if all(words != other for other in self.windows_refused):
            self._keep(self.windows_refused, words, NOTES_MAX)

    def _see_phantoms(self, words):
        self._note_device(words["id"], f"uses phantom functions (set {words['set']})")

    def _see_group(self, words):
        self._keep(self.groups, _ID.findall(words["members"]))

    def _see_bypass(self, words):
        self._bar(words["id"], "its DMA passes by the IOMMU (virtio without ACCESS_PLATFORM)")
        if words["id"] in self.devices:
            self.devices[words["id"]].bypasses = True

    def _see_bypass_allowed(self, words):
        if words["id"] in self.devices:
            self.devices[words["id"]].bypasses = True
        self._note_device(words["id"], "PASSES BY THE IOMMU and is allowed to (allow-bypass): its DMA reaches all of memory")

    def _see_header_type(self, words):
        self._bar(words["id"], f"its header type {words['type']} is not known")

    def _see_refused_bus(self, words):
        self._bar(words["id"], "it is on a bus of a refused bridge")

    def _see_refused_bridge(self, words):
        self._note_device(words["id"], f"refused as a bridge: {words['reason']}; what is behind it stays blocked")

    def _see_device_shut(self, words):
        self._bar(words["id"], f"it {words['reason']}")

    def _see_group_shut(self, words):
        culprit = words["id"]
        for name in _ID.findall(words["members"]):
            self._bar(name, f"it {words['reason']}" if name == culprit else f"in a group with {culprit}, which {words['reason']}")

    def _see_storm(self, words):
        self._note_device(words["id"], "did nothing but fault: its DMA was switched off while the guest ran")

    # ---- reserved ranges ----

    def _see_reserved_refused(self, words):
        refused = words["reason"].removeprefix(" is refused: ")
        self._keep(self.reserved, Reserved(int(words["base"], 16), int(words["limit"], 16), refused))

    def _see_reserved_for(self, words):
        base, limit = int(words["base"], 16), int(words["limit"], 16)
        for one in self.reserved:
            # A range is printed as firmware has it, and reached in whole pages.
            if not one.refused and one.base >> 12 == base >> 12 and one.limit >> 12 == limit >> 12:
                self._keep(one.devices, words["id"])
                return

    def _see_reserved_lacking(self, words):
        self._bar(words["id"], "it cannot be given the memory that firmware reserves for it")

    # ---- faults ----

    def _see_fault(self, words):
        self.fault_lines += 1
        key = (words["id"], words["access"], words["reason"], words["code"])
        if key not in self.faults and len(self.faults) >= GROUPS_MAX:
            self.faults_not_kept += 1
            return
        fault = self.faults.setdefault(key, Fault(*key[:3], int(words["code"], 16)))
        fault.count += 1
        place = int(words["bfn"], 16)
        if place in fault.places or len(fault.places) < 64:
            fault.places[place] = fault.places.get(place, 0) + 1

    def _see_unit_fault(self, words):
        self._keep(self.unit_faults, words, NOTES_MAX)

    def _see_not_shown(self, words):
        if len(self.not_shown) < 16 or words["what"] in self.not_shown:
            self.not_shown[words["what"]] = self.not_shown.get(words["what"], 0) + int(words["count"])

    # ---- endings ----

    def _see_backtrace(self, words):
        if "panic" in self.said:
            self._keep(self.backtrace, words, 64)

    def _see_refusal(self, words):
        self._keep(self.refusals, words, 16)

    def status_of(self, device):
        """(class, words): what became of a device, as far as the log says."""
        kind = device.words.get("kind", "")
        if device.barred:
            return "barred", f"blocked and hidden: {device.barred}"
        if kind == "host bridge":
            return "none", "the hypervisor's: a host bridge does no DMA"
        if kind == "iommu":
            return "none", "the hypervisor's: an IOMMU"
        if "iommu_off" in self.said:
            return ("open", "the guest's, and nothing confines its DMA") if "guest" in self.said else ("unknown", "not decided")
        if "bus_none" in self.said:
            return "barred", "blocked (iommu-mode=none)"
        if "bus" in self.said:
            return "given", "given to the guest"
        return "unknown", "not decided in this log"

    def attached(self):
        """Devices that the log leads to believe were attached; the hypervisor's own count is in the line "bus"."""
        return [device for device in self.devices.values() if self.status_of(device)[0] == "given"]
