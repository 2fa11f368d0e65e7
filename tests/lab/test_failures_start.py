# SPDX-License-Identifier: ISC
"""The failure table, rows in which sotto-session cannot be started, or crashes, or hangs before it is ready: two Exims, one side broken."""

import contextlib
import os

import pytest

from . import faults
from .faults import SESSION, SH, failing, limited, replaced, wrapped
from .message import Message
from .promise import Letter, Mailbox, delivers, requiring

pytestmark = pytest.mark.usefixtures("needs_sotto")


@pytest.fixture
def ends(lab):
    return lab.servers["a"], lab.servers["c"]


@pytest.fixture(params=["connect", "accept"])
def broken(request, ends):
    """The side that something is wrong with."""
    return ends[request.param == "accept"]


@pytest.fixture(params=[False, True], ids=["free", "required"])
def required(request):
    return request.param


@contextlib.contextmanager
def demanded(ends, on=True):
    """Each side requires the other to be sealed."""
    origin, target = ends
    with requiring(origin, target.domain, on=on), requiring(target, origin.host.v4, on=on):
        yield


def letter_between(watch, ends, **how):
    origin, target = ends
    return Letter(watch, origin, Message(f"anna@{origin.domain}", f"bert@{target.domain}", **how), Mailbox(target))


def is_kept(pid):
    """sotto-policyd starts a `sotto-session serve` again and again, whatever is in its place."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as words:
            return b"\0serve\0" in words.read()
    except OSError:
        return False


def nothing_left(*servers, seconds=15):
    for server in servers:
        def busy(name, state, lasting=server.lasting):
            return (state == "Z" or name.startswith("sotto")) and name not in lasting

        if server.host.await_quiet(busy, seconds / 2, is_kept):
            server.reap()
        left = server.host.await_quiet(busy, seconds / 2, is_kept)
        assert not left, left
        server.await_settled(seconds)


def without_session(watch, ends, fault, required):
    """As if we were not there; required: it waits, and goes sealed when all is well again."""
    letter = letter_between(watch, ends)
    with demanded(ends, required):
        with fault:
            delivers(letter, required)
            nothing_left(*ends)
            assert not watch.said(ends[0], "connect", outcome="sealed"), "the fault was none"
        if required:
            letter.again().arrives()
            letter.unread()


def original(host):
    return host.path(SESSION).read_bytes()


BINARIES = {
    "missing": lambda host: (None, 0), "not-executable": lambda host: (original(host), 0o644), "a-folder": None,
    "empty": lambda host: (b"", 0o755), "garbage": lambda host: (os.urandom(4096), 0o755),
    "cut-short": lambda host: (original(host)[:20000], 0o755),
    "ends-well": lambda host: (f"{SH}exit 0\n", 0o755), "ends-badly": lambda host: (f"{SH}exit 1\n", 0o755),
    "aborts": lambda host: (f"{SH}kill -ABRT $$\n", 0o755), "is-killed": lambda host: (f"{SH}kill -KILL $$\n", 0o755),
    "hangs": lambda host: (f"{SH}exec sleep 60\n", 0o755), "stops": lambda host: (f"{SH}kill -STOP $$\n", 0o755),
    "says-something-else": lambda host: (f"{SH}printf x >&5\nexec sleep 60\n", 0o755),
}


@contextlib.contextmanager
def folder_instead(host, path=SESSION):
    with replaced(host, path, None):
        host.path(path).mkdir()
        try:
            yield
        finally:
            host.path(path).rmdir()


@pytest.mark.parametrize("how", BINARIES)
def test_no_session(watch, ends, broken, required, how):
    """sotto-session is missing, broken, crashes at once, hangs or is stopped before it is ready: the mail goes as if we were not there."""
    fault = folder_instead(broken.host) if how == "a-folder" else replaced(broken.host, SESSION, *BINARIES[how](broken.host))
    without_session(watch, ends, fault, required)


@pytest.mark.parametrize("call", ["HELPER", "SESSION_ITSELF", "SOCKETPAIR", "SOCKET"])
def test_no_process_or_descriptor(watch, ends, broken, required, call):
    """No process or descriptor is to be had for a session, in Exim's own process: the same."""
    without_session(watch, ends, failing(broken, getattr(faults, call)), required)


def test_crashes_when_told_to_go(watch, ends, broken, required):
    """It is ready, and dies as soon as the connection is its own: a connection that is lost, as any can be."""
    crash = f"{SH}printf '!' >&5\ndd bs=1 count=1 <&5 >/dev/null 2>&1\nkill -SEGV $$\n"
    letter = letter_between(watch, ends)
    with demanded(ends, required):
        with replaced(broken.host, SESSION, crash):
            letter.send().waits()
        letter.again().arrives()
    if required:
        letter.unread()


MEMORY = [2000, 6000, 10000, 12000, 14000, 20000]     # KiB
DESCRIPTORS = [4, 6, 8, 9, 10, 12]


@pytest.mark.parametrize("limit", [f"-v {n}" for n in MEMORY] + [f"-n {n}" for n in DESCRIPTORS] + ["-f 0"])
def test_scarce(watch, ends, broken, limit):
    """With however little memory, and however few descriptors, for sotto-session, each message arrives, in time."""
    letter = letter_between(watch, ends)
    with wrapped(broken.host, f"ulimit {limit}"):
        letter.send().arrives()


@pytest.mark.parametrize("n", [10, 16])
def test_scarce_in_exim(watch, ends, n):
    """With few descriptors for all of Exim, mail that comes in is taken, or waits at the other side; none is lost, none bounces."""
    origin, target = ends
    letter = letter_between(watch, ends)
    with limited(target, f"-n {n}"):
        letter.send()
        origin.await_log(rf"(=>|==) bert@{target.domain}", letter._mark)
    if origin.queue():
        letter.waits()
        letter.again()
    letter.arrives()
