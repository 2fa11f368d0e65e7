# SPDX-License-Identifier: ISC
"""The failure table, rows of the clock, the library and sotto.conf: two Exims, one side broken."""

import contextlib
import os
import re
import time

import pytest

from . import faults
from .faults import CONF, LIBRARY, RUN, STATE, replaced
from .message import Message
from .promise import Letter, Mailbox, delivers, requiring
from .statefile import checked
from .test_failures_host import is_sealed_in_time
from .test_failures_start import broken, demanded, ends, letter_between, nothing_left, required     # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("needs_sotto")
YEAR = 365 * 86400


def shift(seconds):
    """Each time in a state file moved, as it looks when the clock has jumped the other way."""
    def change(text):
        return checked(re.sub(rb"(?<= )\d{10}(?=\n)", lambda found: b"%010d" % (int(found.group()) + seconds), text)) if b"\ncheck " in text else text
    return change


def make_avoided(text):
    """A peer that has just failed three times."""
    for old, new in ((rb"failures \d+", b"failures 3"), (rb"failed \d+", b"failed %d" % (time.time() - 100)), (rb"avoidances \d+", b"avoidances 1"),
                     (rb"avoid-until \d+", b"avoid-until %d" % (time.time() + 400))):
        text = re.sub(rb"^" + old + rb"$", new, text, flags=re.M)
    return checked(text)


@pytest.mark.parametrize("jump", [-YEAR, YEAR], ids=["back", "forth"])
def test_clock_jumps(watch, ends, broken, jump):
    """The clock jumps by a year, back or forth: all that is remembered is a year ahead or old, and sealing goes on."""
    is_sealed_in_time(watch, ends)
    nothing_left(*ends)
    assert faults.damage(broken.host, STATE, shift(-jump))
    for path in broken.host.path(STATE).rglob("*"):
        os.utime(path, (time.time() - jump, time.time() - jump))
    is_sealed_in_time(watch, ends)
    is_sealed_in_time(watch, ends)


def test_avoided(watch, ends):
    """A host that is avoided for a while gets its mail in the clear, from the second message on without a session, unless encryption is required."""
    is_sealed_in_time(watch, ends)
    nothing_left(*ends)
    assert faults.damage(ends[0].host, f"{STATE}/peers", make_avoided)
    letter_between(watch, ends).send().arrives()
    watch.await_said(ends[0], "connect", "native" if ends[0].second_way else "clear")
    said = len(watch.said(ends[0], "connect"))
    letter_between(watch, ends).send().arrives()
    assert len(watch.said(ends[0], "connect")) == said, "a session for a peer that is known to be avoided"
    is_sealed_in_time(watch, ends)


@pytest.mark.parametrize("jump", [-YEAR, YEAR], ids=["back", "forth"])
def test_avoided_and_the_clock_jumps(watch, ends, jump):
    """... but not when the clock has jumped by a year meanwhile."""
    is_sealed_in_time(watch, ends)
    nothing_left(*ends)
    faults.damage(ends[0].host, f"{STATE}/peers", make_avoided)
    assert faults.damage(ends[0].host, f"{STATE}/peers", shift(-jump))
    letter_between(watch, ends).send().arrives()
    watch.await_said(ends[0], "connect", "sealed", 2)


def test_library_missing(watch, ends, broken):
    """The library for Exim is missing: the mail goes as if we were not there."""
    letter = letter_between(watch, ends)
    with replaced(broken.host, LIBRARY, None):
        letter.send().arrives()


def test_library_missing_where_required(watch, ends):
    """... unless encryption is required of the other side: then nothing of it may go out in the clear."""
    letter = letter_between(watch, ends)
    with requiring(ends[0], ends[1].domain), replaced(ends[0].host, LIBRARY, None):
        letter.send().waits()
    letter.unread()


LIBRARIES = {"empty": lambda octets: b"", "garbage": lambda octets: os.urandom(4096), "cut-short": lambda octets: octets[:5000],
             "of-another-kind": lambda octets: octets[:18] + b"\x28" + octets[19:]}


@pytest.mark.parametrize("how", LIBRARIES)
def test_library_damaged(watch, ends, broken, required, how):
    """
    The library is there and cannot be loaded. Nothing in Exim's configuration language can save the delivery then: mail waits, both here and
    there; none is lost, none bounces, and all arrives when the library is mended (exim4-sotto(7), "A damaged library").
    """
    letter = letter_between(watch, ends)
    contents = LIBRARIES[how](broken.host.path(LIBRARY).read_bytes())
    with demanded(ends, required):
        with replaced(broken.host, LIBRARY, contents, 0o644):
            letter.send().waits()
            broken.host.path("/var/log/exim4/paniclog").unlink(missing_ok=True)     # Exim says so there, and should
        letter.again().arrives()
    if required:
        letter.unread()


