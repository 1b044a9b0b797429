#!/usr/bin/env python3
"""asked.py WORK CASEMATE [NAME=PROGRAM...]: attacks that begin in the configuration, one change each.

Every one is run under each profile of casemate, and under the other runtimes, in the bundle that `podman run` writes. Runs on a
host of its own (hack/attack.d/host.sh). Whether an attack succeeded is seen from outside, or said by the payload with a word that
it can only say when it did. Prints {kind: {attack: {runtime: "done" or why not}}}.
"""

import json
import os
import sys

import asked_files  # noqa: F401  (registers its attacks)
import asked_rest  # noqa: F401  (as well)
from asked_run import CASES, DONE, Host, Run, Runtime, Skip


def attempt(run, payload, function):
    run.refused = False
    if payload:
        run.payload(payload.replace("{disk}", (run.host.disk or "/dev/none").rsplit("/", 1)[1]))
    answer = function(run)
    if answer is None:
        run.refused = run.run() != 0 and DONE not in run.said
        answer = DONE in run.said
    return "done" if answer else run.reason()


def attempts(host, runtimes):
    # Alone, to look into one of them.
    only, verbose = os.environ.get("ASKED_ONLY", ""), "ASKED_VERBOSE" in os.environ
    found, number = {}, 0
    for kind, name, payload, function in CASES:
        if only not in name:
            continue
        results = found.setdefault(kind, {}).setdefault(name, {})
        for runtime in runtimes:
            number += 1
            run = Run(host, runtime, number)
            host.fresh()
            try:
                results[runtime.name] = attempt(run, payload, function)
            except Skip:
                results[runtime.name] = "not here"
            finally:
                run.clean()
            if verbose:
                print(f"{name} | {runtime.name}: {results[runtime.name]} {run.why.strip()[-300:]}", file=sys.stderr)
    return found


def main(work, casemate, *others):
    host = Host(work)
    runtimes = [Runtime(name, casemate, ["--profile", name], True) for name in ("privileged", "baseline", "hardened")]
    free = ["--profile", "restricted", "--allow", "memory.unlimited,pids.unlimited"]
    runtimes.append(Runtime("restricted", casemate, free, True))
    for other in others:
        name, program = other.split("=", 1)
        runtimes.append(Runtime(name, program, [], False))
    try:
        json.dump(attempts(host, runtimes), sys.stdout, indent=1)
    finally:
        host.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
