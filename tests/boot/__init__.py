# SPDX-License-Identifier: MIT
"""The list of boot tests and what it is made of."""
