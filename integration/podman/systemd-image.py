#!/usr/bin/env python3
"""systemd-image.py: write the root file system of an image with systemd as its first program to standard output, as tar.

Its files are those of Debian's packages systemd-sysv, dbus and a few tools, with all that they depend on, as they are installed on
the test host, which has no network to fetch an image from.
"""

import pathlib
import re
import subprocess
import sys

WANTED = ["systemd-sysv", "dbus", "procps", "util-linux", "base-files", "bash", "dash", "libc-bin", "coreutils", "grep", "sed", "passwd"]
LEFT_OUT = re.compile(r"^/(usr/share/(doc|man|locale|info|lintian|bug)|lib/modules|boot|usr/lib/modules|usr/lib/firmware)(/|$)")
ACCOUNTS = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"]
INFO = pathlib.Path("/var/lib/dpkg/info")


def installed():
    """Package name: names that it depends on, first alternatives; what is virtual resolves to who provides it."""
    depends, provides = {}, {}
    for entry in pathlib.Path("/var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and line[0] != " ")
        if "installed" not in fields.get("Status", ""):
            continue
        name = fields["Package"]
        words = fields.get("Depends", "") + "," + fields.get("Pre-Depends", "")
        depends[name] = [re.split(r"[ :(|]", word.strip())[0] for word in words.split(",") if word.strip()]
        for virtual in fields.get("Provides", "").split(","):
            provides[re.split(r"[ :(]", virtual.strip())[0]] = name
    return depends, provides


def closure():
    depends, provides = installed()
    open_names, done = list(WANTED), set()
    while open_names:
        name = open_names.pop()
        name = name if name in depends else provides.get(name)
        if name and name not in done:
            done.add(name)
            open_names += depends[name]
    return done


def files():
    found = set(ACCOUNTS)
    for package in closure():
        lists = list(INFO.glob(f"{package}.list")) + list(INFO.glob(f"{package}:*.list"))
        for path in lists:
            found.update(path.read_text().split("\n"))
    kept = (path for path in found if path not in ("", "/.") and not LEFT_OUT.match(path))
    return sorted(path for path in kept if pathlib.Path(path).exists() or pathlib.Path(path).is_symlink())


def main():
    names = "\0".join(path.lstrip("/") for path in files())
    tar = ["tar", "-C", "/", "--no-recursion", "--null", "-T", "-", "-c"]
    sys.exit(subprocess.run(tar, input=names.encode(), check=False).returncode)


if __name__ == "__main__":
    main()
