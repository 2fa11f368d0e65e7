# SPDX-License-Identifier: ISC
"""
What makes the hop harmless: whatever a first hop says or does, Postfix goes on to the domain's own mail server within the same attempt; only a permanent refusal
of what was asked counts, and once. First of Postfix itself, with a hop of the test's own in the place of sotto-policyd; then of sotto-policyd.
"""

import contextlib
import os
import re
import socket
import threading

import pytest

from .administrator import outcomes
from .faults import replaced
from .message import Message
from .peer import BANNER, DOMAIN, NAME, NO_OFFER, Gone, Peer, Served, answer, clear, close, go_on, reset
from .promise import IN_TIME, Letter, Mailbox
from .smtp import Bare
from .test_exim import letter

pytestmark = [pytest.mark.usefixtures("needs_sotto"), pytest.mark.in_turn("two", "pair", "postfix")]
HOP = ("127.77.1.1", 10027)
CODE_421 = b"421 4.3.2 Not now, says mx.peer.example\r\n"


class Hop(Peer):
    """The first hop, and who sends Postfix there: everything for the scripted peer goes to it first, as sotto-policyd would have it."""

    def __init__(self, server):     # pylint: disable=super-init-not-called
        self.server, self.host, self.at = server, server.host, HOP

    @contextlib.contextmanager
    def asked(self):
        """Instead of sotto-policyd."""
        self.server.daemon.stop()
        path = self.host.path("/run/sotto/map.sock")
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
            os.chmod(path, 0o666)
            sock.listen()
            thread = threading.Thread(target=self._answer, args=(sock,), daemon=True)
            thread.start()
            try:
                self.server.reload()        # it believes answers for half a minute
                yield
            finally:
                sock.shutdown(socket.SHUT_RDWR)
                thread.join()
                path.unlink(missing_ok=True)
                self.server.start_daemon()

    @staticmethod
    def _answer(sock):
        while True:
            try:
                one, _ = sock.accept()
            except OSError:
                return
            with one, one.makefile("rb") as lines:
                length = b""
                while (octet := lines.read(1)) not in (b":", b""):
                    length += octet
                request = lines.read(int(length or 0) + 1)[:-1]
                mine = request.startswith(b"transport ") and request.endswith(b"@" + DOMAIN.encode())
                text = b"OK :[%s]:%d, %s" % (HOP[0].encode(), HOP[1], DOMAIN.encode()) if mine else b"NOTFOUND "
                with contextlib.suppress(OSError):
                    one.sendall(b"%d:%s," % (len(text), text))


def to(verb, reply=b"", then=None):
    """A server that knows no XSOTTO, and says this to that command, however often it comes; then: what it does behind that."""
    def script(talk):
        talk.send(BANNER)
        while True:
            line = talk.line()
            if line.upper().startswith(verb):
                talk.send(reply)
                if then is not None:
                    then(talk)
            elif not answer(talk, line):
                return
    return script


def greets(octets, then=None):
    def script(talk):
        talk.send(octets)
        if then is not None:
            then(talk)
        elif octets.startswith(b"421"):
            raise Gone
        else:
            go_on(talk)
    return script


def after_the_message(reply):
    """The message is read, and refused."""
    def script(talk):
        talk.send(BANNER)
        while True:
            line = talk.line()
            if not line.upper().startswith(b"DATA"):
                if not answer(talk, line):
                    return
                continue
            talk.send(b"354 Go on\r\n")
            while talk.line() != b".\r\n":
                pass
            talk.send(reply)
    return script


