#!/usr/bin/env python3
"""ablate.py: the tricks for speed, and what hack/bench.d/ablate asks about them.

names                       each trick that can be left out, and how: a variable for cargo, or nothing for --cfg
measure WORK STATES RUNS    run and exec with each of WORK/programs, in turns; the times into WORK/times.json
report WORK [--write FILE]  the table; into FILE between its markers if asked
"""

import json
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone

REPO = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- ablate -->", "<!-- /ablate -->"
# name -> (what it is, [(file, first line of the function or block)], variable for cargo instead of --cfg)
TRICKS = {
    "early": (
        "The protected image is executed before the C library starts; without it, after",
        [("crates/boot/src/entry/mod.rs", None), ("crates/boot/link.rs", "fn settings")],
        None,
    ),
    "stack-unknown": (
        "Rust's start-up code is not told where the stack is, for which the C library reads /proc/self/maps",
        [("crates/boot/src/stack.rs", 'extern "C" fn pthread_getattr_np')],
        None,
    ),
    "shared-memory": (
        "The process that makes namespaces shares the runtime's memory; without it, it has a copy",
        [("crates/sys/src/companion.rs", "pub fn start")],
        None,
    ),
    "hot-order": (
        "What starts execute lies together at the front of the program",
        [("crates/boot/link.rs", "fn order_of_functions"), ("hack/hot", None)],
        "CASEMATE_LINK_ORDER=none",
    ),
    "opt-size": (
        "Optimised for size; without it, for speed (3)",
        [("Cargo.toml", "[profile.release]")],
        "CARGO_PROFILE_RELEASE_OPT_LEVEL=3",
    ),
    "link-time": (
        "Link-time optimisation",
        [("Cargo.toml", "[profile.release]")],
        "CARGO_PROFILE_RELEASE_LTO=off",
    ),
}
CASES = ("run", "exec")
THRESHOLD = 3.0


def names():
    for name, (_, _, variable) in TRICKS.items():
        print(name, variable or "")


# ---- measuring ---------------------------------------------------------------------------------------------------


def once(command):
    """(processor time of it and all that it waited for, wall time), in microseconds."""
    # posix_spawn shares memory until the program is executed: nothing of this interpreter's is counted.
    null = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=null)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if status:
        sys.exit(f"ablate: {' '.join(command)}: status {os.waitstatus_to_exitcode(status)}")
    return (usage.ru_utime + usage.ru_stime) * 1e6, wall * 1e6


def measure(work, states, runs):
    work = pathlib.Path(work)
    programs = sorted(path.name for path in (work / "programs").iterdir())
    call = {name: [str(work / "programs" / name), "--root", f"{states}/{name}"] for name in programs}
    running = []
    commands = {case: {} for case in CASES}
    try:
        for name in programs:
            bundle = work / f"sleep-{name}"
            bundle.mkdir()
            config = json.loads((work / "sleep" / "config.json").read_text())
            config["linux"]["cgroupsPath"] += f"-{name}"
            (bundle / "config.json").write_text(json.dumps(config))
            sleeper = f"ablate-{name}-{os.getpid()}"
            once([*call[name], "run", "--detach", "--bundle", str(bundle), sleeper])
            running.append((name, sleeper))
            commands["run"][name] = [*call[name], "run", "--bundle", str(work / "run"), f"ablate-run-{os.getpid()}"]
            commands["exec"][name] = [*call[name], "exec", sleeper, "/bin/true"]
        times = {case: {name: [] for name in programs} for case in CASES}
        for number in range(-3, int(runs)):
            # In another order each time: nobody always comes behind the same one.
            order = [(case, name) for case in CASES for name in programs]
            random.shuffle(order)
            for case, name in order:
                found = once(commands[case][name])
                if number >= 0:
                    times[case][name].append(found)
        (work / "times.json").write_text(json.dumps(times))
    finally:
        for name, sleeper in running:
            subprocess.run([*call[name], "delete", "--force", sleeper], check=False, stdout=subprocess.DEVNULL)


