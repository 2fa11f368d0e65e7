# SPDX-License-Identifier: ISC
"""
make matrix: every mail server with every other, as sender and as receiver, with Sotto on both, on one of them and on none. Each of the
144 is one real message and a recording of the wire. Ends with 0 only if all were as they should be.
"""

import os
import re
import sys
import time
from typing import NamedTuple

from . import columns
from .columns import colour
from .lab import Lab
from .message import Message, difference
from .paths import RUNS, STAGED, Failed, Missing
from .watch import Watch

DEBIAN = {"bookworm": "Debian 12", "trixie": "Debian 13"}
NAMES = {"exim": "Exim", "postfix": "Postfix", "opensmtpd": "OpenSMTPD"}
SERVERS = [(kind, release) for kind in NAMES for release in DEBIAN]
SETTINGS = {"both": (True, True), "sender": (True, False), "receiver": (False, True), "none": (False, False)}    # who has Sotto

# The same file on all hosts that have Sotto, whatever their mail server. Not the defaults: those would also count where it is not read.
CONF = "[sotto]\nmode = opportunistic\nstarttls = skip\npin = enforce\npadding = on\n"


class Cell(NamedTuple):
    """One of the 144. origin, target: (kind, release)."""
    origin: tuple
    target: tuple
    setting: str

    def __str__(self):
        return f"{'-'.join(self.origin)}-to-{'-'.join(self.target)}-{self.setting}"


CELLS = [Cell(origin, target, setting) for origin in SERVERS for target in SERVERS for setting in SETTINGS]


def host_of(role, server, sotto):
    """The name by which the lab knows the host that plays this part."""
    return f"{role}-{server[0]}-{server[1]}-{'with' if sotto else 'without'}"


def hosts_of(cell):
    """[(role, server, Sotto?)]: a server of one kind writes to another host of the same kind, too."""
    return [(role, server, sotto) for role, server, sotto in zip(("from", "to"), (cell.origin, cell.target), SETTINGS[cell.setting])]


def open_lab(say):
    """A lab beside others of this process's."""
    return Lab(say, RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-matrix-{os.getpid()}")


def start(lab, cells, sealing=True):
    """Makes and starts all hosts that these take."""
    wanted = sorted({host for cell in cells for host in hosts_of(cell)})
    lab.prepare(*{server for _, server, _ in wanted})
    for role, server, sotto in wanted:
        made = lab.mail_host(*server, host_of(role, server, sotto), ["anna" if role == "from" else "bert"])
        made.sotto = sotto and sealing
        if made.sotto:
            made.install_sotto()
            made.host.write("/etc/sotto/sotto.conf", CONF)
            made.configure()
    lab.start_all()


def offers(wire, target):
    """Whether this server offered XSOTTO to anybody."""
    return any(re.search(rb"\r\n250[- ]XSOTTO 1", wire.octets(stream)) for stream in wire.from_port(25, target.host.v4))


def keep(lab, cell, sealing=True):
    """One message: it arrives as it was sent, sealed where both have Sotto, and otherwise as ever."""
    origin, target = (lab.servers[host_of(*host)] for host in hosts_of(cell))
    message = Message(f"anna@{origin.domain}", f"bert@{target.domain}")
    with Watch(lab, str(cell), sealing) as watch:
        origin.submit(message)
        delivered = target.await_token("bert", message)
        wrong = difference(delivered, message)
        assert not wrong, wrong
        origin.await_empty_queue()
        if cell.setting == "both":
            watch.traced(delivered, watch.sealed(origin, target, message), target)
        else:
            watch.clear(origin, target, message)
            assert b"sealed v=" not in delivered, "the message calls itself sealed"
        assert offers(watch.wire, target) == (sealing and SETTINGS[cell.setting][1]), "the receiver's offer is not what it should be"
        complaints = [line for server in (origin, target) for line in server.sotto_log()[watch.marks[server][1]:] if "sotto.conf" in line]
        assert not complaints, complaints[0]
        recording = watch.wire.path
    recording.unlink()      # of what is wrong it stays


# ---- for a person ----

MARKS = {"both": ("S", "green"), "sender": ("+", "dim"), "receiver": ("+", "dim"), "none": ("+", "dim")}
LEFT, WIDTH = 24, 11


def show(wrong):
    """The table: rows send, columns receive."""
    print()
    print(colour("  Every mail server with every other: rows send, columns receive", "bold"))
    print()
    print("  Four marks a pair: Sotto on both, on the sender only, on the receiver only, on neither.")
    print("  S  arrived octet for octet; nothing of it can be read on the wire, and both ends call the session sealed")
    print("  +  arrived octet for octet, in the clear, as without Sotto (STARTTLS is off throughout)")
    print(f"  {colour('!', 'red', 'bold')}  not so; see below")
    print()
    for words in ([NAMES[kind] for kind, _ in SERVERS], [DEBIAN[release] for _, release in SERVERS]):
        print(" " * LEFT + "".join(word.ljust(WIDTH) for word in words).rstrip())
    for origin in SERVERS:
        cells = []
        for target in SERVERS:
            marks = [("!", "red") if Cell(origin, target, setting) in wrong else MARKS[setting] for setting in SETTINGS]
            cells.append(" ".join(colour(*mark) for mark in marks) + " " * (WIDTH - 2 * len(marks) + 1))
        print(f"  {NAMES[origin[0]] + ', ' + DEBIAN[origin[1]]:<{LEFT - 2}}" + "".join(cells).rstrip())
    print()
    for cell, why in wrong.items():
        print(colour(f"  ! {cell}: {why}", "red"))


def stage(status):
    began, wrong = time.monotonic(), {}
    if not (STAGED / "usr/libexec/sotto/sotto-session").exists():
        raise Missing("Sotto is not built yet: run `make matrix`, which builds it and then calls this.")
    with open_lab(status) as lab:
        status("starting 24 mail hosts")
        start(lab, CELLS)
        for number, cell in enumerate(CELLS, 1):
            status(f"{number} of {len(CELLS)}: {cell}")
            try:
                keep(lab, cell)
            except (AssertionError, Failed) as why:
                wrong[cell] = why
        status.clear()
        show(wrong)
        print(f"  Recordings of what went wrong, and logs: {lab.folder}" if wrong else "  One and the same sotto.conf on all hosts with Sotto.")
    kept = len(CELLS) - len(wrong)
    print(colour(f"  {kept} of {len(CELLS)} kept, in {time.monotonic() - began:.0f} s.", *(("red",) if wrong else ("green",)), "bold"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(columns.play(stage, "The matrix could not be gone through to its end"))
