# SPDX-License-Identifier: ISC
"""OpenSMTPD with Sotto and everybody else: hosts without it, what the administrator has set, domains that nothing is known of, and the hop."""

import contextlib
import socket
import time

import pytest

from . import wait
from .smtp import Bare, local_client, offers
from .test_exim import arrives, letter
from .watch import is_probe

HOLD = 3        # seconds that a RCPT command may wait for what its domain offers


def connections(watch, origin, target):
    """(probes, others)"""
    there = [s for s in watch.wire.between(origin.host.v4, target.host.v4) if s.target[1] == 25 and s.source[0] == origin.host.v4]
    probes = [s for s in there if is_probe(watch.wire, s)]
    return len(probes), len(there) - len(probes)


@contextlib.contextmanager
def submission(server):
    """A client on the host itself, which may relay, and has begun a message."""
    with local_client(server) as client:
        client.ask(f"MAIL FROM:<anna@{server.domain}>", 250)
        yield client


def rcpt(client, address):
    """(its reply's code, how long that took)"""
    began = time.monotonic()
    reply = client.say(f"RCPT TO:<{address}>")
    return reply[-1][:3], time.monotonic() - began


@pytest.fixture
def two(opensmtpds, opensmtpd):
    """(one of each version, another)."""
    return opensmtpd, opensmtpds["j" if opensmtpd is opensmtpds["i"] else "i"]


def test_to_a_stranger(watch, opensmtpd, stranger, sealing):
    """A host without Sotto gets its mail in the clear; it was asked once, and is not asked again for an hour."""
    first, second = letter(opensmtpd, stranger), letter(opensmtpd, stranger)
    opensmtpd.submit(first)
    arrives(watch, opensmtpd, stranger, first)
    opensmtpd.await_log("mta disconnected", watch.marks[opensmtpd][0])
    opensmtpd.submit(second)
    arrives(watch, opensmtpd, stranger, second)
    watch.clear(opensmtpd, stranger, first, second)
    assert connections(watch, opensmtpd, stranger) == (1 if sealing else 0, 2)


def test_from_a_stranger(watch, opensmtpd, stranger):
    """A host without Sotto delivers as before; the log shows who it is, and nobody claims that it was sealed."""
    message = letter(stranger, opensmtpd)
    stranger.submit(message)
    delivered = arrives(watch, stranger, opensmtpd, message)
    watch.clear(stranger, opensmtpd, message)
    assert b"X-Sotto" not in delivered
    assert watch.await_log(opensmtpd, rf"smtp connected address={stranger.host.v4} ")


