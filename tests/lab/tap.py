# SPDX-License-Identifier: ISC
"""What somebody learns who records the wire: read from a recording alone, with nothing else known."""

import re
from dataclasses import dataclass, field

HELLO = {"client": 1216, "server": 1136}    # PROTOCOL.md 4


@dataclass
class Learnt:
    """What one SMTP connection gives away. None: nothing to be found."""
    hosts: str
    sender: str = None
    recipient: str = None
    subject: str = None
    letter: list = field(default_factory=list)
    octets: tuple = (0, 0)
    records: tuple = (0, 0)
    turns: list = field(default_factory=list)


def turns(wire, stream):
    """The conversation in the order in which it was recorded: [(from the client?, octets)], neighbours joined."""
    both = []
    back = wire.reverse(stream)
    for side, one in ((True, stream), (False, back)):
        both += [(one.times[offset], side, offset) for offset in one.parts]
    out, done = [], {True: 0, False: 0}
    for _, side, offset in sorted(both):
        data = wire.octets(stream if side else back)
        end = offset + len((stream if side else back).parts[offset])
        piece = data[done[side]:end]
        done[side] = max(done[side], end)
        if piece and out and out[-1][0] == side:
            out[-1] = (side, out[-1][1] + piece)
        elif piece:
            out.append((side, piece))
    return out


def records(octets):
    """The lengths of the sealed records that these octets are (PROTOCOL.md 5): the only structure that can be seen."""
    lengths, at = [], 0
    while at + 2 <= len(octets):
        lengths.append(int.from_bytes(octets[at:at + 2], "big"))
        at += 2 + lengths[-1]
    return lengths if at == len(octets) else []


def _sealed_part(octets, line, hello):
    found = re.search(line, octets, re.M)
    return octets[found.end() + hello:] if found else b""


def _match(pattern, octets):
    found = re.search(pattern, octets, re.I | re.M)
    return found.group(1).decode(errors="replace").strip() if found else None


def learn(wire, stream):
    """All that a tap can tell about the connection that `stream` is the client's half of."""
    sent, said = wire.octets(stream), wire.octets(wire.reverse(stream))
    names = (_match(rb"^EHLO (\S+)\r$", sent), _match(rb"^220[ -](\S+)", said))
    hosts = f"{names[0] or stream.source[0]} → {names[1] or stream.target[0]}"
    body = re.search(rb"\r\nSubject: .*?\r\n\r\n(.*?)(\r\n\.\r\n|QUIT\r\n|$)", sent, re.S)
    return Learnt(hosts, _match(rb"^MAIL FROM:<([^>]*)>", sent), _match(rb"^RCPT TO:<([^>]*)>", sent), _match(rb"^Subject: (.*)\r$", sent),
                  body.group(1).decode(errors="replace").splitlines() if body else [], (len(sent), len(said)),
                  (len(records(_sealed_part(sent, rb"^XSOTTO 1 \d+\r\n", HELLO["client"]))),
                   len(records(_sealed_part(said, rb"^250 [^\r\n]*\r\n220 [^\r\n]*\r\n", HELLO["server"])))), turns(wire, stream))
