# SPDX-License-Identifier: ISC
"""Many sessions at once at OpenSMTPD: they cost no process, little memory, and others little time."""

import contextlib
import re
import subprocess
import time

import pytest

from .host import CLEAN
from .paths import PROJECT
from .smtp import Bare
from .test_exim import letter

COVERS = PROJECT / "build" / "lab-tools" / "covers"
FILES = 20000       # descriptors of smtpd's: it would refuse more sessions than half of what it may have
MANY, FEW = 1000, 10
MESSAGES = 100
MOST = 256          # KiB of the worker's own memory a session: two buffers of 64 KiB, and what stands around them


@pytest.fixture
def roomy(opensmtpd):
    """smtpd with descriptors for so many."""
    opensmtpd.prefix = ["prlimit", f"--nofile={FILES}", "--"]
    opensmtpd.restart()
    yield opensmtpd
    opensmtpd.prefix = []
    opensmtpd.restart()


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
    message = letter(client, server)
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


def test_a_thousand_sessions(lab, roomy, stranger, needs_sotto):
    """With 1,000 open, half of them sealed: no more processes than with 10, a bounded price each, and others are served as before."""
    assert COVERS.exists(), "`make lab-tools` makes what holds sealed sessions"
    server = roomy
    deliver(stranger, server)
    alone = min(deliver(stranger, server) for _ in range(3))
    with open_sessions(stranger, server, FEW):
        few = processes(server), memory(server)
    with open_sessions(stranger, server, MANY):
        many = processes(server), memory(server)
        beside = min(deliver(stranger, server) for _ in range(3))
    each = (many[1] - few[1]) / (MANY - FEW)
    lab.say(f"OpenSMTPD {server.version}: {many[0]} processes with {MANY} sessions, {few[0]} with {FEW}; {each:.0f} KiB a session; {MESSAGES} messages in "
            f"{beside * 1000:.0f} ms beside them, {alone * 1000:.0f} ms alone ({beside / alone:.2f})")
    assert many[0] == few[0]
    assert each <= MOST
    assert beside <= 1.5 * alone, (beside, alone)
