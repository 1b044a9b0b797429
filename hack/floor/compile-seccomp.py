#!/usr/bin/python3
"""compile-seccomp.py [--native] CONFIG OUT: compile linux.seccomp of an OCI config.json with libseccomp and write the BPF.

The floor program of hack/bench loads filters that were compiled beforehand; this is that compiler. Needs Debian's
python3-seccomp. Only what podman's default profile uses is understood; anything else is an error.
With --native the profile's foreign architectures are left out, as in casemate's own default filter.
"""

import errno
import json
import sys

import seccomp


def action(name, errno_return):
    if name == "SCMP_ACT_ALLOW":
        return seccomp.ALLOW
    if name == "SCMP_ACT_ERRNO":
        return seccomp.ERRNO(errno.EPERM if errno_return is None else errno_return)
    sys.exit(f"compile-seccomp: action {name} is not understood")


def argument(arg):
    value = arg["value"]
    if arg["op"] == "SCMP_CMP_MASKED_EQ":
        return seccomp.Arg(arg["index"], seccomp.MASKED_EQ, value, arg.get("valueTwo", 0))
    operators = {"SCMP_CMP_EQ": seccomp.EQ, "SCMP_CMP_NE": seccomp.NE}
    return seccomp.Arg(arg["index"], operators[arg["op"]], value)


def main(config, out, native):
    with open(config) as file:
        profile = json.load(file)["linux"]["seccomp"]
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    filter = seccomp.SyscallFilter(default)
    # A binary tree in place of a list: the kernel runs the filter once for every system call number while it loads it.
    filter.set_attr(seccomp.Attr.CTL_OPTIMIZE, 2)
    for name in [] if native else profile.get("architectures", []):
        arch = getattr(seccomp.Arch, name.removeprefix("SCMP_ARCH_"))
        if not filter.exist_arch(arch):
            filter.add_arch(arch)
    for rule in profile["syscalls"]:
        act = action(rule["action"], rule.get("errnoRet"))
        if act == default:
            continue
        for name in rule["names"]:
            try:
                filter.add_rule(act, name, *[argument(a) for a in rule.get("args") or []])
            except RuntimeError:
                pass  # a name that this libseccomp does not know: runtimes skip it too
    with open(out, "wb") as file:
        filter.export_bpf(file)


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--native"]
    if len(arguments) != 2:
        sys.exit(__doc__)
    main(*arguments, native="--native" in sys.argv)
