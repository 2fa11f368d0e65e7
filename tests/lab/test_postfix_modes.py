# SPDX-License-Identifier: ISC
"""require, exclude, mode, pin, observe and padding, as sotto.conf(5) and postfix-sotto(7) describe them, where our mail server is Postfix."""

import contextlib
import re
import socket

import pytest

from .faults import without
from .smtp import Bare
from .test_exim import arrives, letter
from .test_exim_peers import keyword_offered
from .test_modes import (PROGRAM, STATE, away, clear_client, entries, others, said_250, six_letter, test_excluded_clients,    # noqa: F401 (tests)
                         test_not_required, test_required_over_excluded)
from .test_modes_memory import downgraded, refused_after_a_downgrade, send_sealed, test_padding, test_pin_enforce, test_pin_lets_pass    # noqa: F401 (tests)

FRONT, CONNECTOR = "/usr/libexec/sotto/sotto-front", "/usr/libexec/sotto/sotto-connector"

pytestmark = pytest.mark.in_turn("two", "pair", "postfix")


@pytest.fixture
def server(postfix):
    return postfix


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def two(postfixes, request, needs_sotto):     # pylint: disable=unused-argument
    return tuple(postfixes[name] for name in request.param)


def is_kept(watch, server, message, count=1):
    """It is deferred, and waits whole."""
    watch.await_log(server, server.deferred(message.recipients[0]), count=count)
    assert len(server.queue()) == 1
    server.clear_queue()


# ---- require ------------------------------------------------------------------------------------------------


def test_required_by_every_kind_of_entry(watch, server, stranger, needs_sotto):
    """A host without Sotto that is listed by domain, parent domain, name, address or network, over IPv4 or IPv6, gets nothing."""
    counts, sent = {4: 0, 6: 0}, []
    for entry, version in entries(stranger):
        with server.sotto_conf(require=["", "# nobody", entry]):
            message = letter(server, stranger) if version == 4 else six_letter(server, stranger)
            counts[version] += 1
            sent.append(message)
            server.submit(message)
            is_kept(watch, server, message, counts[version])
    assert not stranger.delivered("bert")
    assert not watch.wire.find(*[secret for message in sent for secret in message.secrets])


@pytest.mark.parametrize("how", ["name", "address"])
def test_required_after_a_no(watch, server, stranger, needs_sotto, how):
    """A host that is known not to offer XSOTTO is listed, by a name or an address that only a session sees: from then on it gets nothing; and
    what waited goes when that is taken back."""
    first, second = letter(server, stranger), letter(server, stranger)
    server.submit(first)
    arrives(watch, server, stranger, first)
    with server.sotto_conf(require=[stranger.name if how == "name" else stranger.host.v4]):
        server.submit(second)
        watch.await_log(server, server.deferred(second.recipients[0]))
        assert len(server.queue()) == 1 and len(stranger.delivered("bert")) == 1
        assert not watch.wire.find(second.message_id, second.subject)
    server.run_queue()
    arrives(watch, server, stranger, second)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_required_of_clients(watch, server, stranger, needs_sotto, family):
    """A client that is listed by address or network hears 451; one that is not, 250."""
    host, v4 = stranger.host, family == socket.AF_INET
    for entry in ([host.v4, "192.0.2.0/25"] if v4 else [host.v6, "2001:db8::/64"]) + ["*"]:
        with server.sotto_conf(require=[entry]):
            assert clear_client(server, stranger, family).startswith("451 4.7.0 Encryption (XSOTTO) is required here"), entry
    with server.sotto_conf(require=others(stranger)):
        assert clear_client(server, stranger, family).startswith("250")
    watch.await_said(server, "accept", "refused", 3)


# ---- require, where we cannot work ----------------------------------------------------------------------------


@contextlib.contextmanager
def no_daemon(server):
    server.daemon.stop()
    try:
        yield
    finally:
        server.start_daemon()


BROKEN = {"daemon dead": no_daemon, "program missing": lambda server: away(server, PROGRAM), "program ends at once": lambda server: away(server, PROGRAM, "/bin/false"),
          "state missing": lambda server: without(server.host, STATE), "settings missing": lambda server: away(server, "/etc/sotto/sotto.conf")}


