# SPDX-License-Identifier: ISC
"""The worker of OpenSMTPD's filter dies, again and again, or can't be started: smtpd lives, and no mail is lost."""

import contextlib
import os
import signal
import threading

import pytest

from .faults import STATE, hung, replaced
from .message import difference
from .test_exim import arrives, letter
from .test_failures_start import demanded, letter_between

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


def test_name_servers_change(watch, opensmtpd, opensmtpds, needs_sotto):
    """/etc/resolv.conf is written while the worker runs, which began with a name server that is dead: it asks the new one, and mail is sealed."""
    target = opensmtpds["j" if opensmtpd is opensmtpds["i"] else "i"]
    good, mark = opensmtpd.host.read("/etc/resolv.conf").decode(), len(opensmtpd.sotto_log())
    opensmtpd.host.write("/etc/resolv.conf", "nameserver 192.0.2.249\n")
    try:
        opensmtpd.kill_worker()
        opensmtpd.await_sotto(TAKEN, mark)
    finally:
        opensmtpd.host.write("/etc/resolv.conf", good)
    opensmtpd.await_sotto("has changed, and was read again", mark)
    message = letter(opensmtpd, target)
    opensmtpd.submit(message)
    arrives(watch, opensmtpd, target, message)
    watch.await_said(opensmtpd, "connect", "sealed")


def test_library_missing(watch, opensmtpd, stranger, needs_sotto):
    """A library of ours is not there when smtpd starts: it starts, and mail goes as if we were not."""
    library = opensmtpd.host.run(["sh", "-c", "ls /usr/lib/*/libinih.so.1"]).stdout.decode().strip()
    opensmtpd.stop()
    with replaced(opensmtpd.host, library, None):
        mark = len(opensmtpd.sotto_log())
        opensmtpd.host.run(["smtpd"])
        opensmtpd.await_sotto("connections pass through unsealed", mark)
        into, out = letter(stranger, opensmtpd), letter(opensmtpd, stranger)
        stranger.submit(into)
        opensmtpd.submit(out)
        arrives(watch, stranger, opensmtpd, into, seconds=10)
        arrives(watch, opensmtpd, stranger, out, seconds=10)
    opensmtpd.restart()


def test_stopped(watch, opensmtpd, stranger, needs_sotto):
    """The worker is stopped, as by a disk that holds it: another one takes its place, and mail comes in within 10 s."""
    mark = len(opensmtpd.sotto_log())
    opensmtpd.kill_worker(signal.SIGSTOP)
    into = letter(stranger, opensmtpd)
    opensmtpd.await_sotto("another one takes its place", mark)
    stranger.submit(into)
    arrives(watch, stranger, opensmtpd, into, seconds=10)


def test_replaced_while_the_disk_hangs(watch, opensmtpd, opensmtpds, needs_sotto):
    """Another worker has not seen whom required mail is for, and no file says it: the mail goes, sealed, as soon as the queue is run."""
    target = opensmtpds["j" if opensmtpd is opensmtpds["i"] else "i"]
    message, mark = letter_between(watch, (opensmtpd, target)), len(opensmtpd.sotto_log())
    with demanded((opensmtpd, target)):
        with hung(opensmtpd.host, STATE):
            message.send().waits()
            opensmtpd.kill_worker()
            opensmtpd.await_sotto(TAKEN, mark)
        message.again().arrives()
    message.unread()


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
