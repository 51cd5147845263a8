# SPDX-License-Identifier: MIT
"""A command is a function: its words are its arguments, its first sentence is its help, and what goes wrong is told."""
import inspect

import gdb


def number(word):
    """A number, or any expression of GDB's."""
    return int(gdb.parse_and_eval(word)) & (1 << 64) - 1


def symbol(name):
    """A variable of the hypervisor's, by its name."""
    return gdb.parse_and_eval(name)


def command(function):
    """Makes `def sluice_frame(mfn)` the command sluice-frame."""
    parameters = inspect.signature(function).parameters.values()
    least = sum(one.default is one.empty for one in parameters)

    class Made(gdb.Command):
        __doc__ = function.__doc__

        def __init__(self):
            super().__init__(function.__name__.replace("_", "-"), gdb.COMMAND_USER)

        def invoke(self, argument, from_tty):
            words = gdb.string_to_argv(argument)
            if not least <= len(words) <= len(parameters):
                raise gdb.GdbError(f"{function.__doc__}")
            try:
                function(*words)
            except gdb.MemoryError as error:
                raise gdb.GdbError(f"{error}: the hypervisor has not mapped that (yet)") from None
            except gdb.error as error:
                raise gdb.GdbError(str(error)) from None

    Made()
    return function
