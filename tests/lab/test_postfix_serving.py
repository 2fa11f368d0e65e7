# SPDX-License-Identifier: ISC
"""sotto-serving, the process that sessions of Postfix's clients are forked from: killed, stopped, or gone with its daemon; clients notice nothing of it."""

import contextlib
import os
import re
import signal

import pytest

from . import wait
from .smtp import Bare

pytestmark = pytest.mark.usefixtures("needs_sotto")
SOCKET = "/run/sotto/accept.sock"
PATIENCE = 60
TRIES = 20


@pytest.fixture(params=["f", "g"], ids=["3.7", "3.10"])
def server(postfixes, request):
    one = postfixes[request.param]
    assert not one.host.await_quiet(lambda name, state: name in ("sotto-session", "sotto-front"), PATIENCE)
    return one


def pids(server, name):
    return {pid for pid, found, _ in server.host.processes() if found == name}


def parent(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return int(re.search(r"^PPid:\s+(\d+)$", status.read(), re.M).group(1))


def serving(server, but=None):
    """The process, once it is ready. but: another than that one."""
    def found():
        return server.host.path(SOCKET).exists() and pids(server, "sotto-serving") - {but}
    wait.until(found, [server.host.path("/run/sotto")], PATIENCE, "a sotto-serving is ready")
    (pid,) = pids(server, "sotto-serving") - {but}
    return pid


@contextlib.contextmanager
def a_client(server, stranger):
    """A connection to port 25 that has been greeted, and is a session's."""
    with Bare(stranger.host, server.host) as client:
        assert client.reply()[-1].startswith("220 ")
        yield client


def goes_on(client):
    """... its session is there, and whole."""
    client.ask("EHLO mx.p.example", 250)
    client.ask("RSET", 250)
    client.ask("QUIT", 221)
    assert client.closed()


def are_forked_by(server, pid, count):
    sessions = pids(server, "sotto-session")
    return len(sessions) == count and {parent(session) for session in sessions} == {pid}


def is_used(server, stranger, pid):
    """A client's session is its child; not each time: one that is not ready in 200 ms, on a busy machine, is not waited for."""
    for _ in range(TRIES):
        with a_client(server, stranger) as one:
            used = are_forked_by(server, pid, 1)
            goes_on(one)
        assert not server.host.await_quiet(lambda name, state: name in ("sotto-session", "sotto-front"), PATIENCE)
        if used:
            return True
    return False


def test_each_session_is_a_process_that_it_forked(server, stranger):
    """Two clients at once are two processes, of both kinds; each has ended with its client."""
    pid = serving(server)
    for _ in range(TRIES):
        with a_client(server, stranger) as one, a_client(server, stranger) as other:
            forked = are_forked_by(server, pid, 2)
            assert len(pids(server, "sotto-front")) == 2 or not forked        # for Postfix to count
            goes_on(one)
            goes_on(other)
        assert not server.host.await_quiet(lambda name, state: name in ("sotto-session", "sotto-front"), PATIENCE)
        if forked:
            break
    assert forked


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_killed_or_stopped(server, stranger, number):
    """Open sessions go on; new clients are greeted; and the daemon has another one soon."""
    pid = serving(server)
    with a_client(server, stranger) as one:
        os.kill(pid, number)
        with a_client(server, stranger) as other:
            goes_on(other)
        following = serving(server, but=pid)
        goes_on(one)
    assert is_used(server, stranger, following)


@pytest.mark.parametrize("how", ["stopped", "killed", "restarted"])
def test_with_its_daemon(server, stranger, how):
    """It ends with the daemon, and its sessions do not; without a daemon a client is served as well."""
    pid = serving(server)
    with a_client(server, stranger) as one:
        if how == "stopped":
            server.daemon.stop()
            assert not server.host.await_quiet(lambda name, state: name == "sotto-serving", PATIENCE)
            with a_client(server, stranger) as other:
                goes_on(other)
            server.start_daemon()
        elif how == "killed":
            server.daemon.kill()
            server.daemon.await_gone()
            server.daemon.await_ready()
        else:
            server.daemon.restart()
        following = serving(server, but=pid)
        goes_on(one)
    assert is_used(server, stranger, following)
