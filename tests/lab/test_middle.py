# SPDX-License-Identifier: ISC
"""The relay in the middle does what its rules say, and nothing without them."""

import pytest

from .message import Message, difference
from .rules import CLIENT, END, FLIP, RESET, SERVER, STALL, Rule, alter, behind, hello, octet, record, strip_keyword


@pytest.fixture
def through(lab, middle):
    """A letter from a to b by way of the middle: (origin, target, message)."""
    origin, target = lab.servers["a"], lab.servers["b"]
    return origin, target, Message(f"anna@{origin.domain}", f"bert@{middle.domain(target)}")


def arrives(origin, target, message):
    assert not difference(target.await_token("bert", message), message)
    origin.await_empty_queue()


def test_middle_is_transparent(watch, middle, through, sealing):
    """Without rules a session through the middle is sealed, and arrives octet for octet."""
    origin, target, message = through
    with middle.rules() as fired:
        origin.submit(message)
        arrives(*through)
        assert len(fired.connections) == 1
        tracks = fired.connections[0].tracks
        if sealing:
            watch.await_said(origin, "connect", "sealed")
            watch.await_said(target, "accept", "sealed")
            assert len(tracks[CLIENT].records) >= 2 and len(tracks[SERVER].records) >= 2
            assert not watch.wire.find(*message.secrets)


def test_middle_is_slow(middle, through, sealing):
    """With a delay each way, it takes at least as many of them as there are turns."""
    import time
    origin, _, message = through
    middle.delay = 0.2
    try:
        with middle.rules():
            began = time.monotonic()
            origin.submit(message)
            arrives(*through)
            assert time.monotonic() - began > (1.2 if sealing else 0.8)
    finally:
        middle.delay = 0.0


RULES = {"reset": Rule(RESET, CLIENT, octet(4), [0]), "end": Rule(END, SERVER, behind(b"220 "), [0]), "stall": Rule(STALL, SERVER, hello(9), [0]),
         "flip": Rule(FLIP, CLIENT, record(1, 30), [0]), "hello": Rule(FLIP, CLIENT, hello(5), [0])}


@pytest.mark.parametrize("name", RULES)
def test_middle_applies_a_rule(middle, through, needs_sotto, name):
    """Each kind of rule is applied once, to the first connection, and the message arrives by a later one."""
    origin, _, message = through
    with middle.rules(RULES[name]) as fired:
        origin.submit(message)
        fired.await_fired()
        if name not in ("stall", "hello"):
            origin.await_log(r"== bert@mid")
            origin.host.run(["sh", "-c", "rm -rf /var/spool/exim4/db/*"])
            origin.run_queue()
        arrives(*through)
        assert len(fired.connections) >= 2 and len(fired.rules) == 1


@pytest.mark.parametrize("rule", [strip_keyword(), alter(SERVER, b"XSOTTO 1", b"XXXXXXXA")], ids=["strip", "alter"])
def test_middle_alters_lines(watch, middle, through, needs_sotto, rule):
    """A keyword that is stripped or altered on the way is no offer."""
    origin, target, message = through
    with middle.rules(rule):
        origin.submit(message)
        arrives(*through)
    watch.await_said(origin, "connect", "clear")
