#!/usr/bin/env python3
"""report.py [--compat FILE] [--images FILE] [--write] TAP...: what a run of hack/integration says.

Prints the table of engines and features and a line of totals; the exit status is 1 if anything failed or did not run.
With --write the table and its reasons replace those of the file for --compat; engines that were not run keep what it says of them.
The table of images in the file for --images is made from the same results.
"""

import argparse
import datetime
import pathlib
import re
import sys

# The order of the columns; others come behind.
ENGINES = ["podman", "podman rootless", "docker", "containerd", "containerd CRI", "containerd 2 CRI", "CRI-O"]
RESULT = re.compile(r"^(not )?ok (\d+) - (?:([^:]+): )?([^#]*?)(?: # (SKIP|NO|DIFFERS|WITH) (.*))?$")
ANSWERS = {"NO": "no", "DIFFERS": "differs", "SKIP": "not tried"}
# What a row says when its tests say different things: the last of these.
RANK = ["not tried", "yes", "differs", "no", "fails"]

IMAGE = "image "
# Between these lines the table stands.
IMAGES_TABLE = re.compile(r"(<!-- images:[^\n]*-->\n).*?(\n<!-- /images -->)", re.DOTALL)

HEAD = """# What works with which engine

`hack/integration --write` makes this page from its run on the test host of `hack/vm`: casemate with its default profile, and each
engine as packaged in Debian 13. *yes*: all tests of the feature in `integration/` pass. *differs*: it works differently from runc.
*no*: it does not work, and there is an error. The reasons are below the table. An empty field means that there is no test, usually
because the engine does not have the feature.
"""

IMAGES_HEADING = "## Unchanged images"
IMAGES_HEAD = f"""
{IMAGES_HEADING}

`hack/images` makes these images of services from Debian's packages. They are started with their ports and with the volumes that they ask
for, which podman, docker and containerd's CRI create automatically. *no*: it needs the override given below.
"""


class Run:
    """What one or more TAP files say."""

    def __init__(self):
        self.engines = {}
        self.versions = {}
        self.passed = self.failed = self.skipped = self.planned = self.seen = 0

    def read(self, text):
        engine = None
        for line in text.splitlines():
            if line.startswith("# program "):
                engine = None
            elif line.startswith("# engine "):
                engine = line[len("# engine "):]
            elif line.startswith("# version ") and engine:
                self.versions[engine] = line[len("# version "):]
            elif line.startswith("1.."):
                self.planned += int(line[3:])
            elif match := RESULT.match(line):
                self.result(engine, *match.groups())

    def result(self, engine, failed, number, feature, name, directive, why):
        self.seen += number != "0"
        if failed:
            self.failed += 1
            answer, why = "fails", name.replace("_", " ")
        else:
            answer = ANSWERS.get(directive, "yes")
            self.skipped += directive == "SKIP"
            self.passed += directive != "SKIP"
        if engine and feature:
            self.answer(engine, feature, answer, why)

    def answer(self, engine, feature, answer, why):
        row = self.engines.setdefault(engine, {}).setdefault(feature, [answer, []])
        if answer == row[0]:
            row[1].append(why)
        elif RANK.index(answer) > RANK.index(row[0]):
            row[:] = [answer, [why]]


def read_compat(path):
    """The engines, versions and rows of an existing docs/user/COMPAT.md: its sections below the table."""
    engines, versions, engine = {}, {}, None
    if not path.exists():
        return engines, versions
    for line in path.read_text().splitlines():
        if line.startswith("## "):
            engine = line[3:] if line != IMAGES_HEADING else None
        elif engine and line.startswith("Tested "):
            versions[engine] = line
        elif engine and (match := re.match(r"^\| ([^|]+) \| (yes|no|differs|fails|not tried) \| (.*)\|$", line)):
            feature, answer, why = (part.strip() for part in match.groups())
            engines.setdefault(engine, {})[feature] = [answer, [why] if why else []]
    return engines, versions


