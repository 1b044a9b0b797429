"""Attacks of asked.py: file systems that a configuration has mounted, and places of the host that it binds."""

import contextlib
import os
import pathlib
import socket
import subprocess
import time

from asked_run import DONE, OPEN, READ, SECRET, SERVICE, Skip, allowed, attack, host_root, simple

# ---- file systems of the kernel ------------------------------------------------------------------------------------

FS = "mount types"


def mounted(kind, name, payload, options=(), to="/mnt", source=None):
    simple(FS, name, payload, lambda run: run.mount(kind, to, source, options))


mounted("proc", "a second procfs: open core_pattern for writing", OPEN.format("/mnt/sys/kernel/core_pattern"), ["rw"])
mounted(
    "proc",
    "a second procfs, read-only: read kallsyms",
    f"[ -r /mnt/kallsyms ] && head -c1 /mnt/kallsyms >/dev/null && echo {DONE}",
    ["ro"],
)
SYSFS = (
    "for f in $(find {0}/kernel {0}/module -maxdepth 3 -type f -perm -200 2>/dev/null | head -n 40); do (: >>$f) 2>/dev/null && echo "
    + DONE
    + " && break; done"
)
mounted("sysfs", "a second sysfs: open a file for writing", SYSFS.format("/mnt"), ["rw"])


@attack(FS, "/sys writable: open a file for writing", SYSFS.format("/sys"))
def own_sysfs(run):
    for entry in run.config["mounts"]:
        if entry["destination"] == "/sys":
            entry["options"] = ["rw", "nosuid", "nodev", "noexec"]


@attack(
    FS,
    "/sys/fs/cgroup writable, without a cgroup namespace: make a group of the host's",
    "mkdir /sys/fs/cgroup/casemate-asked/made",
)
def own_cgroup(run):
    for entry in run.config["mounts"]:
        if entry["destination"] == "/sys/fs/cgroup":
            entry["options"] = ["rw", "nosuid", "nodev", "noexec"]
    run.without_namespace("cgroup")
    run.run()
    return made_group()


def made_group():
    made = pathlib.Path("/sys/fs/cgroup/casemate-asked/made")
    if made.exists():
        made.rmdir()
        return True
    return False


for FSTYPE in ("debugfs", "tracefs", "securityfs", "pstore", "bpf", "fusectl", "binfmt_misc", "devtmpfs"):
    mounted(FSTYPE, f"{FSTYPE}: mount it", f"grep -q ' /mnt ' /proc/mounts && echo {DONE}", ["nosuid", "noexec"])
mounted("debugfs", "debugfs, read-only: mount it", f"grep -q ' /mnt ' /proc/mounts && echo {DONE}", ["rprivate", "ro"])
mounted("overlay", "an overlay on /etc: read a secret", READ.format("/mnt/shadow"), ["lowerdir=/etc:/srv/data"])


@attack(FS, "an overlay on /etc/cron.daily: write to it", "echo x >/mnt/written")
def overlay_writes(run):
    run.mount("overlay", "/mnt", "overlay", ["lowerdir=/srv/data", "upperdir=/etc/cron.daily", "workdir=/etc/workdir"])
    run.run()
    return os.path.exists("/etc/cron.daily/written")


@attack(FS, "a disk: mount it", f"[ -d /mnt/lost+found ] && echo {DONE}")
def disk(run):
    if not run.host.disk:
        raise Skip
    run.mount("ext4", "/mnt", run.host.disk, ["ro"])


for FSTYPE, OPTIONS in (("hugetlbfs", []), ("overlay", ["lowerdir=/casemate-asked/one:/casemate-asked/two"])):

    @attack(FS, f"{FSTYPE} as a volume: no user namespace for it")
    def falls_away(run, fstype=FSTYPE, options=OPTIONS):
        run.mount(fstype, "/mnt", fstype, options)
        return host_root(run)


# ---- what is bound ---------------------------------------------------------------------------------------------------

BIND = "bind sources"


def bound(name, source, read, options=("rbind", "ro")):
    simple(BIND, name, READ.format(f"/mnt/{read}"), lambda run: run.bind(source, options=options))


bound("/: read a secret", "/", "root/.ssh/id_ed25519")
bound("/etc: read a secret", "/etc", "shadow")
bound("/etc by a link: read a secret", "/srv/link", "shadow")
bound("/etc by dots: read a secret", "/srv/data/../../etc", "shadow")
bound("/etc by /proc/self/root: read a secret", "/proc/self/root/etc", "shadow")
bound("/etc by a bind of it: read a secret", "/srv/second", "shadow")
bound("what lies above a bind of /etc: read a secret", "/srv", "second/shadow")
bound("/root by a bind of it: read a secret", "/srv/second-root/.ssh", "id_ed25519")
bound("/boot: read a secret", "/boot", "secret")
bound("/run: read a secret", "/run", "secret/key")
bound("/var/lib/dpkg: read a secret", "/var/lib/dpkg", "secret")
for NUMBER, PATH in enumerate(("/root/.ssh/id_ed25519", "/etc/shadow")):
    simple(
        BIND,
        f"{PATH} by another link to the file: read it",
        READ.format("/mnt2/notes"),
        lambda run, number=NUMBER: run.bind(f"/srv/data/notes-{number}", "/mnt2/notes"),
    )


def bound_writes(name, source, to="/mnt", written=None):
    @attack(BIND, name, f"echo x >{to}/written")
    def case(run):
        run.bind(source, to, ("rbind", "rw"))
        run.run()
        return os.path.exists(f"{written or source}/written")


