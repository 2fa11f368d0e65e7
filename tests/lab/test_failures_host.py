# SPDX-License-Identifier: ISC
"""The failure table, rows in which it is our host that fails: the session's process, the state, the log, the clock, the settings."""

import contextlib
import os
import signal
import time

import pytest

from . import faults
from .faults import CONF, LIBRARY, STATE, replaced, signal_sessions, stopped
from .promise import requiring
from .rules import CLIENT, SERVER, STALL, Rule, hello, octet, record
from .test_failures_start import broken, demanded, ends, letter_between, nothing_left, required     # noqa: F401 (fixtures)
from .test_failures_wire import BIG, letter_through

pytestmark = pytest.mark.usefixtures("needs_sotto")
BOTH = (CLIENT, SERVER)
MOMENTS = {"in-the-exchange": Rule(STALL, CLIENT, hello(600), [0], stalls=BOTH), "sealed": Rule(STALL, SERVER, record(2, 0), [0], stalls=BOTH),
           "in-data": Rule(STALL, CLIENT, octet(60_000), [0], stalls=BOTH)}


@contextlib.contextmanager
def held(watch, middle, ends, moment, required):
    """A message has come to that moment, and stays there."""
    origin, target = ends
    # in DATA: more than all that stands between can hold, so that the final dot has not been sent
    letter = letter_through(watch, middle, ends, body=BIG * 50 if moment == "in-data" else BIG)
    with requiring(origin, middle.domain(target), on=required), requiring(target, middle.address(target), on=required), \
            middle.rules(MOMENTS[moment]) as fired:
        letter.send()
        fired.await_fired()
        yield letter
    if required:
        letter.unread()


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(watch, middle, ends, broken, required, moment):
    """sotto-session is killed: a lost connection, the queue brings the message again (or, in the exchange at the other side, we redial)."""
    with held(watch, middle, ends, moment, required) as letter:
        signal_sessions(broken.host, signal.SIGKILL)
        middle.release()
        if broken is ends[0] or moment != "in-the-exchange" or required:
            letter.comes_back(required)
        letter.arrives()
        nothing_left(*ends)


@pytest.mark.parametrize("moment", MOMENTS)
def test_terminated(watch, middle, ends, broken, moment):
    """... and the same by SIGTERM, which a shutdown sends."""
    with held(watch, middle, ends, moment, False) as letter:
        signal_sessions(broken.host, signal.SIGTERM)
        middle.release()
        if broken is ends[0] or moment != "in-the-exchange":
            letter.comes_back()
        letter.arrives()
        nothing_left(*ends)


@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_for_a_while(watch, middle, ends, broken, moment):
    """sotto-session is stopped and goes on later: so does the message, in time, once."""
    with held(watch, middle, ends, moment, False) as letter:
        with stopped(broken.host):
            middle.release()
            time.sleep(1)
        letter.arrives()


def test_stopped_in_the_exchange(watch, middle, ends, required):
    """It is stopped at the other side in the exchange, and stays so: after 4 seconds a new connection carries the message; required: it waits."""
    with held(watch, middle, ends, "in-the-exchange", required) as letter:
        with stopped(ends[1].host):
            middle.release()
            letter.fares(required)
        if required:
            letter.again().arrives()


@pytest.mark.parametrize("moment", ["sealed", "in-data"])
def test_stopped_and_killed(watch, middle, ends, broken, moment):
    """It is stopped, and killed in the end: a lost connection."""
    with held(watch, middle, ends, moment, False) as letter:
        with stopped(broken.host):
            middle.release()
            signal_sessions(broken.host, signal.SIGKILL)
        letter.comes_back().arrives()


def is_sealed_in_time(watch, ends):
    """Encryption is required of both, so that only what is sealed arrives."""
    for server in ends:
        server.await_settled()      # where smtpd still has a connection that it sends nothing more down, it waits up to 10 s
    letter = letter_between(watch, ends)
    with demanded(ends):
        letter.send().arrives()
    letter.unread()


STATES = {
    "missing": lambda host: faults.without(host, STATE), "read-only": lambda host: faults.read_only(host, STATE),
    "full": lambda host: faults.full(host, STATE), "no-more-files": lambda host: faults.full(host, STATE, inodes=True),
    "no-run-folder": lambda host: faults.without(host, faults.RUN), "full-run-folder": lambda host: faults.full(host, faults.RUN),
    "not-ours": lambda host: faults.forbidden(host, STATE), "a-file": lambda host: faults.without(host, STATE, b"no folder"),
}


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("how", STATES)
def test_state(watch, ends, broken, how, known):
    """The state is missing, read-only, on a full disk, not ours: nothing is remembered, and sealing goes on."""
    if known:
        is_sealed_in_time(watch, ends)
    with STATES[how](broken.host):
        is_sealed_in_time(watch, ends)
    is_sealed_in_time(watch, ends)


DAMAGES = {"empty": lambda octets: b"", "garbage": lambda octets: os.urandom(500), "half": lambda octets: octets[:len(octets) // 2],
           "one-bit": lambda octets: octets[:9] + bytes([octets[9] ^ 4]) + octets[10:] if len(octets) > 9 else octets,
           "huge": lambda octets: octets * 9000, "nul": lambda octets: bytes(4096)}


@pytest.mark.parametrize("how", DAMAGES)
def test_state_is_damaged(watch, ends, broken, how):
    """Every file of the state is damaged: it counts as absent, and sealing goes on."""
    is_sealed_in_time(watch, ends)
    nothing_left(*ends)
    assert faults.damage(broken.host, STATE, DAMAGES[how])
    is_sealed_in_time(watch, ends)
    is_sealed_in_time(watch, ends)


def test_state_of_pipes(watch, ends, broken):
    """Where a file of the state should be there is a pipe that nobody writes to: nobody waits for it."""
    is_sealed_in_time(watch, ends)
    nothing_left(*ends)
    for path in list(broken.host.path(STATE).rglob("*")):
        if path.is_file():
            path.unlink()
            os.mkfifo(path, 0o666)
            os.chmod(path, 0o666)
    try:
        is_sealed_in_time(watch, ends)
    finally:
        for path in list(broken.host.path(STATE).rglob("*")):
            if path.is_fifo():
                path.unlink()


def test_disk_hangs(watch, ends, broken, required):
    """The disk with the state hangs: the message arrives in time; required: it may wait, and is never in the clear."""
    letter = letter_between(watch, ends)
    with demanded(ends, required):
        with faults.hung(broken.host, STATE):
            letter.send()
            if required:
                letter.arrives_or_waits()
            else:
                letter.arrives()
        if required and ends[0].queue():
            letter.again()
        letter.arrives()
    if required:
        letter.unread()


def test_log_blocks(watch, ends, broken):
    """Nobody reads /dev/log, which is full: no octet waits for a line of ours."""
    letter = letter_between(watch, ends)
    with demanded(ends), broken.not_waiting_for_its_log(), faults.log_blocked(broken.host):
        letter.send().arrives()
    letter.unread()


def test_no_log(watch, ends, broken):
    """There is no /dev/log."""
    with faults.without(broken.host, "/dev/log"):
        is_sealed_in_time(watch, ends)
