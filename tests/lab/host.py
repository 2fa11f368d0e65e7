# SPDX-License-Identifier: ISC
"""A host of the lab: its own network, processes, host name and root. See init.py for how it ends."""

import ctypes
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from .paths import Failed, Missing

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


def check_machine():
    """Raises Missing with one sentence when there can be no lab here."""
    if os.geteuid() != 0:
        raise Missing("The lab needs root: it makes network namespaces and Debian roots. Run it as root (sudo).")
    for program in ("nsenter", "ip", "tcpdump", "mmdebstrap"):
        if not shutil.which(program, path=CLEAN["PATH"]):
            raise Missing(f"{program} is missing; `sh tests/setup/need demo` installs it.")


class Host:
    """
    name: its host name. root: a root of root.py, or None for a bare network (a switch).
    folder: where its syslog and whatever it leaves behind go (on the machine, not in the root).
    """

    def __init__(self, name, root, folder):
        self.name = name
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.syslog_path = self.folder / "syslog"
        self._syslog, self._syslog_read = [], 0
        base = self.folder / "root"
        base.mkdir(exist_ok=True)
        self.v4 = self.v6 = None
        self.ended = None       # when its network and its processes were gone, in seconds since the machine's start
        command = [sys.executable, "-I", str(Path(__file__).with_name("init.py")), name, str(root or "-"), str(base),
                   str(self.syslog_path)]
        self._init = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=CLEAN)
        said = self._init.stdout.readline().strip()
        if not said.isdigit():
            self.close()
            raise Missing(f"A host of the lab cannot be made here: {said.removeprefix('error: ') or 'its first process ended'}.")
        self.pid = int(said)
        self.namespaces = {kind: os.readlink(f"/proc/{self.pid}/ns/{kind}") for kind in ("net", "mnt", "pid")}

    def close(self):
        """Ends every process of the host; its network and its root go with them."""
        if self._init.poll() is None:
            self._init.stdin.close()
            self._init.wait()
        if self.ended is None:
            self.ended = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._init.stdout.close()

    def path(self, inside):
        """Where a file of the host is found from here."""
        return Path(f"/proc/{self.pid}/root") / str(inside).lstrip("/")

    def _command(self, words):
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "--", *words]

    def popen(self, words, **how):
        how.setdefault("env", CLEAN)
        return subprocess.Popen(self._command(words), **how)

    def run(self, words, data=None, check=True, seconds=60):
        """Runs a program in the host; its output comes back as octets. check: a bad end is an error here."""
        result = subprocess.run(self._command(words), input=data if data is not None else b"", capture_output=True,
                                env=CLEAN, timeout=seconds, check=False)
        if check and result.returncode != 0:
            raise Failed(f"on {self.name}, `{' '.join(words)}` ended with {result.returncode}:\n"
                         f"{(result.stdout + result.stderr).decode(errors='replace')[-3000:]}")
        return result

    def ip(self, *lines):
        """Lines for ip(8), run in the host's network by the machine's own ip."""
        result = subprocess.run(["nsenter", "-t", str(self.pid), "-n", "ip", "-batch", "-"], input="\n".join(lines) + "\n",
                                capture_output=True, text=True, env=CLEAN, check=False)
        if result.returncode != 0:
            raise Failed(f"ip on {self.name}: {result.stderr.strip()}")

    def set_sysctl(self, name, value):
        """A setting of the host's network (net.…)."""
        def write():
            with open("/proc/sys/" + name.replace(".", "/"), "w", encoding="ascii") as f:
                f.write(str(value))
        self.in_network(write)

    def in_network(self, function, *args):
        """What function(*args) returns, called in the host's network (sockets made there stay there)."""
        result = []

        def work():
            try:
                with open(f"/proc/{self.pid}/ns/net", "rb") as ns:
                    if LIBC.setns(ns.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                result.append((function(*args), None))
            except BaseException as why:  # handed to the caller, whatever it is
                result.append((None, why))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        value, why = result[0]
        if why is not None:
            raise why
        return value

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        """A socket in the host's network."""
        return self.in_network(socket.socket, family, kind, proto)

    def processes(self):
        """[(pid, name, state)] of all that runs in the host, numbered as the machine does."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/pid") == self.namespaces["pid"]:
                    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                        name, _, rest = f.read().partition("(")[2].rpartition(") ")
                    found.append((int(pid), name, rest[0]))
            except (FileNotFoundError, ProcessLookupError, PermissionError, IndexError):    # gone, or not ours to look at
                pass
        return found

    def await_quiet(self, busy, seconds=40, but=lambda pid: False):
        """Waits for the end of every process that busy(name, state) is true of, and but(pid) is not; returns those that did not end in time."""
        deadline = time.monotonic() + seconds
        while True:
            left = [one for one in self.processes() if busy(*one[1:]) and not but(one[0])]
            if not left or time.monotonic() > deadline:
                return left
            try:
                pidfd = os.pidfd_open(left[0][0])
            except ProcessLookupError:
                continue
            try:
                select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))
            finally:
                os.close(pidfd)

    def write(self, inside, text, mode=0o644):
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)

    def read(self, inside):
        try:
            return self.path(inside).read_bytes()
        except FileNotFoundError:
            return b""

    def syslog(self):
        """The lines that programs of the host gave to syslog, oldest first, our time stamp left away."""
        with open(self.syslog_path, "rb") as f:
            f.seek(self._syslog_read)
            new = f.read()
        whole = new.rfind(b"\n") + 1       # it is asked for often, and grows: only what is new is read
        self._syslog_read += whole
        self._syslog += [line.partition(" ")[2] for line in new[:whole].decode(errors="replace").splitlines()]
        return list(self._syslog)
