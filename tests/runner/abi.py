# SPDX-License-Identifier: MIT
"""Group abi: the public headers against Xen's, for x86-64. Our guests and our hypervisor share the headers, so that no
other test sees a wrong number in them.

Two programs print the same list of facts: one includes guest-abi/include/sluice, the other Xen's public headers, as
Debian's libxen-dev has them. The compiler does all arithmetic; here only names are found. A name that Xen does not have,
and that is not in the tables below, is a deviation too."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .core import Case, Failed, Skipped
from .paths import ROOT

XEN = Path("/usr/include/xen")
XEN_HEADERS = ("xen arch-x86/cpuid arch-x86/xen-mca callback elfnote errno event_channel features grant_table hvm/hvm_op "
               "hvm/params memory nmi physdev platform pmu sched vcpu version").split()
# Of Xen 4.17, the contract that xen_version tells; some structures are for tools alone, as to the headers.
XEN_DEFINES = ("__XEN_INTERFACE_VERSION__=0x00040e00", "__XEN_TOOLS__")

# Fewer than these mean that the names were not found.
FACTS_AT_LEAST, TOLD_AT_LEAST = 700, 150

# Ours alone: names of macros, and tags of structures with all that is in them.
OURS = {
    "IOMMUOP is not in Xen; guest-abi/iommu_op.md is its reference": """
        __HYPERVISOR_iommu_op PHYSDEVOP_iommu_map
        IOMMUOP_map_page IOMMUOP_unmap_page IOMMUOP_query IOMMUOP_get_reserved IOMMUOP_lookup_page
        IOMMU_MAP_OP_readable IOMMU_MAP_OP_writeable IOMMU_MAP_OP_write_withheld
        IOMMU_QUERY_map_replaces IOMMU_QUERY_zero_flags_unmaps IOMMU_QUERY_relaxed IOMMU_QUERY_premapped
        IOMMU_QUERY_owned IOMMU_QUERY_physdev_door IOMMU_QUERY_v7_door
        IOMMU_PREMAP_none IOMMU_PREMAP_own_frames IOMMU_PREMAP_all_ram
        IOMMU_RESERVED_identity IOMMU_RESERVED_msi IOMMU_RESERVED_hypertransport
        iommu_map_op iommu_query iommu_reserved_range""",
    "the entry of a memory map is firmware's (ACPI, E820), and in no public header": """
        E820_RAM E820_RESERVED E820_ACPI E820_NVS E820_UNUSABLE e820_entry""",
    "a limit in Xen's code, or a text in a comment of its header": "SCHED_POLL_PORTS_MAX START_INFO_MAGIC",
}

# Our macro -> Xen's expression of the same value.
MACROS = {
    "PVCLOCK_TSC_STABLE": "XEN_PVCLOCK_TSC_STABLE_BIT",
    "TRAP_INFO_DPL": "TI_GET_DPL(&(struct trap_info){.flags = 0xff})",
    "TRAP_INFO_MASK_EVENTS": "TI_GET_IF(&(struct trap_info){.flags = 0xff})",
}
# Errnos have no prefix here, so that <errno.h> serves as well.
XEN_ERRNO = "XEN_"

# A macro with arguments is compared for these.
ARGUMENTS = {"XENMEMF_address_bits": "(40)", "XENMEMF_get_address_bits": "(~0u)", "XENMEMF_node": "(3)"}

# Our structure -> Xen's, where several have one form, or the name differs.
STRUCTURES = {
    "evtchn_port_op": ("evtchn_close", "evtchn_send", "evtchn_unmask"),
    "vcpu_register_memory_area": ("vcpu_register_runstate_memory_area", "vcpu_register_time_memory_area"),
}
# Xen's structure and our member in it -> Xen's member.
MEMBERS = {
    "callback_unregister.unused": "_unused",
    "vcpu_register_runstate_memory_area.address": "addr.v",
    "vcpu_register_time_memory_area.address": "addr.v",
    "xen_reserved_device_memory_map.seg": "dev.pci.seg",
    "xen_reserved_device_memory_map.bus": "dev.pci.bus",
    "xen_reserved_device_memory_map.devfn": "dev.pci.devfn",
}
# Signed here and not there: what a call returns may be an error, and a guest compares it with one.
SIGNED = {"multicall_entry.result"}


@dataclass
class Names:
    """What headers define, beyond what the compiler and <stdint.h> bring."""
    macros: dict = field(default_factory=dict)  # name -> its parameters, or ""
    constants: set = field(default_factory=set)
    types: set = field(default_factory=set)
    records: dict = field(default_factory=dict)  # tag -> ("struct" or "union", members such as "u.cfg.addr")


def clang(source: str, *options: str) -> str:
    done = subprocess.run(["clang", "-std=gnu17", "-w", "-x", "c", "-", *options], input=source, capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise Failed("the compiler refuses the headers", done.stderr)
    return done.stdout


def members(record: dict) -> list:
    """Those of the structures without a name inside are members too; a structure with a name is compared by itself."""
    found, nameless = [], []
    for node in record.get("inner", ()):
        if node["kind"] == "RecordDecl" and "name" not in node:
            nameless = members(node)
        elif node["kind"] == "FieldDecl":
            name = node.get("name")
            found += [name] if name else []
            found += [f"{name}.{inner}" if name else inner for inner in nameless]
            nameless = []
    return found


def read_names(includes: str, *options: str) -> Names:
    names = Names()
    for name, parameters, body in re.findall(r"^#define (\w+)(\([^)]*\))?(.*)$", clang(includes, "-E", "-dM", *options),
                                             re.MULTILINE):
        if body.strip():
            names.macros[name] = parameters
    add_declared(names, json.loads(clang(includes, "-fsyntax-only", "-Xclang", "-ast-dump=json", *options)))
    return names


def add_declared(names: Names, scope: dict) -> None:
    """Tags inside of a structure are as visible in C as those outside."""
    for node in scope.get("inner", ()):
        if node["kind"] == "RecordDecl":
            if "name" in node and node.get("completeDefinition"):
                names.records[node["name"]] = (node["tagUsed"], members(node))
            add_declared(names, node)
        elif node["kind"] == "EnumDecl":
            names.constants |= {one["name"] for one in node.get("inner", ()) if one["kind"] == "EnumConstantDecl"}
        elif node["kind"] == "TypedefDecl":
            names.types.add(node["name"])


BASE = "#include <stddef.h>\n#include <stdint.h>\n"


def names_of(includes: str, *options: str) -> Names:
    base, names = read_names(BASE), read_names(BASE + includes, *options)
    names.macros = {name: parameters for name, parameters in names.macros.items() if name not in base.macros}
    names.types -= base.types
    return names


@dataclass
class Fact:
    what: str
    ours: str  # expressions
    xens: str


def size(what: str, ours: str, xens: str) -> Fact:
    return Fact(f"size of {what}", f"sizeof({ours})", f"sizeof({xens})")


def sign(what: str, ours: str, xens: str) -> Fact:
    def signed(value: str) -> str:
        return f"_Generic({value}, signed char: 1, short: 1, int: 1, long: 1, long long: 1, default: 0)"

    return Fact(f"sign of {what}", signed(ours), signed(xens))


class Comparison:
    """The facts to compare, and the names that stop it."""

    def __init__(self, ours: Names, xen: Names):
        self.ours, self.xen = ours, xen
        self.facts: list = []
        self.problems: list = []
        self.listed = {name for names in OURS.values() for name in names.split()}
        self.unused = self.listed | SIGNED | set().union(MACROS, ARGUMENTS, STRUCTURES, MEMBERS)

    def is_listed(self, name: str) -> bool:
        self.unused.discard(name)
        return name in self.listed

    def constant(self, name: str, parameters: str) -> None:
        if self.is_listed(name):
            return
        self.unused.discard(name)
        if parameters and name not in ARGUMENTS:
            self.problems.append(f"{name} has parameters: the test must know with which arguments to compare it")
            return
        arguments = ARGUMENTS[name] if parameters else ""
        if name in MACROS:
            xens = MACROS[name]
        elif name in self.xen.macros or name in self.xen.constants:
            xens = name + arguments
        elif re.fullmatch(r"E[A-Z0-9]+", name) and XEN_ERRNO + name in self.xen.constants:
            xens = XEN_ERRNO + name
        else:
            self.problems.append(f"{name} is neither in Xen's headers nor listed as ours alone")
            return
        self.facts.append(Fact(name, name + arguments, xens))

    def typedef(self, name: str) -> None:
        if self.is_listed(name):
            return
        if name not in self.xen.types:
            self.problems.append(f"the type {name} is neither in Xen's headers nor listed as ours alone")
            return
        self.facts += [size(name, name, name), sign(name, f"*({name} *)0", f"*({name} *)0")]

    def record(self, tag: str) -> None:
        if self.is_listed(tag):
            return
        self.unused.discard(tag)
        for other in STRUCTURES.get(tag, (tag,)):
            if other in self.xen.records:
                self.same_record(tag, other)
            else:
                self.problems.append(f"the structure {tag} is neither in Xen's headers nor listed as ours alone")

    def same_record(self, tag: str, other: str) -> None:
        (kind, inner), (xens_kind, xens_inner) = self.ours.records[tag], self.xen.records[other]
        ours, xens = f"{kind} {tag}", f"{xens_kind} {other}"
        self.facts.append(size(xens, ours, xens))
        for member in inner:
            what = f"{other}.{member}"
            self.unused.discard(what)
            named = MEMBERS.get(what, member)
            if named == member and named not in xens_inner:
                self.problems.append(f"{xens} of Xen has no member {named}")
                continue
            mine, its = f"(({ours} *)0)->{member}", f"(({xens} *)0)->{named}"
            self.facts += [Fact(f"offset of {what}", f"offsetof({ours}, {member})", f"offsetof({xens}, {named})"),
                           size(what, mine, its)]
            if what not in SIGNED:
                self.facts.append(sign(what, mine, its))

    def collect(self) -> None:
        for name, parameters in self.ours.macros.items():
            self.constant(name, parameters)
        for name in self.ours.constants:
            self.constant(name, "")
        for name in self.ours.types:
            self.typedef(name)
        for tag in self.ours.records:
            self.record(tag)
        self.problems += [f"{name} stands in the test's tables, but not in our headers" for name in self.unused]


def values(includes: str, expressions: list, *options: str) -> list:
    body = "".join(f'    printf("%lld\\n", (long long)({one}));\n' for one in expressions)
    with tempfile.TemporaryDirectory(prefix="sluice-abi-") as folder:
        program = Path(folder) / "facts"
        clang(f"{BASE}{includes}#include <stdio.h>\nint main(void)\n{{\n{body}}}\n", "-m64", "-o", str(program), *options)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()


DEFINITION = re.compile(r"^\s*#\s*define\s+(\w+)|^\s*(?:struct|union)\s+(\w+)\s*\{", re.MULTILINE)
ELSEWHERE = ("kernel", "drivers", "guest-abi/kit", "guest-abi/examples", "tests/guests", "tests/adversary")


def second_definitions(root: Path, xen: Names) -> list:
    """What Xen defines is defined in the public headers alone, where the comparison sees it."""
    theirs = xen.constants.union(xen.macros, xen.records)
    return [f"{path.relative_to(root)} defines {name}, which belongs into the public headers"
            for folder in ELSEWHERE for path in sorted((root / folder).rglob("*.[chS]"))
            for name in {macro or tag for macro, tag in DEFINITION.findall(path.read_text())} & theirs]


@dataclass
class Headers:
    """Some headers: how to include them, and the names they define."""
    includes: str
    options: tuple = ()

    def __post_init__(self):
        self.names = names_of(self.includes, *self.options)

    def values(self, expressions: list) -> list:
        return values(self.includes, expressions, *self.options)


def xens_headers() -> Headers:
    if not (XEN / "xen.h").exists():
        raise Skipped("Xen's public headers are not installed: apt-get install libxen-dev")
    return Headers("".join(f"#include <xen/{name}.h>\n" for name in XEN_HEADERS),
                   tuple(f"-D{define}" for define in XEN_DEFINES))


def our_headers(root: Path) -> Headers:
    return Headers("".join(f'#include "{path}"\n' for path in sorted((root / "guest-abi/include/sluice").glob("*.h"))))


def complain(deviations: list) -> None:
    if deviations:
        raise Failed(f"{len(deviations)} deviations from Xen's headers: {deviations[0]}", "\n".join(deviations))


def judge(root: Path) -> None:
    """Raises Failed unless every fact of our headers is Xen's."""
    xen, ours = xens_headers(), our_headers(root)
    comparison = Comparison(ours.names, xen.names)
    comparison.collect()
    facts = comparison.facts
    if len(facts) < FACTS_AT_LEAST:
        raise Failed(f"only {len(facts)} facts were found to compare")
    both = zip(facts, ours.values([fact.ours for fact in facts]), xen.values([fact.xens for fact in facts]), strict=True)
    complain(comparison.problems + second_definitions(root, xen.names)
             + [f"{fact.what}: {mine} here, {its} in Xen's headers" for fact, mine, its in both if mine != its])


