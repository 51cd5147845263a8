# SPDX-License-Identifier: MIT
"""A line of the serial console as text, and whether it is Sluice's own."""
import re

NAME = b"sluice: "

_CONTROL = re.compile(rb"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][0-9A-B]|[\x00-\x08\x0b-\x1f]")


def without_control(raw):
    """The bytes without terminal control sequences; a carriage return alone starts no line."""
    return _CONTROL.sub(b"", raw)


def line_of(raw, strict):
    """
    The line as text. With strict, from the kernel on, only what begins with Sluice's name byte for byte is Sluice's:
    a guest may hide control bytes in the name, to forge a line once they are gone; such a line is marked.
    """
    line = without_control(raw).decode("utf-8", "replace").rstrip()
    if strict and line.startswith("sluice: ") and not raw.startswith(NAME):
        return line.replace("sluice: ", "sluice:|", 1)
    return line
