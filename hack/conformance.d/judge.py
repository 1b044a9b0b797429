#!/usr/bin/env python3
"""judge.py RESULTS [--expected FILE [--and FILE] --where native|vm]: say which programs of the validation suite pass.

Reads what run-programs left in RESULTS, writes RESULTS/summary.tap and prints one line for each program that did not
pass cleanly and a total as the last line. A program passes when it exits 0 and no assertion fails. Seven programs about
hooks assert nothing and report what they miss as a diagnostic only; those diagnostics are shown as notes.
With --expected the exceptions of that file are applied and the exit status says whether all is as expected.
"""

import argparse
import glob
import os
import re
import sys
import tomllib

ASSERTION = re.compile(r"^(not )?ok\b(.*)$")

DIAGNOSTIC = re.compile(r'^ *"error": "(.*)"')


def read(path):
    with open(path, errors="replace") as file:
        return file.read()


class Program:
    """One program's outcome."""

    def __init__(self, results, name):
        self.name = name
        self.status = int(read(os.path.join(results, name + ".status")))
        self.passed = self.failed = self.skipped = 0
        self.first_failure = self.diagnostic = ""
        for line in read(os.path.join(results, name + ".tap")).splitlines():
            self.count(line)
        lines = read(os.path.join(results, name + ".err")).strip().splitlines()
        # The suite repeats "exit status N" after what the runtime said.
        self.error = next((line[:200] for line in reversed(lines) if not line.startswith("exit status")), "")

    def count(self, line):
        found = ASSERTION.match(line)
        if not found:
            diagnostic = DIAGNOSTIC.match(line)
            self.diagnostic = self.diagnostic or (diagnostic.group(1) if diagnostic else "")
            return
        if found.group(1):
            if "# TODO" in line:
                return
            self.failed += 1
            self.first_failure = self.first_failure or found.group(2).strip(" -0123456789")[:160]
        elif "# SKIP" in line:
            self.skipped += 1
        else:
            self.passed += 1

    def clean(self):
        return self.status == 0 and self.failed == 0

    def note(self):
        """What a program without assertions has to say."""
        if self.passed + self.failed + self.skipped > 0 or not self.diagnostic:
            return ""
        return self.diagnostic.split("\\n")[0]

    def why(self):
        if self.status == 124:
            return "took longer than three minutes"
        if self.first_failure and not self.first_failure.startswith("exit status"):
            return self.first_failure
        return self.error or self.first_failure or f"exit status {self.status}"


def exceptions(path, where):
    """The programs that may fail here, and those that may do either: {name: reason}, {name: reason}."""
    with open(path, "rb") as file:
        expected = tomllib.load(file)
    unknown = set(expected) - {"native", "vm", "everywhere", "flaky"}
    if unknown:
        sys.exit(f"judge: {path}: unknown table {', '.join(sorted(unknown))}")
    return expected.get("everywhere", {}) | expected.get(where, {}), expected.get("flaky", {})


def judge(programs, may_fail, flaky):
    """Yields (program, verdict, remark); verdict is passed, failed or excused."""
    for p in programs:
        if p.clean():
            if p.name in may_fail and p.name not in flaky:
                yield p, "failed", f"passes, although it is expected to fail: {may_fail[p.name]}"
            else:
                yield p, "passed", ""
        elif p.name in may_fail:
            yield p, "excused", may_fail[p.name]
        elif p.name in flaky:
            yield p, "excused", f"flaky: {flaky[p.name]}"
        else:
            yield p, "failed", p.why()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results")
    parser.add_argument("--expected")
    parser.add_argument("--and", dest="more", help="exceptions in addition")
    parser.add_argument("--where", choices=["native", "vm"])
    arguments = parser.parse_args()

    names = sorted(os.path.basename(p)[: -len(".status")] for p in glob.glob(arguments.results + "/*.status"))
    programs = [Program(arguments.results, name) for name in names]
    if not programs:
        sys.exit("judge: no results")
    may_fail, flaky = exceptions(arguments.expected, arguments.where) if arguments.expected else ({}, {})
    if arguments.more:
        more, more_flaky = exceptions(arguments.more, arguments.where)
        may_fail, flaky = may_fail | more, flaky | more_flaky

    totals = {"passed": 0, "failed": 0, "excused": 0}
    with open(os.path.join(arguments.results, "summary.tap"), "w") as tap:
        print(f"TAP version 13\n1..{len(programs)}", file=tap)
        for number, (p, verdict, remark) in enumerate(judge(programs, may_fail, flaky), 1):
            totals[verdict] += 1
            todo = f" # TODO {remark}" if verdict == "excused" else f" # {remark}" if remark else ""
            print(f"{'ok' if verdict == 'passed' else 'not ok'} {number} - {p.name}{todo}", file=tap)
            if verdict != "passed":
                print(f"{verdict:8} {p.name}: {remark}")
            elif p.note():
                print(f"note     {p.name}: {p.note()}")

    asserts = "/".join(str(sum(getattr(p, k) for p in programs)) for k in ("passed", "failed", "skipped"))
    print(f"assertions passed/failed/skipped: {asserts}")
    print(f"conformance: {totals['passed']} passed, {totals['failed']} failed, {totals['excused']} skipped")
    return 1 if arguments.expected and totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
