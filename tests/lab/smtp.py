# SPDX-License-Identifier: ISC
"""A client as bare as telnet: sends the octets that it is told to, reads replies, knows nothing else."""

import contextlib
import socket


class Bare:
    """with Bare(from_host, to_host) as client: client.reply(); client.say("EHLO x") …"""

    def __init__(self, host, target, port=25, family=socket.AF_INET, seconds=30, sock=None):
        """sock: a connection that is there already, instead of one from host to target."""
        self.sock = sock or host.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(seconds)
        if sock is None:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.connect((target.v4 if family == socket.AF_INET else target.v6, port))
        self._in = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._in.close()
        self.sock.close()

    def send(self, octets):
        self.sock.sendall(octets)

    def reply(self):
        """One whole reply, its lines without their ends; empty at the end of the stream."""
        lines = []
        while True:
            line = self._in.readline(4096)
            if not line:
                return lines
            lines.append(line.rstrip(b"\r\n").decode(errors="replace"))
            if line[3:4] != b"-":
                return lines

    def octets(self, n):
        """The next n octets, fewer at the end of the stream."""
        return self._in.read(n)

    def some(self):
        """What is there, or comes next; nothing at the end of the stream. Also what came together with the last reply."""
        return self._in.read1(65536)

    def say(self, line):
        """Sends a line, returns the reply to it."""
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def ask(self, line, code):
        """The same, and the reply must begin with that code."""
        got = self.say(line)
        assert got and got[-1].startswith(str(code)), f"{line} was answered with {got}"
        return got

    def closed(self):
        """True when the other side has closed and nothing more comes."""
        return self._in.read(1) == b""


def offers(host, target, port=25):
    """What the target's reply to EHLO offers a client on that host."""
    with Bare(host, target, port) as client:
        client.reply()
        return client.ask("EHLO mx.p.example", 250)


@contextlib.contextmanager
def local_client(server):
    """A client on the mail server's own host, which may relay, greeted."""
    def connect():
        return socket.create_connection(("127.0.0.1", 25), 30)
    with Bare(server.host, None, sock=server.host.in_network(connect)) as client:
        client.reply()
        client.ask(f"EHLO {server.name}", 250)
        yield client
