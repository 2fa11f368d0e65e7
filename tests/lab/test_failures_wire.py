# SPDX-License-Identifier: ISC
"""The failure table, rows in which it is the wire that fails: two Exims, the relay in the middle between them."""

import contextlib

import pytest

from .message import Message
from .promise import Letter, Mailbox, delivers, requiring
from .rules import CLIENT, END, FLIP, RESET, SERVER, STALL, Rule, alter, behind, hello, octet, record, strip_keyword

pytestmark = pytest.mark.usefixtures("needs_sotto")
BIG = "a line of a message that goes on for a while\n" * 6000    # 270 kB: many records


@pytest.fixture
def ends(lab):
    """(origin, target): an old Exim to a new one."""
    return lab.servers["a"], lab.servers["c"]


@pytest.fixture(params=[False, True], ids=["free", "required"])
def required(request):
    return request.param


def letter_through(watch, middle, ends, **how):
    origin, target = ends
    return Letter(watch, origin, Message(f"anna@{origin.domain}", f"bert@{middle.domain(target)}", **how), Mailbox(target))


@contextlib.contextmanager
def demanded(middle, ends, on):
    """Each side requires of the other that it be sealed; the target sees the middle's address."""
    origin, target = ends
    with requiring(origin, middle.domain(target), on=on), requiring(target, middle.address(target), on=on):
        yield


def meets(watch, middle, ends, rules, required, lost=False, body=None):
    """A message meets these rules on its first connection; required: it waits, and goes sealed once the wire is good again."""
    letter = letter_through(watch, middle, ends, body=body)
    with demanded(middle, ends, required):
        with middle.rules(*rules) as fired:
            delivers(letter, required, lost)
        if required:
            with middle.rules():
                letter.again().arrives()
    if required:
        letter.unread()
    return fired


STRIPS = {"stripped": strip_keyword(), "altered": alter(SERVER, b"XSOTTO 1", b"XXXXXXXA"), "another-version": alter(SERVER, b"XSOTTO 1", b"XSOTTO 7"),
          "twice": alter(SERVER, b"250-XSOTTO 1\r\n", b"250-XSOTTO 1\r\n250-XSOTTO 1\r\n")}


@pytest.mark.parametrize("how", STRIPS)
def test_keyword_on_the_way(watch, middle, ends, required, how):
    """The keyword is stripped or altered on the way: the message goes in the clear, in the same connection; required: it waits."""
    letter = letter_through(watch, middle, ends)
    with demanded(middle, ends, required), middle.rules(STRIPS[how]) as fired:
        delivers(letter, required)
    if not required:
        assert len(fired.connections) == (2 if ends[0].second_way else 1)
        return
    with demanded(middle, ends, True), middle.rules():
        letter.again().arrives()
    letter.unread()


# on the first connection only
EXCHANGE = {
    "ehlo-line": [alter(CLIENT, b"EHLO mx", b"EHLO xx", [0])],
    "command": [alter(CLIENT, b"XSOTTO 1", b"XXXXXX 1", [0])],
    "keyword-added": [alter(SERVER, b"250-SIZE", b"250-XEXTRA\r\n250-SIZE", [0])],
    "answer-line": [alter(SERVER, b"220 ", b"220  ", [0])],
    "answer-of-two-lines": [alter(SERVER, b"\r\n", b"\r\n", [0]), alter(SERVER, b"220 2", b"220-1\r\n220 2", [0])],
    "client-key": [Rule(FLIP, CLIENT, hello(700), [0])], "client-point": [Rule(FLIP, CLIENT, hello(1200), [0])],
    "ciphertext": [Rule(FLIP, SERVER, hello(10), [0])], "server-point": [Rule(FLIP, SERVER, hello(1100), [0])],
    "confirmation": [Rule(FLIP, SERVER, hello(1130), [0])],
    "reset-before-the-hello": [Rule(RESET, CLIENT, hello(0), [0])], "reset-in-the-hello": [Rule(RESET, CLIENT, hello(600), [0])],
    "reset-behind-the-hello": [Rule(RESET, CLIENT, hello(1216), [0])], "reset-in-the-answer": [Rule(RESET, SERVER, hello(600), [0])],
    "end-in-the-hello": [Rule(END, CLIENT, hello(600), [0])], "end-in-the-answer": [Rule(END, SERVER, hello(600), [0])],
    "end-behind-the-hello": [Rule(END, CLIENT, hello(1216), [0])],
    "octets-added": [alter(SERVER, last, last + last, [0]) for last in (b"250 HELP\r\n", b"250 CHUNKING\r\n")],      # Exim's, Postfix's
}
STALLS = {"stall-in-the-hello": Rule(STALL, CLIENT, hello(600), [0]), "stall-in-the-answer": Rule(STALL, SERVER, hello(600), [0])}


