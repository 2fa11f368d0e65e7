# SPDX-License-Identifier: ISC
"""The failure table, rows in which sotto-session cannot be started, or crashes, or hangs before it is ready: two Postfixes, or Postfix and Exim; one side
broken."""

import contextlib
import os

import pytest

from .faults import SESSION, replaced
from .stand_in import program
from .test_postfix_failures_host import MIXED
from .test_failures_start import broken, demanded, folder_instead, letter_between, nothing_left, original, required, without_session   # noqa: F401

pytestmark = pytest.mark.usefixtures("needs_sotto")
BINARIES = {
    "missing": lambda host: (None, 0), "not-executable": lambda host: (original(host), 0o644), "a-folder": None,
    "empty": lambda host: (b"", 0o755), "garbage": lambda host: (os.urandom(4096), 0o755), "cut-short": lambda host: (original(host)[:20000], 0o755),
    **{how: lambda host, how=how: (program(how), 0o755)
       for how in ("ends-well", "ends-badly", "aborts", "is-killed", "hangs", "stops", "says-something-else")},
}


@pytest.fixture(params=MIXED)
def ends(lab, postfixes, request):     # pylint: disable=unused-argument
    return tuple(lab.servers[letter] for letter in request.param)


@contextlib.contextmanager
def another_program(server, fault):
    """It is what the daemon opened at its start; one that finds none at all does not start, and is tried again."""
    with fault:
        server.program_changed(must_start=False)
        yield
    server.program_changed()


@pytest.mark.parametrize("how", BINARIES)
def test_no_session(watch, ends, broken, required, how):     # noqa: F811
    """sotto-session is missing, broken, crashes at once, hangs or is stopped before it is ready: the mail goes as if we were not there."""
    fault = folder_instead(broken.host) if how == "a-folder" else replaced(broken.host, SESSION, *BINARIES[how](broken.host))
    without_session(watch, ends, another_program(broken, fault), required)


def test_crashes_when_told_to_go(watch, ends, broken, required):     # noqa: F811
    """It is ready, and dies as soon as the connection is its own: a connection that is lost, as any can be."""
    letter = letter_between(watch, ends)
    with demanded(ends, required):
        with another_program(broken, replaced(broken.host, SESSION, program("crashes-when-told-to-go"))):
            letter.send()
            if broken is ends[1] or broken.kind == "exim" or required:      # a Postfix that sends goes on natively
                letter.waits()
            else:
                letter.arrives()
        letter.again()
        letter.arrives()
    if required:
        letter.unread()


@contextlib.contextmanager
def limited(server, limit):
    """sotto-policyd, and all that it starts, under a limit in the words of the shell's ulimit. It may not even start."""
    server.daemon.prefix = ["sh", "-c", f"ulimit {limit}; exec \"$@\"", "sh"]
    server.program_changed(must_start=False)
    try:
        yield
    finally:
        server.daemon.prefix = []
        server.program_changed()


@pytest.mark.parametrize("limit", [f"-n {n}" for n in (8, 13, 14, 15, 16, 17, 18, 20, 24)] + [f"-v {n}" for n in (4000, 12000, 20000, 40000)] + ["-f 0"])
def test_scarce_in_the_daemon(watch, ends, limit):     # noqa: F811
    """With few descriptors, or little memory, for sotto-policyd and its sessions, each message arrives, in time."""
    if ends[0].kind != "postfix":
        pytest.skip("it is Postfix's")
    with limited(ends[0], limit):
        letters = [letter_between(watch, ends).send() for _ in range(3)]
        for letter in letters:
            letter.arrives()


MEMORY = [2000, 6000, 10000, 12000, 14000, 20000]     # KiB
DESCRIPTORS = [3, 4, 5, 6, 7, 8, 9, 10, 12]


@pytest.mark.parametrize("limit", [f"-v {n}" for n in MEMORY] + [f"-n {n}" for n in DESCRIPTORS] + ["-f 0"])
def test_scarce(watch, ends, limit):
    """With however little memory, and however few descriptors, for sotto-session at the receiving side, each message arrives, in time."""
    letter = letter_between(watch, ends)
    script = f"#!/bin/sh\nulimit {limit}\nexec {SESSION}.away \"$@\"\n"
    with replaced(ends[1].host, SESSION, script):
        letter.send().arrives()
