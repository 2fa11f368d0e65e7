# SPDX-License-Identifier: ISC
"""
fail2ban's stock filters for Exim and Postfix, on what our mail servers log of somebody who tries to relay or to log in: they see the real
client, as without Sotto, whether it came in the clear or sealed, and nobody else. (fail2ban has no filter for OpenSMTPD.)
"""

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from . import root
from .host import CLEAN
from .smtp import Bare
from .test_session import session

FILTER = {"exim": "exim", "postfix": "postfix[mode=extra]"}     # extra: with rejected logins
LOGIN = "AUTH PLAIN AGFubmEAd3Jvbmc="
SEEN = """
mount --bind "$FOLDER" "$ROOT/mnt"
exec chroot "$ROOT" fail2ban-regex --usedns no --out ip /mnt/log "$FILTER"
"""


def seen(server, lines):
    """The addresses that fail2ban would count, one for each line that it counts."""
    fail2ban = root.get("fail2ban", server.release)
    with tempfile.TemporaryDirectory() as folder:
        stamp = "" if server.kind == "exim" else f"Jan  2 03:04:05 {server.name} "
        Path(folder, "log").write_text("".join(f"{stamp}{line}\n" for line in lines), encoding="utf-8")
        env = dict(CLEAN, FOLDER=folder, ROOT=str(fail2ban), FILTER=FILTER[server.kind], PYTHONDONTWRITEBYTECODE="1")
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-ec", SEEN], env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.fixture(params=["a", "c", "f", "g"], ids=["exim-4.96", "exim-4.98", "postfix-3.7", "postfix-3.10"])
def target(lab, postfixes, request):    # pylint: disable=unused-argument
    return lab.servers[request.param]


@contextlib.contextmanager
def sealed_client(origin, target):
    """A client on a host with Sotto: what it says goes sealed."""
    ours, its = socket.socketpair()
    with session(origin.host, "connect", its, "--mta", "--to", target.domain), Bare(None, None, sock=ours) as client:
        yield client


@contextlib.contextmanager
def logins(server):
    """The server lets clients log in, and none of them succeeds."""
    if server.kind == "exim":           # offers none by itself, and says who tried
        yield
        return
    path = server.host.path("/var/spool/postfix/private/nobody")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(8)
        threading.Thread(target=refuse_all, args=(listener,), daemon=True).start()
        with server.configured(smtpd_sasl_auth_enable="yes", smtpd_sasl_type="dovecot", smtpd_sasl_path="private/nobody"):
            yield
        listener.shutdown(socket.SHUT_RDWR)
    os.unlink(path)


def refuse_all(listener):
    """A server of Dovecot's protocol for logins that knows nobody."""
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=refuse, args=(listener.accept()[0],), daemon=True).start()


def refuse(sock):
    with sock, sock.makefile("rwb") as talk, contextlib.suppress(OSError):
        talk.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n")
        talk.flush()
        for line in talk:
            words = line.rstrip(b"\n").split(b"\t")
            if words[0] == b"AUTH":
                talk.write(b"FAIL\t" + words[1] + b"\tuser=anna\n")
                talk.flush()


def misbehave(client, name):
    """One attempt to relay, one to log in; both are refused."""
    client.reply()
    client.ask(f"EHLO {name}", 250)
    client.ask(f"MAIL FROM:<carl@{name}>", 250)
    assert client.say("RCPT TO:<somebody@elsewhere.example>")[-1].startswith(("454", "550", "554"))
    client.ask("RSET", 250)
    assert client.say(LOGIN)[-1].startswith(("503", "535"))
    client.ask("QUIT", 221)


def test_a_client_in_the_clear(watch, target, stranger):
    """One without Sotto, as most attackers are."""
    with logins(target):
        with Bare(stranger.host, target.host) as client:
            misbehave(client, stranger.name)
        watch.await_log(target, r"(?i)relay (access denied|not permitted)")
        watch.await_log(target, r"authentication failed|AUTH command used when not advertised")
    assert seen(target, watch.log(target)) == [stranger.host.v4] * 2, watch.log(target)


def test_a_sealed_client(watch, target, lab, needs_sotto):
    """One with Sotto, whose session our mail server gets from a program of ours."""
    origin = lab.servers["b"]
    with logins(target):
        with sealed_client(origin, target) as client:
            misbehave(client, origin.name)
        watch.await_log(target, r"(?i)relay (access denied|not permitted)")
        watch.await_log(target, r"authentication failed|AUTH command used when not advertised")
        watch.await_said(target, "accept", "sealed")
    assert seen(target, watch.log(target)) == [origin.host.v4] * 2, watch.log(target)
