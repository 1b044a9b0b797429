"""Attacks of asked.py: namespaces, ids, what the process is given, devices, hooks, annotations, and the runtime itself."""

import contextlib
import copy
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

from asked_run import DONE, OPEN, READ, SECRET, Skip, allowed, attack, host_root, host_uid, simple

# ---- namespaces and ids ----------------------------------------------------------------------------------------------

NS = "namespaces and ids"
for KIND, FILE in (("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup")):
    for PATH in (False, True):

        @attack(NS, f"{KIND}: the host's, {'by path' if PATH else 'by leaving it out'}", f"readlink /proc/self/ns/{FILE}")
        def host_namespace(run, kind=KIND, file=FILE, path=PATH):
            run.without_namespace(kind)
            if kind in ("network", "uts"):
                run.config.pop("hostname", None)
                run.linux.pop("sysctl", None)
            if path:
                run.namespace(kind, f"/proc/{os.getpid()}/ns/{file}")
            run.run()
            return run.host.own[file] in run.said


@attack(NS, "mount: the host's, by leaving it out", "readlink /proc/self/ns/mnt")
def host_mounts(run):
    run.without_namespace("mount")
    run.linux.update(maskedPaths=[], readonlyPaths=[])
    # A host within the host, because what is mounted is mounted there.
    first = 'readlink /proc/self/ns/mnt; exec "$@"'
    run.run(wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c", first, "sh"))
    return len(run.said.split()) != len(set(run.said.split()))


for NAME, FIRST, SIZE in (("0 to the host's 0", 0, 65536), ("0 to the host's 1000", 1000, 65536)):

    @attack(NS, f"a mapping of {NAME}")
    def mapping(run, first=FIRST, size=SIZE):
        run.user_namespace(first, size)
        os.chown(run.host.work / "rootfs", first, first)
        try:
            with run.running() as pid:
                return pid is not None and host_uid(pid) == first
        finally:
            os.chown(run.host.work / "rootfs", 0, 0)


@attack(NS, "root in the container is root of the host")
def plain(run):
    return host_root(run)


@attack(NS, "few descriptors: an asked-for user namespace is left out", "cat /proc/self/uid_map")
def few(run):
    run.user_namespace(400000)
    for limit in range(3, 24):
        run.said = ""
        run.run(wrap=("prlimit", f"--nofile={limit}:1024"))
        if "4294967295" in run.said:
            return True
    return False


def counted_for(pid):
    """The host's ids that the kernel counts inotify instances, signals and queues for: the process's own, and the makers' of
    its user namespaces (ioctl_ns(2), NS_GET_OWNER_UID)."""
    words = re.search(r"^Uid:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    ids = {int(words[1])}
    if os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
        with open(f"/proc/{pid}/ns/user", "rb") as file:
            ids.add(struct.unpack("I", fcntl.ioctl(file, 0xB704, bytes(4)))[0])
    return ids


@attack(NS, "inotify, signals and queues of root are counted for the host's root")
def counts_root(run):
    with run.running() as pid:
        return pid is not None and 0 in counted_for(pid)


@attack(NS, "those of uid 1000 in an asked-for user namespace are counted for the host's root")
def counts_user(run):
    run.process["user"] = {"uid": 1000, "gid": 1000}
    run.user_namespace(400000)
    os.chmod(run.host.work / "rootfs", 0o755)
    with run.running() as pid:
        return pid is not None and 0 in counted_for(pid)


def unmasked_below(run):
    run.linux.pop("seccomp", None)
    run.capabilities("CAP_SYS_ADMIN")


PROC_BELOW = f"unshare -U -r -m -p -f sh -c 'mount -t proc proc /mnt' && echo {DONE}"
simple(NS, "a nested user namespace: a procfs without masks", PROC_BELOW, unmasked_below)
simple(NS, "the same with --no-pivot", PROC_BELOW, lambda run: (unmasked_below(run), run.after.append("--no-pivot")))
simple(
    NS,
    "a nested user namespace: make one",
    f"unshare -U true 2>/dev/null && echo {DONE}",
    lambda run: run.linux.pop("seccomp", None),
)


@attack(NS, "netDevices: take a network device of the host's")
def device_taken(run):
    subprocess.run(["ip", "link", "add", "asked0", "type", "veth", "peer", "name", "asked1"], check=True)
    try:
        run.linux["netDevices"] = {"asked0": {}}
        with run.running() as pid:
            return pid is not None and not os.path.exists("/proc/sys/net/ipv4/conf/asked0")
    finally:
        run.clean()
        subprocess.run(["ip", "link", "del", "asked1"], stderr=subprocess.DEVNULL, check=False)


# ---- what the process is given -----------------------------------------------------------------------------------------

PROCESS = "the process"
HAS_ADMIN = "[ $((0x$(awk '/CapEff/ {print $2}' /proc/self/status) >> 21 & 1)) = 1 ] && echo " + DONE
ALL = [
    "CAP_SYS_ADMIN",
    "CAP_SYS_PTRACE",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_MKNOD",
    "CAP_DAC_READ_SEARCH",
    "CAP_SYS_TIME",
]
simple(PROCESS, "ask for CAP_SYS_ADMIN", HAS_ADMIN, lambda run: run.capabilities(*ALL))
simple(
    PROCESS,
    "ask for no filter",
    f"grep -q '^Seccomp:.*0' /proc/self/status && echo {DONE}",
    lambda run: run.linux.pop("seccomp", None),
)
simple(
    PROCESS,
    "ask that nothing is hidden: read /proc/keys",
    f"grep -q . /proc/keys 2>/dev/null && echo {DONE}",
    lambda run: run.linux.update(maskedPaths=[]),
)
simple(
    PROCESS,
    "ask that nothing is read-only: open core_pattern for writing",
    OPEN.format("/proc/sys/kernel/core_pattern"),
    lambda run: run.linux.update(readonlyPaths=[]),
)
REALTIME = "[ $(awk '{print $41}' /proc/self/stat) != 0 ] && echo " + DONE
simple(
    PROCESS, "scheduler: real time", REALTIME, lambda run: run.process.update(scheduler={"policy": "SCHED_FIFO", "priority": 50})
)
simple(
    PROCESS,
    "scheduler: a deadline",
    REALTIME,
    lambda run: run.process.update(
        scheduler={"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 10000000, "period": 10000000}
    ),
)
simple(
    PROCESS,
    "scheduler: nice -20",
    f"[ $(awk '{{print $19}}' /proc/self/stat) -lt 0 ] && echo {DONE}",
    lambda run: run.process.update(scheduler={"policy": "SCHED_OTHER", "nice": -20}),
)
simple(
    PROCESS,
    "ioPriority: real time",
    f"ionice -p $$ | grep -qi realtime && echo {DONE}",
    lambda run: run.process.update(ioPriority={"class": "IOPRIO_CLASS_RT", "priority": 0}),
)
simple(
    PROCESS,
    "rlimits: priority to take later",
    f"grep -qE 'Max (nice|realtime) priority +[1-9]' /proc/self/limits && echo {DONE}",
    lambda run: run.process.update(rlimits=[{"type": t, "hard": 20, "soft": 20} for t in ("RLIMIT_NICE", "RLIMIT_RTPRIO")]),
)
simple(
    PROCESS,
    "oomScoreAdj -1000",
    f"[ $(cat /proc/self/oom_score_adj) -lt 0 ] && echo {DONE}",
    lambda run: run.process.update(oomScoreAdj=-1000),
)
simple(
    PROCESS,
    "new privileges",
    f"grep -q '^NoNewPrivs:.*0' /proc/self/status && echo {DONE}",
    lambda run: run.process.update(noNewPrivileges=False),
)


@attack(PROCESS, "annotation keep_original_groups: groups of the caller")
def original_groups(run):
    run.config["annotations"]["run.oci.keep_original_groups"] = "1"
    os.setgroups([6])
    try:
        with run.running() as pid:
            return pid is not None and 6 in [
                int(word)
                for word in re.search(r"^Groups:(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1].split()
            ]
    finally:
        os.setgroups(run.host.groups_were)


@attack(PROCESS, "a directory that the caller left open: read a secret", READ.format("/proc/self/fd/*/shadow"))
def left_open(run):
    with directory("/etc") as fd:
        run.preserve = (fd,)
        run.run()
    return DONE in run.said


@attack(PROCESS, "the same as working directory: read a secret", READ.format("shadow"))
def working_directory(run):
    with directory("/etc") as fd:
        run.preserve = (fd,)
        for number in range(3, 12):
            run.process["cwd"] = f"/proc/self/fd/{number}"
            run.run()
            run.clean()
    return DONE in run.said


@attack(PROCESS, "--preserve-fds with a directory: read a secret", READ.format("/proc/self/fd/3/shadow"))
def preserved(run):
    with directory("/etc", 3) as fd:
        run.preserve = (fd,)
        run.after += ["--preserve-fds", "1"]
        run.run()
    return DONE in run.said


@contextlib.contextmanager
def directory(path, number=None):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    kept = None
    if number is not None and fd != number:
        with contextlib.suppress(OSError):
            kept = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 50)
        os.dup2(fd, number)
        os.close(fd)
        fd = number
    try:
        yield fd
    finally:
        os.close(fd)
        if kept is not None:
            os.dup2(kept, number)
            os.close(kept)


# ---- devices and groups ------------------------------------------------------------------------------------------------

DEVICES = "devices and control groups"


def device(kind, major, minor):
    return {"path": "/dev/asked", "type": kind, "major": major, "minor": minor, "fileMode": 0o666}


def disk_number(run):
    if not run.host.disk:
        raise Skip
    number = os.stat(run.host.disk).st_rdev
    return os.major(number), os.minor(number)


simple(
    DEVICES,
    "a disk as a device: read it",
    f"dd if=/dev/asked bs=16 count=1 2>/dev/null | grep -q {SECRET} && echo {DONE}",
    lambda run: (allowed(run), run.linux.update(devices=[device("b", *disk_number(run))])),
)
simple(
    DEVICES,
    "/dev/kmsg as a device: open it for writing",
    OPEN.format("/dev/asked"),
    lambda run: (allowed(run), run.linux.update(devices=[device("c", 1, 11)])),
)
simple(
    DEVICES,
    "/dev/mem as a device: open it",
    f"dd if=/dev/asked bs=1 count=1 >/dev/null 2>&1 && echo {DONE}",
    lambda run: (allowed(run), run.linux.update(devices=[device("c", 1, 1)])),
)


@attack(DEVICES, "all devices allowed: make a disk's node and read it")
def made_node(run):
    major, minor = disk_number(run)
    allowed(run)
    run.capabilities("CAP_MKNOD")
    run.payload(
        f"mknod /dev/made b {major} {minor} && dd if=/dev/made bs=16 count=1 2>/dev/null | grep -q {SECRET} && echo {DONE}"
    )


@attack(DEVICES, "resources.unified: write a file of the parent group")
def parent_file(run):
    outer = run.host.group("outer")
    (outer / "cgroup.max.depth").write_text("max")
    run.linux["cgroupsPath"] = f"/casemate-asked/outer/{run.id}"
    run.linux["resources"]["unified"] = {"../cgroup.max.depth": "7"}
    run.run()
    return (outer / "cgroup.max.depth").read_text().strip() == "7"


@attack(DEVICES, "resources.unified: move a process of the host's into the container's group")
def moves(run):
    run.linux["resources"]["unified"] = {"cgroup.procs": str(run.host.service.pid)}
    with run.running():
        return run.id in pathlib.Path(f"/proc/{run.host.service.pid}/cgroup").read_text()


@attack(DEVICES, "cgroupsPath of a host's service: end the service with the container")
def others_group(run):
    run.linux["cgroupsPath"] = "/casemate-asked/service"
    with run.running():
        run.clean()
    time.sleep(0.1)
    return run.host.service.poll() is not None


@attack(DEVICES, "cgroupsPath with dots: the root of the tree")
def root_group(run):
    run.linux["cgroupsPath"] = "/casemate-asked/../.."
    with run.running() as pid:
        return pid is not None and "casemate-asked" not in pathlib.Path(f"/proc/{pid}/cgroup").read_text()


@attack(DEVICES, "sysctl of the host's: kernel.printk_ratelimit", f"echo {DONE}")
def host_sysctl(run):
    # Its own value: the kernel is everybody's.
    run.linux["sysctl"] = {"kernel.printk_ratelimit": pathlib.Path("/proc/sys/kernel/printk_ratelimit").read_text().strip()}


@attack(DEVICES, "sysctl of the host's by another spelling", f"echo {DONE}")
def host_sysctl_spelt(run):
    run.linux["sysctl"] = {
        "net/../kernel/printk_ratelimit": pathlib.Path("/proc/sys/kernel/printk_ratelimit").read_text().strip()
    }


# ---- hooks, annotations, overrides --------------------------------------------------------------------------------------

WORDS = "hooks, annotations, overrides"


@attack(WORDS, "a hook that uid 1000 can change: it runs", "true")
def changeable_hook(run):
    hook = pathlib.Path("/srv/user/hook")
    hook.write_text("#!/bin/sh\n: >/srv/hooked\n")
    hook.chmod(0o755)
    os.chown(hook, 1000, 1000)
    run.config["hooks"] = {"createRuntime": [{"path": str(hook)}]}
    run.run()
    return os.path.exists("/srv/hooked")


@attack(WORDS, "a listed hook with a digest: LD_PRELOAD runs another's code", "true")
def preloaded_hook(run):
    program = pathlib.Path("/usr/bin/true")
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    run.policy(f'[values]\n"hooks.allow" = [{{ path = "{program.resolve()}", sha256 = "{digest}" }}]\n')
    run.config["hooks"] = {"createRuntime": [{"path": str(program), "env": [f"LD_PRELOAD={run.host.work}/preload.so"]}]}
    run.run()
    return os.path.exists("/srv/preloaded")


@attack(WORDS, "a startContainer hook: it runs without a filter", "cat /tmp/hook /dev/shm/hook 2>/dev/null")
def unfiltered_hook(run):
    script = "for d in /tmp /dev/shm; do grep Seccomp: /proc/self/status >$d/hook; done 2>/dev/null; true"
    run.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    run.run()
    return re.search(r"Seccomp:\s*0", run.said)


@attack(WORDS, "annotation run.oci.hooks.stdout: write a file of the host's", "true")
def hook_output(run):
    run.config["annotations"]["run.oci.hooks.stdout"] = "/etc/written"
    run.config["hooks"] = {"createRuntime": [{"path": "/bin/echo", "args": ["echo", "x"]}]}
    run.run()
    return os.path.exists("/etc/written")


@attack(WORDS, "annotation allow/capabilities.all, without a policy that permits it", HAS_ADMIN)
def own_word(run):
    run.capabilities(*ALL)
    run.config["annotations"]["org.casemate.allow/capabilities.all"] = "true"


for NAME in ("capabilities.all", "capabilities.ceiling", "capabilities.sys_admin"):

    @attack(WORDS, f"annotation allow/{NAME}, where the policy permits capabilities.* and forbids sys_*", HAS_ADMIN)
    def umbrella(run, name=NAME):
        run.policy('permit = ["capabilities.*"]\nforbid = ["capabilities.sys_*"]\n')
        run.capabilities(*ALL)
        run.config["annotations"][f"org.casemate.allow/{name}"] = "true"


@attack(WORDS, "a pod's annotation that names kube-system, where a rule trusts that namespace", HAS_ADMIN)
def other_namespace(run):
    run.policy('[[rule]]\nname = "system"\nmatch.namespace = ["kube-system"]\nprofile = "privileged"\n')
    if run.runtime.ours:
        # By the node's word.
        run.before = [word for word in run.before if word not in ("--profile", run.runtime.name)]
        text = (run.host.work / "policy" / "policy.toml").read_text()
        (run.host.work / "policy" / "policy.toml").write_text(f'profile = "{run.runtime.name}"\n' + text)
    run.capabilities(*ALL)
    run.config["annotations"].update(
        {
            "io.container.manager": "cri-o",
            "io.kubernetes.pod.namespace": "default",
            "io.kubernetes.cri-o.Namespace": "kube-system",
            "io.kubernetes.cri.sandbox-namespace": "kube-system",
        }
    )
    run.config["annotations"].pop("io.kubernetes.cri.sandbox-namespace")


# ---- the runtime itself ------------------------------------------------------------------------------------------------

RUNTIME = "the runtime"


def entered(run, change, payload, wrap):
    """exec with a process.json of one's own; whether its payload said so."""
    run.payload("sleep 30")
    with run.running() as pid:
        if pid is None:
            return False
        process = copy.deepcopy(run.process)
        process["args"] = ["/bin/sh", "-c", payload + "\ntrue"]
        change(process)
        file = run.host.work / "process.json"
        file.write_text(json.dumps(process))
        run.refused = run.call("exec", "--process", str(file), run.id, wrap=wrap) != 0
        return DONE in run.said


def entering(name, payload, change, wrap=()):
    attack(RUNTIME, f"exec with a process of its own: {name}")(lambda run: entered(run, change, payload, wrap))


def with_capabilities(process):
    process["capabilities"] = {kind: ALL for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}


entering("CAP_SYS_ADMIN", HAS_ADMIN, with_capabilities)
entering("real time", REALTIME, lambda process: process.update(scheduler={"policy": "SCHED_FIFO", "priority": 50}))
entering(
    "nice -20",
    f"[ $(awk '{{print $19}}' /proc/self/stat) -lt 0 ] && echo {DONE}",
    lambda process: process.update(scheduler={"policy": "SCHED_OTHER", "nice": -20}),
)
entering(
    "new privileges",
    f"grep -q '^NoNewPrivs:.*0' /proc/self/status && echo {DONE}",
    lambda process: process.update(noNewPrivileges=False),
)
entering(
    "oomScoreAdj -1000",
    f"[ $(cat /proc/self/oom_score_adj) -lt 0 ] && echo {DONE}",
    lambda process: process.update(oomScoreAdj=-1000),
)
entering(
    "one limit, and the others are the caller's",
    f"[ $(ulimit -Sn) = 4096 ] && echo {DONE}",
    lambda process: process.update(rlimits=[{"type": "RLIMIT_CPU", "hard": 100, "soft": 100}]),
    wrap=("prlimit", "--nofile=4096:4096"),
)


@attack(RUNTIME, "exec --cap CAP_SYS_ADMIN")
def entered_with_cap(run):
    with run.running() as pid:
        if pid is None:
            return False
        # A status of the payload's own is no refusal.
        payload = f"{HAS_ADMIN}; true"
        run.refused = run.call("exec", "--cap", "CAP_SYS_ADMIN", run.id, "/bin/sh", "-c", payload) != 0
        return DONE in run.said


@attack(RUNTIME, "exec --env: a payload reads the secret from the runtime's arguments")
def arguments(run):
    run.process["user"] = {"uid": 1000, "gid": 1000}
    run.process["capabilities"] = {}
    run.payload("sleep 30")
    run.write()
    run.host.detached(run)
    with subprocess.Popen(
        run.command("exec", run.id, "/bin/watch-arguments", "PASSWORD=7c1f", "3"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as watch:
        while watch.poll() is None:
            run.call("exec", "--env", "PASSWORD=7c1f", run.id, "/bin/true")
        return DONE in watch.stdout.read().decode()


@attack(RUNTIME, "update with devices: all are allowed")
def updated(run):
    major, minor = disk_number(run)
    run.capabilities("CAP_MKNOD")
    with run.running() as pid:
        if pid is None:
            return False
        file = run.host.work / "resources.json"
        file.write_text(json.dumps({"devices": [{"allow": True, "access": "rwm"}]}))
        run.refused = run.call("update", "--resources", str(file), run.id) != 0
        run.call(
            "exec",
            run.id,
            "/bin/sh",
            "-c",
            f"mknod /dev/made b {major} {minor}; dd if=/dev/made bs=16 count=1 2>/dev/null | grep -q {SECRET} && echo {DONE}",
        )
        return DONE in run.said


@attack(RUNTIME, "update with unified: a process of the host's is moved")
def updated_unified(run):
    with run.running() as pid:
        if pid is None:
            return False
        file = run.host.work / "resources.json"
        file.write_text(json.dumps({"unified": {"cgroup.procs": str(run.host.service.pid)}}))
        run.refused = run.call("update", "--resources", str(file), run.id) != 0
        return run.id in pathlib.Path(f"/proc/{run.host.service.pid}/cgroup").read_text()


@attack(RUNTIME, "--pid-file where uid 1000 may write: a file of root's is overwritten", "true")
def pid_file(run):
    victim = pathlib.Path("/etc/victim")
    victim.write_text("whole")
    for name in (".pid", "pid", "pid.tmp", ".pid.tmp"):
        path = pathlib.Path("/srv/user") / name
        path.unlink(missing_ok=True)
        path.symlink_to(victim)
    run.after += ["--pid-file", "/srv/user/pid"]
    run.run()
    return victim.read_text() != "whole"


@attack(RUNTIME, "--root of uid 1000's: state is kept there", f"echo {DONE}")
def foreign_root(run):
    state = pathlib.Path("/srv/user/state")
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    os.chown(state, 1000, 1000)
    run.before += ["--root", str(state)]
    run.command = lambda *words: [run.runtime.program, *run.runtime.options, "--root", str(state), *words]
