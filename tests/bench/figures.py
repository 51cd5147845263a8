# SPDX-License-Identifier: MIT
"""What is measured, and the ceilings."""
SUBJECTS = ()