def columns(engines):
    return sorted(engines, key=lambda name: (ENGINES.index(name) if name in ENGINES else len(ENGINES), name))


def rows(engines):
    """All features, in the order of the programs: a feature stands behind the one that precedes it there."""
    order = []
    for engine in columns(engines):
        place = 0
        for feature in engines[engine]:
            if feature in order:
                place = order.index(feature) + 1
            else:
                order.insert(place, feature)
                place += 1
    return order


def is_image(feature):
    return feature.startswith(IMAGE)


def table(engines, wanted=lambda feature: True):
    names = columns(engines)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for feature in filter(wanted, rows(engines)):
        cells = [engines[name].get(feature, [""])[0] for name in names]
        lines.append(f"| {feature} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def has_images(engines):
    return any(is_image(feature) for features in engines.values() for feature in features)


def images(engines):
    """The page's table: an image, the engines that run it unchanged, and what it takes where it takes something."""
    names = [name for name in columns(engines) if any(map(is_image, engines[name]))]
    lines = ["| Image | " + " | ".join(names) + " | What it needs |", "|---" * (len(names) + 2) + "|"]
    for feature in filter(is_image, rows(engines)):
        results = {name: engines[name].get(feature, ["", []]) for name in names}
        whys = {name: reasons(whys) for name, (answer, whys) in results.items() if reasons(whys)}
        said = list(dict.fromkeys(whys.values()))
        # Whom it concerns, unless it is the same for all.
        of = lambda why: ", ".join(name for name in names if whys.get(name) == why)
        takes = said[0] if len(said) == 1 and len(whys) == len(names) else "; ".join(f"{of(why)}: {why}" for why in said)
        cells = [results[name][0] for name in names]
        lines.append(f"| {feature.removeprefix(IMAGE)} | " + " | ".join(cells) + f" | {takes} |")
    return "\n".join(lines)


def reasons(whys):
    """Each reason once, as a cell of a table."""
    return "; ".join(dict.fromkeys(why for why in whys if why)).replace("|", "/")


def sections(engines, versions):
    for name in columns(engines):
        yield f"\n## {name}\n\n{versions.get(name, '')}\n\n| feature | result | why |\n|---|---|---|"
        for feature, (answer, why) in engines[name].items():
            yield f"| {feature} | {answer} | {reasons(why)} |"


def write_compat(path, run):
    engines, versions = read_compat(path)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    for name, features in run.engines.items():
        engines.setdefault(name, {}).update(features)
        versions[name] = f"Tested on {today} with {run.versions.get(name) or name}."
    features = table(engines, lambda feature: not is_image(feature))
    # Before the first run with images there is nothing to say of them.
    tried = [IMAGES_HEAD, table(engines, is_image)] if has_images(engines) else []
    parts = [HEAD, features, *tried, *sections(engines, versions), ""]
    path.write_text("\n".join(parts))
    return engines


def write_images(path, engines):
    if not has_images(engines):
        return
    text, found = IMAGES_TABLE.subn(lambda match: match[1] + images(engines) + match[2], path.read_text())
    if found != 1:
        sys.exit(f"{path} has no place for the table of images")
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compat", type=pathlib.Path)
    parser.add_argument("--images", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    run = Run()
    for path in options.files:
        run.read(path.read_text(errors="replace"))
    if run.engines:
        print(table(run.engines))
        for name in columns(run.engines):
            for feature, (answer, why) in run.engines[name].items():
                if answer != "yes":
                    print(f"{name}: {feature}: {answer}: {reasons(why)}")
    if options.write:
        engines = write_compat(options.compat, run)
        if options.images:
            write_images(options.images, engines)
    unseen = run.planned - run.seen
    if unseen or not run.planned:
        print(f"{unseen} tests were planned and never ran")
        run.failed += max(unseen, 1)
    print(f"integration: {run.passed} passed, {run.failed} failed, {run.skipped} skipped")
    sys.exit(1 if run.failed else 0)


if __name__ == "__main__":
    main()
