# SPDX-License-Identifier: ISC
"""What a host holds: processes, descriptors, private memory, sockets, files. For tests that count before, during and after."""

import os
import re
import time
from dataclasses import dataclass

from .message import Message
from .smtp import Bare

FOLDERS = ("/var/lib/sotto", "/run/sotto", "/var/spool/exim4/input", "/var/spool/exim4/msglog", "/tmp",
           *(f"/var/spool/postfix/{queue}" for queue in ("maildrop", "incoming", "active", "deferred", "defer")))
SERVERS = ("exim4", "smtpd")        # who serves a client
STAMPS = re.compile(r"\.swept$|-limit$|sotto\.conf\.good$|/identity$")      # made at first need, once


@dataclass
class Held:
    """Of one host, at one moment."""
    sessions: int       # processes of sotto-session
    servers: int        # of the mail server's own
    descriptors: int    # of all of them
    private: int        # KiB of memory that is theirs alone
    largest: int        # KiB of the largest sotto-session
    sockets: int        # TCP, but for those that are over (TIME-WAIT)
    kernel: int         # KiB of socket buffers, of the whole machine
    files: frozenset

    def __str__(self):
        return (f"{self.sessions:2} sotto-session, {self.servers:2} of the mail server, {self.descriptors:3} descriptors, {self.private:6,} KiB private, "
                f"{self.sockets:3} sockets, {self.kernel:6,} KiB in the kernel")


def _private(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return sum(int(kib) for kib in re.findall(r"^Private_(?:Clean|Dirty): *(\d+) kB", f.read(), re.M))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _files(host):
    return frozenset(f"{folder}/{name}" for top in FOLDERS for folder, _, names in os.walk(host.path(top)) for name in names
                     if not STAMPS.search(f"{folder}/{name}") and "/peers/" not in f"{folder}/" and "/names/" not in f"{folder}/")


def held(host):
    found = [one for one in host.processes() if one[1] in ("sotto-session", "sotto-front", *SERVERS)]
    ours = [pid for pid, name, _ in found if name.startswith("sotto")]
    with open(f"/proc/{host.pid}/net/sockstat", encoding="ascii") as f:
        tcp = dict(re.findall(r"(\w+) (\d+)", re.search(r"^TCP: (.*)$", f.read(), re.M).group(1)))
    return Held(len(ours), len(found) - len(ours), sum(_descriptors(pid) for pid, _, _ in found), sum(_private(pid) for pid, _, _ in found),
                max(map(_private, ours), default=0), int(tcp["inuse"]), int(tcp["mem"]) * 4, _files(host))


def until(server, good, seconds=60):
    """(what is held, True) once that is good; after so long, (what is held, False). Nothing tells of the end of Exim's processes: looked at anew."""
    deadline = time.monotonic() + seconds
    while True:
        now = held(server.host)
        if good(now) or time.monotonic() > deadline:
            return now, good(now)
        time.sleep(0.05)


def quiet(now):
    """Exim's daemon, and nothing else."""
    return (now.sessions, now.servers) == (0, 1)


def settled(server, before, seconds=60):
    """Waits until the host holds what it held before, when it was quiet, and no more."""
    return until(server, lambda now: quiet(now) and (now.descriptors, now.sockets, now.files) == (before.descriptors, before.sockets, before.files), seconds)


def serve(server, stranger):
    """Seconds in which a good client gets its message accepted, from the connection on."""
    message = Message("anna@p.example", f"bert@{server.domain}")
    began = time.monotonic()
    with Bare(stranger.host, server.host) as client:
        assert client.reply()[0].startswith("220"), "a good client is not greeted"
        client.ask("EHLO mx.p.example", 250)
        client.ask(f"MAIL FROM:<{message.sender}>", 250)
        client.ask(f"RCPT TO:<{message.recipients[0]}>", 250)
        client.ask("DATA", 354)
        client.send(message.smtp)
        assert client.reply()[-1].startswith(server.accepted)
        client.ask("QUIT", 221)
    return time.monotonic() - began