def test_forged_trace(watch, opensmtpd, stranger, needs_sotto):
    """A trace that a stranger puts on top of a message stands below our own Received header, where it says nothing."""
    forged = f"X-Sotto: sealed v=1 id=0123456789abcdef peer=[192.0.2.1] by={opensmtpd.name}"
    with Bare(stranger.host, opensmtpd.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.ask("MAIL FROM:<x@p.example>", 250)
        client.ask(f"RCPT TO:<bert@{opensmtpd.domain}>", 250)
        client.ask("DATA", 354)
        client.ask(f"{forged}\r\nSubject: x\r\n\r\nx\r\n.", 250)
    text = opensmtpd.await_mail("bert")[0]
    assert b"X-Sotto" not in text[:text.index(b"Received: ")] and forged.encode() in text


def test_switched_off_and_on(watch, opensmtpd, stranger, needs_sotto):
    """Switched off, nothing of ours is offered, and mail goes as before."""
    opensmtpd.disable_sotto()
    try:
        assert "XSOTTO" not in str(offers(stranger.host, opensmtpd.host))
        message = letter(opensmtpd, stranger)
        opensmtpd.submit(message)
        arrives(watch, opensmtpd, stranger, message)
        assert connections(watch, opensmtpd, stranger) == (0, 1)
    finally:
        opensmtpd.enable_sotto()
    assert "XSOTTO" in str(offers(stranger.host, opensmtpd.host))


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_modes_that_seal_nothing(watch, two, needs_sotto, mode):
    """With mode = off, or observe, mail goes in the clear, natively."""
    origin, target = two
    with origin.sotto_conf(mode=mode):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        watch.clear(origin, target, message)
        assert not watch.said(origin, "connect")


def test_excluded(watch, two, needs_sotto):
    """So does mail for a domain that is excluded; nobody is asked."""
    origin, target = two
    with origin.sotto_conf(exclude=[target.domain]):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        watch.clear(origin, target, message)
        assert connections(watch, origin, target) == (0, 1)


def test_required_and_kept(watch, two, needs_sotto):
    """Where each requires the other, mail goes sealed."""
    origin, target = two
    with origin.sotto_conf(require=[target.domain]), target.sotto_conf(require=[origin.host.v4]):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        watch.await_said(origin, "connect", "sealed")
        assert not watch.wire.find(*message.secrets)


def test_required_of_a_stranger(watch, opensmtpd, stranger, needs_sotto):
    """Required of a host without Sotto: the mail waits, unread."""
    message = letter(opensmtpd, stranger)
    with opensmtpd.sotto_conf(require=[stranger.domain]):
        opensmtpd.submit(message)
        opensmtpd.await_log(opensmtpd.deferred(f"bert@{stranger.domain}"), watch.marks[opensmtpd][0])
        assert not stranger.delivered("bert") and len(opensmtpd.queue()) == 1
        assert not watch.wire.find(*message.secrets)


def test_required_from_a_stranger(watch, opensmtpd, stranger, needs_sotto):
    """A client of whom it is required hears 451 to its first command."""
    with opensmtpd.sotto_conf(require=[stranger.host.v4]), Bare(stranger.host, opensmtpd.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.ask("MAIL FROM:<x@p.example>", 451)


def test_dead_mail_server(lab, opensmtpd, needs_sotto):
    """A domain whose mail server is dead: the answer to RCPT comes within 3 s, the second one at once, also in another session."""
    lab.dns.add("dead.example. MX 10 mx.dead.example.", "mx.dead.example. A 192.0.2.250")
    with submission(opensmtpd) as client, submission(opensmtpd) as other:
        code, took = rcpt(client, "x@dead.example")
        assert code == "250" and took < HOLD + 0.5, took
        assert rcpt(client, "y@dead.example")[1] < 0.5
        assert rcpt(other, "z@dead.example")[1] < 0.5


def test_three_seconds_a_session(lab, opensmtpd, needs_sotto):
    """Ten such domains in one session cost it 3 s, and not ten times that."""
    lab.dns.add(*(f"dead{n}.example. MX 10 mx.dead{n}.example." for n in range(10)), *(f"mx.dead{n}.example. A 192.0.2.{230 + n}" for n in range(10)))
    with submission(opensmtpd) as client:
        assert sum(rcpt(client, f"x@dead{n}.example")[1] for n in range(10)) < HOLD + 1.5


def test_strangers_make_us_ask_nobody(watch, opensmtpd, stranger, needs_sotto):
    """Who may not relay does not decide whom we connect to."""
    with Bare(stranger.host, opensmtpd.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.ask("MAIL FROM:<x@p.example>", 250)
        assert rcpt(client, "x@a.example")[0] == "550"
    assert not [s for s in watch.wire.between(opensmtpd.host.v4, watch.lab.servers["a"].host.v4) if s.source[0] == opensmtpd.host.v4]


def test_nobody_else_gets_out_through_the_hop(watch, two, needs_sotto):
    """Another user of the host who connects to the hop is not served."""
    origin, target = two
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)
    hop = next(path.name for path in origin.host.path("/var/lib/sotto/hop").iterdir())
    said = origin.host.run(["setpriv", "--reuid=2000", "--clear-groups", "perl", "-e", perl(hop)]).stdout
    assert said == b"closed"
    assert origin.await_sotto("a program of user 2000 connected to the loopback hop")


def perl(address):
    """Connects, and says what comes: Debian's essential perl has no more than this."""
    return (f'use Socket; socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(10027, inet_aton("{address}"))) or die; '
            'my $n = sysread(S, my $b, 100); print $n ? $b : "closed";')


def test_learns_from_native_mail(watch, two, needs_sotto):
    """A domain that made no offer makes one now: mail that goes out natively shows it, long before anybody would ask again; the next is sealed."""
    origin, target = two
    with target.sotto_conf(mode="off"):
        first = letter(origin, target)
        origin.submit(first)
        arrives(watch, origin, target, first)
    origin.await_log("mta disconnected", watch.marks[origin][0])
    second, third = letter(origin, target), letter(origin, target)
    origin.submit(second)
    arrives(watch, origin, target, second)
    wait.until(lambda: origin.host.path(f"/var/lib/sotto/table/{target.domain}").exists(), [origin.host.path("/var/lib/sotto/table")], 30, "it is known")
    origin.submit(third)
    arrives(watch, origin, target, third)
    watch.await_said(origin, "connect", "sealed")
    assert watch.wire.find(first.subject, second.subject) and not watch.wire.find(third.subject, third.message_id)
