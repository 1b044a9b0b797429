"""One attack under one runtime, and the host that it is made on. Imported by asked.py and by the lists of attacks."""

import contextlib
import copy
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import struct
import subprocess
import tempfile

DONE = "done-7c1f"
SECRET = "secret-7c1f"
HACK = pathlib.Path(__file__).resolve().parents[1]
SERVICE = "casemate-asked-service"
# Opens for writing and writes nothing: what lies there is the kernel's, which all share.
OPEN = "[ -e {0} ] && (: >>{0}) 2>/dev/null && echo " + DONE
READ = "cat {0} 2>/dev/null | grep -q " + SECRET + " && echo " + DONE
CASES = []


class Skip(Exception):
    """Cannot be shown on this host."""


class Run:
    """One attack under one runtime."""

    def __init__(self, host, runtime, number):
        self.host, self.runtime = host, runtime
        self.id = f"asked-{number}"
        self.cgroup = f"/casemate-asked/{self.id}"
        self.config = copy.deepcopy(host.config)
        self.config["linux"]["cgroupsPath"] = self.cgroup
        if runtime.name == "restricted":
            self.config["process"]["user"] = {"uid": 1000, "gid": 1000}
            self.config["process"]["capabilities"] = {}
        self.before, self.after, self.preserve = list(runtime.options), [], ()
        self.said, self.why = "", ""

    @property
    def linux(self):
        return self.config["linux"]

    @property
    def process(self):
        return self.config["process"]

    def mount(self, kind, to, source=None, options=()):
        self.config["mounts"].append({"destination": to, "type": kind, "source": source or kind, "options": list(options)})

    def bind(self, source, to="/mnt", options=("rbind", "ro")):
        self.mount("bind", to, str(source), options)

    def payload(self, script):
        self.process["args"] = ["/bin/sh", "-c", script + "\ntrue"]

    def capabilities(self, *added):
        sets = self.process.setdefault("capabilities", {})
        for name in ("bounding", "effective", "permitted"):
            sets[name] = sorted({*sets.get(name, []), *added})

    def without_namespace(self, kind):
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != kind]

    def namespace(self, kind, path):
        self.without_namespace(kind)
        self.linux["namespaces"].append({"type": kind, "path": path})

    def user_namespace(self, first, size=65536):
        self.linux["namespaces"].append({"type": "user"})
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": first, "size": size}]
        self.linux["gidMappings"] = copy.deepcopy(self.linux["uidMappings"])

    def policy(self, text):
        """The node's policy. The others have none."""
        if self.runtime.ours:
            directory = self.host.work / "policy"
            directory.mkdir(mode=0o755, exist_ok=True)
            (directory / "policy.toml").write_text(text)
            self.before += ["--policy-dir", str(directory)]

    def command(self, *words):
        return [self.runtime.program, "--root", str(self.host.work / f"state-{self.runtime.name}"), *self.before, *words]

    def call(self, *words, wrap=(), timeout=20):
        command = [*wrap, *self.command(*words)]
        # Files and no pipes: a container that goes on running has them too.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=error,
                cwd=self.host.work / "bundle",
                pass_fds=self.preserve,
                start_new_session=True,
            )
            try:
                process.wait(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            out.seek(0)
            error.seek(0)
            self.said += out.read().decode(errors="replace")
            self.why = error.read().decode(errors="replace") or self.why
        return process.returncode

    def write(self):
        (self.host.work / "bundle" / "config.json").write_text(json.dumps(self.config))

    def run(self, **how):
        self.write()
        return self.call("run", *self.after, self.id, **how)

    @contextlib.contextmanager
    def running(self):
        """Its pid; None: it was refused."""
        self.payload("sleep 30")
        self.write()
        where = self.host.work / "pid"
        where.unlink(missing_ok=True)
        self.host.detached(self)
        yield int(where.read_text()) if where.exists() else None

    def clean(self):
        subprocess.run(
            self.command("delete", "--force", self.id), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )

    def reason(self):
        rule = re.search(r"\(rule ([a-z.-]+)\)", self.why)
        return rule[1] if rule else "refused" if self.refused else "no"


class Runtime:
    def __init__(self, name, program, options, ours):
        self.name, self.program, self.options, self.ours = name, program, options, ours


class Host:
    def __init__(self, work):
        self.work = pathlib.Path(work)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # In memory and a file system of its own, as a layer to write to has to be.
        etc = self.work / "etc"
        etc.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", etc], check=True)
        subprocess.run(["cp", "-a", "/etc/.", etc], check=True)
        subprocess.run(["mount", "--move", etc, "/etc"], check=True)
        for path in ("/etc/shadow", "/root/.ssh/id_ed25519", "/boot/secret", "/var/lib/dpkg/secret", "/run/secret/key"):
            file = pathlib.Path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            file.touch(mode=0o600)
            file.write_text(SECRET + "\n")
        pathlib.Path("/etc/workdir").mkdir()
        # Likewise in memory, where owners can be mapped: or that would be the reason why these are refused.
        for path in ("/opt", "/usr/local/bin", "/srv"):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path], check=True)
        for path in ("/srv/data", "/srv/second", "/srv/second-root", "/srv/user", "/srv/all"):
            pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        os.chown("/srv/user", 1000, 1000)
        subprocess.run(["mount", "--bind", "/etc", "/srv/second"], check=True)
        subprocess.run(["mount", "--bind", "/root", "/srv/second-root"], check=True)
        subprocess.run(["mount", "--bind", "/", "/srv/all"], check=True)
        os.symlink("/etc", "/srv/link")
        # Files of one file system, each with a second name that says nothing.
        for number, path in enumerate(("/root/.ssh/id_ed25519", "/etc/shadow")):
            file = pathlib.Path(f"/srv/data/file-{number}")
            file.touch(mode=0o600)
            file.write_text(SECRET + "\n")
            subprocess.run(["mount", "--bind", file, path], check=True)
            os.link(file, f"/srv/data/notes-{number}")
        (self.work / "one").mkdir()
        (self.work / "two").mkdir()
        for name in ("mnt", "mnt2"):
            (self.work / "rootfs" / name).mkdir()
        subprocess.run(
            [HACK / "bundle", "podman", self.work / "bundle", "--id", "asked", "--rootfs", self.work / "rootfs"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        # The others enter the user namespace first and then look for the root file system.
        self.work.chmod(0o711)
        self.config = json.loads((self.work / "bundle" / "config.json").read_text())
        self.own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "net", "ipc", "uts", "cgroup", "mnt", "user")}
        self.disk = self.loop_device()
        self.service = None
        self.groups_were = os.getgroups()
        self.marked = subprocess.Popen([SERVICE, "infinity"], executable="/bin/sleep")

    def group(self, name):
        path = pathlib.Path("/sys/fs/cgroup/casemate-asked") / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def loop_device(self):
        """A disk of its own, which goes when this process does."""
        image = self.work / "disk"
        with image.open("wb") as file:
            file.truncate(4 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=True)
        with image.open("r+b") as file:
            file.write(SECRET.encode())
        os.mknod("/dev/loop-control", stat.S_IFCHR | 0o600, os.makedev(10, 237))
        try:
            control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
            number = fcntl.ioctl(control, 0x4C82)  # LOOP_CTL_GET_FREE
            path = f"/dev/loop{number}"
            if not os.path.exists(path):
                os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, number))
            self.loop, backing = os.open(path, os.O_RDWR | os.O_CLOEXEC), os.open(image, os.O_RDWR | os.O_CLOEXEC)
            # struct loop_config with LO_FLAGS_AUTOCLEAR.
            info = struct.pack("5Q4I", 0, 0, 0, 0, 0, 0, 0, 0, 4).ljust(232, b"\0")
            fcntl.ioctl(self.loop, 0x4C0A, struct.pack("2I", backing, 0) + info + bytes(64))  # LOOP_CONFIGURE
            return path
        except OSError:
            return None

    def end(self):
        for process in (self.service, self.marked):
            if process is not None:
                process.kill()
                process.wait()
        for group in sorted(pathlib.Path("/sys/fs/cgroup/casemate-asked").glob("**/"), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()

    def detached(self, run):
        run.refused = run.call("run", "--detach", "--pid-file", str(self.work / "pid"), *run.after, run.id) != 0

    def fresh(self):
        """What attacks leave, or are to change."""
        for path in (
            *("/srv/preloaded", "/srv/hooked", "/etc/written"),
            *(
                f"{place}/written"
                for place in ("/srv/data", "/etc", "/etc/cron.daily", "/opt", "/usr/local/bin", "/run/casemate-ids")
            ),
        ):
            pathlib.Path(path).unlink(missing_ok=True)
        shutil.rmtree(self.work / "policy", ignore_errors=True)
        if self.service is None or self.service.poll() is not None:
            self.service = subprocess.Popen(["/bin/sleep", "infinity"])
        os.makedirs("/run/casemate-ids", mode=0o700, exist_ok=True)
        (self.group("service") / "cgroup.procs").write_text(str(self.service.pid))


def attack(kind, name, payload=None):
    """Registers an attack: a function of Run that changes it, runs it and answers whether it succeeded; one that answers
    nothing has only changed it."""

    def register(function):
        CASES.append((kind, name, payload, function))
        return function

    return register


def simple(kind, name, payload, change):
    attack(kind, name, payload)(lambda run: change(run) and None)


def host_root(run):
    """Whether the program is root of the host."""
    with run.running() as pid:
        return pid is not None and host_uid(pid) == 0


def host_uid(pid):
    """What uid 0 of a process's user namespace is on the host."""
    if os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user"):
        return 0
    return int(pathlib.Path(f"/proc/{pid}/uid_map").read_text().split()[1])


def allowed(run):
    run.linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
