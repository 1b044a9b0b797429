#!/usr/bin/env python3
"""conmon.py CONMON-ARGUMENTS...: start conmon as CRI-O does, and print what it answers, one JSON object a line.

CRI-O gives it two pipes: conmon waits on one until it has been put into its cgroup, and tells on the other the pid of what
it started, and for `-e` then how that ended.
"""

import os
import subprocess
import sys


def main(arguments):
    sync_read, sync_write = os.pipe()
    start_read, start_write = os.pipe()
    for descriptor in (sync_write, start_read):
        os.set_inheritable(descriptor, True)
    # Its environment is nearly empty.
    environment = {
        "_OCI_SYNCPIPE": str(sync_write),
        "_OCI_STARTPIPE": str(start_read),
        "XDG_RUNTIME_DIR": "",
        "PATH": os.environ["PATH"],
    }
    conmon = subprocess.Popen(
        ["conmon", *arguments], env=environment, close_fds=True, pass_fds=(sync_write, start_read),
        stdin=subprocess.DEVNULL)
    os.close(sync_write)
    os.close(start_read)
    os.write(start_write, b"\0")
    os.close(start_write)
    conmon.wait()
    wanted = 2 if "-e" in arguments else 1
    with os.fdopen(sync_read) as answers:
        for line in answers:
            print(line, end="", flush=True)
            wanted -= 1
            if not wanted:
                break


if __name__ == "__main__":
    main(sys.argv[1:])
