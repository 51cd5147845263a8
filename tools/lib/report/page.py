# SPDX-License-Identifier: MIT
"""The HTML page: one file, nothing fetched, no scripts. Whatever came from the log goes through text()."""
import re
from html import escape

from . import picture, words

STYLE = """
:root{--bg:#fff;--fg:#1c2430;--soft:#5b6775;--line:#d5dbe2;--card:#f5f7f9;--good:#1a7f4b;--bad:#b3261e;--warn:#9a6700;
--ram:#9cc7ea;--device:#b8dfb5;--barred:#d8d8d8;--reserved:#f3cf83;--refused:#eee;--msi:#e5b3e6;--unit:#c3b7ee;--hv:#f2a9a2}
@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e6eaef;--soft:#9aa7b4;--line:#353d47;--card:#1d232a;--good:#56c98a;
--bad:#ff8a80;--warn:#e8b84a;--ram:#2f5d85;--device:#2f6b3a;--barred:#4a4f55;--reserved:#80621a;--refused:#333;--msi:#7a3d7c;
--unit:#51458a;--hv:#8a3a33}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1.2rem 4rem;background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.2rem 0 .8rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
.verdict{border-left:6px solid var(--soft);background:var(--card);padding:.8rem 1rem;border-radius:4px}
.verdict strong{font-size:1.25rem;display:block}
.good{border-color:var(--good)}.good strong{color:var(--good)}
.bad,.fault-end{border-color:var(--bad)}.bad strong,.fault-end strong{color:var(--bad)}
.refused-end,.open-end{border-color:var(--warn)}.refused-end strong,.open-end strong{color:var(--warn)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th:empty{padding:0}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{font-weight:600;color:var(--soft);white-space:nowrap}td.one{white-space:nowrap}td.n{text-align:right;white-space:nowrap}
code,pre,td.code{font-family:ui-monospace,Consolas,monospace;font-size:.86em}
td.code{white-space:nowrap}
pre{background:var(--card);padding:.8rem;overflow-x:auto;border-radius:4px;white-space:pre-wrap;overflow-wrap:anywhere}
pre b{font-weight:600}pre i{color:var(--soft);font-style:normal}
.soft{color:var(--soft)}ul{padding-left:1.2rem}summary{cursor:pointer;color:var(--soft)}
.is-given{color:var(--good)}.is-barred,.is-open{color:var(--bad)}
svg.map{width:100%;max-width:48rem;height:auto;display:block}
svg text{font:11px system-ui,sans-serif;fill:var(--fg)}svg .head{font-weight:600;fill:var(--soft)}
svg .address{font-family:ui-monospace,Consolas,monospace;font-size:10px;fill:var(--soft)}svg .small{font-size:10px;fill:var(--soft)}
svg .on{font-size:10.5px}
svg .row{fill:none;stroke:var(--line);stroke-width:.6}svg .empty{fill:var(--card)}
svg .four{stroke:var(--soft);stroke-dasharray:5 3}
.ram{fill:var(--ram);background:var(--ram)}.device{fill:var(--device);background:var(--device)}
.barred{fill:var(--barred);background:var(--barred)}.reserved{fill:var(--reserved);background:var(--reserved)}
.refused{fill:var(--refused);stroke:var(--bad);stroke-dasharray:3 2;background:var(--refused)}
.msi{fill:var(--msi);background:var(--msi)}.unit{fill:var(--unit);background:var(--unit)}
.hypervisor{fill:var(--hv);background:var(--hv)}.fault{fill:var(--bad);background:var(--bad)}
.legend span{display:inline-block;margin-right:1rem;font-size:.88rem}
.legend .refused{border:1px dashed var(--bad)}.legend i{display:inline-block;width:.9em;height:.9em;margin-right:.35em;vertical-align:-.08em;border-radius:2px}
@media print{body{max-width:none;padding:0;font-size:11px}h2{break-after:avoid}tr,svg.map,.verdict{break-inside:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

LEGEND = (("ram", "RAM"), ("hypervisor", "the hypervisor's image"), ("msi", "interrupt window: writes here are interrupts"),
          ("reserved", "reserved by firmware for devices"), ("refused", "reserved range that Sluice refused"),
          ("unit", "an IOMMU's registers"), ("device", "window of a device"), ("barred", "window of a blocked device"),
          ("fault", "blocked DMA"))
_ENDINGS = {"good": "good", "bad": "bad", "fault": "fault-end", "refused": "refused-end", "open": "open-end"}
_UNSHOWN = re.compile("[\0-\x08\n-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def text(value):
    """Anything from a log, for HTML: characters that HTML cannot have, or that turn a line round, are shown as a mark."""
    return escape(_UNSHOWN.sub("\ufffd", str(value)), quote=True)


def counted(number, noun):
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _table(heads, rows, classes=()):
    classes = tuple(classes) + ("",) * len(heads)
    body = "".join("<tr>" + "".join(f'<td class="{css}">{cell}</td>' for css, cell in zip(classes, row)) + "</tr>\n"
                   for row in rows)
    return ('<div class="wide"><table><thead><tr>' + "".join(f"<th>{head}</th>" for head in heads)
            + f"</tr></thead><tbody>\n{body}</tbody></table></div>")


def _list(items):
    return "<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>"


def _section(title, *parts):
    return f"<h2>{title}</h2>\n" + "\n".join(part for part in parts if part)


def _soft(sentence):
    return f'<p class="soft">{sentence}</p>'


def _none(facts, what):
    return f"The log's beginning is missing; its rest has no {what}." if facts.headless else f"No {what} is in this log."


def _verdict(facts):
    end = words.verdict(facts)
    advice = "<h3>What to do</h3>" + _list(end.advice) if end.advice else ""
    return (f'<div class="verdict {_ENDINGS[end.kind]}"><strong>{text(end.title)}.</strong>'
            + "".join(f"<p>{text(sentence)}</p>" for sentence in end.sentences) + advice + "</div>")


def _in_short(facts, build_note):
    rows = []

    def row(what, value):
        rows.append((what, value or '<span class="soft">not in this log</span>'))

    row("Steps in this log", _steps(facts))
    build = facts.first("banner", "build")
    row("Sluice", f"build <code>{text(build)}</code> {text(build_note)}" if build else
        "a version that does not tell its build" if facts.banner_seen else None)
    cpu = facts.said.get("cpu")
    row("Processor", cpu and text(f"{cpu['vendor']} {cpu['brand']}, {cpu['bits']} address bits,{cpu['features']}"))
    memory = facts.said.get("memory")
    row("Memory", memory and text(f"{int(memory['mib']):,} MiB of RAM, up to 0x{memory['top']}"))
    row("Screen", _screen(facts))
    acpi = facts.said.get("acpi")
    row("ACPI", acpi and text(f"revision {acpi['revision']}, {acpi['tables']} tables"))
    clock = facts.said.get("time")
    row("Clocks", clock and text(f"TSC {clock['mhz']}.{clock['khz']} MHz, local APIC timer {clock['lapic']} kHz, measured by the "
                                 f"{clock['clock']}"))
    guest = facts.said.get("guest")
    row("Guest", guest and text(f"{int(guest['mib']):,} MiB, kernel at 0x{guest['start']}, entry 0x{guest['entry']}"))
    row("Bus at boot", _bus(facts))
    return _table(("", ""), rows, ("one",))


def _screen(facts):
    if screen := facts.said.get("screen"):
        left = "; the guest took it over" if "screen_left" in facts.said else ""
        return text(f"{screen['width']} by {screen['height']} pixels at 0x{screen['base']}{left}")
    if "screen_refused" in facts.said:
        return text(f"not used: the framebuffer {facts.first('screen_refused', 'reason')}")
    return "firmware has no framebuffer" if "screen_none" in facts.said else None


_STEPS = (("hello", "loader"), ("banner", "hypervisor"), ("memory", "memory"), ("units", "IOMMU found"), ("guest", "guest built"),
          ("entering", "guest entered"), ("ended", "end"))


def _steps(facts):
    """How far it came, in steps that the log tells of."""
    done = set(facts.said) | ({"units"} if facts.units else set())
    return ", ".join(f'<span class="is-given">✓ {words_}</span>' if key in done else f'<span class="soft">– {words_}</span>'
                     for key, words_ in _STEPS)


def _bus(facts):
    if "iommu_off" in facts.said:
        return "iommu=off: <strong>nothing is protected</strong>"
    if "bus_none" in facts.said:
        return "mode none: every device of the guest is blocked"
    bus = facts.said.get("bus")
    if bus is None:
        return None
    told = [f"mode {bus['mode']}; {bus['premap']}; {bus['attached']} functions attached; {bus['used']} of {bus['quota']} table "
            "pages used"]
    if "bus_trusted" in facts.said:
        told.append("the guest is trusted: its devices can write all of its memory, page tables included")
    return text("; ".join(told))


def _units(facts):
    parts = []
    for unit in facts.units:
        line = unit.words
        levels = f"{line['levels']} to {line['most']}" if "most" in line else line["levels"]
        rows = [("In use", text(f"{levels} levels of tables, {line['bits']}-bit bus addresses, {line['domains']} domains"
                                f"{line['features']}"))]
        rows += [(what, text(value)) for what, value in words.capabilities(unit)]
        if unit.registers:
            raw = {name: value for name, value in unit.registers.items() if name != "index"}
            rows.append(("As printed", "<code>" + text(", ".join(f"{name} {value}" for name, value in raw.items())) + "</code>"))
        rows += [("Note", f'<span class="is-barred">{text(note)}</span>') for note in unit.notes]
        parts.append(f"<h3>Unit {text(line['index'])}: {unit.vendor} at <code>{unit.base:#x}</code></h3>"
                     + _table(("", ""), rows, ("one",)))
    for vendor, line in facts.unusable_units:
        parts.append(f'<p class="is-barred">{vendor} unit at <code>0x{text(line["base"])}</code> is not usable: '
                     f'{text(line["reason"])}</p>')
    if not facts.units:
        parts.append(_soft(_none(facts, "usable unit")))
    if "remapped" in facts.said:
        parts.append("<p>Interrupts of devices are remapped: what no entry allows is blocked.</p>")
    if facts.findings:
        parts.append("<h3>What Sluice found in firmware's table</h3>" + _table(
            ("table", "offset", "structure", "finding"),
            [tuple(text(line[name]) for name in ("table", "offset", "structure", "reason")) for line in facts.findings]))
    return _section("IOMMU units", *parts)


def _group_of(facts, name):
    for number, members in enumerate(facts.groups, 1):
        if name in members:
            return f"group {number} of {len(members)}"
    return ""


def _devices(facts):
    rows = []
    for device in sorted(facts.devices.values(), key=lambda one: one.id):
        line = device.words
        what = f"{line['kind']} {line['vendor']}:{line['device']}" if line else "(the log names no such function)"
        if "first" in line:
            what += f", to buses {line['first']}-{line['last']}"
        windows = "<br>".join(f"<code>{first:#x}</code>, {picture.size_words(last - first + 1)}" for first, last in device.windows)
        status, told = facts.status_of(device)
        told = "; ".join([told, *device.notes])
        rows.append((text(device.id), text(line.get("requester") or "" if line else ""), text(what),
                     text(_group_of(facts, device.id)), windows, f'<span class="is-{status}">{text(told)}</span>'))
    parts = [_table(("function", "requester", "what", "shares", "windows", "what became of it"), rows, ("code", "code", "", "one", "one"))
             if rows else _soft(_none(facts, "device"))]
    count = facts.first("bus", "attached")
    if count is not None and int(count) != len(facts.attached()):
        parts.append(_soft(f"The hypervisor attached {count} functions; the lines of this log lead to {len(facts.attached())}: "
                           "lines are missing, or it is of another version. The hypervisor's number counts."))
    if any(device.windows for device in facts.devices.values()):
        parts.append(_soft("Functions that share a group with others go to the guest together or not at all. An empty requester "
                           "is a bridge's."))
    if facts.windows_refused:
        parts.append("<h3>Windows that the guest does not get</h3>" + _table(
            ("function", "window", "at", "bytes", "why"),
            [(text(w["id"]), text(w["index"]), f"0x{text(w['base'])}", f"0x{text(w['size'])}", text(w["reason"]))
             for w in facts.windows_refused], ("code", "n", "code", "code")))
    return _section("Devices", *parts)


def _reserved(facts):
    if not facts.reserved and (facts.headless or "bus" not in facts.said and "bus_none" not in facts.said):
        return _section("Reserved ranges", _soft(_none(facts, "reserved range")))
    if not facts.reserved:
        return _section("Reserved ranges", _soft("Firmware reserves no range for devices, as far as this log says. The interrupt "
                                                 "window 0xfee00000 to 0xfeefffff is reserved on every machine."))
    rows = [(f"{one.base:#x} to {one.limit:#x}", picture.size_words(max(one.limit - one.base + 1, 0)),
             text(", ".join(one.devices)) or '<span class="soft">not in this log</span>',
             f'<span class="is-barred">refused: {text(one.refused)}</span>' if one.refused else "honoured") for one in facts.reserved]
    return _section("Reserved ranges", _table(("range", "size", "devices", "what became of it"), rows, ("code",)),
                    _soft("And, on every machine, the interrupt window 0xfee00000 to 0xfeefffff."))


def _places(fault):
    shown = [f"{place:#x}" + (f" ({count}×)" if count > 1 else "") for place, count in list(fault.places.items())[:8]]
    return ", ".join(shown) + (" and others" if len(fault.places) > 8 or sum(fault.places.values()) < fault.count else "")


def _faults(facts):
    rows = [(text(fault.device), text(fault.access), text(_places(fault)), text(f"{fault.reason} (0x{fault.code:02x})"),
             f"{fault.count:,}") for fault in sorted(facts.faults.values(), key=lambda one: -one.count)]
    parts = [_table(("requester", "access", "where", "why it was blocked", "lines"), rows, ("code", "", "code", "", "n"))] if rows else []
    if facts.faults_not_kept:
        parts.append(_soft(f"{facts.faults_not_kept:,} lines more, of kinds that are not listed."))
    parts += [f"<p>Unit {text(line['index'])}: {text(line['text'])} <code>{text(line['high'])}:{text(line['low'])}</code></p>"
              for line in facts.unit_faults]
    shown = facts.fault_lines + len(facts.unit_faults)
    hidden = facts.not_shown.get("blocked DMA", 0)
    told = f"{counted(shown, 'line')} about blocked accesses in this log"
    told += f"; {hidden:,} more were not shown by the hypervisor, which prints so many a second." if hidden else "."
    if facts.count("faults") is not None:
        told += f" The summary counts {facts.count('faults'):,}, of which {facts.count('faults_suppressed') or 0:,} without a line."
    if any(unit.vendor == "AMD-Vi" for unit in facts.units) and not shown:
        told += " (QEMU's AMD unit never logs a fault.)"
    if not shown and not hidden and not facts.count("faults"):
        told = _none(facts, "blocked access")
    if rows:
        told += " A BFN times 4096 is the address on the bus."
    return _section("Blocked accesses of devices", *parts, f"<p>{told}</p>")


def _dump(facts):
    if not facts.registers and not facts.backtrace:
        return ""
    frames = [f"{line['what'].strip():4} {line['address']}  " + (f"{line['symbol']}+0x{line['offset']}" if "symbol" in line else "")
              for line in facts.backtrace]
    whose = "hypervisor" if "panic" in facts.said else "guest"
    parts = ["<pre>" + text_lines(facts.registers) + "</pre>"] if facts.registers else []
    if frames:
        parts.append("<h3>Backtrace, innermost first</h3><pre>" + text_lines(frames) + "</pre>")
    return _section(f"Registers of the {whose}", *parts)


def text_lines(lines):
    return "\n".join(text(line) for line in lines)


def _flat(summary, prefix=""):
    for name, value in list(summary.items())[:200]:
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}".replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)


def _summary(facts):
    if facts.summary is None:
        cut = "it is cut or damaged" if facts.summary_is_cut else "it is not in this log"
        return _section("Summary of the hypervisor", _soft(f"The hypervisor's last line has its counts; {cut}."))
    rows = [(text(name), text(value[:200])) for name, value in _flat(facts.summary)]
    half = (len(rows) + 1) // 2
    pairs = [left + (rows[half + i] if half + i < len(rows) else ("", "")) for i, left in enumerate(rows[:half])]
    return _section("Summary of the hypervisor", _table(("count", "", "count", ""), pairs, ("", "n", "", "n")),
                    _soft("Hypercalls are by number: 57 is IOMMUOP."))


def _space(facts):
    if not facts.banner_seen:
        return ""
    drawn = picture.make_map(facts)
    legend = "".join(f'<span><i class="{css}"></i>{words_}</span>' for css, words_ in LEGEND)
    rows = [(dict(picture.LANES)[one.lane], f"{one.first:#x} to {one.last:#x}", picture.size_words(one.last - one.first + 1),
             text(one.label) + (f", {one.parts} parts with gaps" if one.parts > 1 else ""))
            for one in sorted(drawn.regions, key=lambda one: (one.first, one.last))]
    rows += [("blocked DMA", f"{address:#x}", "", text(label)) for address, label in drawn.faults[:200]]
    notes = ["Each row is as high as the logarithm of its size; within a row the scale is even. Grey rows hold nothing that the "
             "log tells of."]
    if drawn.bits:
        notes.append(f"A bus address has {drawn.bits} bits.")
    bus = facts.said.get("bus", {})
    if "BFN = MFN" in bus.get("premap", ""):
        notes.append(f"At boot a device reaches the guest's own {facts.first('guest', 'mib', '?')} MiB of RAM at their machine "
                     "addresses; what the guest maps later is not in the log." if "own frames" in bus["premap"] else
                     "At boot a device reaches all RAM but the hypervisor's at its machine address.")
    if any(one.parts > 1 for one in drawn.regions):
        notes.append("Small gaps between ranges of one kind are not drawn.")
    if not facts.ram:
        notes.append("Which addresses are RAM is not in this log.")
    return _section("The bus address space", picture.svg(drawn), f'<p class="legend">{legend}</p>', _soft(" ".join(map(text, notes))),
                    "<details><summary>The same as a table</summary>" + _table(("column", "addresses", "size", "what"), rows,
                                                                               ("", "code", "n")) + "</details>")


def _privacy(facts):
    parts = ["<p>This page holds the log as it was, at the end, and what it says. Sluice's own lines tell the processor's name, the "
             "size and addresses of memory, PCI numbers of devices and what firmware's IOMMU table says; they hold no serial number, "
             "no network address and no name of a person or machine. What the guest and firmware print is theirs: a guest may print "
             "serial numbers of disks. Read the page before you send it; everything in it can be seen, there is nothing hidden.</p>"]
    if facts.personal_count:
        parts.append(f"<p>Here a serial number or a network address may be ({counted(facts.personal_count, 'line')}):</p><pre>" + text_lines(facts.personal) + "</pre>")
    return _section("What you give away with this page", *parts)


def _other(facts):
    parts = []
    absent = words.lacking(facts)
    if absent:
        parts.append("<p>Not in this log: " + text("; ".join(absent)) + ".</p>")
    if facts.first("option_unknown", "name"):
        parts.append(f"<p>Sluice did not know the option “{text(facts.first('option_unknown', 'name'))}”.</p>")
    if facts.unknown:
        parts.append(f"<details><summary>{counted(facts.unknown_count, 'line')} of Sluice's that this page makes nothing of</summary><pre>"
                     + text_lines(facts.unknown) + "</pre></details>")
    return _section("What else is in the log, and what is not", *parts) if parts else ""


def _marked(line):
    return f"<b>{text(line)}</b>" if line.startswith("sluice: ") else text(line)


def _raw(kept):
    middle = [f"<i>[{kept.left_out:,} lines are left out here]</i>"] if kept.left_out else []
    lines = [*map(_marked, kept.head), *middle, *map(_marked, kept.tail)]
    return _section("The log", f"<details><summary>{counted(len(kept.head) + len(kept.tail), 'line')}; Sluice's are bold</summary><pre>"
                    + "\n".join(lines) + "</pre></details>")


def html(facts, kept, name, notes, build_note=""):
    """The page about one boot. name: the log's file name; notes: sentences about how the log was read."""
    parts = [_verdict(facts), "".join(_soft(text(note)) for note in notes), _in_short(facts, build_note), _dump(facts),
             _faults(facts), _units(facts), _devices(facts), _reserved(facts), _space(facts), _summary(facts), _other(facts),
             _privacy(facts), _raw(kept)]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            f"<title>Sluice: {text(words.verdict(facts).title)}</title><style>{STYLE}</style></head>\n<body>"
            f"<h1>Sluice boot report: {text(name)}</h1>\n" + "\n".join(part for part in parts if part) + "\n</body></html>\n")
