# SPDX-License-Identifier: ISC
"""sotto-policyd dead, hanging, restarted, reloaded and upgraded, also under load: Postfix's mail goes on, and sessions that are open are not touched."""

import contextlib
import os
import signal
import subprocess
import threading
import time

import pytest

from . import wait
from .faults import CONF, SESSION, replaced
from .promise import IN_TIME, Letter, Mailbox, requiring
from .rules import CLIENT, SERVER, STALL, Rule, octet
from .message import Message
from .paths import Failed
from .test_exim import arrives, letter
from .test_failures_start import letter_between, nothing_left
from .test_failures_wire import BIG, letter_through
from .test_postfix_failures_host import stands_before     # noqa: F401 (a fixture)

pytestmark = pytest.mark.usefixtures("needs_sotto")
CONNECTOR = "/usr/libexec/sotto/sotto-connector"


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def ends(postfixes, request):
    return tuple(postfixes[name] for name in request.param)


@contextlib.contextmanager
def dead(server):
    server.daemon.stop()
    try:
        yield
    finally:
        server.start_daemon()


def is_sealed(watch, ends, count):
    letter_between(watch, ends).send().arrives()
    watch.await_said(ends[0], "connect", "sealed", count)


# ---- dead, hanging ------------------------------------------------------------------------------------------


def test_dead(watch, ends, stranger):
    """Without the daemon mail goes natively, in time, to anybody; and is sealed again when it is back."""
    origin = ends[0]
    is_sealed(watch, ends, 1)
    with dead(origin):
        origin.settings_changed()
        for target in (ends[1], stranger):
            letter_between(watch, (origin, target)).send().arrives()
        assert len(watch.said(origin, "connect", outcome="sealed")) == 1
    origin.settings_changed()
    is_sealed(watch, ends, 2)


def test_dies_while_postfix_remembers_its_answer(watch, ends):
    """An answer that Postfix still believes leads to a hop where nobody listens: native delivery, in the same attempt."""
    is_sealed(watch, ends, 1)
    with dead(ends[0]):
        letter_between(watch, ends).send().arrives()
    assert len(watch.said(ends[0], "connect", outcome="sealed")) == 1


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "remembered"])
def test_hangs(watch, ends, fresh):
    """A daemon that hangs: Postfix's lookups are answered in half a second, its connections are let go when the watchdog ends the daemon; mail
    arrives in time, and is sealed again when a new one is there."""
    origin = ends[0]
    is_sealed(watch, ends, 1)
    if fresh:
        origin.settings_changed()
    before, mark = origin.daemon.restarts, len(origin.sotto_log())
    origin.daemon.kill(signal.SIGSTOP)
    letter_between(watch, ends).send().arrives()
    origin.await_sotto("outgoing mail is", mark)
    assert origin.daemon.restarts == before + 1
    origin.settings_changed()
    is_sealed(watch, ends, 2)


def test_hangs_and_is_required(watch, ends):
    """... and what must be sealed waits for it, and is then."""
    origin, target = ends
    with requiring(origin, target.domain):
        mark = len(origin.sotto_log())
        origin.daemon.kill(signal.SIGSTOP)
        message = letter_between(watch, ends).send()
        message.waits()
        origin.await_sotto("outgoing mail is", mark)
        message.again().arrives()
    message.unread()


@contextlib.contextmanager
def locked(server, seconds):
    """Somebody has the daemon's lock for so long, as a child of the daemon before has it until it executes its program."""
    command = ["flock", "/run/sotto/policyd.lock", "sh", "-c", f"echo held; exec sleep {seconds}"]
    with server.host.popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.kill()


def test_lock_of_the_one_before(ends):
    """A lock that is held a moment longer is waited for; one that another daemon has is not taken, and that is said."""
    origin = ends[0]
    origin.daemon.stop()
    with locked(origin, 0.3):
        origin.start_daemon()
    origin.daemon.stop()
    try:
        with locked(origin, 60), pytest.raises(Failed, match="another sotto-policyd is running"):
            origin.start_daemon()
        for pid, name, _ in origin.host.processes():
            if name == "sleep":
                os.kill(pid, signal.SIGKILL)
    finally:
        origin.daemon.stop()
        origin.start_daemon()


# ---- what is open goes on -----------------------------------------------------------------------------------


def restart(server):
    server.daemon.restart()


def crash(server):
    server.daemon.kill()
    server.daemon.await_gone()
    server.daemon.await_ready()


