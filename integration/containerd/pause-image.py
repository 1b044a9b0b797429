#!/usr/bin/env python3
"""pause-image.py PROGRAM OUT NAME: an image that holds one static program and runs it as user 65535, as the pod
images of Kubernetes do."""

import io
import pathlib
import sys
import tarfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "hack/vm.d"))
from mkimg import add_file, descriptor, digest, encode  # noqa: E402


def layer(program):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        add_file(archive, "pause", pathlib.Path(program).read_bytes(), 0o755)
    return out.getvalue()


def main(program, path, name):
    rootfs = layer(program)
    config = encode({
        "architecture": "amd64",
        "os": "linux",
        "created": "2025-01-01T00:00:00Z",
        "config": {"User": "65535:65535", "Env": ["PATH=/"], "Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(rootfs)]},
    })
    manifest = encode({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", config),
        "layers": [descriptor("layer.v1.tar", rootfs)],
    })
    entry = descriptor("manifest.v1+json", manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    with tarfile.open(path, "w") as archive:
        add_file(archive, "oci-layout", encode({"imageLayoutVersion": "1.0.0"}))
        for blob in (config, manifest, rootfs):
            add_file(archive, "blobs/sha256/" + digest(blob), blob)
        add_file(archive, "index.json", encode(index))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