FIRST_HOP = {
    "421-greeting": greets(CODE_421),
    "554-greeting": greets(b"554 5.3.2 Not here\r\n"),
    "450-greeting": greets(b"450 4.3.2 Not now\r\n"),
    "refused": None,
    "closed": close,
    "reset": reset,
    "closed-in-the-greeting": greets(BANNER[:9], close),
    "closed-behind-the-greeting": greets(BANNER, close),
    "reset-behind-the-greeting": greets(BANNER, reset),
    "421-to-ehlo": to(b"EHLO", CODE_421, close),
    "450-to-ehlo-and-helo": to((b"EHLO", b"HELO"), b"450 4.3.2 Not now\r\n"),
    "500-to-ehlo": to(b"EHLO", b"500 5.5.1 What is that?\r\n", lambda talk: (talk.line(), talk.send(b"450 4.3.2 Not now\r\n"))),
    "closed-at-ehlo": to((b"EHLO", b"HELO"), b"", close),
    "reset-in-the-reply-to-ehlo": to(b"EHLO", NO_OFFER[:20], reset),
    "421-to-mail": to(b"MAIL", CODE_421, close),
    "451-to-mail": to(b"MAIL", b"451 4.3.0 Not from you, now\r\n"),
    "reset-at-mail": to(b"MAIL", b"", reset),
    "421-to-rcpt": to(b"RCPT", CODE_421, close),
    "450-to-rcpt": to(b"RCPT", b"450 4.2.0 Not to them, now\r\n"),
    "closed-at-rcpt": to(b"RCPT", b"", close),
    "451-to-data": to(b"DATA", b"451 4.3.0 No message now\r\n"),
    "closed-at-data": to(b"DATA", b"", close),
    "closed-in-the-message": to(b"DATA", b"354 Go on\r\n", close),
    "451-to-the-message": after_the_message(b"451 4.3.0 Could not keep it\r\n"),
}
REFUSALS = {
    "550-to-ehlo-and-helo": to((b"EHLO", b"HELO"), b"550 5.3.2 Not you, says mx.peer.example\r\n"),
    "550-to-mail": to(b"MAIL", b"550 5.7.1 Not from you, says mx.peer.example\r\n"),
    "550-to-rcpt": to(b"RCPT", b"550 5.1.1 No such user, says mx.peer.example\r\n"),
    "554-to-data": to(b"DATA", b"554 5.6.0 No message, says mx.peer.example\r\n"),
    "550-to-the-message": after_the_message(b"550 5.7.1 Not this one, says mx.peer.example\r\n"),
}


def said_of(watch, server, message):
    """What Postfix's log says of the message, once it says anything."""
    watch.await_log(server, rf"to=<{re.escape(message.recipients[0])}>.*status=")
    return [one for one in outcomes(watch.log(server)) if one["to"] == message.recipients[0]]


def to_the_peer(watch, server, served):
    return Letter(watch, server, Message(f"anna@{server.domain}", f"bert@{DOMAIN}"), served)


def bounced_once(watch, server, message, text):
    """One report to the sender, with the refusal and who said it."""
    report = server.await_mail("anna", seconds=IN_TIME)
    said = said_of(watch, server, message)
    assert [one["status"] for one in said] == ["bounced"] and text in said[0]["text"], said
    server.await_empty_queue()
    assert len(report) == 1 == len(server.delivered("anna")) and text in report[0].decode()


@pytest.mark.parametrize("how", FIRST_HOP)
def test_postfix_falls_through(watch, postfix, peer, how):
    """Whatever the first hop does short of a permanent refusal: delivered within the same attempt by the domain's own mail server, once, and nothing is deferred."""
    hop, script = Hop(postfix), FIRST_HOP[how]
    with hop.asked(), peer.serving(clear) as served, hop.serving(script) if script else contextlib.nullcontext() as first:
        sent = to_the_peer(watch, postfix, served).send()
        sent.arrives()
        said = said_of(watch, postfix, sent.message)
        assert [(one["status"], one["relay"]) for one in said] == [("sent", f"{NAME}[{peer.host.v4}]:25")], said
        assert first is None or first.connections == 1
        assert served.connections == 1 and served.lines[0].upper().startswith(b"EHLO")


