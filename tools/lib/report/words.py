# SPDX-License-Identifier: MIT
"""Capability registers in words, and how a boot ended, with advice."""
from dataclasses import dataclass, field


# ---- capabilities: Intel VT-d 4.1, 11.4.2 and 11.4.3; AMD 48882 3.08, 3.4.7 ----

def _bits(value, names):
    return [name for bit, name in names if value >> bit & 1]


def _vtd(cap, ecap):
    widths = [f"{30 + 9 * n} bits ({2 + n} levels)" for n in range(5) if cap >> 8 & 1 << n]
    pages = ["4 KiB"] + _bits(cap, ((34, "2 MiB"), (35, "1 GiB")))
    yield "Addresses", f"tables for {', '.join(widths) or 'no width'}; at most {(cap >> 16 & 63) + 1} bits (MGAW)"
    yield "Page sizes", ", ".join(pages)
    yield "Domains", f"{1 << (4 + 2 * (cap & 7)):,}"
    yield "Invalidation", "; ".join([
        "queued" if ecap >> 1 & 1 else "by registers only",
        f"by page, up to 2^{cap >> 48 & 63} pages at once" if cap >> 39 & 1 else "not by page"])
    yield "Fault records", f"{(cap >> 40 & 255) + 1}"
    yield "Its walks see the CPU's caches", "yes" if ecap & 1 else "no: tables are written back to memory"
    yield "Interrupt remapping", ("yes" + (", with APIC ids of 32 bits" if ecap >> 4 & 1 else "")) if ecap >> 3 & 1 else "no"
    more = _bits(cap, ((4, "write-buffer flushing is required"), (5, "protected low memory"), (6, "protected high memory"),
                       (7, "caching mode: what is absent may be cached"), (54, "drains writes"), (55, "drains reads")))
    more += _bits(ecap, ((2, "device TLBs (ATS)"), (6, "pass-through"), (7, "snoop control"), (29, "page requests"),
                         (43, "scalable mode")))
    yield "Also", ", ".join(more) or "nothing"


_AMDVI_ALSO = ((0, "prefetch command"), (1, "page requests (PPR)"), (3, "no-execute"), (4, "guest translation"),
               (8, "hardware error registers"), (9, "performance counters"), (63, "secure nested paging (SNP)"))


def _amdvi(efr):
    hats = efr >> 10 & 3
    yield "Levels of tables", f"up to {4 + hats}" if hats < 3 else "reserved value"
    yield "Page sizes", "4 KiB, 2 MiB, 1 GiB, and powers of two between"
    yield "Invalidation", "of everything by one command" if efr >> 6 & 1 else "device by device and domain by domain"
    yield "Interrupt entries", "; ".join(["128 bits wide too" if efr >> 7 & 1 else "32 bits wide",
                                          "APIC ids of 32 bits" if efr >> 2 & 1 else "APIC ids of 8 bits"])
    yield "Also", ", ".join(_bits(efr, _AMDVI_ALSO)) or "nothing"


def capabilities(unit):
    """(what, in words) of a unit's registers; none when the log has no registers."""
    if "cap" in unit.registers:
        return list(_vtd(int(unit.registers["cap"], 16), int(unit.registers["ecap"], 16)))
    if "efr" in unit.registers:
        return list(_amdvi(int(unit.registers["efr"], 16)))
    return []


# ---- how it ended ----

@dataclass
class Verdict:
    kind: str  # good, bad, refused, fault, open
    title: str
    sentences: list = field(default_factory=list)
    advice: list = field(default_factory=list)


_SETTINGS = ("Switch the IOMMU on in the firmware's settings: Intel calls it VT-d (a setting of its own beside VT-x), AMD calls "
             "it IOMMU or AMD-Vi; \"Auto\" may mean off. Then look for an update of the firmware.")
_TABLES = "Under Linux, ./tools/iommu-tables --live says what firmware's table holds and what is wrong with it."
_UNCONFINED = ("options = iommu=off in sluice.conf starts the guest without an IOMMU. Then nothing is protected: every device "
               "reads and writes all of memory.")
_CONF = "Look at \\sluice\\sluice.conf on the volume that was booted from: the paths in it are on the same volume."

