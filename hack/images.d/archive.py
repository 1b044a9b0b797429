#!/usr/bin/env python3
"""archive.py LAYER.tar ARCHIVE.tar: images with one root file system, in the format of `docker save`.

podman, docker and ctr all load it. What an image says of itself is what the well-known image of that service says:
its command, the volumes that an engine makes for it, its directory, its port.
"""

import hashlib
import io
import json
import platform
import sys
import tarfile

IMAGES = {
    "services": {"Cmd": ["bash"]},
    "nginx": {"Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {"80/tcp": {}}},
    "redis": {"Cmd": ["start-redis"], "WorkingDir": "/data", "Volumes": {"/data": {}}, "ExposedPorts": {"6379/tcp": {}}},
    "postgres": {
        "Cmd": ["start-postgres"],
        "Volumes": {"/var/lib/postgresql/data": {}},
        "ExposedPorts": {"5432/tcp": {}},
    },
    "mariadb": {"Cmd": ["start-mariadb"], "Volumes": {"/var/lib/mysql": {}}, "ExposedPorts": {"3306/tcp": {}}},
    "python": {"Cmd": ["python3", "-m", "http.server", "8000"], "WorkingDir": "/etc", "ExposedPorts": {"8000/tcp": {}}},
    "node": {"Cmd": ["start-node"], "ExposedPorts": {"8080/tcp": {}}},
    "schedule": {"Cmd": ["start-schedule"]},
    "worker": {"Cmd": ["start-worker"]},
    "openssh": {"Cmd": ["start-sshd"], "ExposedPorts": {"22/tcp": {}}},
}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def digest(path):
    hasher = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return hasher.hexdigest()


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def main(layer, path):
    diff = "sha256:" + digest(layer)
    manifest = []
    with tarfile.open(path, "w") as archive:
        archive.add(layer, "layer.tar")
        for name, settings in IMAGES.items():
            config = {
                "architecture": MACHINES.get(platform.machine(), platform.machine()),
                "os": "linux",
                "config": {"Env": [PATH], **settings},
                "rootfs": {"type": "layers", "diff_ids": [diff]},
            }
            content = json.dumps(config, sort_keys=True).encode()
            file = hashlib.sha256(content).hexdigest() + ".json"
            add(archive, file, content)
            manifest.append({"Config": file, "RepoTags": [f"localhost/{name}:latest"], "Layers": ["layer.tar"]})
        add(archive, "manifest.json", json.dumps(manifest).encode())


main(*sys.argv[1:])
