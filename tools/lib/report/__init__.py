# SPDX-License-Identifier: MIT
"""From a boot log to a page: reading.py (bytes to lines), sentences.py (what Sluice says), facts.py (what it means),
words.py (capabilities and advice), picture.py (the bus address space), page.py (HTML)."""