@pytest.mark.parametrize("how", REFUSALS)
def test_postfix_believes_a_refusal(watch, postfix, peer, how):
    """A permanent refusal by the first hop is one: the sender gets one report, which says what was said, and nobody else is asked."""
    hop = Hop(postfix)
    with hop.asked(), peer.serving(clear) as served, hop.serving(REFUSALS[how]) as first:
        sent = to_the_peer(watch, postfix, served).send()
        bounced_once(watch, postfix, sent.message, f"says {NAME}")
        assert first.connections == 1 and served.connections == 0 and not served.messages


# ---- sotto-policyd's own hop ----

AT_THE_MX = {
    "421-greeting": greets(CODE_421),
    "554-greeting": greets(b"554 5.3.2 Not here\r\n"),
    "closed": close,
    "reset": reset,
    "closed-in-the-greeting": greets(BANNER[:9], close),
    "closed-behind-the-greeting": greets(BANNER, close),
    "not-offered": clear,
    "421-to-ehlo": to(b"EHLO", CODE_421, close),
    "450-to-ehlo": to((b"EHLO", b"HELO"), b"450 4.3.2 Not now\r\n"),
    "550-to-ehlo": to((b"EHLO", b"HELO"), b"550 5.3.2 Not you\r\n"),
    "closed-at-ehlo": to(b"EHLO", b"", close),
}


@pytest.mark.parametrize("how", AT_THE_MX)
def test_first_connection_fails(watch, postfix, peer, how):
    """A first connection that does not get to XSOTTO costs a connection: Postfix hears 421 that names the real mail server, and goes there by itself at once."""
    with peer.serving(AT_THE_MX[how], clear) as served:
        sent = to_the_peer(watch, postfix, served).send()
        sent.arrives()
        said = said_of(watch, postfix, sent.message)
        assert [(one["status"], one["relay"]) for one in said] == [("sent", f"{NAME}[{peer.host.v4}]:25")], said
        assert served.connections == 2
    named = rf"{re.escape(NAME)}\[{re.escape(peer.host.v4)}\]"
    assert watch.await_log(postfix, rf"host 127\.\S+\[127\.\S+\] (?:refused to talk to me|said): 421 4\.\d\.\d [^:]*{named}"), "the real mail server is in Postfix's log"
    watch.await_said(postfix, "connect", "native")
    assert [one.peer for one in watch.said(postfix, "connect")] == [f"{NAME}[{peer.host.v4}]:25"]


def test_nobody_listens(watch, postfix, peer):
    """The mail server is down: the hop says 421 that names it, Postfix finds out for itself, the message waits, and arrives when it is up again."""
    sent = to_the_peer(watch, postfix, Served()).send()
    sent.waits()
    assert watch.await_log(postfix, rf"refused to talk to me: 421 4\.4\.1 No connection to {re.escape(NAME)}\[{re.escape(peer.host.v4)}\]: Connection refused")
    said = said_of(watch, postfix, sent.message)
    assert [one["status"] for one in said] == ["deferred"] and f"{NAME}[{peer.host.v4}]:25: Connection refused" in said[0]["text"], said
    with peer.serving(clear) as served:
        sent.mailbox = served
        sent.again().arrives()


# ---- sealed ----

REFUSING = {"mail": ("smtpd_sender_restrictions", "check_sender_access", "anna@{origin}"), "rcpt": ("smtpd_recipient_restrictions", "check_recipient_access", "bert@{target}"),
            "data": ("smtpd_data_restrictions", "check_sender_access", "anna@{origin}"), "message": ("smtpd_end_of_data_restrictions", "check_sender_access", "anna@{origin}")}


@contextlib.contextmanager
def refusing(origin, target, at, reply):
    """The target says this to that command, for this sender or recipient."""
    parameter, check, who = REFUSING[at]
    rule = f"{check} inline:{{ {{ {who.format(origin=origin.domain, target=target.domain)} = {reply} }} }}"
    with target.configured(**{parameter: f"{rule}, $sotto_policy" if at == "data" else rule}):
        yield