BROKEN_CONF = {"garbage": os.urandom(300), "no-such-setting": b"[sotto]\ncolour = blue\n", "no-such-value": b"[sotto]\nmode = perhaps\n",
               "no-section": b"mode = opportunistic\n", "long-line": b"[sotto]\nmode = " + b"x" * 5000 + b"\n", "nul": b"[sotto]\n\0\n",
               "huge": b"[sotto]\n" + b"; nothing\n" * 400_000, "twice": b"[sotto]\npin = log\npin = off\n", "half-a-line": b"[sotto]\nmode"}
SOME_BROKEN_CONF = ("garbage", "no-such-setting", "long-line", "huge")


@contextlib.contextmanager
def conf(host, contents):
    """In one step: somebody may be watching, to whom no file would mean no settings, which are good ones."""
    path = host.path(f"{CONF}/sotto.conf")
    before = path.read_bytes()

    def put(octets):
        host.write(f"{CONF}.new", octets, 0o644)        # not in the folder: somebody may be watching that
        os.replace(host.path(f"{CONF}.new"), path)

    put(contents)
    try:
        yield
    finally:
        put(before)


@pytest.mark.parametrize("how", BROKEN_CONF)
def test_conf_broken_with_a_good_copy(watch, ends, broken, how):
    """sotto.conf is broken: the last good settings stay in force, and sealing goes on; it is said in the log."""
    is_sealed_in_time(watch, ends)
    nothing_left(*ends)
    for stamp in (f"{STATE}/conf-limit", f"{RUN}/.conf-limit"):      # so that it is not said too seldom
        broken.host.path(stamp).unlink(missing_ok=True)
    mark = len(broken.sotto_log())
    with conf(broken.host, BROKEN_CONF[how]):
        is_sealed_in_time(watch, ends)
    assert any("last good settings" in line for line in broken.sotto_log()[mark:])


@pytest.mark.parametrize("how", SOME_BROKEN_CONF)
def test_conf_broken_without_a_copy(watch, ends, broken, required, how):
    """There never were good settings: nothing is sealed, and mail goes as if we were not there; required: it waits."""
    letter = letter_between(watch, ends)
    with demanded(ends, required):
        broken.host.path(f"{STATE}/sotto.conf.good").unlink(missing_ok=True)
        with conf(broken.host, BROKEN_CONF[how]):
            delivers(letter, required)
        if required:
            letter.again().arrives()
    if not required:
        assert not watch.said(ends[0], "connect", outcome="sealed")


@pytest.mark.parametrize("how", ["a-folder", "a-pipe", "not-readable", "a-link-to-nowhere"])
def test_conf_is_no_file(watch, ends, broken, required, how):
    """sotto.conf is something else than a file: nobody waits for it, and mail goes on; required: never in the clear."""
    letter = letter_between(watch, ends)
    path = broken.host.path(f"{CONF}/sotto.conf")
    make = {"a-folder": path.mkdir, "a-pipe": lambda: os.mkfifo(path), "not-readable": lambda: (path.write_text("[sotto]\n"), path.chmod(0o600)),
            "a-link-to-nowhere": lambda: path.symlink_to("/nowhere")}[how]
    away = path.with_name("away")
    with demanded(ends, required):
        path.rename(away)
        try:
            make()
            letter.send()
            if required:
                letter.arrives_or_waits()
            else:
                letter.arrives()
        finally:
            path.rmdir() if how == "a-folder" else path.unlink()
            away.rename(path)
        if ends[0].queue():
            letter.again()
        letter.arrives()
    if required:
        letter.unread()


@pytest.mark.parametrize("how", LIBRARIES)
def test_library_damaged_and_mail_of_this_host(watch, lab, how):
    """... and what a program of this host gives to sendmail for another user of it is delivered at once: the library is not asked."""
    server = lab.servers["a"]
    message = Message(f"anna@{server.domain}", f"bert@{server.domain}")
    with replaced(server.host, LIBRARY, LIBRARIES[how](server.host.path(LIBRARY).read_bytes()), 0o644):
        Letter(watch, server, message, Mailbox(server)).send().arrives()
