# SPDX-License-Identifier: ISC
"""
sotto-serving, the process that looks at the first commands of Postfix's clients: a client in the clear needs none of its own, and once it is past EHLO
nothing of ours but sotto-front has a part in its session. Killed, stopped, or gone with its daemon: new clients notice nothing of it, and those that it has at that
moment hear 421 at most.
"""

import contextlib
import os
import signal

import pytest

from . import wait
from .smtp import Bare

pytestmark = pytest.mark.usefixtures("needs_sotto")
SOCKET = "/run/sotto/first.sock"
PATIENCE = 60
TRIES = 20


@pytest.fixture(params=["f", "g"], ids=["3.7", "3.10"])
def server(postfixes, request):
    one = postfixes[request.param]
    assert not one.host.await_quiet(lambda name, state: name in ("sotto-session", "sotto-front"), PATIENCE)
    return one


def pids(server, name):
    return {pid for pid, found, _ in server.host.processes() if found == name}


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


def is_used(server, stranger):
    """A client in the clear has no process but its front; not each time: one that is not taken in 200 ms, on a busy machine, gets a sotto-session."""
    for _ in range(TRIES):
        with a_client(server, stranger) as one:
            used = not pids(server, "sotto-session") and len(pids(server, "sotto-front")) == 1
            goes_on(one)
            assert not used or not pids(server, "sotto-session")
        assert not server.host.await_quiet(lambda name, state: name in ("sotto-session", "sotto-front"), PATIENCE)
        if used:
            return True
    return False


def is_past_ehlo(client):
    client.ask("EHLO mx.p.example", 250)
    client.ask("RSET", 250)


def hears_421_or_goes_on(client):
    """Where it was another sotto-session's, for once, it goes on."""
    client.send(b"NOOP\r\n")
    code = client.reply()[-1][:3]
    assert code in ("421", "250")
    return code == "421"


def test_a_client_in_the_clear_has_no_process_of_its_own(server, stranger):
    """... but its front, which is there for Postfix to count, and passes the session through from the command behind EHLO on."""
    pid = serving(server)
    for _ in range(TRIES):
        with a_client(server, stranger) as one, a_client(server, stranger) as other:
            assert len(pids(server, "sotto-front")) == 2
            used = not pids(server, "sotto-session")
            goes_on(one)
            goes_on(other)
        assert not server.host.await_quiet(lambda name, state: name in ("sotto-session", "sotto-front"), PATIENCE)
        if used:
            break
    assert used
    assert serving(server) == pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_killed_or_stopped(server, stranger, number):
    """Who is past EHLO goes on, who is not hears 421 and may come again; new clients are greeted; and the daemon has another one soon."""
    pid = serving(server)
    with a_client(server, stranger) as past, a_client(server, stranger) as one:
        is_past_ehlo(past)
        os.kill(pid, number)
        with a_client(server, stranger) as other:
            goes_on(other)
        following = serving(server, but=pid)
        hears_421_or_goes_on(one)
        past.ask("NOOP", 250)
        past.ask("QUIT", 221)
        assert past.closed()
    assert pid != following
    assert is_used(server, stranger)


@pytest.mark.parametrize("how", ["stopped", "killed", "restarted"])
def test_with_its_daemon(server, stranger, how):
    """It ends with the daemon, once its last client has; without a daemon a client is served as well."""
    pid = serving(server)
    with a_client(server, stranger) as one, a_client(server, stranger) as past:
        is_past_ehlo(past)
        if how == "stopped":
            server.daemon.stop()
            with a_client(server, stranger) as other:
                goes_on(other)
            server.start_daemon()
        elif how == "killed":
            server.daemon.kill()
            server.daemon.await_gone()
            server.daemon.await_ready()
        else:
            server.daemon.restart()
        wait.until(lambda: server.host.path(SOCKET).exists(), [server.host.path("/run/sotto")], PATIENCE, "a sotto-serving is ready")
        goes_on(one)
        past.ask("QUIT", 221)
        assert past.closed()
    assert is_used(server, stranger)
    assert not server.host.await_quiet(lambda name, state: name == "sotto-serving" and pid in pids(server, name), PATIENCE)
    assert len(pids(server, "sotto-serving")) == 1