@pytest.mark.parametrize("fault", list(BROKEN))
def test_required_without_us(watch, server, stranger, needs_sotto, fault):
    """Whatever of us is missing: the required domain gets nothing in the clear, a required client is not let in, and others get their mail."""
    with BROKEN[fault](server):
        for count, entry in enumerate((stranger.domain, "*"), 1):
            with server.sotto_conf(require=[*others(stranger), entry]):
                message = letter(server, stranger)
                server.submit(message)
                is_kept(watch, server, message, count)
        for family, entry in ((socket.AF_INET, stranger.host.v4), (socket.AF_INET, "192.0.2.0/25"), (socket.AF_INET, "*"),
                              (socket.AF_INET6, stranger.host.v6), (socket.AF_INET6, "2001:db8::/64")):
            with server.sotto_conf(require=[entry]):
                assert not said_250(server, stranger, family), entry
        assert not stranger.delivered("bert")
        with server.sotto_conf(require=others(stranger)):
            message = letter(server, stranger)
            server.submit(message)
            arrives(watch, server, stranger, message)
            assert said_250(server, stranger, socket.AF_INET) and said_250(server, stranger, socket.AF_INET6)


def test_mode_off_switches_require_off(watch, server, stranger, needs_sotto):
    """mode = off means all of it, with the daemon and without; in a broken file it means nothing."""
    for present in (True, False):
        with server.sotto_conf(mode="off", require=["*"]), contextlib.nullcontext() if present else no_daemon(server):
            message = letter(server, stranger)
            server.submit(message)
            if present:
                arrives(watch, server, stranger, message)
            assert clear_client(server, stranger, socket.AF_INET).startswith("250")
            server.clear_queue()
    with server.sotto_conf(mode="off\nbogus = 1", require=["*"]):
        assert not said_250(server, stranger, socket.AF_INET)


# ---- exclude ------------------------------------------------------------------------------------------------


def test_excluded_by_every_kind_of_entry(watch, two):
    """Who is listed in exclude, by whatever entry, is never sent XSOTTO, and gets its mail in the clear, at once."""
    (origin, target), messages = two, []
    for entry, version in entries(target):
        with origin.sotto_conf(exclude=[entry]):
            message = letter(origin, target) if version == 4 else six_letter(origin, target)
            origin.submit(message)
            arrives(watch, origin, target, message)
            assert not watch.said(origin, "connect", outcome="sealed"), entry
            messages.append(message)
        origin.forget()
    assert all(watch.wire.find(message.message_id) for message in messages)
    sent = [watch.wire.octets(s) for s in watch.wire.between(origin.host.v4, target.host.v4) + watch.wire.between(origin.host.v6, target.host.v6)
            if s.target[1] == 25]
    assert sent and not [octets for octets in sent if b"XSOTTO" in octets]


# ---- memory of offers -----------------------------------------------------------------------------------------


def test_downgrade(watch, two):
    """Who offered XSOTTO yesterday and does not today: a warning, once; mail goes in the clear, by Postfix itself from then on. Offered again when
    that is forgotten, it is sealed again."""
    origin, target = two
    downgraded(watch, two, "native", 1)
    assert [one for one in watch.said(origin, "connect", outcome="native") if 'cause="not offered"' in one.line]
    origin.forget()
    send_sealed(watch, origin, target, 2)


@pytest.mark.parametrize("by", ["domain", "name", "address"])
def test_downgrade_refused(watch, two, by):
    """... and who is required gets nothing: refused, with the warning, until the offer is back."""
    origin, target = two
    entry = {"domain": target.domain, "name": target.name, "address": target.host.v4}[by]
    refused_after_a_downgrade(watch, two, entry, origin.deferred(f"bert@{target.domain}"))


# ---- observe ------------------------------------------------------------------------------------------------


def test_observe(watch, two, stranger):
    """observe seals nothing and offers nothing; the log says of each host that we connect to whether it could have been sealed, once."""
    origin, target = two
    with origin.sotto_conf(mode="observe"):
        for other in (target, stranger, target, stranger):
            message = letter(origin, other)
            origin.submit(message)
            arrives(watch, origin, other, message)
        back = letter(target, origin)
        target.submit(back)
        arrives(watch, target, origin, back)
        watch.await_said(origin, "connect", "native", 2)
        assert 'cause="mode observe, XSOTTO was offered"' in watch.said(origin, "connect", target.host)[0].line
        assert 'cause="not offered"' in watch.said(origin, "connect", stranger.host)[0].line
        assert len(watch.said(origin, "connect")) == 2
        with origin.sotto_conf(require=[target.domain]):
            send_sealed(watch, origin, target, 1)
    assert not keyword_offered(watch.wire, origin)
    assert watch.wire.find(*back.secrets[:3])


def test_the_state_says_who_was_refused(watch, server, stranger, needs_sotto):
    """Postfix's log names the reason for mail that waits: encryption is required of the host, and was not to be had there."""
    with server.sotto_conf(require=[stranger.host.v4]):
        message = letter(server, stranger)
        server.submit(message)
        line = watch.await_log(server, server.deferred(message.recipients[0]))[0]
        assert re.search(r"TLS is required|encryption-by-sotto-is-required|XSOTTO", line), line
        with Bare(stranger.host, server.host) as client:
            client.reply()
    watch.await_said(server, "connect", "refused")
