#!/usr/bin/env python3
"""What hack/hot asks about a program, from the map that lld writes of it.

functions MAP          the addresses of all functions, one a line
order MAP ADDRESSES    a linker script that puts the functions at these addresses together, in their order

MAP is what the linker says of where it put which section: functions of Rust have one each, those of the C library lie in one
for each file of its archive. Names lose what differs with every compiler and profile: the hashes of crates, and which crate a
generic function was first needed in. Where a name then stands for functions of which most were not executed, it comes behind
those that are certain. The script ends the link where less than half of what was executed is found: then it is out of date.
"""
import bisect
import re
import sys

HEAD = """/* Written by hack/hot; crates/boot/link.rs hands it to the linker. */
SECTIONS
{
  .text.hot :
  {
"""
TAIL = """  }}
}}
INSERT BEFORE .text;
ASSERT(SIZEOF(.text.hot) > {least}, "the order of functions does not fit this program: hack/hot writes another one")
"""

# Address, load address, size, alignment, and a symbol: lld's form.
SYMBOL = re.compile(r"^ *([0-9a-f]+) +[0-9a-f]+ +[0-9a-f]+ +\d+ {17}\S")
# The same with a file and its section.
SECTION = re.compile(r"^ *([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) +\d+ {9}(\S.*):\((\.text[^)]*)\)$")


def sections(path):
    """(address, size, pattern) of each section with code, by address."""
    found = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            match = SECTION.match(line)
            if match:
                address, size, file, section = match.groups()
                found.append((int(address, 16), int(size, 16), pattern(file, section)))
    return sorted(found)


def functions(path):
    """Where the symbols of all sections with code are."""
    code = False
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            symbol = SYMBOL.match(line)
            if symbol and code:
                yield symbol[1]
            elif not symbol:
                code = SECTION.match(line) is not None


def pattern(file, section):
    """What the linker script calls it. None: a section without a name of its own, of which there are many."""
    library = re.search(r"/(lib[a-z]+)[^/]*\.a\(([^)]*)\)$", file)
    if library:
        return f"*{library[1]}*.a:{library[2]}({section})"
    start = re.search(r"/(r?crt1\.o)$", file)
    if start:
        return f"*{start[1]}({section})"
    return f"*({plain(section)})" if section.count(".") > 1 else None


def plain(name):
    """The name without the hashes of crates (v0 mangling, and that of a standard library in the older form), without the crate
    that a generic function was needed in, and without the number by which link-time optimisation tells functions of one name
    apart."""
    name = re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name)
    name = re.sub(r"17h[0-9a-f]{16}E", "17h*E", name)
    name = re.sub(r"\.[0-9]+$", ".*", name)
    crate = re.search(r"Cs\*_([0-9]+)([a-z][a-z0-9_]*)$", name)
    if crate and int(crate[1]) == len(crate[2]):
        name = name[: crate.start()] + "Cs*"
    return name


def order(link_map, addresses):
    table = sections(link_map)
    starts = [start for start, _, _ in table]
    total, executed, names, known = {}, {}, [], set()
    for _, size, name in table:
        total[name] = total.get(name, 0) + size
    with open(addresses, encoding="ascii") as lines:
        for line in lines:
            address = int(line, 16)
            at = bisect.bisect_right(starts, address) - 1
            if at < 0 or at in known:
                continue
            start, size, name = table[at]
            if name is None or address >= start + size:
                continue
            known.add(at)
            if name not in executed:
                names.append(name)
            executed[name] = executed.get(name, 0) + size
    certain = [name for name in names if 2 * executed[name] >= total[name]]
    mixed = [name for name in names if 2 * executed[name] < total[name]]
    least = sum(executed.values()) // 2
    print(HEAD + "".join(f"    {name}\n" for name in certain + mixed) + TAIL.format(least=least), end="")


match sys.argv[1:]:
    case ["functions", link_map]:
        print("\n".join(sorted(set(functions(link_map)))))
    case ["order", link_map, addresses]:
        order(link_map, addresses)
    case _:
        sys.exit(__doc__)