# Keys of sentences.py -> advice.
ADVICE = {
    "no_iommu": (_SETTINGS, _TABLES, _UNCONFINED),
    "vtd_unusable": ("Look for an update of the firmware: its DMAR table names a unit that cannot be used.", _TABLES),
    "amdvi_unusable": ("Look for an update of the firmware: its IVRS table names a unit that cannot be used.", _TABLES),
    "unit_dead": ("A unit did not answer in time. Attach this page to a report.", _UNCONFINED),
    "unconfined": (_UNCONFINED,),
    "mismatch": ("The loader and the hypervisor come from two builds. Copy BOOTX64.EFI again, whole.",),
}
# Words of a refusal -> advice; the first that is in it.
ADVICE_BY_WORDS = (
    ("no-execute", "Switch the no-execute bit on in the firmware's settings (XD, NX, or Execute Disable)."),
    ("forbid execution", "Switch the no-execute bit on in the firmware's settings (XD, NX, or Execute Disable)."),
    ("CMPXCHG16B", "This processor is too old for Sluice."),
    ("sluice.conf", _CONF),
    ("the guest cannot be started with", "Give the guest more memory, or a machine with more, or a smaller module."),
    ("the guest cannot be started", "The guest's file is not what Sluice starts: an ELF file with Xen's notes for x86-64 PV."),
    ("is not a mode", "Mend the option iommu-mode in sluice.conf."),
    ("is not an order", "Mend the option p2m in sluice.conf."),
    ("memory", "The machine has too little free memory for Sluice or its guest."),
)


def _refusal(facts):
    keys = [key for key in ADVICE if key in facts.said]
    loader = facts.first("loader_refused", "reason")
    said = [loader] if loader else list(facts.last)
    advice = [line for key in keys for line in ADVICE[key]]
    if not advice:
        advice = [line for words, line in ADVICE_BY_WORDS if any(words in text for text in said)][:1]
    who = "The loader" if loader else "The hypervisor"
    return Verdict("refused", "Sluice refused to start the guest",
                   [f"{who}'s words: “{text}”" for text in said],
                   list(dict.fromkeys(advice)) or ["There is no known remedy for this. Attach this page to a report."])


def _where_it_stops(facts):
    if facts.loader_alone:
        if "leaving" in facts.said:
            return ("The loader jumped to the hypervisor, of which nothing is in the log. The hypervisor speaks on the serial "
                    "port COM1 (115200 8N1), or where the option console says, and on the screen, if firmware has one and the "
                    "option screen does not forbid it.")
        return "The log ends in the loader, before the hypervisor was entered."
    if "entering" in facts.said:
        return ("The log ends while the guest was running: it was still running, the machine was reset or hung, or the log was "
                "cut.")
    if facts.headless:
        return "The log has neither the boot's beginning nor its end: how far it came cannot be said."
    return "The log ends before the guest was entered: the machine hung or was reset there, or the log was cut."


def _fault(facts):
    told = [f"The hypervisor stopped itself: “{facts.first('panic', 'reason')}”." if "panic" in facts.said else
            "The hypervisor says that it faulted; its words about that are not in the log."]
    return Verdict("fault", "Hypervisor fault", told,
                   ["This is a defect of Sluice, whatever the guest did. Attach this page to a report; the registers and the "
                    "backtrace are below."])


def _guest_failed(facts):
    if "crash" in facts.said:
        told = f"The hypervisor ended it: “{facts.first('crash', 'reason')}”."
    elif "shutdown" in facts.said:
        told = f"It {facts.first('shutdown', 'what')} (reason {facts.first('shutdown', 'reason')})."
    else:
        told = "Why is not in the log."
    return Verdict("bad", "The guest failed", [told],
                   ["Look at the guest's last words in the raw log, and at the blocked accesses of its devices."])


def verdict(facts):
    """How the boot ended. The hypervisor's own last word counts; without one it is said where the log stops."""
    reason = facts.first("ended", "reason") or (facts.summary or {}).get("reason")
    if "panic" in facts.said or reason == "hypervisor-fault":
        return _fault(facts)
    if "loader_refused" in facts.said or reason == "refused" or "mismatch" in facts.said:
        return _refusal(facts)
    if reason == "guest-failed":
        return _guest_failed(facts)
    if reason == "poweroff":
        return Verdict("good", "Sluice started the guest, and the guest shut down well")
    if reason:
        return Verdict("open", "The run ended in a way that this report does not know", [f"The log says: “{reason}”."])
    return Verdict("open", "The log has no end", [_where_it_stops(facts)])


def lacking(facts):
    """What a whole log has and this one has not."""
    wanted = (("banner", "the hypervisor's first line"), ("cpu", "the processor"), ("memory", "the size of memory"),
              ("ram", "which addresses are RAM"), ("acpi", "firmware's tables"), ("time", "clocks"))
    absent = [words for key, words in wanted if key not in facts.said]
    if facts.banner_seen and not facts.devices:
        absent.append("PCI devices")
    if facts.banner_seen and not facts.units and not any(key in facts.said for key in ("iommu_off", "no_iommu", "unconfined")):
        absent.append("IOMMU units")
    if any(not unit.registers for unit in facts.units):
        absent.append("capability registers of an IOMMU unit (older versions do not print them)")
    if facts.summary is None:
        absent.append("the summary" + (", which is cut or damaged" if facts.summary_is_cut else ""))
    return absent