# ---- reporting ---------------------------------------------------------------------------------------------------


def gain(with_it, without, draws=1000):
    """What the trick saves of the time without it, in percent: (of the medians, 95 % of what rounds drawn again give)."""

    def of(a, b):
        return 100 * (1 - statistics.median(a) / statistics.median(b))

    rounds = range(len(with_it))
    dice = random.Random(1)
    drawn = []
    for _ in range(draws):
        chosen = dice.choices(rounds, k=len(with_it))
        drawn.append(of([with_it[i] for i in chosen], [without[i] for i in chosen]))
    drawn.sort()
    return of(with_it, without), drawn[draws // 40], drawn[-draws // 40 - 1]


def shown(found):
    middle, low, high = found
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def verdict(gains):
    if any(low >= THRESHOLD for _, low, _ in gains):
        return "keep"
    if all(high < THRESHOLD for _, _, high in gains):
        return f"below {THRESHOLD:.0f} %"
    most = max(middle for middle, _, _ in gains)
    return ("keep" if most >= THRESHOLD else f"below {THRESHOLD:.0f} %") + ", not certain"


def place(file, begin):
    """The file, and the function or the section in it: a line's number would be another one tomorrow."""
    if begin is None:
        return f"`{file}`"
    line = next(line for line in (REPO / file).read_text().splitlines() if begin in line)
    function = re.search(r"\bfn (\w+)", line)
    return f"`{file}` (`{function[1] if function else line.strip().removesuffix(' {')}`)"


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle / 1000:.2f} ms ({low / 1000:.2f} to {high / 1000:.2f})"


def cpu_name():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return " ".join(line.split(":")[1].split()[:2])
    return platform.machine()


def report(work, write):
    times = json.loads((pathlib.Path(work) / "times.json").read_text())
    cpu = {case: {name: [t[0] for t in found] for name, found in rows.items()} for case, rows in times.items()}
    wall = {case: {name: [t[1] for t in found] for name, found in rows.items()} for case, rows in times.items()}
    runs = len(cpu["run"]["nothing"])
    lines = [
        f"{runs} runs of each, measured {datetime.now(timezone.utc):%Y-%m-%d} on Linux {platform.release().split('-')[0]},",
        f"{os.cpu_count()} processors ({cpu_name()}), shared with other work. Nothing left out, median and quartiles: run",
        f"{spread(cpu['run']['nothing'])} of processor time and {spread(wall['run']['nothing'])} by the clock,",
        f"exec {spread(cpu['exec']['nothing'])} and {spread(wall['exec']['nothing'])}.",
        "",
        "| Trick | Where | Switch | run, CPU % | exec, CPU % | run, wall % | exec, wall % | Verdict |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    rows = [("as-it-is", "Nothing left out, a second time: what these numbers are worth", [], None)]
    rows += [(name, *trick) for name, trick in TRICKS.items()]
    for name, what, places, variable in rows:
        gains = [gain(kind[case]["nothing"], kind[case][name]) for kind in (cpu, wall) for case in CASES]
        switch = f"`{variable}`" if variable else f"`{name}`"
        says = verdict(gains[:2])
        cells = [what, ", ".join(place(*p) for p in places), switch if places else "", *map(shown, gains), says if places else ""]
        lines.append("| " + " | ".join(cells) + " |")
    text = "\n".join(lines)
    print(text)
    if write:
        path = pathlib.Path(write)
        before, rest = path.read_text().split(BEGIN)
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


match sys.argv[1:]:
    case ["names"]:
        names()
    case ["measure", work, states, runs]:
        measure(work, states, runs)
    case ["report", work]:
        report(work, None)
    case ["report", work, "--write", file]:
        report(work, file)
    case _:
        sys.exit(__doc__)
