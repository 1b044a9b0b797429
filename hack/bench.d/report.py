#!/usr/bin/env python3
"""report.py WORK [--write FILE]: turn WORK/results.jsonl of hack/bench into Markdown.

Prints the tables, or with --write replaces what stands between the markers `<!-- bench -->` and `<!-- /bench -->`
in FILE, which is made if it does not exist.
"""

import json
import os
import platform
import statistics
import sys
from datetime import datetime, timezone

TITLES = {
    "run-plain": "run, plain bundle",
    "run-podman": "run, podman-made bundle",
    "run-userns": "run, plain bundle with a user namespace",
    "lifecycle-plain": "create+start+wait+delete, plain",
    "lifecycle-podman": "create+start+wait+delete, podman-made",
    "exec-plain": "exec, plain",
    "exec-podman": "exec, podman-made",
    "parallel-plain": "100 containers, 4 at a time",
    "memory-plain": "peak memory, plain (MiB)",
    "memory-podman": "peak memory, podman-made (MiB)",
    "size": "binary (MiB)",
}
# case -> (largest allowed multiple of the floor, largest allowed multiple of the fastest peer)
GOALS = {
    "run-plain": (1.5, 0.5),
    "run-podman": (1.5, 0.5),
    "exec-plain": (None, 0.5),
    "exec-podman": (None, 0.5),
    "memory-plain": (None, 1.0),
    "memory-podman": (None, 1.0),
}
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def load(path):
    """The medians as {case: {name: median or None}}, how many runs each stands for, and {error: names}."""
    medians, counts, errors = {}, {}, {}
    with open(path) as file:
        for line in file:
            row = json.loads(line)
            values = row["values"]
            medians.setdefault(row["case"], {})[row["name"]] = statistics.median(values) if values else None
            counts[row["case"]] = max(counts.get(row["case"], 0), len(values))
            if row["error"] and not row["error"].startswith("measure:"):
                errors.setdefault((row["name"], row["error"]), None)
    return medians, counts, list(errors)


def number(value, case):
    if value is None:
        return "fails"
    return f"{value:.0f}" if case.startswith("parallel") else f"{value:.2f}"


def table(rows):
    """A Markdown table; the first row is the head, all columns but the first are numbers."""
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])


def medians_table(medians):
    names = [name for name in ("floor", "floor-host-ids") if any(name in row for row in medians.values())]
    for row in medians.values():
        names += [name for name in row if name not in names]
    rows = [["milliseconds unless said otherwise"] + names]
    for case in (c for c in TITLES if c in medians):
        cells = [number(medians[case][n], case) if n in medians[case] else "" for n in names]
        rows.append([TITLES[case]] + cells)
    return table(rows)


def peers(row):
    return {n: v for n, v in row.items() if v is not None and not n.startswith(("floor", "casemate"))}


def goal_text(case, to_floor, to_peer):
    """Each goal for itself: one may be met where the other cannot be."""
    goals = zip(GOALS.get(case, (None, None)), (to_floor, to_peer), ("floor", "peer"))
    return ", ".join(
        f"≤ {goal} {what}: {'met' if ratio <= goal else '**missed**'}"
        for goal, ratio, what in goals
        if goal and ratio is not None
    )


def ratios_table(medians):
    rows = [["casemate, hardened", "to the floor", "to the best peer", "best peer", "its distance to the floor", "goal"]]
    for case in (c for c in TITLES if c in medians):
        row = medians[case]
        own, floor, rivals = row.get("casemate"), row.get("floor"), peers(row)
        if own is None or not rivals or case == "size":
            continue
        best = min(rivals, key=rivals.get)
        to_floor = own / floor if floor else None
        to_peer = own / rivals[best]
        rows.append([
            TITLES[case],
            f"{to_floor:.2f}" if to_floor else "",
            f"{to_peer:.2f}",
            best,
            f"{rivals[best] / floor:.2f}" if floor else "",
            goal_text(case, to_floor, to_peer),
        ])
    return table(rows) if len(rows) > 1 else ""


def host():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown processor")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"Linux {platform.release().split('-')[0]}, {os.cpu_count()} processors ({model}), {memory:.0f} GiB"


def report(work):
    medians, counts, errors = load(os.path.join(work, "results.jsonl"))
    runs = max((n for case, n in counts.items() if case.startswith(("run", "exec"))), default=0)
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    head = f"Medians of {runs} runs each, measured {date} on {host()}."
    failures = "\n".join(f"`{name}` fails here: {error}" for name, error in errors)
    parts = (head, medians_table(medians), ratios_table(medians), failures)
    return "\n\n".join(part for part in parts if part) + "\n"


def write(path, text):
    old = f"# Performance\n\n{BEGIN}\n{END}\n"
    if os.path.exists(path):
        with open(path) as file:
            old = file.read()
    if BEGIN not in old or END not in old:
        sys.exit(f"report: {path} has no {BEGIN} and {END} markers")
    before, rest = old.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(path, "w") as file:
        file.write(f"{before}{BEGIN}\n{text}{END}{after}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 4):
        sys.exit(__doc__)
    text = report(sys.argv[1])
    if len(sys.argv) == 4:
        write(sys.argv[3], text)
    else:
        print(text, end="")