@pytest.mark.parametrize("how", EXCHANGE)
def test_exchange_on_the_way(watch, middle, ends, required, how):
    """The exchange is altered, flipped in a bit, reset or ended on the way: the next connection carries the message."""
    meets(watch, middle, ends, EXCHANGE[how], required)


@pytest.mark.parametrize("how", STALLS)
def test_exchange_stalls_on_the_way(watch, middle, ends, required, how):
    """... and when it stalls, the same after 4 seconds."""
    meets(watch, middle, ends, [STALLS[how]], required)


def sealed_before(watch, middle, ends):
    """A first message was, and the next one does not go down its connection."""
    if ends[0].second_way:
        pytest.skip("it goes its second way at once")
    with middle.rules():
        letter_through(watch, middle, ends).send().arrives()
        for server in ends:
            server.await_settled()


def test_stalls_where_it_has_sealed(watch, middle, ends):
    """A peer that has sealed before is tried twice, which takes 8 seconds and not more; the message arrives within them."""
    sealed_before(watch, middle, ends)
    with middle.rules(Rule(STALL, SERVER, hello(600))) as fired:
        letter_through(watch, middle, ends).send().arrives()
        assert len(fired.connections) == 3 and len(fired.rules) == 2


def test_sealed_again(watch, middle, ends):
    """... and the second of them may well work."""
    sealed_before(watch, middle, ends)
    with middle.rules(Rule(RESET, SERVER, hello(600), [0])):
        letter = letter_through(watch, middle, ends).send()
        letter.arrives()
    watch.await_said(ends[0], "connect", "sealed", 2)
    letter.unread()


# once sealed; {in DATA: the octets of the message are under way}
SEALED = {
    "reset-behind-the-keys": Rule(RESET, SERVER, hello(1136), [0]), "reset-in-the-first-record": Rule(RESET, CLIENT, record(1, 40), [0]),
    "flip-in-ident": Rule(FLIP, SERVER, record(1, 40), [0]), "flip-in-the-first-record": Rule(FLIP, CLIENT, record(1, 40), [0]),
    "flip-in-a-length": Rule(FLIP, CLIENT, record(2, 0), [0], bit=6), "flip-in-a-reply": Rule(FLIP, SERVER, record(2, 40), [0]),
    "end-behind-the-keys": Rule(END, SERVER, hello(1136), [0]), "end-in-the-first-record": Rule(END, CLIENT, record(1, 40), [0]),
    "reset-in-data": Rule(RESET, CLIENT, octet(60_000), [0]), "end-in-data": Rule(END, CLIENT, octet(60_000), [0]),
    "flip-in-data": Rule(FLIP, CLIENT, octet(60_000), [0]), "end-between-records-in-data": Rule(END, CLIENT, record(9, 0), [0]),
    "reset-between-records-in-data": Rule(RESET, CLIENT, record(9, 0), [0]),
}


@pytest.mark.parametrize("how, required", [(how, n % 2 == 1) for n, how in enumerate(SEALED)])
def test_sealed_breaks(watch, middle, ends, required, how):
    """A sealed connection is cut, flipped in a bit or truncated, in the envelope or in DATA: nothing of it is taken for a message; the queue
    brings it again, sealed (a mail server with a second way goes that way at once, unless encryption is required)."""
    letter = letter_through(watch, middle, ends, body=BIG)
    with demanded(middle, ends, required), middle.rules(SEALED[how]) as fired:
        letter.send()
        fired.await_fired()
        letter.comes_back(required).arrives()
    if required or not ends[0].second_way:
        letter.unread()


