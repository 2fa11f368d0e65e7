# SPDX-License-Identifier: ISC
"""What a test looks at beside what arrived: the wire while it ran, and what both sides' logs say of it."""

import re
import struct

OUTCOME = re.compile(r"sotto-session\[\d+\]: (?P<role>connect|accept) peer=(?P<peer>\S*) outcome=(?P<outcome>\w+)(?P<rest>.*)")


class Session:
    """One of Sotto's log lines."""

    def __init__(self, line):
        self.line = line
        found = OUTCOME.search(line)
        self.role, self.peer, self.outcome = found["role"], found["peer"], found["outcome"]
        identity = re.search(r"\bid=([0-9a-f]{16})\b", found["rest"])
        self.id = identity.group(1) if identity else None


def sessions(lines):
    return [Session(line) for line in lines if OUTCOME.search(line)]


class Watch:
    """
    with Watch(lab, "name", sealing) as watch: … send, await … watch.sealed(origin, target, message)
    sealing is False where the tests run without Sotto, as a control: there, everything that should have been hidden has to
    be found, so that a test that could not see it does not pass for one that saw nothing.
    """

    def __init__(self, lab, name, sealing):
        self.lab, self.sealing = lab, sealing
        self._recording = lab.record(re.sub(r"\W+", "-", name))
        self._wire = None
        self.marks = {server: (len(server.log()), len(server.sotto_log())) for server in lab.servers.values()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._wire is None:
            self._recording.kill()

    @property
    def wire(self):
        """What was recorded; ends the recording."""
        if self._wire is None:
            self._wire = self._recording.stop()
        return self._wire

    def log(self, server):
        """The lines of the mail server's own log since the watch began."""
        return server.log()[self.marks[server][0]:]

    def await_log(self, server, pattern, count=1):
        return server.await_log(pattern, self.marks[server][0], count=count)

    def said(self, server, role, peer=None, outcome=None):
        """What Sotto logged on the server since the watch began."""
        return [one for one in sessions(server.sotto_log()[self.marks[server][1]:])
                if one.role == role and outcome in (None, one.outcome) and (peer is None or f"[{peer.v4}]" in one.peer or f"[{peer.v6}]" in one.peer)]

    def await_said(self, server, role, outcome, count=1):
        server.await_sotto(f"{role} .*outcome={outcome}", self.marks[server][1], count=count)

    def _streams(self, origin, target):
        a, b = origin.host, target.host
        return self.wire.between(a.v4, b.v4) + self.wire.between(a.v6, b.v6)

    def sealed(self, origin, target, *messages, count=1, also=(), only=False):
        """
        All `count` sessions from origin to target were sealed: both logs say so and agree on the ids, every connection on
        the wire is an XSOTTO one, and nothing of the messages (nor of `also`) can be read. only: look at nothing but the
        connections between these two (somebody else spoke in the clear). Returns the ids.
        """
        secrets = [secret for message in messages for secret in message.secrets] + list(also)
        if not self.sealing:
            self.clear(origin, target, *messages)
            return []
        self.await_said(origin, "connect", "sealed", count)
        self.await_said(target, "accept", "sealed", count)
        streams = self._streams(origin, target)
        probes = [s for s in streams if origin.probes and is_probe(self.wire, s)]
        out, into = self.said(origin, "connect", target.host), without_probes(self.said(target, "accept", origin.host), len(probes))
        assert [one.outcome for one in out + into] == ["sealed"] * (2 * count), [one.line for one in out + into]
        ids = sorted(one.id for one in out)
        assert None not in ids and len(set(ids)) == count and ids == sorted(one.id for one in into), [one.line for one in out + into]
        read = self.wire.find(*secrets, streams=streams if only else None)
        assert not read, f"can be read on the wire ({self.wire.path}): {read[:5]}"
        connections = [s for s in streams if s.target[1] == 25 and s.source[0] in (origin.host.v4, origin.host.v6) and s not in probes]
        assert len(connections) == count, f"{len(connections)} connections on the wire ({self.wire.path})"
        for connection in connections:
            assert_sealed(self.wire, connection)
        return ids

    def clear(self, origin, target, *messages):
        """Everything went as it would have gone without Sotto: it can all be read on the wire."""
        streams = self._streams(origin, target)
        assert [s for s in streams if s.target[1] == 25], f"no connection between {origin.name} and {target.name} was recorded"
        for message in messages:
            wanted = [secret for secret in message.secrets if secret not in message.recipients[1:] and secret not in ("Subject: ",)]
            missing = set(wanted) - set(self.wire.find(*wanted, streams=streams))
            assert not missing, f"not on the wire ({self.wire.path}), and so nothing was watched: {sorted(map(str, missing))[:5]}"
            assert b"\r\nXSOTTO " not in b"".join(self.wire.octets(s) for s in streams if s.target[1] == 25)

    def traced(self, delivered, ids, target=None):
        """The topmost Received header of what arrived, or one right above it, says how it came."""
        if not self.sealing:
            return
        if target is not None and not target.traces:
            assert b"X-Sotto" not in delivered
            return
        top = re.match(rb"((?:(?!Received:)[^\n]*\n)*Received:(?:[^\n]*\n)(?:[ \t][^\n]*\n)*)", delivered).group(1)
        found = re.search(rb"sealed v=1 id=([0-9a-f]{16})", top)
        assert found and found.group(1).decode() in ids, f"no trace of {ids} in {top.decode()!r}"


def is_probe(wire, client):
    """One connection that asked what the other server offers, and nothing else."""
    return client.target[1] == 25 and re.fullmatch(rb"EHLO [^\r\n]+\r\nQUIT\r\n", wire.octets(client)) is not None


def without_probes(said, count):
    """What a server said of its sessions, without at most so many in which nothing was asked but what it offers."""
    left = []
    for one in said:
        if count and one.outcome == "clear" and "not taken" in one.line:
            count -= 1
        else:
            left.append(one)
    return left


def assert_sealed(wire, client):
    """
    One connection, seen from outside: banner, EHLO, reply, XSOTTO with 1216 octets, 220 with 1136, and records to the end
    in both directions (PROTOCOL.md 3 to 5).
    """
    sent, said = wire.octets(client), wire.octets(wire.reverse(client))
    command = re.match(rb"EHLO [^\r\n]+\r\nXSOTTO 1 1216\r\n", sent, re.I)
    assert command, f"{client.source} did not go on with XSOTTO: {sent[:120]!r}"
    reply = re.match(rb"(?:220-[^\r\n]*\r\n)*220[^\r\n]*\r\n(?:250-[^\r\n]*\r\n)*250 [^\r\n]*\r\n220 [^\r\n]*\r\n", said)
    assert reply, f"{client.target} did not answer as PROTOCOL.md 3 says: {said[:400]!r}"
    for name, rest in (("client", sent[command.end() + 1216:]), ("server", said[reply.end() + 1136:])):
        at = 0
        while at < len(rest):
            assert at + 2 <= len(rest), f"a record of the {name} ends in its length"
            length = struct.unpack_from(">H", rest, at)[0]
            assert 17 <= length <= 16400, f"a record of {length} octets from the {name}"
            at += 2 + length
        assert at == len(rest), f"the last record of the {name} was cut off"
