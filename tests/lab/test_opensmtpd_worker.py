# SPDX-License-Identifier: ISC
"""The worker of OpenSMTPD's filter dies, again and again, or can't be started: smtpd lives, and no mail is lost."""

import contextlib
import os
import signal
import threading

import pytest

from .faults import replaced
from .message import difference
from .test_exim import arrives, letter

WORKER = "/usr/libexec/sotto/sotto-worker"
TAKEN = "connections are taken"


def smtpds(server):
    return sorted(pid for pid, name, _ in server.host.processes() if name == "smtpd")


def kill_again_and_again(server, times, meanwhile):
    """Kills each worker as soon as it says that it serves, for as long as the thread runs and at least so many times."""
    marks, killed = len(server.sotto_log()), 0
    while killed < times or meanwhile.is_alive():
        server.kill_worker()
        killed += 1
        server.await_sotto(TAKEN, marks, count=killed)
    return killed


def test_killed_under_load(lab, opensmtpd, needs_sotto):
    """Mail comes in while the worker is killed: all of it arrives, whole; smtpd's processes are the same; the next mail is sealed."""
    origin = lab.servers["a"]    # not 4.98: it takes a connection that ends between the replies to RCPT and DATA for a delivery
    messages = [letter(origin, opensmtpd) for _ in range(30)]
    before = smtpds(opensmtpd)

    def send():
        for message in messages:
            origin.submit(message)

    load = threading.Thread(target=send)
    load.start()
    killed = kill_again_and_again(opensmtpd, 20, load)
    load.join()
    assert smtpds(opensmtpd) == before
    for _ in range(3):      # those that were cut off wait for the next run
        origin.forget_hosts()
        origin.run_queue()
    for message in messages:
        assert not difference(opensmtpd.await_token("bert", message), message)
    twice = sum(sum(message.message_id.encode() in one for one in opensmtpd.delivered("bert")) - 1 for message in messages)
    lab.say(f"OpenSMTPD {opensmtpd.version}: worker killed {killed} times, {len(messages)} messages, {twice} of them came twice")
    assert twice <= killed
    origin.await_empty_queue()


def test_killed_while_it_sends(lab, opensmtpd, opensmtpds, needs_sotto):
    """Killed, it is back: the next mail out is sealed."""
    target = lab.servers["a"]
    opensmtpd.kill_worker()
    message = letter(opensmtpd, target)
    opensmtpd.await_sotto(TAKEN, len(opensmtpd.sotto_log()) - 1)
    opensmtpd.submit(message)
    assert not difference(target.await_token("bert", message), message)


@contextlib.contextmanager
def passing(server, contents):
    """The worker's program is another one; returns when connections are passed through, and puts all right afterwards."""
    mark = len(server.sotto_log())
    with replaced(server.host, WORKER, contents):
        server.kill_worker()
        server.await_sotto("connections pass through unsealed", mark)
        yield
    server.restart()


@pytest.mark.parametrize("contents", [None, "#!/bin/sh\nexit 1\n", "#!/bin/sh\nkill -SEGV $$\n"], ids=["missing", "ends", "crashes"])
def test_no_worker(watch, opensmtpd, stranger, needs_sotto, contents):
    """Without a worker mail comes in and goes out as if we were not there, in both directions, at once."""
    with passing(opensmtpd, contents):
        into, out = letter(stranger, opensmtpd), letter(opensmtpd, stranger)
        stranger.submit(into)
        opensmtpd.submit(out)
        arrives(watch, stranger, opensmtpd, into, seconds=10)
        arrives(watch, opensmtpd, stranger, out, seconds=10)
        assert watch.await_log(opensmtpd, rf"smtp connected address={stranger.host.v4} ")


def test_no_worker_for_a_peer_that_offers(watch, opensmtpd, opensmtpds, needs_sotto):
    """Mail for a domain that takes the hop goes there natively while nobody serves that."""
    target = opensmtpds["j" if opensmtpd is opensmtpds["i"] else "i"]
    first, second = letter(opensmtpd, target), letter(opensmtpd, target)
    opensmtpd.submit(first)
    arrives(watch, opensmtpd, target, first)
    with passing(opensmtpd, None):
        opensmtpd.submit(second)
        arrives(watch, opensmtpd, target, second, seconds=10)


def test_required_without_a_worker(watch, opensmtpd, stranger, needs_sotto):
    """What is required stays required: nothing comes in from whom it is required of, nothing goes out to them."""
    with opensmtpd.sotto_conf(require=[stranger.domain, stranger.host.v4]), passing(opensmtpd, None):
        out = letter(opensmtpd, stranger)
        opensmtpd.submit(out)
        opensmtpd.await_log(opensmtpd.deferred(out.recipients[0]), watch.marks[opensmtpd][0])
        into = letter(stranger, opensmtpd)
        stranger.submit(into)
        stranger.await_log(stranger.deferred(into.recipients[0]), watch.marks[stranger][0])
        assert not stranger.delivered("bert") and not opensmtpd.delivered("bert")
        assert not watch.wire.find(*out.secrets, *into.secrets)


def test_table_dies(watch, opensmtpd, stranger, needs_sotto):
    """The child of table-sotto is killed, and stopped: lookups go on, and smtpd with them."""
    before = smtpds(opensmtpd)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        children = opensmtpd.processes("sotto-table")
        for pid in children:
            os.kill(pid, number)
        message = letter(opensmtpd, stranger)
        opensmtpd.submit(message)
        arrives(watch, opensmtpd, stranger, message, seconds=20)
    assert smtpds(opensmtpd) == before
