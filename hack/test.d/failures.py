#!/usr/bin/env python3
"""failures.py STEP LOG: each failure in the log of a step of hack/test, with what it said and the command that repeats it alone.

Reads what the runners print: cargo test, hack/integration (TAP with `# program FILE` lines) and hack/conformance. A step that
failed without a failed test (it did not compile, a program crashed) has nothing here; the end of its log says why.
"""

import pathlib
import re
import shlex
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
# What a failed test said is shown up to here; the log has the rest.
LINES = 60


def cargo_target(source, binary):
    """The options of `cargo test` for one of its "Running" lines."""
    name = re.sub(r"-[0-9a-f]{16}$", "", pathlib.Path(binary).name)
    if source.startswith("unittests"):
        kind = f"--bin {name}" if source.endswith("main.rs") else "--lib"
        return f"-p {name.replace('_', '-')} {kind}"
    for directory in [TOP / "tests", *sorted((TOP / "crates").iterdir())]:
        if (directory / source).is_file():
            package = "casemate-tests" if directory.name == "tests" else f"casemate-{directory.name}"
            return f"-p {package} --test {name}"
    manifest = next(iter(TOP.glob(f"tests/*/{source}")), None)
    where = f"--manifest-path {manifest.parents[1].relative_to(TOP)}/Cargo.toml " if manifest else ""
    return f"{where}--test {name}"


def cargo_failures(lines):
    """Yields (name, what it said, command)."""
    target, said, name = "", {}, None
    for line in lines:
        if running := re.match(r" +Running (.+) \((.+)\)$", line):
            target, said, name = cargo_target(*running.groups()), {}, None
        elif start := re.match(r"---- (\S+) stdout ----$", line):
            name = start[1]
            said[name] = []
        elif line == "failures:":
            # The second one heads the list of names, behind all that was said.
            if said and name:
                for failed, text in said.items():
                    yield failed, text, f"cargo test --locked {target} -- --exact {failed}"
                said, name = {}, None
        elif name:
            said[name].append(line)


def tap_failures(lines):
    """The same for hack/integration, whose tests run in a program on a machine."""
    program, failed, said = "", None, []
    for line in [*lines, "# program"]:
        if failed and line.startswith("# ") and not line.startswith("# program"):
            said.append(line[2:])
            continue
        if failed:
            # A machine that did not come up has no program and no test to name.
            only = f" --only '^test_{failed}$'" if re.fullmatch(r"\w+", failed) else ""
            yield failed, said, f"hack/integration {program}{only}"
        failed, said = None, []
        if line.startswith("# program "):
            program = line.split(" ", 2)[2]
        elif bad := re.match(r"not ok \d+ - (?:.*: )?(.+)$", line):
            failed = bad[1]


def conformance_failures(lines, step):
    options = {"vm-conformance": " --vm", "conformance-hardened": " --profile hardened"}.get(step, "")
    for line in lines:
        if failed := re.match(r"failed +(\S+): (.*)$", line):
            yield failed[1], [failed[2]], f"hack/conformance{options} {shlex.quote(failed[1])}"


def main():
    step, path = sys.argv[1], pathlib.Path(sys.argv[2])
    lines = path.read_text(errors="replace").splitlines()
    if step == "vm":
        found = tap_failures(lines)
    elif "conformance" in step:
        found = conformance_failures(lines, step)
    else:
        found = cargo_failures(lines)
    for name, said, command in found:
        text = "\n".join(f"    {line}" for line in said[:LINES]).rstrip()
        print(f"FAILED {step}: {name}\n{text}\n  to repeat it alone: {command}\n")


if __name__ == "__main__":
    main()