def between(watch, origin, target):
    """(sealed, clear) connections on the wire."""
    there = [s for s in watch.wire.between(origin.host.v4, target.host.v4) if s.target[1] == 25 and s.source[0] == origin.host.v4]
    sealed = [s for s in there if b"\r\nXSOTTO 1 " in watch.wire.octets(s)]
    return len(sealed), len(there) - len(sealed)


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def pair(postfixes, request):
    return tuple(postfixes[letter] for letter in request.param)


@pytest.mark.parametrize("at", REFUSING)
def test_sealed_and_deferred(watch, pair, at):
    """A mail server that says 4xx in a sealed session is asked once more, natively, and has the last word: deferred once, with its own name; then it arrives."""
    origin, target = pair
    sent = Letter(watch, origin, letter(origin, target), Mailbox(target))
    with refusing(origin, target, at, "450 4.7.1 Come back later"):
        sent.send().waits()
        said = said_of(watch, origin, sent.message)
        assert [one["status"] for one in said] == ["deferred"] and said[0]["relay"] == f"{target.name}[{target.host.v4}]:25" and "Come back later" in said[0]["text"], said
    watch.await_said(origin, "connect", "sealed")
    sent.again().arrives()
    assert between(watch, origin, target) == (2, 1)


@pytest.mark.parametrize("at", REFUSING)
def test_sealed_and_refused(watch, pair, at):
    """One that says 550 in a sealed session has said it: the sender gets one report, and nothing of it was to be read on the wire."""
    origin, target = pair
    sent = Letter(watch, origin, letter(origin, target), Mailbox(target))
    with refusing(origin, target, at, "550 5.7.1 Never"):
        sent.send()
        bounced_once(watch, origin, sent.message, "5.7.1")
        assert sent.mailbox.count(sent.message) == 0
    watch.await_said(origin, "connect", "sealed")
    assert between(watch, origin, target) == (1, 0)
    sent.unread()


@pytest.mark.parametrize("names", [("f", "a"), ("g", "c")], ids=["3.7-to-exim4.96", "3.10-to-exim4.98"])
def test_unknown_user_at_exim(watch, lab, postfixes, names):
    """An unknown user at an Exim bounces once, sealed, too."""
    origin, target = postfixes[names[0]], lab.servers[names[1]]
    message = Message(f"anna@{origin.domain}", f"nobody.there@{target.domain}")
    origin.submit(message)
    bounced_once(watch, origin, message, "Unrouteable address")
    watch.sealed(origin, target, message)


# ---- what nothing falls through: our programs are not there at all ----

@pytest.mark.parametrize("local", [False, True], ids=["out", "local"])
def test_no_connector(watch, pair, local):
    """Without sotto-connector Postfix has nobody to ask, and defers whatever comes (postfix-sotto(7)): nothing bounces, and all arrives when it is there again."""
    origin, target = pair
    to_whom = origin if local else target
    sent = Letter(watch, origin, Message(f"anna@{origin.domain}", f"bert@{to_whom.domain}"), Mailbox(to_whom))
    with replaced(origin.host, "/usr/libexec/sotto/sotto-connector", None):
        origin.reload()         # those that run are gone
        mark = len(origin.log())
        sent.send()
        origin.await_log(r"socketmap:unix:private/sotto-map|mail transport unavailable|status=deferred", mark)
        assert sent.mailbox.count(sent.message) == 0
    origin.reload()
    sent.again()
    sent.mailbox.await_message(sent.message, 120)
    sent.once()


def test_no_front(watch, pair, stranger):
    """Without sotto-front a client sees its connection closed before any greeting, and its mail waits there; it arrives when the program is there again."""
    target = pair[1]
    sent = Letter(watch, stranger, letter(stranger, target), Mailbox(target))
    with replaced(target.host, "/usr/libexec/sotto/sotto-front", None):
        with Bare(stranger.host, target.host) as client:
            assert client.reply() == []
        sent.send().waits()
    sent.again().arrives()
