# SPDX-License-Identifier: ISC
"""Reading what tcpdump recorded: the packets as they were, and the TCP streams put together again. No other library."""

import base64
import ipaddress
import re
import struct
from dataclasses import dataclass, field


@dataclass(eq=False)
class Stream:
    """One direction of one TCP connection."""
    source: tuple       # (address, port)
    target: tuple
    when: float         # of its first packet
    first: int = 0      # sequence number of the first octet
    parts: dict = field(default_factory=dict)   # offset in the stream: octets
    times: dict = field(default_factory=dict)   # offset: when it was recorded

    def octets(self):
        """All of the stream, retransmissions once; a gap is left out (and the string around it then is not found whole)."""
        out = bytearray()
        for offset in sorted(self.parts):
            part = self.parts[offset]
            if offset + len(part) > len(out):
                out += part[max(0, len(out) - offset):]
        return bytes(out)


def packets(raw):
    """(time, frame) of each packet of a pcap file."""
    order = {b"\xd4\xc3\xb2\xa1": ("<", 1e6), b"\xa1\xb2\xc3\xd4": (">", 1e6), b"\x4d\x3c\xb2\xa1": ("<", 1e9)}.get(raw[:4])
    if order is None:
        raise ValueError("this is no pcap file")
    end, unit = order
    at = 24
    while at + 16 <= len(raw):
        seconds, fraction, length, _ = struct.unpack_from(end + "IIII", raw, at)
        yield seconds + fraction / unit, raw[at + 16:at + 16 + length]
        at += 16 + length


def _ip(frame):
    """(source, target, protocol, payload) of an Ethernet frame with IP in it, or None."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        header, total = (frame[14] & 15) * 4, int.from_bytes(frame[16:18], "big")
        payload = frame[14 + header:14 + total] if total else frame[14 + header:]
        return ipaddress.IPv4Address(frame[26:30]), ipaddress.IPv4Address(frame[30:34]), frame[23], payload
    if kind == b"\x86\xdd":
        total = int.from_bytes(frame[18:20], "big")
        payload = frame[54:54 + total] if total else frame[54:]
        return ipaddress.IPv6Address(frame[22:38]), ipaddress.IPv6Address(frame[38:54]), frame[20], payload
    return None


class Wire:
    """A recording: .raw (the file), .streams (TCP, by the order in which they began)."""

    def __init__(self, path):
        self.path = path
        self.raw = path.read_bytes()
        self.streams = []
        self.packets = 0
        open_ones = {}
        for when, frame in packets(self.raw):
            ip = _ip(frame)
            if ip is None or ip[2] != 6 or len(ip[3]) < 20:
                continue
            self.packets += 1
            self._segment(open_ones, when, str(ip[0]), str(ip[1]), ip[3])
        self._octets = {}

    def _segment(self, open_ones, when, source, target, tcp):
        ports = struct.unpack_from(">HH", tcp)
        sequence, flags = struct.unpack_from(">I", tcp, 4)[0], tcp[13]
        key = (source, ports[0], target, ports[1])
        stream = open_ones.get(key)
        if stream is None or (flags & 2 and (sequence + 1) % (1 << 32) != stream.first):
            stream = Stream((source, ports[0]), (target, ports[1]), when, (sequence + (1 if flags & 2 else 0)) % (1 << 32))
            open_ones[key] = stream
            self.streams.append(stream)
        payload = tcp[(tcp[12] >> 4) * 4:]
        if payload:
            offset = (sequence - stream.first) % (1 << 32)
            if offset < 1 << 31 and len(stream.parts.get(offset, b"")) < len(payload):
                stream.parts[offset] = payload
                stream.times.setdefault(offset, when)

    def octets(self, stream):
        if id(stream) not in self._octets:
            self._octets[id(stream)] = stream.octets()
        return self._octets[id(stream)]

    def to_port(self, port, source=None, target=None):
        """The streams from clients to servers on that port."""
        return [s for s in self.streams if s.target[1] == port and source in (None, s.source[0]) and target in (None, s.target[0])]

    def from_port(self, port, source=None, target=None):
        """The streams from servers on that port to clients."""
        return [s for s in self.streams if s.source[1] == port and source in (None, s.source[0]) and target in (None, s.target[0])]

    def between(self, one, other):
        """The streams between these two addresses, both ways."""
        return [s for s in self.streams if {s.source[0], s.target[0]} == {one, other}]

    def reverse(self, stream):
        """The other direction of the same connection."""
        ends = [s for s in self.streams if s.source == stream.target and s.target == stream.source]
        return min(ends, key=lambda s: abs(s.when - stream.when))

    def find(self, *wanted, streams=None):
        """
        Which of these texts can be read on the wire: in the recording as it is or in a stream (or in the given streams
        only), in any case, plain or in base64.
        """
        exact = [self.octets(s) for s in self.streams if streams is None or s in streams]
        if streams is None:
            exact.append(self.raw)
        heaps = [heap.lower() for heap in exact]
        found = []
        for text in wanted:
            octets = text if isinstance(text, bytes) else text.encode()
            plain = octets.lower()
            if any(plain in heap for heap in heaps) or any(form in heap for form in _base64(octets) for heap in exact):
                found.append(text)
        return found

    def readable(self, least=12):
        """Every run of printable ASCII of at least that many octets in the streams: what strings(1) would show."""
        pattern = re.compile(rb"[\x20-\x7e\t\r\n]{%d,}" % least)
        return [(s, run) for s in self.streams for run in pattern.findall(self.octets(s))]


def _base64(octets):
    """What is sure to be seen of these octets wherever they stand in a longer text in base64 (three ways to fall)."""
    if len(octets) < 9:
        return []
    return [base64.b64encode(octets[skip:skip + (len(octets) - skip) // 3 * 3]) for skip in range(3)]
