# SPDX-License-Identifier: ISC
"""
The failure table's rows of test_failures_start.py, between two OpenSMTPDs, and between OpenSMTPD and others; one side broken. What is started while smtpd
lives is the worker of its filter, and the judge of its table: these are missing, broken, or there is nothing to start them with.
"""

import contextlib
import json
import os
import signal
import subprocess

import pytest

from .faults import replaced
from .mailserver_opensmtpd import FOLDER
from .stand_in import program
from .test_command import SOTTO
from .test_failures_start import demanded, folder_instead, letter_between, required, without_session    # noqa: F401 (a fixture)
from .test_opensmtpd_worker import WORKER, smtpds

pytestmark = pytest.mark.usefixtures("needs_sotto")
IN_CHECK = (r"test_no_worker\[6.8-to-7.6-(connect-required-missing|accept-free-hangs|accept-required-garbage)|test_no_judge\[6.8-to-7.6-(required-missing|free-hangs)|"
            r"test_no_process\[6.8-to-7.6-accept-free|test_crashes_when_ready\[6.8-to-7.6-accept-free-crashes-at|test_scarce\[6.8-to-7.6-accept--n 66|"
            r"test_check_tells\[6.8-.*missing")
JUDGE = "/usr/libexec/sotto/sotto-table"
FILTER, TABLE = f"{FOLDER}/filter-sotto", f"{FOLDER}/table-sotto"
PASSES = "connections pass through unsealed"
BINARIES = {
    "missing": lambda one: (None, 0), "not-executable": lambda one: (one, 0o644), "a-folder": None, "empty": lambda one: (b"", 0o755),
    "garbage": lambda one: (os.urandom(4096), 0o755), "cut-short": lambda one: (one[:20000], 0o755),
    **{how: lambda one, how=how: (program(how), 0o755) for how in ("ends-well", "ends-badly", "aborts", "is-killed", "hangs", "stops", "says-something-else")},
}


@pytest.fixture(params=[("i", "j"), ("j", "i")], ids=["6.8-to-7.6", "7.6-to-6.8"])
def ends(opensmtpds, request):
    return settled(opensmtpds[letter] for letter in request.param)


def settled(servers):
    """No message goes down a connection of the test before."""
    pair = tuple(servers)
    for server in pair:
        server.await_settled()
    return pair


@pytest.fixture(params=["connect", "accept"])
def broken(request, ends):
    """The side that something is wrong with."""
    return ends[request.param == "accept"]


@contextlib.contextmanager
def lives(server):
    """smtpd itself does, whatever happens to what is started beside it; afterwards all is started anew."""
    before = smtpds(server)
    try:
        yield
        assert smtpds(server) == before
    finally:
        server.restart()


def in_the_place_of(host, path, how):
    if BINARIES[how] is None:
        return folder_instead(host, path)
    return replaced(host, path, *BINARIES[how](host.read(path)))


