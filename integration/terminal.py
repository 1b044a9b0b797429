#!/usr/bin/env python3
"""terminal.py ROWSxCOLS STEP... -- COMMAND...: run a command on a terminal, as a user sits at one.

A step is `expect=REGEX` (wait until the output since the last expect matches), `send=TEXT` (with \\n, \\r, \\x03 and the like)
or `resize=ROWSxCOLS`. Prints all output; the exit status is the command's, or 124 when an expect is not met in a minute.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time


def resize(terminal, size):
    rows, columns = (int(part) for part in size.split("x"))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Session:
    def __init__(self, terminal, pid):
        self.terminal, self.pid, self.fresh, self.ended = terminal, pid, "", False

    def read(self, seconds):
        """What comes within that time; `ended` when the other side is closed."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return
        try:
            data = os.read(self.terminal, 65536)
        except OSError:
            data = b""
        self.ended = not data
        text = data.decode(errors="replace")
        self.fresh += text
        sys.stdout.write(text)
        sys.stdout.flush()

    def expect(self, pattern):
        deadline = time.monotonic() + 60
        while not (match := re.search(pattern, self.fresh)):
            if self.ended or time.monotonic() > deadline:
                print(f"\nterminal.py: {pattern!r} did not come")
                os.kill(self.pid, signal.SIGKILL)
                sys.exit(124)
            self.read(0.5)
        self.fresh = self.fresh[match.end():]

    def step(self, step):
        kind, _, value = step.partition("=")
        if kind == "expect":
            self.expect(value)
        elif kind == "send":
            os.write(self.terminal, codecs.decode(value, "unicode_escape").encode())
        elif kind == "resize":
            resize(self.terminal, value)
        else:
            sys.exit(f"terminal.py: unknown step {step}")


def main(arguments):
    split = arguments.index("--")
    size, steps, command = arguments[0], arguments[1:split], arguments[split + 1:]
    pid, terminal = pty.fork()
    if pid == 0:
        resize(0, size)
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    session = Session(terminal, pid)
    for step in steps:
        session.step(step)
    deadline = time.monotonic() + 60
    while not session.ended and time.monotonic() < deadline:
        session.read(1)
    if not session.ended:
        os.kill(pid, signal.SIGKILL)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)


if __name__ == "__main__":
    main(sys.argv[1:])
