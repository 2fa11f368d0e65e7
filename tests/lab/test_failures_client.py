# SPDX-License-Identifier: ISC
"""The failure table, rows in which the other mail server misbehaves and is the client (we: role accept): scripted peer to real Exim."""

import contextlib
import os
import socket
import struct
import time

import pytest

from .message import Message, difference
from .peer import CLIENT_HELLO, EMPTY_KEYS, SERVER_HELLO
from .promise import ORDINARY, Mailbox, requiring
from .smtp import Bare
from .test_failures_start import nothing_left

pytestmark = pytest.mark.usefixtures("needs_sotto")
COMMAND = b"XSOTTO 1 1216\r\n"
WORD = COMMAND[:9]


def close(client):
    with contextlib.suppress(OSError):      # we may have been reset already
        client.sock.shutdown(socket.SHUT_WR)


def reset(client):
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def nothing(_):
    pass


def record(octets):
    return struct.pack(">H", len(octets)) + octets


# what it sends behind the EHLO reply, and then does
BREAKS = {
    "in-the-command": [WORD], "before-the-hello": [COMMAND], "half-a-hello": [COMMAND + EMPTY_KEYS[:CLIENT_HELLO // 2]],
    "all-but-one-octet": [COMMAND + EMPTY_KEYS[:-1]], "whole-hello": [COMMAND + EMPTY_KEYS],
    "in-a-record": [COMMAND + EMPTY_KEYS, record(os.urandom(1041))[:500]],
    "bad-record": [COMMAND + EMPTY_KEYS, record(os.urandom(1041))],
    "record-too-short": [COMMAND + EMPTY_KEYS, record(b"x")], "record-too-long": [COMMAND + EMPTY_KEYS, b"\xff\xff" + bytes(100)],
    "clear-instead-of-records": [COMMAND + EMPTY_KEYS, b"MAIL FROM:<anna@peer.example>\r\nRCPT TO:<bert@b.example>\r\nDATA\r\n"],
    "garbage-behind-the-hello": [COMMAND + EMPTY_KEYS + os.urandom(4000)],
    "garbage": [os.urandom(3000).replace(b"\n", b"\r")],
}
ENDS = {"closes": close, "resets": reset, "stays": nothing}
# answered in step; the session goes on in the clear, in the same connection
REFUSED = {
    "wrong-version": (b"XSOTTO 2 10\r\n" + bytes(10), "504"), "too-short": (b"XSOTTO 1 1215\r\n" + bytes(1215), "501"),
    "too-long": (b"XSOTTO 1 1217\r\n" + bytes(1217), "501"), "empty": (b"XSOTTO 1 0\r\n", "501"),
    "garbage-for-keys": (COMMAND + b"\xff" * CLIENT_HELLO, "501"), "zero-point": (COMMAND + bytes(CLIENT_HELLO), "501"),
}
CLOSED = {"far-too-long": b"XSOTTO 1 4097\r\n", "no-number": b"XSOTTO 1 x\r\n", "negative": b"XSOTTO 1 -1\r\n", "no-length": b"XSOTTO 1\r\n"}


@contextlib.contextmanager
def greeted(peer, server):
    with Bare(peer.host, server.host) as client:
        client.reply()
        assert "250-XSOTTO 1" in client.ask(f"EHLO {peer.name}", 250)
        yield client


def letter(peer, server):
    return Message(f"anna@{peer.domain}", f"bert@{server.domain}")


def mail(client, server, message):
    """In the clear, on a connection that stands; then it is there, once, and nothing else is."""
    client.ask(f"MAIL FROM:<{message.sender}>", 250)
    client.ask(f"RCPT TO:<bert@{server.domain}>", 250)
    client.ask("DATA", 354)
    client.send(message.smtp)
    assert client.reply()[-1].startswith(server.accepted)
    client.ask("QUIT", 221)
    assert not difference(server.await_token("bert", message), message)
    server.await_empty_queue()
    assert Mailbox(server).count(message) == 1 and len(server.delivered("bert")) == 1


def again(peer, server, required):
    """What a client does whose exchange failed: it connects again. Free: its message is taken. Required: a temporary failure, and no more."""
    began = time.monotonic()
    with Bare(peer.host, server.host) as client:
        client.reply()
        client.ask(f"EHLO {peer.name}", 250)
        if required:
            said = client.say("MAIL FROM:<anna@peer.example>")
            assert said[-1][:1] == "4", said
        else:
            mail(client, server, letter(peer, server))
    assert time.monotonic() - began < ORDINARY


@pytest.fixture(params=[("a", False), ("c", True)], ids=["4.96-free", "4.98-required"])
def kind(request):
    """One version without the demand, the other with it."""
    return request.param


@pytest.fixture
def server(lab, kind):
    return lab.servers[kind[0]]


@pytest.fixture
def required(kind, server, peer):
    with requiring(server, peer.host.v4, on=kind[1]):
        yield kind[1]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("how", BREAKS)
def test_client_breaks(watch, server, peer, required, how, end):
    """A client that breaks off, resets, or hangs, at any step of the exchange: nothing of that reaches the mailbox, and its next connection
    works, while the first may still hang."""
    with greeted(peer, server) as client:
        for octets in BREAKS[how]:
            client.send(octets)
            if octets is COMMAND + EMPTY_KEYS:
                assert client.reply()[0].startswith("220 ")
        ENDS[end](client)
        if end == "resets":
            client.sock.close()
        again(peer, server, required)
    assert len(server.delivered("bert")) == (0 if required else 1)
    assert not watch.said(server, "accept", outcome="sealed"), "nothing that the peer sent was authentic"


@pytest.mark.parametrize("how", REFUSED)
def test_client_is_refused_in_step(watch, server, peer, required, how):
    """A command that cannot be taken is read whole and refused in one line; the same connection goes on in the clear (required: not)."""
    octets, code = REFUSED[how]
    with greeted(peer, server) as client:
        client.send(octets)
        said = client.reply()
        assert len(said) == 1 and said[0].startswith(code) and " XSOTTO" in said[0]
        if required:
            assert client.say("MAIL FROM:<anna@peer.example>")[-1][:1] == "4"
        else:
            mail(client, server, letter(peer, server))
    assert not required or not server.delivered("bert")


@pytest.mark.parametrize("how", CLOSED)
def test_client_gives_a_length_that_is_none(watch, server, peer, how):
    """A length that is none is answered with 501 and a close: where the next command begins cannot be known."""
    with greeted(peer, server) as client:
        client.send(CLOSED[how] + b"NOOP\r\n" * 3)
        said = client.reply()
        assert len(said) == 1 and said[0].startswith("501 5.5.4")
    again(peer, server, False)


def test_client_drips(watch, server, peer, required):
    """A hello in drips is waited for; that it holds no keys is said at its end, and the session is in step."""
    octets = COMMAND + bytes(CLIENT_HELLO)
    with greeted(peer, server) as client:
        for at in range(0, len(octets), 40):
            client.send(octets[at:at + 40])
            time.sleep(0.05)
        assert client.reply()[0].startswith("501 5.5.4 XSOTTO")
        if not required:
            mail(client, server, letter(peer, server))


def test_client_ends_in_a_sealed_session(watch, server, peer):
    """A client that leaves behind the keys, without a record: the session ends, and nothing of it is left."""
    with greeted(peer, server) as client:
        client.send(COMMAND + EMPTY_KEYS)
        assert client.reply()[0].startswith("220 ")
        assert len(client.octets(SERVER_HELLO)) == SERVER_HELLO
        close(client)
    nothing_left(server, seconds=35)
    again(peer, server, False)


@pytest.mark.long
def test_client_is_silent(watch, server, peer):
    """A client that announces a hello and says nothing is told 421 after a minute; meanwhile others are served."""
    with greeted(peer, server) as client:
        client.sock.settimeout(90)
        began = time.monotonic()
        client.send(COMMAND)
        again(peer, server, False)
        assert client.reply()[0].startswith("421 ")
        assert 55 < time.monotonic() - began < 80
