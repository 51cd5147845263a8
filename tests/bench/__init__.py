# SPDX-License-Identifier: MIT
"""What ./tools/bench measures."""
