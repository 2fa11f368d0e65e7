# SPDX-License-Identifier: ISC
"""
An upgrade by apt, from one version of the packages to the next, with sessions open in both directions and mail in the queue. Sessions go on, the queue is
what it was, and what the administrator is left to do is said.
"""

import contextlib
import re
import time

import pytest

from . import debs
from .message import Message
from .smtp import Bare
from .test_command import OK, WARNING, sotto, sotto_json
from .test_exim import arrives, letter
from .test_fail2ban import sealed_client

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("needs_sotto")]
NEXT = "0.1-2"


@pytest.fixture(params=debs.SERVERS, ids="-".join)
def server(lab, request):
    """A mail server with the first version, switched on."""
    with debs.fresh(lab, *request.param) as made:
        debs.install(made)
        sotto(made, "enable", "--yes")
        yield made


def begin(client, message):
    """As far as the recipient."""
    client.reply()
    client.ask("EHLO mx.b.example", 250)
    client.ask(f"MAIL FROM:<{message.sender}>", 250)
    client.ask(f"RCPT TO:<{message.recipients[0]}>", 250)


def finish(client, server, message):
    client.ask("DATA", 354)
    client.send(message.smtp)
    assert client.reply()[-1].startswith("250")
    client.ask("QUIT", 221)
    server.await_token("anna", message)


def await_way(server, direction, seconds=12):
    """A session is open in that direction; nothing tells of that moment but the list."""
    deadline = time.monotonic() + seconds
    while not [one for one in sotto_json(server, "sessions") if one["direction"] == direction]:
        assert time.monotonic() < deadline, f"no session of {server.name} goes {direction}"
        time.sleep(0.05)


@contextlib.contextmanager
def away(server):
    """Nobody answers there: mail for it waits in queues."""
    server.stop()
    try:
        yield
    finally:
        server.start()


def test_an_upgrade(lab, server, watch, stranger):
    """What had begun ends well, what waited is delivered, all mail is sealed as before, and check tells of what still runs as it was."""
    peer, origin = lab.servers["a"], lab.servers["b"]
    incoming = [Message("carl@p.example", f"anna@{server.domain}") for _ in range(2)]
    waiting, outgoing = letter(server, stranger), letter(server, peer)
    with peer.configured("chunking_advertise_hosts =", "acl_smtp_predata = accept delay = 15s"), Bare(stranger.host, server.host) as clear, sealed_client(origin, server) as sealed:
        begin(clear, incoming[0])
        begin(sealed, incoming[1])
        with away(stranger):
            server.submit(waiting)
            server.await_log(server.deferred(waiting.recipients[0]))
            server.submit(outgoing)
            await_way(server, "out")
            queue = set(server.queue())
            said = debs.install(server, debs.built(NEXT)[server.release], "apt-get -y install")
            assert f"({NEXT}~" in said, said
            left_over = set(server.queue())
            assert left_over and left_over <= queue
        finish(clear, server, incoming[0])
        finish(sealed, server, incoming[1])
        server_delivers(watch, server, peer, outgoing)
    left(server, said)
    server.run_queue()
    arrives(watch, server, stranger, waiting)
    for origin, target in ((server, peer), (peer, server)):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
    watch.await_said(server, "connect", "sealed")
    watch.await_said(server, "accept", "sealed")


def server_delivers(watch, server, peer, message):
    """The letter that was on its way, once."""
    peer.await_token("bert", message)
    watch.await_log(server, server.sent(message.recipients[0]))
    assert len([one for one in peer.delivered("bert") if message.message_id.encode() in one]) == 1


def left(server, said):
    """What is left to the administrator: with OpenSMTPD, which reads and starts nothing anew, a restart."""
    found = sotto_json(server, "check", code=WARNING if server.kind == "opensmtpd" else OK)
    if server.kind != "opensmtpd":
        return
    wrong = [one for one in found["findings"] if one["level"] != "ok"]
    assert {one["check"] for one in wrong} == {"programs"} and all("restart opensmtpd" in one["remedy"] for one in wrong), wrong
    assert re.search(r"opensmtpd-filter-sotto: smtpd goes on with the filter that it started with, until `systemctl restart opensmtpd'", said), said
    server.host.run(["sh", "-c", "kill $(cat /run/smtpd.pid)"])
    server.host.await_quiet(lambda name, state: name in ("smtpd", "filter-sotto", "table-sotto"))
    mark = len(server.sotto_log())
    server.host.run(["smtpd"])
    server.await_sotto("connections are taken", mark)
    assert sotto_json(server, "check")["level"] == "ok"
