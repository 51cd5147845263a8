# SPDX-License-Identifier: MIT
"""What ./tools/test and ./tools/bench are made of; see docs/testing.md."""
