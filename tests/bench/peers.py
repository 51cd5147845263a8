# SPDX-License-Identifier: MIT
"""What Xen's two PV-IOMMU implementations need, by the same method on the same QEMU: instructions an element, of 1 and
of 256 elements in a call, guest stub included. XCP-ng is 4.17.6 with its production patches; RFC the branch of 2024."""

CONSECUTIVE = {  # (map, unmap) by elements
    "XCP-ng, VT-d": {1: (1961, 2297), 256: (1514, 1336)},
    "RFC, VT-d": {1: (1822, 2181), 256: (1093, 1001)},
    "RFC, AMD-Vi": {1: (1343, 1623), 256: (804, 623)},
}
SCATTERED = {  # the RFC's by 256 calls
    "XCP-ng, VT-d": {256: (1495, 1536)},
    "RFC, VT-d": {256: (1851, 2263)},
    "RFC, AMD-Vi": {256: (1387, 1684)},
}
EMPTY = {"XCP-ng, VT-d": 255, "RFC, VT-d": 402, "RFC, AMD-Vi": 400}


def words(figures: dict) -> str:
    return "; ".join(f"{name} {value:,}" for name, value in figures.items())


def of(peers: dict, elements: int, unmap: bool) -> str:
    return words({name: figures[elements][unmap] for name, figures in peers.items() if elements in figures})
