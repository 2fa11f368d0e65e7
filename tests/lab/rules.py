# SPDX-License-Identifier: ISC
"""What the relay in the middle (middle.py) is told to do: at which place of a connection, and what. Knows no socket."""

import re
import struct

CLIENT, SERVER = "client", "server"                     # who sent the octets
RESET, END, STALL, FLIP = "reset", "end", "stall", "flip"
HELLO = {CLIENT: re.compile(rb"^XSOTTO 1 \d+\r\n", re.M), SERVER: re.compile(rb"^250 [^\r\n]*\r\n220 [^\r\n]*\r\n", re.M)}
HELLO_OCTETS = {CLIENT: 1216, SERVER: 1136}             # PROTOCOL.md 4
HEAD = 1 << 16                                          # the exchange is over by then


def octet(n):
    """A place: behind the first n octets."""
    return lambda track: n


def behind(marker):
    """A place: behind these octets (in what is in the clear, and within the first 64 KiB)."""
    def place(track):
        at = track.head.find(marker)
        return at + len(marker) if at >= 0 else None
    return place


def hello(n=0):
    """A place: behind the first n octets of the hello."""
    return lambda track: track.hello + n if track.hello is not None else None


def record(k, n=2):
    """A place: behind the first n octets, the two of its length included, of the k-th sealed record (from 1)."""
    return lambda track: track.records[k - 1] + n if len(track.records) >= k else None


class Track:
    """What has been seen of one direction of a connection."""

    def __init__(self, side):
        self.seen, self.head, self.hello, self.records = 0, bytearray(), None, []
        self._side, self._next, self._last = side, None, b""

    def add(self, octets):
        if len(self.head) < HEAD:
            self.head += octets
            self._find_hello()
        recent, base = self._last + octets, self.seen - len(self._last)
        self.seen += len(octets)
        while self._next is not None and self._next < self.seen:
            if not self.records or self.records[-1] != self._next:
                self.records.append(self._next)
            at = self._next - base
            if at + 2 > len(recent):
                break
            self._next += 2 + struct.unpack_from(">H", recent, at)[0]
        self._last = recent[-1:]

    def _find_hello(self):
        found = self.hello is None and HELLO[self._side].search(self.head)
        if found:
            self.hello = found.end()
            self._next = self.hello + HELLO_OCTETS[self._side]


class Rule:
    """
    What to do (RESET or END the connection both ways, STALL, or FLIP one bit), and at which place of which side's octets; all
    before the place goes through. stalls: the sides that stall (the one with the place, unless said). connections: which of them, counted
    from 0 since the rules are in force (all, unless said).
    """

    def __init__(self, what, side, place, connections=None, stalls=None, bit=0):
        self.what, self.side, self.place, self.connections = what, side, place, connections
        self.stalls = stalls or (side,)
        self.bit = bit


class Lines:
    """
    Gives each line, with its end, of the beginning of one side to function(line), which returns what goes on in its place (b"": nothing).
    The client's beginning is its first two commands, the server's goes to the line behind the EHLO reply.
    """

    def __init__(self, side, function, connections=None):
        self.side, self.function, self.connections = side, function, connections


def strip_keyword(connections=None):
    """The keyword is no longer in the EHLO reply."""
    return Lines(SERVER, lambda line: b"" if re.match(rb"250[- ]XSOTTO", line) else line, connections)


def alter(side, old, new, connections=None):
    """In each line of the beginning, old becomes new."""
    return Lines(side, lambda line: line.replace(old, new), connections)
