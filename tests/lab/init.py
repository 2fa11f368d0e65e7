# SPDX-License-Identifier: ISC
"""Process 1 of a host of the lab. Started by host.py, as a program of its own; imports nothing of the lab.

    python3 init.py NAME ROOT|- BASE LOG

Makes namespaces (mounts, network, processes, host name, IPC), lays a private, writable copy of ROOT over it that is gone
when the host is gone, answers /dev/log by writing LOG, reaps what nobody waits for, and ends when its standard input
does: however the process that started it dies, nothing of the host is left.
First line on standard output: the process id, or "error: SENTENCE".
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NOEXEC, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 8, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "i686": 217, "armv7l": 218, "ppc64le": 203, "s390x": 217}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


class Refused(Exception):
    """The kernel does not let us; the text says what."""


def _check(result, what):
    if result != 0:
        raise Refused(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind, flags=0, data=""):
    _check(LIBC.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()),
           f"cannot mount {kind or 'a folder'} on {target}")


def _overlay(lower, base):
    """ROOT below, memory above; where this kernel has no overlayfs, a copy in memory."""
    mount("lab", base, "tmpfs", MS_NODEV, "mode=755")
    root = base + "/root"
    for folder in ("root", "upper", "work"):
        os.mkdir(f"{base}/{folder}")
    try:
        mount("lab", root, "overlay", 0, f"lowerdir={lower},upperdir={base}/upper,workdir={base}/work")
    except Refused:
        subprocess.run(["cp", "-a", lower + "/.", root], check=True)
        mount(root, root, "", MS_BIND)
    return root


def _devices(root):
    dev = root + "/dev"
    mount("lab", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755")
    for name in DEVICES:
        with open(f"{dev}/{name}", "wb"):
            pass
        mount(f"/dev/{name}", f"{dev}/{name}", "", MS_BIND)
    os.mkdir(dev + "/shm", 0o1777)
    os.chmod(dev + "/shm", 0o1777)
    os.mkdir(dev + "/pts")
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{dev}/{name}")


def _enter(root):
    old = root + "/.old"
    os.makedirs(old, exist_ok=True)
    number = SYS_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise Refused(f"the lab does not know pivot_root on {os.uname().machine}")
    _check(LIBC.syscall(number, root.encode(), old.encode()), "cannot change the root")
    os.chdir("/")
    _check(LIBC.umount2(b"/.old", MNT_DETACH), "cannot leave the old root")
    os.rmdir("/.old")


def _build(name, lower, base):
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    socket.sethostname(name)
    if lower == "-":
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV)
        return
    root = _overlay(lower, base)
    _devices(root)
    mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV)
    mount("lab", root + "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    os.makedirs(root + "/run/lock", exist_ok=True)
    _enter(root)


def _syslog(lower):
    if lower == "-":
        return None
    # as systemd sets it at boot; the kernel's own 10 are a queue that a mail server's lines fill at once
    try:
        setting = os.open("/proc/sys/net/unix/max_dgram_qlen", os.O_WRONLY)
        os.write(setting, b"512")
        os.close(setting)
    except OSError:
        pass        # then it is the kernel's
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    return sock


def _write(log, datagram):
    """One line of the log: when, and what was said, priority and the sender's own clock left away."""
    text = datagram.rstrip(b"\0\n").replace(b"\n", b"\\n")
    if text.startswith(b"<"):
        text = text.partition(b">")[2]
    if text[3:4] == b" " and text[9:10] == b":":
        text = text[16:]
    os.write(log, b"%.3f " % time.time() + text + b"\n")


def _reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _live(log, sock):
    # a signal that comes right before select would not wake it: an octet in a pipe does
    heard, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _reap)
    watched = [0, heard] + ([sock] if sock else [])
    while True:
        for ready in select.select(watched, [], [])[0]:
            if ready == heard:
                os.read(heard, 4096)
            elif ready == 0:
                if not os.read(0, 4096):
                    return
            else:
                _write(log, ready.recv(65536))


def first(name, lower, base, log_path, report):
    """Process 1. Says on `report` how it went, then lives until its standard input ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        _build(name, lower, base)
        sock = _syslog(lower)
    except (Refused, OSError, subprocess.CalledProcessError) as why:
        os.write(report, f"error: {why}\n".encode())
        os._exit(1)
    os.write(report, b"ok\n")
    os.close(report)
    _live(log, sock)
    os._exit(0)


def main(name, lower, base, log):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    if LIBC.unshare(flags) != 0:
        print(f"error: this kernel or container lets nobody make namespaces ({os.strerror(ctypes.get_errno())})", flush=True)
        return 1
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hear)
        os.close(1)
        first(name, lower, base, log, tell)
    os.close(tell)
    with os.fdopen(hear, encoding="utf-8", errors="replace") as said:
        line = said.readline().strip() or "error: process 1 of the host ended at once"
    print(child if line == "ok" else line, flush=True)
    os.waitpid(child, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
