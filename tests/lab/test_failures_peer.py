# SPDX-License-Identifier: ISC
"""The failure table, rows in which the other mail server misbehaves and we are the client (role connect): real Exim to a scripted peer."""

import os
import time

import pytest

from .message import Message
from .peer import DOMAIN, SERVER_HELLO, WRONG_TAG, begin, clear, clear_offering, close, drip, go_on, hush, reset, say
from .promise import Letter, delivers, requiring

pytestmark = pytest.mark.usefixtures("needs_sotto")
LINE = b"220 Ready\r\n"

# what the peer does instead of an answer, and whether it takes the 4 seconds of PROTOCOL.md 8
BREAKS = {
    "closes": [close],
    "resets": [reset],
    "garbage": [say(os.urandom(3000).replace(b"\n", b"\r")), hush],
    "garbage-lines": [say(b"\xff\x00\r\n" * 40), hush],
    "another-code": [say(b"250 2.0.0 XSOTTO is fine\r\n"), hush],
    "no-such-command": [say(b"500 5.5.1 Unknown command\r\n"), hush],
    "500-to-each-line-of-the-hello": [say(b"500 What?\r\n" * 9), hush],
    "two-lines": [say(b"220-Ready\r\n220 or so\r\n" + WRONG_TAG), hush],
    "two-lines-of-refusal": [say(b"454-4.7.0 XSOTTO not now\r\n454 4.7.0 XSOTTO sorry\r\n"), hush],
    "refusal-without-the-word": [say(b"454 4.7.0 Try again later\r\n"), hush],
    "421": [say(b"421 4.3.2 Going down\r\n"), close],
    "endless-line": [say(b"220 " + b"x" * 5000), hush],
    "closes-in-the-line": [say(LINE[:5]), close],
    "resets-in-the-line": [say(LINE[:5]), reset],
    "closes-before-the-hello": [say(LINE), close],
    "resets-before-the-hello": [say(LINE), reset],
    "half-a-hello-closes": [say(LINE + WRONG_TAG[:SERVER_HELLO // 2]), close],
    "half-a-hello-resets": [say(LINE + WRONG_TAG[:SERVER_HELLO // 2]), reset],
    "wrong-confirmation": [say(LINE + WRONG_TAG), hush],
    "wrong-confirmation-closes": [say(LINE + WRONG_TAG), close],
    "key-of-zeros": [say(LINE + bytes(SERVER_HELLO)), hush],
}
SILENT = {
    "nothing": [hush],
    "nothing-behind-half-a-line": [say(LINE[:5]), hush],
    "nothing-behind-the-line": [say(LINE), hush],
    "half-a-hello": [say(LINE + WRONG_TAG[:SERVER_HELLO // 2]), hush],
    "line-in-drips": [drip(LINE, 0.6)],
    "hello-in-drips": [say(LINE), drip(WRONG_TAG, 0.02)],
}
REFUSALS = {"454": b"454 4.7.0 XSOTTO not now\r\n", "501": b"501 5.5.4 XSOTTO malformed\r\n", "503": b"503 5.5.1 XSOTTO not now\r\n",
            "504": b"504 5.5.4 XSOTTO another version\r\n"}


def letter_to(watch, server, served):
    return Letter(watch, server, Message(f"anna@{server.domain}", f"bert@{DOMAIN}"), served)


@pytest.fixture(params=[("a", False), ("c", True)], ids=["4.96-free", "4.98-required"])
def kind(request):
    """One version without the demand, the other with it."""
    return request.param


@pytest.fixture
def server(lab, kind):
    return lab.servers[kind[0]]


@pytest.fixture
def required(kind):
    return kind[1]


@pytest.fixture
def old(lab):
    return lab.servers["a"]


@pytest.fixture
def new(lab):
    return lab.servers["c"]


@pytest.fixture
def connections_of_a_refusal():
    return 1


def breaks(watch, server, peer, steps, required):
    """Free: delivered on the second connection. Required: it waits, and nothing of it was said; without the demand it is delivered."""
    with peer.serving(begin(*steps), clear_offering) as served:
        letter = letter_to(watch, server, served)
        with requiring(server, DOMAIN, on=required):
            delivers(letter, required)
        if required:
            letter.again().arrives()
        assert served.tried == 1


@pytest.mark.parametrize("how", BREAKS)
def test_exchange_breaks(watch, server, peer, required, how):
    """A peer that offers XSOTTO and breaks the exchange, in any way at any step, gets the message in the clear at once."""
    breaks(watch, server, peer, BREAKS[how], required)


@pytest.mark.parametrize("how", SILENT)
def test_exchange_stalls(watch, old, peer, how):
    """... and one that says nothing, or not enough, gets it after the 4 seconds that the protocol allows it."""
    breaks(watch, old, peer, SILENT[how], False)


@pytest.mark.parametrize("how", ["nothing", "hello-in-drips"])
def test_exchange_stalls_where_required(watch, new, peer, how):
    """... unless encryption is required of it."""
    breaks(watch, new, peer, SILENT[how], True)


@pytest.mark.parametrize("code", REFUSALS)
def test_refused(watch, server, peer, required, code, connections_of_a_refusal):
    """A refusal in one line that bears the word: in the clear in the same connection; required: not at all."""
    with peer.serving(begin(say(REFUSALS[code]), go_on), clear) as served:
        letter = letter_to(watch, server, served)
        with requiring(server, DOMAIN, on=required):
            delivers(letter, required)
        if required:
            letter.again().arrives()
        else:
            assert served.connections == connections_of_a_refusal


@pytest.mark.parametrize("how", ["closes", "refuses", "resets", "nothing"])
def test_second_connection_fails_too(watch, server, peer, how):
    """The peer breaks the first connection and does not answer the second: the message waits for the queue, and arrives once."""
    second = {"closes": close, "resets": reset, "refuses": None, "nothing": lambda talk: (talk.sock.settimeout(2), talk.hush())}[how]
    with peer.serving(begin(close), second) as served:
        letter = letter_to(watch, server, served).send()
        letter.waits()
    with peer.serving(clear_offering) as served:
        letter.mailbox = served
        letter.again().arrives()


def test_second_connection_is_slow(watch, new, peer):
    """A second connection that takes its time for the greeting has the mail server's own patience, and gets the message."""
    def slow(talk):
        time.sleep(6)
        clear(talk)

    with peer.serving(begin(close), slow) as served:
        letter = letter_to(watch, new, served).send()
        letter.arrives()
        assert served.connections == 2


def test_always_broken(watch, server, peer):
    """A peer whose every exchange fails gets every message all the same, each in time."""
    script = begin(close)

    def by_turns(talk):
        """Each first connection of a message breaks, each second works."""
        (script if talk.served.connections % 2 else clear_offering)(talk)

    with peer.serving(by_turns) as served:
        for _ in range(4):
            letter_to(watch, server, served).send().arrives()