bound_writes("/etc writable: write to it", "/etc")
bound_writes("/etc/cron.daily writable: write to it", "/etc/cron.daily")
bound_writes("/usr/local/bin writable: write to it", "/usr/local/bin")
bound_writes("/opt writable: write to it", "/opt")
bound_writes("/run/casemate-ids writable: write to it", "/run/casemate-ids")
bound_writes("/etc/cron.daily by a bind of /etc: write to it", "/srv/second/cron.daily", written="/etc/cron.daily")


@attack(BIND, "/proc over /proc: see the host's processes", f"cat /proc/[0-9]*/cmdline | grep -q {SERVICE} && echo {DONE}")
def host_proc(run):
    run.config["mounts"] = [entry for entry in run.config["mounts"] if entry["destination"] != "/proc"]
    run.config["mounts"].insert(0, {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]})


@attack(
    BIND,
    "/proc beside another's pid namespace: see the host's processes",
    f"cat /mnt/[0-9]*/cmdline | grep -q {SERVICE} && echo {DONE}",
)
def joined_proc(run):
    with another("--pid", "--fork") as pid:
        run.namespace("pid", f"/proc/{child_of(pid)}/ns/pid")
        run.bind("/proc", options=("rbind",))
        run.run()
    return DONE in run.said


@attack(
    BIND,
    "/dev/shm beside another's ipc namespace: see the host's memory",
    f"cat /dev/shm/secret | grep -q {SECRET} && echo {DONE}",
)
def joined_shm(run):
    pathlib.Path("/dev/shm/secret").write_text(SECRET)
    with another("--ipc") as pid:
        run.namespace("ipc", f"/proc/{pid}/ns/ipc")
        run.config["mounts"] = [entry for entry in run.config["mounts"] if entry["destination"] != "/dev/shm"]
        run.bind("/dev/shm", "/dev/shm", ("rbind", "rw"))
        run.run()
    return DONE in run.said


@contextlib.contextmanager
def another(*options):
    """A process in namespaces of its own."""
    with subprocess.Popen(
        ["unshare", "--kill-child", *options, "sleep", "30"] if "--fork" in options else ["unshare", *options, "sleep", "30"]
    ) as process:
        time.sleep(0.2)
        try:
            yield process.pid
        finally:
            process.kill()


def child_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


simple(BIND, "/sys: open a file for writing", SYSFS.format("/mnt"), lambda run: run.bind("/sys", options=("rbind", "rw")))
simple(
    BIND,
    "/dev: open the disk",
    f"dd if=/mnt/{{disk}} bs=16 count=1 2>/dev/null | grep -q {SECRET} && echo {DONE}",
    lambda run: (allowed(run), run.bind("/dev", options=("rbind",))),
)
simple(
    BIND,
    "the disk's node: open it",
    f"dd if=/mnt2/disk bs=16 count=1 2>/dev/null | grep -q {SECRET} && echo {DONE}",
    lambda run: (
        run.linux["resources"].update(devices=[{"allow": True, "access": "rwm"}]),
        run.bind(run.host.disk, "/mnt2/disk", ("bind",)),
    ),
)


@attack(BIND, "/sys/fs/cgroup: make a group of the host's", "mkdir /mnt/casemate-asked/made")
def host_cgroup(run):
    run.bind("/sys/fs/cgroup", options=("rbind", "rw"))
    run.run()
    return made_group()


@attack(BIND, "a socket of root's: see it", f"[ -S /mnt/control.sock ] && echo {DONE}")
def socket_of_root(run):
    path = pathlib.Path("/srv/daemon/control.sock")
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen()
        run.bind(path, "/mnt/control.sock", ("bind", "rw"))
        run.run()
    return DONE in run.said


simple(
    BIND,
    "the root file system is a bind of the host's: read a secret",
    READ.format("/root/.ssh/id_ed25519"),
    lambda run: run.config["root"].update(path="/srv/all", readonly=True),
)


@attack(BIND, "propagation: a mount in the container appears on the host", "mount -t tmpfs none /mnt/data")
def propagates(run):
    subprocess.run(
        "mkdir -p /srv/shared && mount -t tmpfs t /srv/shared && mount --make-shared /srv/shared && mkdir /srv/shared/data",
        shell=True,
        check=True,
    )
    try:
        run.capabilities("CAP_SYS_ADMIN")
        run.linux.pop("seccomp", None)
        run.linux["rootfsPropagation"] = "shared"
        run.bind("/srv/shared", options=("rbind", "rshared"))
        run.run()
        return " /srv/shared/data " in pathlib.Path("/proc/self/mounts").read_text()
    finally:
        subprocess.run(["umount", "-R", "/srv/shared"], check=True)


@attack(BIND, "propagation: a mount on the container's /sys/fs/cgroup appears on the host", "mount -t tmpfs none /sys/fs/cgroup")
def cgroup_peer(run):
    subprocess.run(["mount", "--make-shared", "/sys/fs/cgroup"], check=True)
    before = pathlib.Path("/proc/self/mounts").read_text().count(" /sys/fs/cgroup ")
    try:
        run.capabilities("CAP_SYS_ADMIN")
        run.linux.pop("seccomp", None)
        run.linux["rootfsPropagation"] = "shared"
        run.without_namespace("cgroup")
        run.run()
        after = pathlib.Path("/proc/self/mounts").read_text().count(" /sys/fs/cgroup ")
        for _ in range(after - before):
            subprocess.run(["umount", "/sys/fs/cgroup"], check=True)
        return after > before
    finally:
        subprocess.run(["mount", "--make-private", "/sys/fs/cgroup"], check=True)
