# SPDX-License-Identifier: ISC
"""
make demo: two real mail servers, a wiretap on the line between them, the same two letters with and without Sotto.

Everything that is shown as read by the wiretap comes out of tcpdump's recording (tap.py), nothing out of what this program
knows. It ends with 0 only if every promise that it lists at the end was kept.
"""

import re
import sys
import time

from . import columns, wait
from .columns import colour, row, rows, rule
from .lab import Lab
from .message import Message, difference
from .paths import STAGED, Failed, Missing
from .tap import learn

DEBIAN = {"bookworm": "Debian 12", "trixie": "Debian 13"}
ANNA = """Dear Bert,

the greenhouse is ours from Thursday.
The key lies under the blue flower pot.
Tell nobody that I wrote to you.

Anna
"""
BERT = """Dear Anna,

I shall take the last ferry and walk.
Do not wait for me with supper.
.. and no, my brother knows nothing.

Bert
"""


class Half:
    """One half of the show: both letters, what arrived, what the tap recorded."""

    def __init__(self, lab, name, letters, status):
        self.faults, self.learnt = [], []
        recording = lab.record(name)
        for origin, target, letter in letters:
            status(f"{name}: a letter from {letter.sender} to {letter.recipients[0]}")
            origin.submit(letter)
            wrong = difference(target.await_token(letter.recipients[0].partition("@")[0], letter), letter)
            if wrong:
                self.faults.append(f"{letter.sender}'s letter: {wrong}")
            origin.await_empty_queue()
        self.wire = recording.stop()
        for origin, target, letter in letters:
            streams = self.wire.to_port(25, origin.host.v4, target.host.v4)
            if len(streams) != 1:
                raise Failed(f"{len(streams)} connections from {origin.name} to {target.name} were recorded instead of one")
            self.learnt.append(learn(self.wire, streams[0]))
        secrets = {secret for _, _, letter in letters for secret in letter.secrets}
        self.secrets = len(secrets)
        self.read = self.wire.find(*secrets)


def introduce(a, b):
    left, right = (f"{server.name}  {DEBIAN[server.release]}, Exim {server.version}" for server in (a, b))
    print()
    print(colour("  Sotto: what a wiretap reads of the mail between two servers", "bold"))
    print()
    print(f"  {left}  ──────┬──────  {right}")
    print(" " * (len(left) + 9) + "╰ tcpdump records every packet")
    print()
    print("  Two letters go over this line, Anna's to Bert and Bert's answer; then the same two again, with")
    print("  Sotto switched on on both hosts: one line in /etc/exim4/exim4.conf.localmacros. The mail servers")
    print("  are Debian's own, in stock configuration. Only STARTTLS is off throughout (tls_advertise_hosts =),")
    print("  so that whatever is sealed here was sealed by Sotto.")
    print()


def _hex(octets):
    return " ".join(f"{octet:02x}" for octet in octets)


def _printable(line):
    return all(32 <= octet < 127 or octet == 9 or octet >= 0xC2 for octet in line)


def _lines_of(octets, arrow):
    """One turn for a person: text as text, everything else in hex."""
    out, rest = [], octets
    while rest:
        line, end, after = rest.partition(b"\r\n")
        if not (end and _printable(line)):
            break
        out.append((f"{arrow} {line.decode(errors='replace').expandtabs(2)}", *(("cyan",) if line[:6] == b"XSOTTO" or b"XSOTTO" in line[:11] else ())))
        rest = after
    if rest:
        shown = (columns.COLUMN - 2) // 3
        out.append((f"{arrow} {_hex(rest[:shown])}", "green"))
        if len(rest) > shown:
            out.append((f"  … {len(rest):,} octets like these", "green"))
    return out


def _short(cells, most):
    """A long turn, its middle left out."""
    if len(cells) <= most:
        return cells
    head = most - 2
    return cells[:head] + [(f"  … {len(cells) - head - 1} more lines", "dim"), cells[-1]]


def conversation(learnt):
    cells = []
    for from_client, octets in learnt.turns:
        turn = _lines_of(octets, ">" if from_client else "<")
        keyword = [cell for cell in turn if "XSOTTO" in cell[0]]
        shown = _short(turn, 12 if from_client else 3)
        if keyword and keyword[0] not in shown:
            shown.insert(1, keyword[0])
        cells += shown
    return cells


def _cell(label, value):
    return (f"{label:10}{value}", "red") if value else (f"{label:10}cannot be read", "green")


