# SPDX-License-Identifier: ISC
"""postscreen in front of Sotto: it sees clients before us, throws out those that it threw out, and those that it lets pass are offered XSOTTO."""

import pytest

from .administrator import administered
from .smtp import Bare
from .test_exim import arrives, letter

pytestmark = pytest.mark.usefixtures("needs_sotto")
MASTER = {"smtp/inet": "smtp inet n - y - 1 postscreen", "smtpd/pass": "smtpd pass - - y - - smtpd", "dnsblog/unix": "dnsblog unix - - y - 0 dnsblog",
          "tlsproxy/unix": "tlsproxy unix - - y - 0 tlsproxy"}
MAIN = {"postscreen_greet_action": "enforce", "postscreen_greet_wait": "2s", "postscreen_greet_banner": "$myhostname wait for it"}


@pytest.fixture(params=[("g", "f"), ("f", "g")], ids=["3.7", "3.10"])
def two(postfixes, request):
    """(origin, target with postscreen)."""
    return tuple(postfixes[letter] for letter in request.param)


def test_sealed_through_postscreen(watch, two):
    """Mail arrives sealed behind postscreen's test; the inner smtpd knows the real client, and both logs and the trace tell of the session."""
    origin, target = two
    with administered(target, MAIN, MASTER, restart=True):
        message = letter(origin, target)
        origin.submit(message)
        delivered = arrives(watch, origin, target, message)
        assert watch.await_log(target, rf"postfix/postscreen\[\d+\]: PASS NEW \[{origin.host.v4}\]")
        assert watch.await_log(target, rf"sotto-in/smtpd|smtpd\[\d+\]: \w+: client=\S+\[{origin.host.v4}\]")
        watch.await_said(target, "accept", "sealed")
        assert not watch.wire.find(*message.secrets)
        assert b"X-Sotto: sealed" in delivered and origin.host.v4.encode() in delivered.split(b"Received:")[1]


def test_a_client_that_does_not_wait_is_thrown_out(stranger, two):
    """A client that speaks before it is greeted hears 550 of postscreen, as before, and never gets to us; one that waits is served."""
    _, target = two
    with administered(target, MAIN, MASTER, restart=True):
        mark, ours = len(target.log()), len(target.sotto_log())
        with Bare(stranger.host, target.host) as client:
            client.send(b"EHLO mx.p.example\r\n")
            target.await_log(rf"postscreen\[\d+\]: PREGREET \d+ after \S+ from \[{stranger.host.v4}\]", mark)
            client.reply()
            client.ask("MAIL FROM:<x@p.example>", 250)
            client.ask(f"RCPT TO:<bert@{target.domain}>", 550)
            client.say("QUIT")
        assert not [line for line in target.sotto_log()[ours:] if " accept " in line]
        with Bare(stranger.host, target.host) as client:
            assert "wait for it" in client.reply()[0]
            assert "XSOTTO" in str(client.ask("EHLO mx.p.example", 250)) + str(client.ask("NOOP", 250))
