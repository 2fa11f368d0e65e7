# SPDX-License-Identifier: ISC
"""
A mail server of the lab that misbehaves by script: a host of its own, mx.peer.example, and what it says on each connection. It knows
SMTP well enough to take a message in the clear, and of XSOTTO the shape of the exchange (PROTOCOL.md 3, 4) but no cryptography.

    with peer.serving(begin(say(b"454 4.7.0 XSOTTO not now\r\n")), clear) as served: … served.await_token(message)

The n-th connection is served by the n-th script, all that come later by the last one.
"""

import contextlib
import os
import socket
import struct
import threading
import time

from .host import Host

NAME, DOMAIN = "mx.peer.example", "peer.example"
BANNER = f"220 {NAME} ESMTP peer\r\n".encode()
EHLO = f"250-{NAME} greets you\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n".encode()
OFFER, NO_OFFER = EHLO + b"250 XSOTTO 1\r\n", EHLO + b"250 HELP\r\n"
CLIENT_HELLO, SERVER_HELLO = 1216, 1136
# Any client would take this for a server hello until it looks at the confirmation, and any server this for a client's.
WRONG_TAG = os.urandom(1088) + b"\x09" + bytes(31) + os.urandom(16)
EMPTY_KEYS = bytes(1184) + b"\x09" + bytes(31)


class Gone(Exception):
    """The other side has closed or reset the connection, or the test is over."""


class Talk:
    """One connection, seen from the script."""

    def __init__(self, sock, served):
        self.sock, self.served = sock, served
        self._in = sock.makefile("rb")

    def send(self, octets):
        try:
            self.sock.sendall(octets)
        except OSError as why:
            raise Gone from why

    def drip(self, octets, seconds, step=1):
        """A few octets at a time, with a pause behind each."""
        for at in range(0, len(octets), step):
            self.send(octets[at:at + step])
            time.sleep(seconds)

    def line(self):
        try:
            line = self._in.readline(8192)
        except OSError as why:
            raise Gone from why
        if not line:
            raise Gone
        self.served.lines.append(line)
        return line

    def octets(self, n):
        try:
            got = self._in.read(n)
        except OSError as why:
            raise Gone from why
        if len(got) < n:
            raise Gone
        return got

    def hush(self):
        """Says nothing until the other side is gone."""
        while True:
            self.octets(1)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def end(self):
        self._in.close()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)
        self.sock.close()


def answer(talk, line):
    """One command in the clear. False: it was the last one."""
    verb = line[:4].upper()
    if verb == b"QUIT":
        talk.send(b"221 Bye\r\n")
        return False
    if verb in (b"EHLO", b"HELO"):
        talk.send(NO_OFFER if verb == b"EHLO" else f"250 {NAME}\r\n".encode())
    elif verb == b"DATA":
        talk.send(b"354 Go on\r\n")
        message = b""
        while not message.endswith(b"\r\n.\r\n"):
            message += talk.line()
        talk.served.take(message)
        talk.send(b"250 OK taken\r\n")
    else:
        talk.send(b"250 OK\r\n" if verb in (b"MAIL", b"RCPT", b"RSET", b"NOOP") else b"500 What?\r\n")
    return True


def go_on(talk):
    """The rest of a session in the clear."""
    while answer(talk, talk.line()):
        pass


def clear(talk):
    """The whole of a session in the clear, by a server that never heard of XSOTTO."""
    talk.send(BANNER)
    go_on(talk)


def clear_offering(talk):
    """The same by one that offers it; a client that has had a failure does not take it up."""
    talk.send(BANNER)
    talk.line()
    talk.send(OFFER)
    go_on(talk)


def begin(*steps):
    """Offers XSOTTO, reads command and hello, and then does what each of the steps says."""
    def script(talk):
        talk.send(BANNER)
        talk.line()
        talk.send(OFFER)
        line = talk.line()
        if not line.upper().startswith(b"XSOTTO 1 1216"):
            talk.served.untried += 1
            if answer(talk, line):
                go_on(talk)
            return
        talk.octets(CLIENT_HELLO)
        talk.served.tried += 1
        for step in steps:
            step(talk)
    return script


def say(octets):
    return lambda talk: talk.send(octets)


def drip(octets, seconds, step=1):
    return lambda talk: talk.drip(octets, seconds, step)


def hush(talk):
    talk.hush()


def reset(talk):
    talk.reset()


def close(_):
    raise Gone


class Served:
    """What the peer saw."""

    def __init__(self):
        self.messages, self.lines, self.connections = [], [], 0
        self.tried = self.untried = 0       # connections on which XSOTTO was taken up, or offered and not taken up
        self.faults = []
        self._news = threading.Condition()

    def take(self, message):
        with self._news:
            self.messages.append(message)
            self._news.notify_all()

    def count(self, message):
        return sum(message.message_id.encode() in one for one in self.messages)

    def await_message(self, message, seconds):
        with self._news:
            assert self._news.wait_for(lambda: self.count(message), seconds), f"{message} did not get to the peer within {seconds} s"
        wanted = message.octets.replace(b"\n", b"\r\n")
        assert any(one.removesuffix(b".\r\n").endswith(wanted) for one in self.messages), "what arrived is not what was sent"


class Peer:
    """The host. It listens only while a test serves; else connections are refused, as by a server that is down."""

    domain, name = DOMAIN, NAME

    def __init__(self, lab, number=90):
        self.host = Host(NAME, None, lab.folder / NAME)
        lab.hosts.append(self.host)
        lab.switch.connect(self.host, number)
        self.at = (self.host.v4, 25)
        lab.dns.add(f"{DOMAIN}. MX 10 {NAME}.", f"{NAME}. A {self.host.v4}",
                    ".".join(reversed(self.host.v4.split("."))) + f".in-addr.arpa. PTR {NAME}.")

    @contextlib.contextmanager
    def serving(self, *scripts):
        """A script that is None: from then on connections are refused."""
        served, open_ones, threads = Served(), [], []
        listener = self.host.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self.at)
        listener.listen(64)

        def accept():
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                script = scripts[min(served.connections, len(scripts) - 1)]
                served.connections += 1
                if served.connections < len(scripts) and scripts[served.connections] is None:
                    listener.shutdown(socket.SHUT_RDWR)
                open_ones.append(sock)
                threads.append(threading.Thread(target=self._run, args=(script, Talk(sock, served)), daemon=True))
                threads[-1].start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield served
        finally:
            for sock in [listener, *open_ones]:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            acceptor.join(10)
            listener.close()
            for thread in threads:
                thread.join(10)
        assert not served.faults, served.faults

    @staticmethod
    def _run(script, talk):
        try:
            script(talk)
        except Gone:
            pass
        except Exception as why:        # a script that is wrong, told where the test ends
            talk.served.faults.append(repr(why))
        finally:
            talk.end()
