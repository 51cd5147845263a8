# SPDX-License-Identifier: MIT
# Prints the C code blocks of a Markdown text, with #line directives that point back into it.
/^```c$/ { on = 1; printf "#line %d \"%s\"\n", FNR + 1, FILENAME; next }
/^```$/ { on = 0 }
on
