# SPDX-License-Identifier: ISC
"""
What the kernel says of programs that crash. A daemon that is started again, or a session that the mail server does without, would otherwise hide it: mail
arrives all the same.
"""

import os
import re

CRASH = re.compile(r"\b(?:sotto-[a-z]*|filter-sotto|table-sotto|exim4?)\[\d+\](?:: segfault| general protection| trap )")


class KernelLog:
    """crashes(): the lines about programs of ours since the last call. Nothing where the kernel's log can't be read."""

    def __init__(self):
        try:
            self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self._fd = -1

    def _lines(self):
        while self._fd >= 0:
            try:
                yield os.read(self._fd, 8192).decode(errors="replace").partition(";")[2].splitlines()[0]
            except BrokenPipeError:
                continue        # lines were overwritten before they were read
            except OSError:
                return

    def crashes(self):
        return [line for line in self._lines() if CRASH.search(line)]

    def close(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
