# SPDX-License-Identifier: ISC
"""Many sessions at once at one OpenSMTPD, half of them sealed, and what they cost it and others."""

import contextlib
import re
import subprocess
import time

from .host import CLEAN
from .message import Message
from .paths import PROJECT
from .smtp import Bare

COVERS = PROJECT / "build" / "lab-tools" / "covers"
FILES = 20000       # descriptors of smtpd's: it would refuse more sessions than half of what it may have
ROOMY = ["prlimit", f"--nofile={FILES}", "--"]      # words before smtpd's own
MESSAGES = 100


@contextlib.contextmanager
def sealed(client, server, count):
    """So many sealed sessions, held."""
    words = ["nsenter", "-t", str(client.host.pid), "-n", str(COVERS), server.host.v4, "1", str(count)]
    holding = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=CLEAN)
    try:
        assert holding.stdout.readline() == b"open\n", "so many sealed sessions could not be had"
        yield
    finally:
        holding.stdin.close()
        holding.wait(60)
        holding.stdout.close()


@contextlib.contextmanager
def open_sessions(client, server, count):
    """So many, half of them sealed."""
    with contextlib.ExitStack() as stack:
        for _ in range(count // 2):
            one = stack.enter_context(Bare(client.host, server.host))
            assert one.reply()[0].startswith("220")
            one.ask("EHLO mx.p.example", 250)
            one.ask("NOOP", 250)
        stack.enter_context(sealed(client, server, count - count // 2))
        yield


def processes(server):
    return len([name for _, name, _ in server.host.processes() if name in ("smtpd", "filter-sotto", "sotto-worker", "table-sotto")])


def memory(server):
    """KiB of the worker that are its own."""
    with open(f"/proc/{server.worker()}/smaps_rollup", encoding="ascii") as f:
        return sum(int(kib) for kib in re.findall(r"^Private_(?:Clean|Dirty): *(\d+) kB", f.read(), re.M))


def deliver(client, server):
    """Seconds for a hundred messages, one after the other on one connection, as an ordinary client in the clear sends them."""
    message = Message(f"anna@{client.domain}", f"bert@{server.domain}")
    with Bare(client.host, server.host) as one:
        one.reply()
        one.ask("EHLO mx.p.example", 250)
        began = time.monotonic()
        for _ in range(MESSAGES):
            one.ask(f"MAIL FROM:<{message.sender}>", 250)
            one.ask(f"RCPT TO:<bert@{server.domain}>", 250)
            one.ask("DATA", 354)
            one.send(message.smtp)
            assert one.reply()[0].startswith("250")
        return time.monotonic() - began