def kill(server, *names):
    for pid in [pid for name in names for pid in server.processes(name)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def in_force(server, path, fault):
    """What runs of the program is killed, so that the fault is met."""
    with lives(server), fault:
        kill(server, os.path.basename(path))
        yield


def another(server, path, how):
    return in_force(server, path, in_the_place_of(server.host, path, how))


def another_program(server, path, contents):
    return in_force(server, path, replaced(server.host, path, contents))


@pytest.mark.parametrize("how", BINARIES)
def test_no_worker(watch, ends, broken, required, how):     # noqa: F811
    """sotto-worker is missing, broken, crashes again and again, hangs or is stopped before it is ready: the mail goes as if we were not there."""
    without_session(watch, ends, another(broken, WORKER, how), required)


@pytest.mark.parametrize("how", ["missing", "hangs"])
@pytest.mark.parametrize("pair, side", [(("j", "c"), 0), (("a", "j"), 1), (("j", "g"), 0), (("g", "j"), 1)], ids=lambda value: "".join(value) if isinstance(value, tuple) else "")
def test_no_worker_and_others(watch, lab, opensmtpds, postfixes, required, pair, side, how):     # noqa: F811
    """The same between OpenSMTPD and others."""
    both = settled(lab.servers[letter] for letter in pair)
    without_session(watch, both, another(both[side], WORKER, how), required)


@pytest.mark.parametrize("how", BINARIES)
def test_no_judge(watch, ends, required, how):     # noqa: F811
    """The same of sotto-table, which judges for the table at the side that sends."""
    without_session(watch, ends, another(ends[0], JUDGE, how), required)


NO_PROCESS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

pid_t fork(void)
{
	static pid_t (*next)(void);
	void *p;

	if (strstr(program_invocation_short_name, "-sotto") != NULL && access("/run/lab-no-process", F_OK) == 0) {
		errno = EAGAIN;
		return -1;
	}
	p = dlsym(RTLD_NEXT, "fork");
	memcpy(&next, &p, sizeof(next));
	return next();
}
"""


@contextlib.contextmanager
def no_process(server):
    """filter-sotto and table-sotto can start none, as soon as /run/lab-no-process is there."""
    host, library = server.host, server.host.path("/usr/lib/lab-no-process.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(library), "-ldl"], input=NO_PROCESS.encode(), check=True)
    host.write("/etc/ld.so.preload", "/usr/lib/lab-no-process.so\n")
    server.restart()
    flag = host.path("/run/lab-no-process")
    with lives(server):
        try:
            yield flag
        finally:
            host.path("/etc/ld.so.preload").unlink()
            flag.unlink(missing_ok=True)
    library.unlink()


def test_no_process(watch, ends, broken, required):     # noqa: F811
    """
    No process is to be had when the worker and the judge have died: mail goes out as if we were not there; what comes in, and what is required, finds nobody
    until there is one.
    """
    letter = letter_between(watch, ends)
    with demanded(ends, required):
        with no_process(broken) as flag:
            mark = len(broken.sotto_log())
            flag.touch()
            kill(broken, "sotto-worker", "sotto-table")
            broken.await_sotto("cannot start the worker", mark)
            letter.send()
            if broken is ends[0] and not required:
                letter.arrives()
            flag.unlink(missing_ok=True)
            letter.fares(required)
        if required:
            letter.again().arrives()
            letter.unread()


@pytest.mark.parametrize("how", ["crashes-once-ready", "crashes-at-a-connection"])
def test_crashes_when_ready(watch, ends, broken, required, how):     # noqa: F811
    """The worker says that it serves, and crashes then, or as soon as a connection comes: the same as with one that is never ready."""
    fault = another_program(broken, WORKER, program(how))
    without_session(watch, ends, fault, required)


def test_stands_still_when_ready(watch, ends, broken):
    """... and where it stands still, again and again, mail that comes in is let in after the third, and not never; what goes out is not concerned."""
    letter = letter_between(watch, ends)
    mark = len(broken.sotto_log())
    with another_program(broken, WORKER, program("stands-still-once-ready")):
        if broken is ends[0]:
            letter.send().arrives()
        broken.await_sotto(PASSES, mark)
        if broken is ends[1]:
            letter.send().arrives()


def scarce(server, path, limit):
    """The program under a limit in the words of the shell's ulimit."""
    return another_program(server, path, f"#!/bin/sh\nulimit {limit}\nexec {path}.away \"$@\"\n")


MEMORY = [2000, 6000, 10000, 12000, 14000, 20000]     # KiB
DESCRIPTORS = [3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 66, 71, 72, 80, 128]
LIMITS = [f"-v {n}" for n in MEMORY] + [f"-n {n}" for n in DESCRIPTORS] + ["-f 0"]


def two_letters_arrive(watch, ends):
    """Each with its own connection: after one that it sent two down, smtpd waits up to 10 s, and so would the third."""
    for _ in range(2):
        for server in ends:
            server.await_settled()
        letter_between(watch, ends).send().arrives()


@pytest.mark.parametrize("limit", LIMITS)
def test_scarce(watch, ends, broken, limit):
    """With however little memory, and however few descriptors, for the worker, each message arrives, in time."""
    with scarce(broken, WORKER, limit):
        two_letters_arrive(watch, ends)


@pytest.mark.parametrize("limit", ["-v 2000", "-v 4000", "-v 10000", "-n 3", "-n 4", "-n 5", "-n 6", "-n 8", "-n 12", "-f 0"])
def test_scarce_for_the_judge(watch, ends, limit):
    """The same of the judge."""
    with scarce(ends[0], JUDGE, limit):
        two_letters_arrive(watch, ends)


@contextlib.contextmanager
def scarce_in_the_parent(server, path, limit):
    """The same for what smtpd itself starts, and all that this starts."""
    with replaced(server.host, path, f"#!/bin/sh\nulimit {limit}\nexec {path}.away \"$@\"\n"):
        server.stop()
        mark = len(server.log())
        server.host.run(["smtpd"])
        server.await_log(r"info: OpenSMTPD \S+ starting", mark)
        server.await_listening()
        yield
    server.restart()


@pytest.mark.parametrize("limit", [f"-v {n}" for n in (4000, 8000, 12000, 20000)] + [f"-n {n}" for n in (12, 16, 32, 64, 100, 110, 128)] + ["-f 0"])
def test_scarce_in_the_filter(watch, ends, broken, limit):
    """... and of filter-sotto, and so of its worker: smtpd lives, and each message arrives, in time."""
    with scarce_in_the_parent(broken, FILTER, limit):
        two_letters_arrive(watch, ends)


@pytest.mark.parametrize("limit", ["-v 4000", "-v 8000", "-n 4", "-n 6", "-n 16", "-f 0"])
def test_scarce_in_the_table(watch, ends, limit):
    """... and of table-sotto, and so of the judge."""
    with scarce_in_the_parent(ends[0], TABLE, limit):
        two_letters_arrive(watch, ends)


def complaints(server, path):
    """What `sotto check` finds wrong with that file."""
    found = json.loads(server.host.run([SOTTO, "check", "--json"], check=False).stdout)["findings"]
    return [one["says"] for one in found if one["level"] != "ok" and path in one["says"]]


@pytest.mark.parametrize("fault", ["missing", "not-executable"])
@pytest.mark.parametrize("path", [FILTER, TABLE, WORKER, JUDGE], ids=os.path.basename)
def test_check_tells(opensmtpd, path, fault):
    """While smtpd lives, which would not start any more without its filter and its table, `sotto check` says what is missing."""
    with replaced(opensmtpd.host, path, *BINARIES[fault](opensmtpd.host.read(path))):
        assert complaints(opensmtpd, path)
    assert not complaints(opensmtpd, path)