def reload(server):
    server.daemon.reload()


ENDINGS = {"restarted": restart, "crashes": crash, "reloaded": reload, "ended": lambda server: server.daemon.stop()}


@pytest.fixture
def through(postfixes, stands_before):     # noqa: F811, pylint: disable=unused-argument
    return postfixes["f"], postfixes["g"]


@pytest.mark.parametrize("how", ENDINGS)
def test_an_open_session_goes_on(watch, middle, through, how):
    """A message is under way, sealed, when the daemon is restarted, crashes, is reloaded or ended: it arrives down the same connection."""
    with middle.rules(Rule(STALL, CLIENT, octet(60_000), [0], stalls=(CLIENT, SERVER))) as fired:
        one = letter_through(watch, middle, through, body=BIG).send()
        fired.await_fired()
        ENDINGS[how](through[0])
        middle.release()
        one.arrives()
        assert len(fired.connections) == 1
    if how == "ended":
        through[0].start_daemon()
    one.unread()


# ---- under load ---------------------------------------------------------------------------------------------


class Load:
    """Messages that are submitted one after the other, until there are enough and the block has ended; then all are there, once."""

    def __init__(self, watch, origin, target, least=40):
        self.watch, self.origin, self.target, self.least = watch, origin, target, least
        self.letters, self._over, self._failed = [], threading.Event(), None
        self._thread = threading.Thread(target=self._submit, daemon=True)

    def _submit(self):
        try:
            while len(self.letters) < self.least or not self._over.is_set():
                message = Message(f"anna@{self.origin.domain}", f"bert@{self.target.domain}")
                self.letters.append(Letter(self.watch, self.origin, message, Mailbox(self.target)).send())
        except Exception as why:     # pylint: disable=broad-exception-caught
            self._failed = why

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._over.set()
        self._thread.join(60)
        if kind is not None:
            return
        assert self._failed is None, self._failed
        self.target.await_mail("bert", len(self.letters), IN_TIME)
        self.origin.await_empty_queue()
        self.target.await_empty_queue()
        for one in self.letters:
            one.once()

    def sealed(self):
        return len(self.watch.said(self.origin, "connect", outcome="sealed"))


@pytest.mark.parametrize("how", ["restarted", "crashes", "reloaded"])
def test_under_load(watch, ends, how):
    """The same five times while mail goes out: all arrives, once, in time; and the last is sealed."""
    origin = ends[0]
    with Load(watch, *ends) as load:
        for _ in range(5):
            seen = len(load.letters)
            wait.until(lambda: len(load.letters) > seen + 3, [origin.host.folder], 30, "more mail has been submitted")
            ENDINGS[how](origin)
    sealed = load.sealed()
    assert sealed > 0
    origin.settings_changed()
    is_sealed(watch, ends, sealed + 1)


def test_upgraded_under_load(watch, ends):
    """As a package does it: new files in the place of the old ones, then a restart, while mail goes out. Each session runs the program that
    its daemon opened; all arrives, once."""
    origin = ends[0]
    path = origin.host.path(SESSION)
    with Load(watch, *ends) as load:
        for _ in range(3):
            new = path.with_name("sotto-session.dpkg-new")
            new.write_bytes(path.read_bytes())
            new.chmod(0o755)
            os.replace(new, path)
            seen = len(load.letters)
            wait.until(lambda: len(load.letters) > seen + 3, [origin.host.folder], 30, "more mail has been submitted")
            origin.daemon.restart()
    assert load.sealed() > 0


# ---- the connector ------------------------------------------------------------------------------------------


def test_connector_missing(watch, ends):
    """
    Postfix has no way to go on where a lookup cannot even be asked: without the connector's file mail waits, and nothing of it is lost; it goes
    when the file is back (postfix-sotto(7)).
    """
    origin = ends[0]
    with replaced(origin.host, CONNECTOR, None):
        origin.settings_changed()
        one = letter_between(watch, ends).send()
        one.waits()
    one.again().arrives()
    watch.await_said(origin, "connect", "sealed")


def test_nothing_is_left(watch, ends):
    """Switched off, nothing of ours runs any more."""
    is_sealed(watch, ends, 1)
    origin = ends[0]
    origin.disable_sotto()
    try:
        nothing_left(origin)
        left = origin.host.await_quiet(lambda name, state: name.startswith("sotto"), 15)
        assert not left, left
    finally:
        origin.enable_sotto()
