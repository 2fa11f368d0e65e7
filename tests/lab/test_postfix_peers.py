# SPDX-License-Identifier: ISC
"""Postfix with Sotto and everybody else: hosts without it, what the administrator has set, and the daemon that is not there."""

import os
import signal

import pytest

from . import wait
from .faults import replaced
from .smtp import Bare
from .test_exim import arrives, letter

DAEMON_FILES = ["/usr/libexec/sotto/sotto-session", "/usr/libexec/sotto/sotto-connector", "/usr/libexec/sotto/sotto-front"]


def connections(watch, origin, target):
    return [s for s in watch.wire.between(origin.host.v4, target.host.v4) if s.target[1] == 25 and s.source[0] == origin.host.v4]


def offers(stranger, server, port=25):
    with Bare(stranger.host, server.host, port) as client:
        client.reply()
        return str(client.ask("EHLO mx.p.example", 250))


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
    """Switched off, main.cf and master.cf are what they were, and mail goes as before; switched on again, it is sealed again."""
    enabled = [postfix.host.read(f"/etc/postfix/{name}") for name in ("main.cf", "master.cf")]
    postfix.disable_sotto()
    try:
        assert "XSOTTO" not in offers(stranger, postfix)
        message = letter(postfix, stranger)
        postfix.submit(message)
        arrives(watch, postfix, stranger, message)
        assert len(connections(watch, postfix, stranger)) == 1
    finally:
        postfix.enable_sotto()
    assert [postfix.host.read(f"/etc/postfix/{name}") for name in ("main.cf", "master.cf")] == enabled


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
    postfix.run_queue()
    arrives(watch, postfix, stranger, message)


def test_required_from_a_stranger(watch, postfix, stranger, needs_sotto):
    """A client of whom it is required hears 451 to its first command."""
    with postfix.sotto_conf(require=[stranger.host.v4]), Bare(stranger.host, postfix.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.ask("MAIL FROM:<x@p.example>", 451)


@pytest.mark.parametrize("file", DAEMON_FILES)
def test_missing_files(watch, two, needs_sotto, file):
    """A program of ours is missing on one side: mail goes as if we were not there; nothing waits, nothing bounces."""
    origin, target = two
    for server in two:
        with replaced(server.host, file, None):
            message = letter(origin, target)
            origin.submit(message)
            arrives(watch, origin, target, message, seconds=30)


def daemon_of(server):
    return [pid for pid, name, _ in server.host.processes() if name == "sotto-policyd"][0]


@pytest.mark.parametrize("required", [False, True], ids=["free", "required"])
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_daemon_is_not_there(watch, two, needs_sotto, how, required):
    """The daemon is dead, or hangs: mail goes natively, at once; where it is required, it waits."""
    origin, target = two
    message = letter(origin, target)
    origin.host.run(["sh", "-c", "true"])
    with origin.sotto_conf(**({"require": [target.domain]} if required else {})):
        os.kill(daemon_of(origin), signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        try:
            origin.submit(message)
            if required:
                origin.await_log(rf"(to=<bert@{target.domain}>.*status=deferred|transport_maps.*(temporary|lookup))", watch.marks[origin][0])
                assert not target.delivered("bert")
            else:
                arrives(watch, origin, target, message, seconds=14)
                watch.clear(origin, target, message)
        finally:
            if how == "killed":
                origin.daemon.wait()
                origin.start_daemon()
            else:
                os.kill(daemon_of(origin), signal.SIGCONT)
        if required:
            origin.run_queue()
            arrives(watch, origin, target, message)
            assert not watch.wire.find(*message.secrets)


def test_daemon_restarts_and_sessions_go_on(watch, two, needs_sotto):
    """A restart of the daemon while mail is under way costs none of it."""
    origin, target = two
    messages = [letter(origin, target) for _ in range(20)]
    for n, message in enumerate(messages):
        origin.submit(message)
        if n % 7 == 3:
            origin.stop_daemon()
            origin.start_daemon()
    for message in messages:
        arrives(watch, origin, target, message)
        assert sum(message.message_id.encode() in one for one in target.delivered("bert")) == 1


def test_reload_under_way(watch, two, needs_sotto):
    """SIGHUP, and `postfix reload`, cost nothing either."""
    origin, target = two
    messages = [letter(origin, target) for _ in range(10)]
    for n, message in enumerate(messages):
        origin.submit(message)
        if n % 4 == 1:
            os.kill(daemon_of(origin), signal.SIGHUP)
        if n % 4 == 3:
            origin.reload()
    for message in messages:
        arrives(watch, origin, target, message)


def test_submission_is_not_touched(postfix, stranger, needs_sotto):
    """Port 587 offers nothing of ours."""
    postfix.postconf("-Me", "submission/inet=submission inet n - y - - smtpd")
    postfix.restart()
    try:
        assert "XSOTTO" not in offers(stranger, postfix, 587)
        assert "XSOTTO" in offers(stranger, postfix)
    finally:
        postfix.postconf("-MX", "submission/inet")
        postfix.restart()


def test_nothing_stays(watch, two, needs_sotto):
    """After a session nothing stays behind: no sotto-session, no front, no zombie, nothing live."""
    origin, target = two
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)
    for server in two:
        left = server.host.await_quiet(lambda name, state: state == "Z" or name in ("sotto-session", "sotto-front"))
        assert not left, left
        assert not [path for path in server.host.path("/run/sotto").glob("*:*")]
