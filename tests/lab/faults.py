# SPDX-License-Identifier: ISC
"""What can be wrong with a host: each a context manager that breaks it and mends it again."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from .paths import Failed

SESSION = "/usr/libexec/sotto/sotto-session"
LIBRARY = "/usr/lib/sotto/exim-sotto.so"
STATE, RUN, CONF = "/var/lib/sotto", "/run/sotto", "/etc/sotto"
SH = "#!/bin/sh\n"


@contextlib.contextmanager
def replaced(host, path, contents, mode=0o755):
    """Something else in the place of a file; None: nothing."""
    away = host.path(path + ".away")
    os.rename(host.path(path), away)
    try:
        if contents is not None:
            host.write(path, contents, mode)
        yield away
    finally:
        os.replace(away, host.path(path))


def wrapped(host, line):
    """sotto-session is started by a shell that says this line before."""
    return replaced(host, SESSION, f"{SH}{line}\nexec {SESSION}.away \"$@\"\n")


@contextlib.contextmanager
def mounted(host, folder, kind):
    """Another file system in the place of the folder (mounts.py)."""
    process = subprocess.Popen([sys.executable, "-I", str(Path(__file__).with_name("mounts.py")), str(host.pid), folder, kind],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline().strip() != "ok":
            raise Failed(f"no file system that is {kind} can be mounted on {folder}")
        yield
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def hung(host, folder):
    """The folder is on a disk that hangs."""
    return mounted(host, folder, "hung")


def read_only(host, folder):
    return mounted(host, folder, "read-only")


@contextlib.contextmanager
def full(host, folder, inodes=False):
    """The folder is on a disk without room: for octets, or for files."""
    with mounted(host, folder, "small"):
        fill = f"i=0; while : > {folder}/fill$i; do i=$((i + 1)); done" if inodes else f"cat /dev/zero > {folder}/fill"
        host.run(["sh", "-c", fill], check=False)
        yield


@contextlib.contextmanager
def forbidden(host, folder):
    """The folder is not ours."""
    there = host.path(folder).stat()
    host.run(["sh", "-c", f"chown root:root {folder} && chmod 700 {folder}"])
    try:
        yield
    finally:
        host.run(["sh", "-c", f"chown {there.st_uid}:{there.st_gid} {folder} && chmod {there.st_mode & 0o7777:o} {folder}"])


@contextlib.contextmanager
def without(host, path, instead=None):
    """A folder (or a socket) is not there; instead: the contents of a file that is there in its place."""
    away = host.path(path + ".away")
    os.rename(host.path(path), away)
    try:
        if instead is not None:
            host.write(path, instead)
        yield
    finally:
        if host.path(path).is_dir():
            shutil.rmtree(host.path(path))
        else:
            host.path(path).unlink(missing_ok=True)
        os.rename(away, host.path(path))


def damage(host, folder, change):
    """Each file under the folder becomes change(its octets). How many there were."""
    count = 0
    for path in host.path(folder).rglob("*"):
        if path.is_file():
            owner = path.stat()
            path.write_bytes(change(path.read_bytes()))
            os.chown(path, owner.st_uid, owner.st_gid)
            count += 1
    return count


@contextlib.contextmanager
def log_blocked(host):
    """Nobody reads /dev/log, and there is no more room in it."""
    path = host.path("/dev/log")
    away = host.path("/dev/log.away")
    os.rename(path, away)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        sock.bind(str(path))
        os.chmod(path, 0o666)
        filler.setblocking(False)
        filler.connect(str(path))
        try:
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.send(b"x" * 100)
            yield
        finally:
            os.replace(away, path)


CLONE = ("int clone(int (*f)(void *), void *stack, int flags, void *arg, ...) {{ static int (*next)(int (*)(void *), void *, int, void *); "
         "if ({which}) FAIL(EAGAIN) NEXT(next, \"clone\") return next(f, stack, flags, arg); }}")
HELPER, SESSION_ITSELF = CLONE.format(which="(flags & 255) == 0"), CLONE.format(which="(flags & 255) != 0")     # spawn.c: only one ends with a signal
SOCKETPAIR = ("int socketpair(int a, int b, int c, int d[2]) { static int (*next)(int, int, int, int *); FAIL(EMFILE) "
              "NEXT(next, \"socketpair\") return next(a, b, c, d); }")
SOCKET = "int socket(int a, int b, int c) { static int (*next)(int, int, int); FAIL(EMFILE) NEXT(next, \"socket\") return next(a, b, c); }"
HEAD = """#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <unistd.h>
static int ours(void *from) { Dl_info i; return dladdr(from, &i) != 0 && i.dli_fname && strstr(i.dli_fname, "exim-sotto.so"); }
#define FAIL(number) if (ours(__builtin_return_address(0))) { errno = number; return -1; }
#define NEXT(f, name) if (!f) { void *p = dlsym(RTLD_NEXT, name); memcpy(&f, &p, sizeof(f)); }
"""


@contextlib.contextmanager
def failing(server, call):
    """A call (HELPER, SESSION_ITSELF: clone; SOCKETPAIR, SOCKET) fails for our library in Exim's process, and for nobody else."""
    host = server.host
    library = host.path("/usr/lib/lab-failing.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(library), "-ldl"], input=(HEAD + call).encode(), check=True)
    host.write("/etc/ld.so.preload", "/usr/lib/lab-failing.so\n")
    server.restart()
    try:
        yield
    finally:
        host.path("/etc/ld.so.preload").unlink()
        server.restart()
        library.unlink()


@contextlib.contextmanager
def limited(server, limit):
    """All of Exim runs under a limit, in the words of the shell's ulimit."""
    server.prefix = ["sh", "-c", f"ulimit {limit}; exec \"$@\"", "sh"]
    server.restart()
    try:
        yield
    finally:
        server.prefix = []
        server.restart()
        panic = server.host.read("/var/log/exim4/paniclog").decode()        # Exim wants a limit of its own, and says so
        if all("setrlimit" in line for line in panic.splitlines()):
            server.host.path("/var/log/exim4/paniclog").unlink(missing_ok=True)


def sessions(host):
    """The processes of sotto-session."""
    return [pid for pid, name, _ in host.processes() if name.startswith("sotto-session")]


def signal_sessions(host, number):
    deadline = time.monotonic() + 5
    while not (pids := sessions(host)) and time.monotonic() < deadline:
        time.sleep(0.01)        # behind Postfix it is forked when XSOTTO has come; nobody tells of a process that begins
    assert pids, f"there is no sotto-session on {host.name}"
    for pid in pids:
        os.kill(pid, number)
    return pids


@contextlib.contextmanager
def stopped(host):
    """The sessions that there are now are stopped; they go on at the end."""
    pids = signal_sessions(host, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
