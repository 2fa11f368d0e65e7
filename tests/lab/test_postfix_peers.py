# SPDX-License-Identifier: ISC
"""Postfix with Sotto and everybody else: hosts without it, what the administrator has set, and the daemon that is not there."""

import pytest

from . import wait
from .faults import replaced
from .smtp import Bare, offers
from .test_exim import arrives, letter

FILES = ["/usr/libexec/sotto/sotto-session", "/usr/libexec/sotto/sotto-front"]      # of the connector: test_postfix_daemon.py


def connections(watch, origin, target):
    return [s for s in watch.wire.between(origin.host.v4, target.host.v4) if s.target[1] == 25 and s.source[0] == origin.host.v4]


def test_to_a_stranger(watch, postfix, stranger, sealing):
    """A host without Sotto gets its mail in the clear, in the same attempt; it was asked once, and is not asked again for an hour."""
    first, second = letter(postfix, stranger), letter(postfix, stranger)
    postfix.submit(first)
    arrives(watch, postfix, stranger, first)
    if sealing:
        wait.until(lambda: postfix.host.path(f"/var/lib/sotto/domains/{stranger.domain}").exists(), [postfix.host.path("/var/lib/sotto")], 30,
                   "it is remembered")
    postfix.submit(second)
    arrives(watch, postfix, stranger, second)
    watch.clear(postfix, stranger, first, second)
    assert len(connections(watch, postfix, stranger)) == (3 if sealing else 2)


def test_from_a_stranger(watch, postfix, stranger):
    """A host without Sotto delivers as before; the logs show who it is, and nobody claims that it was sealed."""
    message = letter(stranger, postfix)
    stranger.submit(message)
    delivered = arrives(watch, stranger, postfix, message)
    watch.clear(stranger, postfix, message)
    assert b"X-Sotto" not in delivered
    assert watch.await_log(postfix, rf"client=\S*\[{stranger.host.v4}\]")


def test_switched_off_and_on(watch, postfix, stranger, needs_sotto):
    """Switched off, nothing of ours is offered, and mail goes as before; switched on again, all is set as it was."""
    enabled = postfix.postconf("-n"), postfix.postconf("-M")
    postfix.disable_sotto()
    try:
        assert "XSOTTO" not in str(offers(stranger.host, postfix.host))
        message = letter(postfix, stranger)
        postfix.submit(message)
        arrives(watch, postfix, stranger, message)
        assert len(connections(watch, postfix, stranger)) == 1
    finally:
        postfix.enable_sotto()
    assert (postfix.postconf("-n"), postfix.postconf("-M")) == enabled
    assert "XSOTTO" in str(offers(stranger.host, postfix.host))


@pytest.fixture
def two(postfixes, postfix):
    """(one of each version, another)."""
    return postfix, postfixes["g" if postfix is postfixes["f"] else "f"]


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_modes_that_seal_nothing(watch, two, needs_sotto, mode):
    """With mode = off, or observe, mail goes in the clear."""
    origin, target = two
    with origin.sotto_conf(mode=mode):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        watch.clear(origin, target, message)
        assert not watch.said(origin, "connect", outcome="sealed")


def test_excluded(watch, two, needs_sotto):
    """So does mail for a domain that is excluded; without a connection more."""
    origin, target = two
    with origin.sotto_conf(exclude=[target.domain]):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        watch.clear(origin, target, message)
        assert len(connections(watch, origin, target)) == 1


def test_required_and_kept(watch, two, needs_sotto):
    """Where each requires the other, mail goes sealed."""
    origin, target = two
    with origin.sotto_conf(require=[target.domain]), target.sotto_conf(require=[origin.host.v4]):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        watch.sealed(origin, target, message)


def test_required_of_a_stranger(watch, postfix, stranger, needs_sotto):
    """Required of a host without Sotto: the mail waits, unread, and goes when it is not required any more."""
    message = letter(postfix, stranger)
    with postfix.sotto_conf(require=[stranger.domain]):
        postfix.submit(message)
        postfix.await_log(rf"to=<bert@{stranger.domain}>.*status=deferred", watch.marks[postfix][0])
        assert not stranger.delivered("bert") and len(postfix.queue()) == 1
    postfix.reload()        # it believes answers for half a minute
    postfix.run_queue()
    arrives(watch, postfix, stranger, message)


def test_required_from_a_stranger(watch, postfix, stranger, needs_sotto):
    """A client of whom it is required hears 451 to its first command."""
    with postfix.sotto_conf(require=[stranger.host.v4]), Bare(stranger.host, postfix.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.ask("MAIL FROM:<x@p.example>", 451)


@pytest.mark.parametrize("file", FILES)
def test_missing_files(watch, two, needs_sotto, file):
    """A program of ours is missing on one side: mail goes as if we were not there; nothing waits, nothing bounces."""
    origin, target = two
    # without a front Postfix has nobody to take a client's connection: that mail waits at the other side
    for server in two if not file.endswith("front") else two[:1]:
        with replaced(server.host, file, None):
            message = letter(origin, target)
            origin.submit(message)
            arrives(watch, origin, target, message, seconds=30)
