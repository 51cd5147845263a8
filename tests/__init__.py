# SPDX-License-Identifier: MIT
"""Sluice's tests."""