# How the texts tell a number: `NAME` 5, | 5 `NAME` ..., NAME (5) or NAME (slot 5), VIRQ 5.
TELLS = [re.compile(pattern, re.MULTILINE) for pattern in (
    r"`(?P<name>\w+)`,?\s+\(?(?P<value>0x[0-9a-f]+|\d+)\b", r"^\| (?P<value>\d+) `(?P<name>\w+)`",
    r"\b(?P<name>\w+) \((?:slot )?(?P<value>\d+)\)", r"\b(?P<name>[A-Z]{4,}) (?P<value>\d+)\b")]
# A table's row of several slots: | 1, 14 | `mmu_update`, `update_va_mapping` |
SEVERAL = re.compile(r"^\| (\d+(?:, \d+)*) \| (`\w+`(?:, `\w+`)*) \|", re.MULTILINE)
# Of these a text may tell the number; all are plain numbers.
KINDS = ("__HYPERVISOR_", "CALLBACK", "CONSOLEIO_", "DOMID_", "EVTCHN", "IOMMU", "MMU", "PHYSDEVOP_", "RUNSTATE_", "SCHEDOP_",
         "SEGBASE_", "SHUTDOWN_", "UVMF_", "VCPUOP_", "VIRQ_", "VMASST_", "XENFEAT_", "XENMEM_", "XENPF_", "XENVER_",
         "XEN_ELFNOTE_", "XEN_FW_")
