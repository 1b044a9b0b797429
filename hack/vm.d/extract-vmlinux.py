#!/usr/bin/env python3
"""extract-vmlinux.py BZIMAGE VMLINUX: take the ELF kernel out of a compressed x86 kernel image."""

import subprocess
import sys

COMPRESSIONS = (
    (b"\x28\xb5\x2f\xfd", ["zstd", "-dc"]),
    (b"\xfd7zXZ\0", ["xz", "-dc", "--single-stream"]),
    (b"\x1f\x8b\x08", ["gzip", "-dc"]),
    (b"\x02\x21\x4c\x18", ["lz4", "-dc"]),
)


def extract(image):
    for magic, command in COMPRESSIONS:
        # The first 16 KiB are the boot sector and the setup code.
        at = image.find(magic, 0x4000)
        while at >= 0:
            # The payload is followed by more data, at which the decompressors complain after having done their work.
            out = subprocess.run(command, input=image[at:], capture_output=True, check=False).stdout
            if out[:4] == b"\x7fELF" and len(out) > 10 << 20:
                return out
            at = image.find(magic, at + 1)
    sys.exit("extract-vmlinux: no kernel found in " + sys.argv[1])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as source:
        kernel = extract(source.read())
    with open(sys.argv[2], "wb") as target:
        target.write(kernel)
