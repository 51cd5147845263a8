# SPDX-License-Identifier: MIT
"""What tools/run, tools/test and tools/bench share."""