def test_sealed_truncated_is_no_end(watch, middle, ends):
    """A stream that ends between two records is told to the mail server as a lost connection, and logged as such on our side."""
    origin, target = ends
    letter = letter_through(watch, middle, ends, body=BIG)
    with middle.rules(Rule(END, CLIENT, record(9, 0), [0])):
        letter.send()
        watch.await_log(target, target.cut_in_data)
        letter.comes_back().arrives()
    assert any("end of the stream" in one.line or "lost" in one.line or "truncat" in one.line for one in watch.said(target, "accept")), \
        [one.line for one in watch.said(target, "accept")]


def test_sealed_and_lost_is_no_fault_of_the_state(watch, middle, ends):
    """A client whose first sealed session is lost is not remembered, and nobody is told that something is wrong with the state."""
    origin, target = ends
    letter = letter_through(watch, middle, ends, body=BIG)
    mark = len(target.sotto_log())
    with middle.rules(Rule(RESET, CLIENT, octet(60_000), [0])):
        letter.send()
        watch.await_said(target, "accept", "sealed")
        letter.comes_back().arrives()
    assert not [line for line in target.sotto_log()[mark:] if "remembered" in line]


@pytest.fixture(scope="module")
def one_by_one(lab):
    """A host that takes one command at a time: there is a moment in which all recipients have been answered, and DATA has not."""
    with lab.servers["a"].configured("pipelining_advertise_hosts =", "chunking_advertise_hosts ="):
        yield lab.servers["a"]


@pytest.mark.parametrize("n", range(1, 5))
def test_lost_between_replies(middle, watch, lab, one_by_one, n):
    """A sealed connection is reset before each of the server's records in turn: the message is kept, also by Exim 4.98, which takes a close
    behind the last recipient's reply for success where nobody says 421."""
    letter = letter_through(watch, middle, (lab.servers["c"], one_by_one))
    with middle.rules(Rule(RESET, SERVER, record(n, 0), [0])) as fired:
        letter.send()
        fired.await_fired()
        letter.comes_back().arrives()
    letter.unread()


@pytest.mark.parametrize("sotto", [True, False], ids=["with", "without"])
def test_dies_before_the_last_reply(watch, middle, ends, sotto):
    """The connection dies between the final dot and its reply: the message comes twice, as SMTP has it, with us and without us alike."""
    origin, target = ends
    with contextlib.ExitStack() as stack:
        stack.enter_context(target.without_chunking())
        if not sotto:
            for server in ends:
                server.disable_sotto()
                stack.callback(server.enable_sotto)
        letter = letter_through(watch, middle, ends, body=BIG)
        with middle.rules(Rule(STALL, CLIENT, octet(100_000), [0], stalls=(SERVER,))) as fired:
            letter.send()
            watch.await_log(target, target.took(letter.message.sender))
            target.await_token("bert", letter.message)
            assert letter.mailbox.count(letter.message) == 1
            middle.reset_all()
            if not origin.second_way:
                origin.await_log(origin.deferred(letter.message.recipients[0]), letter._mark)
                letter.again()
            target.await_mail("bert", 2)
            origin.await_empty_queue()
            target.await_empty_queue()
        letter.once(times=2)
    assert len(fired.connections) == 2


@pytest.mark.parametrize("marker", [b"220 ", b"250-", b"EHLO"], ids=["in-the-banner", "in-the-reply", "in-ehlo"])
def test_breaks_before_it_begins(watch, middle, ends, marker):
    """A connection that is cut before anything of ours was said waits for the queue, as it would without us."""
    side = CLIENT if marker == b"EHLO" else SERVER
    letter = letter_through(watch, middle, ends)
    with middle.rules(Rule(RESET, side, behind(marker), [0])):
        delivers(letter, False, lost=True)