def summary(learnt):
    """What one connection told, as cells."""
    cells = [f"{'hosts':10}{learnt.hosts}", _cell("from", learnt.sender), _cell("to", learnt.recipient), _cell("subject", learnt.subject)]
    text = [line for line in learnt.letter if line]
    if text:
        cells += [(f"{'letter' if n == 0 else '':10}{line}", "red") for n, line in enumerate(text[:3])]
    else:
        cells.append(_cell("letter", None))
    there, back = (f"{octets:,}" for octets in learnt.octets)
    cells.append(f"{'octets':10}{there} sent, {back} back")
    if any(learnt.records):
        cells.append(f"{'records':10}{learnt.records[0]} sent, {learnt.records[1]} back")
    return cells


def show(plain, sealed):
    rule("without Sotto", "with Sotto")
    row(("the line as recorded ( > client  < server )", "dim"), ("the line as recorded", "dim"))
    rows(conversation(plain.learnt[0]), conversation(sealed.learnt[0]))
    for n, title in enumerate(("what the tap learnt of the first connection", "what it learnt of the second")):
        rule(join="┼")
        row((title, "bold"), "")
        rows(summary(plain.learnt[n]), summary(sealed.learnt[n]))
    rule(join="┴")
    print()


def session_ids(server, role):
    return [match.group(1) for line in server.sotto_log() if f" {role} " in line
            for match in [re.search(r"outcome=sealed\b.*\bid=([0-9a-f]{16})", line)] if match]


def _traced(server, user, ids):
    """Does the newest letter's Received header name one of the sessions?"""
    found = re.search(rb"sealed v=1 id=([0-9a-f]{16})", server.delivered(user)[-1])
    return bool(found) and found.group(1).decode() in ids


def promises(a, b, plain, sealed):
    """[(kept?, text)]"""
    faults = plain.faults + sealed.faults
    out = [(not faults, "all four letters arrived octet for octet" + "".join(f"; {fault}" for fault in faults)),
           (len(plain.read) == plain.secrets, f"without Sotto the tap reads {len(plain.read)} of {plain.secrets} things written "
                                              "in them: addresses, subjects, message ids, lines (so the tap works)"),
           (not sealed.read, f"with Sotto it reads {len(sealed.read)} of {sealed.secrets}"
                             + "".join(f"; {secret!r}" for secret in sealed.read[:3]))]
    for origin, target, user in ((a, b, "bert"), (b, a, "anna")):
        sent, taken = session_ids(origin, "connect"), session_ids(target, "accept")
        same = sorted(set(sent) & set(taken))
        out.append((len(same) == 1, f"{origin.name} and {target.name} both log the session as sealed: "
                                    + (f"id {same[0]}" if same else f"ids {sent or 'none'} and {taken or 'none'}")))
        out.append((_traced(target, user, same), f"so does the Received header that {user.title()} finds above the letter"))
    return out


def verdict(kept, lab, seconds):
    for good, text in kept:
        mark = colour("✓", "green", "bold") if good else colour("✗", "red", "bold")
        print(f"  {mark} {text}")
    print()
    print(f"  Recordings and logs: {lab.folder}")
    broken = sum(not good for good, _ in kept)
    if broken:
        print(colour(f"  FAILED: {broken} of {len(kept)} promises not kept (marked ✗ above).", "red", "bold"))
        return 1
    print(colour(f"  All {len(kept)} promises kept, in {seconds:.0f} s.", "green", "bold"))
    return 0


def stage(status):
    """The whole play, in a lab of its own; returns the exit status."""
    began = time.monotonic()
    if not (STAGED / "usr/lib/sotto/exim-sotto.so").exists():
        raise Missing("Sotto is not built yet: run `make demo`, which builds it and then calls this.")
    with Lab(status) as lab:
        lab.prepare(("exim", "bookworm"), ("exim", "trixie"))
        status("starting two mail hosts")
        a = lab.mail_host("exim", "bookworm", "a", ["anna"])
        b = lab.mail_host("exim", "trixie", "b", ["bert"])
        lab.start_all()
        letters = [(a, b, Message("anna@a.example", "bert@b.example", "The greenhouse, Thursday", ANNA)),
                   (b, a, Message("bert@b.example", "anna@a.example", "Re: The greenhouse, Thursday", BERT))]
        plain = Half(lab, "without-sotto", letters, status)
        for server in (a, b):
            status(f"switching Sotto on, on {server.name}")
            server.empty()
            server.install_sotto()
            server.enable_sotto()
        sealed = Half(lab, "with-sotto", letters, status)
        for server, role in ((a, "connect"), (b, "accept"), (b, "connect"), (a, "accept")):
            try:
                server.await_sotto(f" {role} ", seconds=5)
            except wait.TimedOut:
                pass    # the promise about the logs says so
        status.clear()
        introduce(a, b)
        show(plain, sealed)
        return verdict(promises(a, b, plain, sealed), lab, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(columns.play(stage, "The demo could not be played to its end"))