# What a text leaves out of a name, because its chapter says it.
PREFIXES = ("", "__HYPERVISOR_", "EVTCHNOP_", "VCPUOP_", "XEN_ELFNOTE_", "VIRQ_", "CALLBACKTYPE_", "XENMEM_")


def told(text: str) -> list:
    """(name, number) of each number that a text tells of a name."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = [(match["name"], int(match["value"], 0)) for pattern in TELLS for match in pattern.finditer(text)]
    for numbers, names in SEVERAL.findall(text):
        found += zip(names.replace("`", "").split(", "), map(int, numbers.split(", ")))
    return found


def judge_texts(root: Path) -> None:
    """Raises Failed unless the numbers in the texts of guest-abi/ are those of Xen's headers, or of ours where Xen has none."""
    value = {}
    for headers in (our_headers(root), xens_headers()):
        names = [name for name, parameters in headers.names.macros.items() if name.startswith(KINDS) and not parameters]
        value.update(zip(names, map(int, headers.values(names))))
    found, count = [], 0
    for path in sorted((root / "guest-abi").glob("*.md")):
        for name, number in told(path.read_text()):
            meant = {prefix + name: value[prefix + name] for prefix in PREFIXES if prefix + name in value}
            count += bool(meant)
            if meant and number not in meant.values():
                found.append(f"{path.name}: {name} {number}; it is {meant}")
    if count < TOLD_AT_LEAST:
        raise Failed(f"only {count} numbers were found in the texts")
    complain(found)


def cases(root: Path = ROOT) -> list:
    return [Case("abi", "headers", partial(judge, root), "numbers and layouts of the public headers are those of Xen's"),
            Case("abi", "texts", partial(judge_texts, root), "and so are the numbers in the texts of guest-abi/")]
