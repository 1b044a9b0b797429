#!/usr/bin/env python3
"""report.py DIR [--write FILE]: Markdown tables of what hack/attack found; into FILE between its markers if asked. Fails if
hardened or restricted gave what a configuration asked for."""
import json
import pathlib
import sys

BEGIN, END = "<!-- attack: begin -->", "<!-- attack: end -->"
COLUMNS = ["runc", "crun", "privileged", "baseline", "hardened", "restricted"]
ABOUT = {
    "devices": "device nodes",
    "files": "files",
    "gains": "privilege and other processes",
    "kernel": "kernel interfaces",
    "mounts": "mounts",
    "namespaces": "namespaces",
    "sockets": "sockets",
}


def load(directory, name):
    path = directory / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() and path.stat().st_size else None


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return [row(head), row(["---"] * len(head))] + [row(cells) for cells in rows]


def attempts(found):
    names = [name for name in COLUMNS if found.get(name)]
    groups = found["hardened"]
    rows, total, passed = [], 0, dict.fromkeys(names, 0)
    for group in sorted(ABOUT):
        for attempt in sorted(groups[group]):
            results = [found[name][group].get(attempt, "absent") for name in names]
            total += 1
            for name, result in zip(names, results):
                passed[name] += result == "ok"
            if len({result == "ok" for result in results}) > 1:
                shown = ["**done**" if result == "ok" else result for result in results]
                rows.append([ABOUT[group], attempt, *shown])
    state = [
        ["state", key, *[str(found[name]["state"][key]) for name in names]]
        for key in ("CapEff", "NoNewPrivs", "own user namespace")
    ]
    counts = ["", f"done, of {total} attempts", *[str(passed[name]) for name in names]]
    return table(["Kind", "Attempt", *names], [counts] + rows + state)


def locked(found):
    names = [name for name in ("runc", "crun", "casemate") if found.get(f"locked-{name}")]
    keys = sorted({key for name in names for key in found[f"locked-{name}"]})
    rows = [[key, *[found[f"locked-{name}"].get(key, "") for name in names]] for key in keys]
    return table(["Undone by root of the container with CAP_SYS_ADMIN", *names], rows)


def asked(groups):
    names = [name for name in COLUMNS if any(name in found for group in groups.values() for found in group.values())]
    rows, total, passed = [], 0, dict.fromkeys(names, 0)
    for kind, attacks in groups.items():
        for attack, found in attacks.items():
            results = [found[name] for name in names]
            total += 1
            for name, result in zip(names, results):
                passed[name] += result == "done"
            if len({result == "done" for result in results}) > 1:
                rows.append([kind, attack, *["**done**" if result == "done" else result for result in results]])
    counts = ["", f"done, of {total}", *[str(passed[name]) for name in names]]
    return table(["Kind", "What the configuration or the caller does", *names], [counts] + rows)


def given(groups):
    """What must not be: (profile, attack)."""
    return [
        (name, attack)
        for attacks in groups.values()
        for attack, found in attacks.items()
        for name in ("hardened", "restricted")
        if found[name] == "done"
    ]


def main():
    directory = pathlib.Path(sys.argv[1])
    names = COLUMNS + ["locked-casemate", "locked-crun", "locked-runc"]
    found = {name: load(directory, name) for name in names}
    groups = load(directory, "asked")
    versions = [p.read_text().strip() for p in sorted(directory.glob("*.version"))]
    lines = [
        "Made by `hack/attack --write`" + (f", with {' and '.join(versions)}" if versions else "") + ". The bundle is what",
        "`podman run` writes. Rows on which all agree are left out; an entry other than **done** is the error that the payload got.",
        "",
        *attempts(found),
        "",
        *locked(found),
        "",
        "Each row is one change to what is asked for, under `restricted` by uid 1000. The name of a control means that it refused the",
        "container. *refused*: something else did. *no*: it runs without what was asked for. *not here*: not possible on the host of this run.",
        "",
        *asked(groups),
    ]
    text = "\n".join(lines)
    print(text)
    if len(sys.argv) == 4 and sys.argv[2] == "--write":
        path = pathlib.Path(sys.argv[3])
        page = path.read_text()
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    for name, attack in given(groups):
        print(f"attack: {name} gives it: {attack}", file=sys.stderr)
    sys.exit(bool(given(groups)))


main()
