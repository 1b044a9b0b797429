#!/usr/bin/env python3
"""list.py BINARY ADDRESSES: a linker script that puts the functions at these addresses together, in their order.

Names lose the hashes of their crates, which differ with every compiler and profile. Where a name then stands for functions of
which most were not executed, it comes behind those that are certain.
"""
import bisect
import re
import subprocess
import sys

HEAD = """/* Written by hack/hot; crates/casemate/build.rs hands it to the linker. */
SECTIONS
{
  .text.hot :
  {
"""
TAIL = """  }
}
INSERT BEFORE .text;
"""


def functions(binary):
    """(address, size, name) of each, by address."""
    lines = subprocess.run(["nm", "-S", "--defined-only", binary], capture_output=True, text=True, check=True).stdout
    words = (line.split() for line in lines.splitlines())
    return sorted({(int(w[0], 16), int(w[1], 16), w[3]) for w in words if len(w) == 4 and w[2] in "tTwW"})


def plain(name):
    """The name as a pattern: without the hashes of crates (v0 mangling), that at the end (of a standard library in the older
    form), and the number by which link-time optimisation tells functions of one name apart."""
    name = re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name)
    name = re.sub(r"17h[0-9a-f]{16}E", "17h*E", name)
    return re.sub(r"\.[0-9]+$", ".*", name)


def main(binary, addresses):
    table = functions(binary)
    starts = [start for start, _, _ in table]
    total, executed, order = {}, {}, []
    for _, size, name in table:
        total[plain(name)] = total.get(plain(name), 0) + size
    known = set()
    with open(addresses, encoding="ascii") as lines:
        for line in lines:
            address = int(line, 16)
            start, size, name = table[bisect.bisect_right(starts, address) - 1]
            # The C library comes as it is built: its functions have no sections of their own.
            ours = name.startswith(("_ZN", "_R", "casemate_")) or name == "main"
            if name in known or address >= start + size or not ours:
                continue
            known.add(name)
            if plain(name) not in executed:
                order.append(plain(name))
            executed[plain(name)] = executed.get(plain(name), 0) + size
    certain = [name for name in order if 2 * executed[name] >= total[name]]
    mixed = [name for name in order if 2 * executed[name] < total[name]]
    print(HEAD + "".join(f"    *(.text.{name})\n" for name in certain + mixed) + TAIL, end="")


main(*sys.argv[1:])
